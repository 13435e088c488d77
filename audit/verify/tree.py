"""One log: every leaf and node read and recomputed, and what the leaves say of rows and payloads."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from audit.verify.report import LogSummary, Progress, Report

SKEW_MS = 2_000
_FIELDS = frozenset({"v", "log", "id", "t", "node", "k", "con", "n", "act", "sub", "o", "pub", "rows", "c", "p"})


def blob(value: object) -> bytes:
    """Stored bytes; anything else (a text put in their place) reads as nothing and so fails its comparison."""
    return value if isinstance(value, bytes) else b""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the log last said of a row. digest None = removed. `order` = when the row was first added."""

    institution_id: str
    rev: int
    digest: str | None
    order: int
    leaf: str  # where it was said


@dataclass(slots=True)
class Marks:
    """Gathered over all logs of the database, in log order."""

    rows: dict[tuple[str, str], Mark] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    payloads: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    counter: int = 0

    def check_leftovers(self, db: sqlite3.Connection, origins: set[str], report: Report) -> None:
        """Leaves, nodes, payloads that belong to nothing."""
        for (event_id,) in db.execute("SELECT event_id FROM audit_payloads"):
            if event_id not in self.payloads:
                report.find("payload.extra", f"audit_payloads {event_id}", "no leaf commits to this payload")
        for table in ("audit_leaves", "audit_nodes"):
            for (origin,) in db.execute(f"SELECT DISTINCT origin FROM {table}"):  # noqa: S608 - fixed names
                if origin not in origins:
                    report.find("log.headless", f"{table} {origin}", "entries of a log that has no head")


@dataclass(slots=True)
class Walk:
    """State of one log's reading."""

    db: sqlite3.Connection
    origin: str
    institution_id: str
    epoch: int
    report: Report
    marks: Marks
    summary: LogSummary
    stack: list[tuple[int, int, bytes]] = field(default_factory=list)  # level, index, hash: the peaks
    clocks: dict[str, int] = field(default_factory=dict)  # node -> time of its last leaf
    skew_told: bool = False

    def at(self, seq: int) -> str:
        return f"{self.origin} leaf {seq}"


def check_log(
    db: sqlite3.Connection, head: sqlite3.Row, *, sizes: set[int], marks: Marks, report: Report, progress: Progress
) -> None:
    """Read all leaves of one log; note its roots at `sizes` in the report."""
    origin = head["origin"]
    summary = LogSummary(origin, head["institution_id"], head["epoch"])
    report.logs[origin] = summary
    walk = Walk(db, origin, head["institution_id"], head["epoch"], report, marks, summary)
    if 0 in sizes:
        summary.roots[0] = sha256(b"").digest()
    nodes = _Nodes(db, origin)
    query = "SELECT * FROM audit_leaves WHERE origin = ? ORDER BY seq"
    for row in db.execute(query, (origin,)):
        if row["seq"] != summary.size:
            report.find("leaf.missing", walk.at(summary.size), f"missing: the next leaf kept is {row['seq']}")
            return
        _check_leaf(walk, row)
        _grow(walk, blob(row["data"]), nodes)
        summary.size += 1
        report.leaves += 1
        if summary.size in sizes:
            summary.roots[summary.size] = _root(walk)
        if summary.size % 1000 == 0:
            progress("log", summary.size, head["size"])
    summary.roots[summary.size] = _root(walk)
    _check_head(walk, head, nodes)
    progress("log", summary.size, max(summary.size, head["size"]))


class _Nodes:
    """Stored nodes of one log, level by level in index order, so that each is read once."""

    def __init__(self, db: sqlite3.Connection, origin: str) -> None:
        self._db = db
        self._origin = origin
        self._levels: dict[int, sqlite3.Cursor] = {}
        self.seen = 0

    def next(self, level: int) -> tuple[int, bytes] | None:
        if level not in self._levels:
            self._levels[level] = self._db.execute(
                "SELECT idx, hash FROM audit_nodes WHERE origin = ? AND level = ? ORDER BY idx", (self._origin, level)
            )
        row = self._levels[level].fetchone()
        if row is None:
            return None
        self.seen += 1
        return int(row["idx"]), blob(row["hash"])


def _grow(walk: Walk, data: bytes, nodes: _Nodes) -> None:
    """Add the leaf to the recomputed tree and compare every node this completes."""
    level, index, digest = 0, walk.summary.size, sha256(b"\x00" + data).digest()
    _check_node(walk, nodes, level, index, digest)
    while walk.stack and walk.stack[-1][0] == level:
        _, left_index, left = walk.stack.pop()
        level, index, digest = level + 1, left_index // 2, sha256(b"\x01" + left + digest).digest()
        _check_node(walk, nodes, level, index, digest)
    walk.stack.append((level, index, digest))


def _check_node(walk: Walk, nodes: _Nodes, level: int, index: int, digest: bytes) -> None:
    stored = nodes.next(level)
    if stored == (index, digest):
        return
    where = f"{walk.origin} node {level}/{index}"
    if stored is None or stored[0] != index:
        walk.report.find("node.missing", where, "stored node is missing or out of place")
    elif level == 0:
        walk.report.find("leaf.changed", walk.at(index), "leaf is not the one that was hashed, or its node was changed")
    else:
        walk.report.find("node.changed", where, "stored node is not the hash of the leaves below it")


def _root(walk: Walk) -> bytes:
    digest: bytes | None = None
    for _, _, peak in reversed(walk.stack):
        digest = peak if digest is None else sha256(b"\x01" + peak + digest).digest()
    return digest if digest is not None else sha256(b"").digest()


