"""Every evidential row against what the log last said of it. A table is evidential when it has `rev` and `salt`."""

import json
import sqlite3
from hashlib import sha256

from audit.verify.report import Progress, Report
from audit.verify.tree import Mark, Marks

_STORE_COLUMNS = ("pos", "rev", "salt")


def check_rows(db: sqlite3.Connection, marks: Marks, report: Report, progress: Progress) -> None:
    remaining = {key: mark for key, mark in marks.rows.items() if mark.digest is not None}
    for table in _evidential_tables(db):
        _check_table(db, table, marks=marks, remaining=remaining, report=report, progress=progress)
    for (table, row_id), mark in remaining.items():
        report.find("row.missing", f"{table} {row_id}", f"gone without a removal on record (last in {mark.leaf})")
    for table, row_id in db.execute("SELECT table_name, row_id FROM removals"):
        known = marks.rows.get((table, row_id))
        if known is None or known.digest is not None:
            report.find("removal.unrecorded", f"{table} {row_id}", "listed as removed, but no leaf removed it")


def _evidential_tables(db: sqlite3.Connection) -> list[str]:
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    columns = {name: {column[1] for column in db.execute(f'PRAGMA table_info("{name}")')} for name in names}
    return [name for name in names if {"id", "rev", "salt"} <= columns[name]]


def _check_table(
    db: sqlite3.Connection,
    table: str,
    *,
    marks: Marks,
    remaining: dict[tuple[str, str], Mark],
    report: Report,
    progress: Progress,
) -> None:
    total = db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - from the schema
    latest: dict[str, int] = {}  # institution -> order of its row before
    for done, row in enumerate(db.execute(f'SELECT * FROM "{table}" ORDER BY pos'), 1):  # noqa: S608
        report.rows += 1
        where = f"{table} {row['id']}"
        mark = marks.rows.get((table, row["id"]))
        remaining.pop((table, row["id"]), None)
        if mark is None:
            report.find("row.extra", where, "no leaf records this row")
            continue
        if mark.digest is None:
            report.find("row.extra", where, f"removed according to {mark.leaf}, but it is there")
            continue
        _check_row(table, row, mark, report)
        if mark.order < latest.get(mark.institution_id, 0):
            report.find("row.order", where, "stands before a row that was written earlier")
        latest[mark.institution_id] = max(mark.order, latest.get(mark.institution_id, 0))
        if done % 1000 == 0:
            progress(table, done, total)


def _check_row(table: str, row: sqlite3.Row, mark: Mark, report: Report) -> None:
    where = f"{table} {row['id']}"
    names = row.keys()
    values = {name: row[name] for name in names if name not in _STORE_COLUMNS and row[name] is not None}
    owner = row["id"] if table == "institutions" else values.get("institution_id")
    if owner is not None and owner != mark.institution_id:
        report.find("row.institution", where, "belongs to another institution than its log")
    if row["rev"] != mark.rev:
        report.find("row.changed", where, f"revision {row['rev']}, the log has {mark.rev} ({mark.leaf})")
    salt = row["salt"]
    if not isinstance(salt, bytes) or len(salt) != 32:
        report.find("row.changed", where, "its salt is damaged")
        return
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        digest = sha256(b"huizhen-row-v1\x00" + salt + text.encode()).hexdigest()
    except (TypeError, ValueError):
        digest = ""
    if digest != mark.digest:
        report.find("row.changed", where, f"a field or the salt is not what {mark.leaf} vouches for")
