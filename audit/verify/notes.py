"""Signed checkpoints, those in the database and those kept outside, against the recomputed roots; epochs in line."""

import base64
import binascii
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verify.report import LogSummary, Report


@dataclass(frozen=True, slots=True)
class Note:
    origin: str
    size: int
    root: bytes
    body: bytes
    signatures: tuple[tuple[str, bytes], ...]  # signer, four bytes of key id and the signature


class Keys:
    """Verifier keys by name; several per name may be known."""

    def __init__(self, by_name: dict[str, list[bytes]]) -> None:
        self._by_name = by_name

    @classmethod
    def parse(cls, vkeys: Iterable[str], report: Report) -> "Keys":
        by_name: dict[str, list[bytes]] = {}
        for text in vkeys:
            parts = text.strip().split("+", 2)
            raw = _base64(parts[2]) if len(parts) == 3 else None
            if raw is None or len(raw) != 33 or raw[0] != 1 or parts[1] != _key_id(parts[0], raw[1:]).hex():
                report.find("vkey.malformed", "vkeys", f"not an Ed25519 verifier key: {text.strip()[:80]}")
                continue
            by_name.setdefault(parts[0], []).append(raw[1:])
        if not by_name:
            report.remark("no verifier keys were given: no signature was checked")
        return cls(by_name)

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def signed(self, note: Note) -> bool:
        """Whether a known key of the log itself signed the note."""
        for name, signature in note.signatures:
            for public in self._by_name.get(name, []) if name == note.origin else []:
                if signature[:4] == _key_id(name, public) and holds(public, signature[4:], note.body):
                    return True
        return False

    def seals(self, institution_id: str) -> list[tuple[str, bytes]]:
        """(name, public key) of the institution's seal keys."""
        ending = f"/seal/{institution_id}"
        return [(name, public) for name, keys in self._by_name.items() if name.endswith(ending) for public in keys]


def holds(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def parse_note(data: bytes) -> Note | None:
    """C2SP tlog-checkpoint in a signed note; None when it is not one."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    body, separator, tail = text.rpartition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 3 or not lines[1].isascii() or not lines[1].isdigit() or len(lines[1]) > 18:
        return None
    root = _base64(lines[2])
    signatures: list[tuple[str, bytes]] = []
    for line in tail.rstrip("\n").split("\n"):
        parts = line.split(" ")
        raw = _base64(parts[2]) if len(parts) == 3 and parts[0] == "\u2014" else None
        if raw is None:
            return None
        signatures.append((parts[1], raw))
    if root is None or len(root) != 32 or str(int(lines[1])) != lines[1]:
        return None
    return Note(lines[0], int(lines[1]), root, (body + "\n").encode(), tuple(signatures))


def wanted_sizes(db: sqlite3.Connection, outside: list[bytes]) -> dict[str, set[int]]:
    """At which sizes a root is needed, per log."""
    sizes: dict[str, set[int]] = {}
    stored = [
        str(row["note"]).encode(errors="surrogateescape") for row in db.execute("SELECT note FROM audit_checkpoints")
    ]
    for data in [*stored, *outside]:
        note = parse_note(data)
        if note is not None:
            sizes.setdefault(note.origin, set()).add(note.size)
    return sizes


def check_notes(db: sqlite3.Connection, keys: Keys, outside: list[bytes], explained: set[str], report: Report) -> None:
    """`explained`: SHA-256 of notes that a later epoch's first leaf admits the log no longer lives up to."""
    for row in db.execute("SELECT * FROM audit_checkpoints ORDER BY origin, size"):
        where = f"checkpoint {row['origin']} at {row['size']}"
        note = parse_note(str(row["note"]).encode(errors="surrogateescape"))
        if note is None or (note.origin, note.size) != (row["origin"], row["size"]):
            report.find("checkpoint.changed", where, "not the checkpoint of this place")
        else:
            _check_note(note, where, keys, report)
    for data in outside:
        note = parse_note(data)
        if note is None:
            report.find("note.malformed", "outside note", "not a signed checkpoint")
        elif sha256(data).hexdigest() in explained:
            report.remark(f"{note.origin}: leaves beyond the backup were lost; the next epoch's first leaf says so")
        else:
            _check_note(note, f"outside note {note.origin} at {note.size}", keys, report)
    for summary in report.logs.values():
        _remark_unsigned(summary, report)


def _check_note(note: Note, where: str, keys: Keys, report: Report) -> None:
    if keys and not keys.signed(note):
        report.find("checkpoint.signature", where, "no known key of the log signed it")
        return
    summary = report.logs.get(note.origin)
    if summary is None:
        report.find("log.missing", where, "the log it was signed for is not in the database")
    elif note.size > summary.size:
        report.find("log.truncated", where, f"{note.size} leaves were signed, {summary.size} are kept")
    elif summary.roots.get(note.size) != note.root:
        report.find("log.forked", where, "the leaves kept do not hash to the signed root")
    elif keys:
        summary.signed_size = max(summary.signed_size, note.size)


def _remark_unsigned(summary: LogSummary, report: Report) -> None:
    if summary.signed_size < summary.size:
        report.remark(f"{summary.origin}: {summary.size - summary.signed_size} newest leaves have no checkpoint yet")


def check_epochs(db: sqlite3.Connection, report: Report) -> set[str]:
    """Each further epoch names the one before it as it stands. Returns the notes admitted as unfulfilled."""
    explained: set[str] = set()
    by_institution: dict[str, list[LogSummary]] = {}
    for summary in report.logs.values():
        by_institution.setdefault(summary.institution_id, []).append(summary)
    for logs in by_institution.values():
        logs.sort(key=lambda summary: summary.epoch)
        for before, after in zip([None, *logs], logs, strict=False):
            public: Any = after.first.get("pub", {})
            _check_opening(before, after, public, report)
            if isinstance(public.get("note_sha256"), str):
                explained.add(public["note_sha256"])
    return explained


def _check_opening(before: LogSummary | None, after: LogSummary, public: Any, report: Report) -> None:
    where = f"{after.origin} leaf 0"
    if public.get("epoch") != after.epoch:
        report.find("epoch.mismatch", where, f"opened as epoch {public.get('epoch')}")
    if before is None:
        if after.epoch != 1 and "note_sha256" not in public:
            report.find("epoch.missing", where, "earlier epochs are not in the database")
        return
    root = base64.b64encode(before.roots.get(before.size, b"")).decode()
    stated = (public.get("previous"), public.get("previous_size"), public.get("previous_root"))
    if stated != (before.origin, before.size, root):
        report.find("epoch.mismatch", where, f"{before.origin} is not as it was when this epoch began")


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