def _check_head(walk: Walk, head: sqlite3.Row, nodes: _Nodes) -> None:
    if head["size"] != walk.summary.size:
        what = f"head says {head['size']} leaves, {walk.summary.size} are kept"
        walk.report.find("log.truncated" if head["size"] > walk.summary.size else "head.changed", walk.origin, what)
    elif blob(head["peaks"]) != b"".join(digest for _, _, digest in walk.stack):
        walk.report.find("head.changed", walk.origin, "the head's hashes are not those of the leaves")
    count = walk.db.execute("SELECT count(*) FROM audit_nodes WHERE origin = ?", (walk.origin,)).fetchone()[0]
    if count != nodes.seen:
        walk.report.find("node.extra", walk.origin, f"{count - nodes.seen} stored nodes belong to no leaf")


def _check_leaf(walk: Walk, row: sqlite3.Row) -> None:
    where = walk.at(row["seq"])
    leaf = _parsed(blob(row["data"]))
    if leaf is None:
        walk.report.find("leaf.malformed", where, "not a canonical leaf")
        return
    if row["seq"] == 0:
        walk.summary.first = leaf
        if leaf["k"] != "log.opened":
            walk.report.find("log.opening", where, "a log begins with log.opened")
    consult = leaf["con"] or ""
    columns = (row["event_id"], row["institution_id"], row["consult_id"], row["number"], row["epoch"])
    if columns != (leaf["id"], walk.institution_id, consult, leaf["n"], walk.epoch) or leaf["log"] != walk.origin:
        walk.report.find("leaf.index", where, "index columns do not agree with the leaf")
    if leaf["id"] in walk.marks.events:
        walk.report.find("leaf.repeated", where, f"event {leaf['id']} occurs twice")
    walk.marks.events.add(leaf["id"])
    expected = walk.marks.numbers.get((walk.institution_id, consult), 0)
    if leaf["n"] != expected:
        walk.report.find("leaf.number", where, f"event {leaf['n']} of its consult, {expected} was due")
    walk.marks.numbers[(walk.institution_id, consult)] = leaf["n"] + 1
    _check_time(walk, leaf, where)
    _check_payload(walk, leaf, where)
    for mark in leaf["rows"]:
        _take_mark(walk, mark, where)


def _parsed(data: bytes) -> dict[str, Any] | None:
    """The leaf, when its bytes are canonical JSON (RFC 8785; ASCII keys, no floats) with exactly the known fields."""
    try:
        leaf = json.loads(data)
        again = json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(leaf, dict) or again != data or set(leaf) != _FIELDS or leaf["v"] != 1:
        return None
    texts = all(isinstance(leaf[name], str) for name in ("log", "id", "node", "k", "act", "o"))
    maybe = all(leaf[name] is None or isinstance(leaf[name], str) for name in ("con", "sub", "c", "p"))
    numbers = all(isinstance(leaf[name], int) and not isinstance(leaf[name], bool) for name in ("t", "n"))
    rows = isinstance(leaf["rows"], list) and all(_is_mark(mark) for mark in leaf["rows"])
    return leaf if texts and maybe and numbers and rows and isinstance(leaf["pub"], dict) else None


def _is_mark(mark: object) -> bool:
    match mark:
        case [str(), str(), int(), str() | None]:
            return True
    return False


def _check_time(walk: Walk, leaf: Mapping[str, Any], where: str) -> None:
    """Time of one machine does not run backwards, except by a small step or after a clock.skew event."""
    if leaf["k"] == "clock.skew":
        walk.skew_told = True
        walk.clocks[leaf["node"]] = leaf["t"]
        return
    before = walk.clocks.get(leaf["node"])
    if before is not None and leaf["t"] < before - SKEW_MS and not walk.skew_told:
        walk.report.find("leaf.time", where, f"{before - leaf['t']} ms earlier than the leaf before it")
    walk.clocks[leaf["node"]] = leaf["t"]
    walk.skew_told = False


def _check_payload(walk: Walk, leaf: Mapping[str, Any], where: str) -> None:
    if (leaf["p"] is None) != (leaf["c"] is None):
        walk.report.find("leaf.malformed", where, "commitment without payload digest, or the reverse")
    if leaf["p"] is None:
        return
    walk.marks.payloads.add(leaf["id"])
    query = "SELECT institution_id, key_id, data FROM audit_payloads WHERE event_id = ?"
    row = walk.db.execute(query, (leaf["id"],)).fetchone()
    payload = f"audit_payloads {leaf['id']}"
    if row is None:
        walk.report.find("payload.missing", payload, f"the payload of {where} is gone (erasing destroys its key only)")
        return
    if sha256(blob(row["data"])).hexdigest() != leaf["p"]:
        walk.report.find("payload.changed", payload, f"not the payload that {where} commits to")
    wanted = f"payload-{leaf['con'] or 'institution'}"
    if (row["institution_id"], row["key_id"]) != (walk.institution_id, wanted):
        walk.report.find("payload.changed", payload, "filed under another institution or key")


def _take_mark(walk: Walk, mark: list[Any], where: str) -> None:
    table, row_id, rev, digest = mark
    known = walk.marks.rows.get((table, row_id))
    walk.marks.counter += 1
    fresh = known is None or known.digest is None
    if known is not None and not fresh:
        if rev <= known.rev:
            walk.report.find("row.revision", where, f"{table} {row_id}: revision {rev} after {known.rev}")
        if known.institution_id != walk.institution_id:
            walk.report.find("row.institution", where, f"{table} {row_id} belongs to another institution's log")
    order = walk.marks.counter if fresh or known is None else known.order
    walk.marks.rows[(table, row_id)] = Mark(walk.institution_id, rev, digest, order, where)
