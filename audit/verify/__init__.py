"""The independent verifier: its own parsing, hashing and SQL. It imports nothing of the writer, on purpose.

    report = verify(Path("data/huizhen.db"), Path("data/blobs"), vkeys, notes)
    for finding in report.findings: print(finding)

It only reads, inside one snapshot, and may run beside the server. What it proves, and against what it proves it:
the log against the signed checkpoints (those in the database and those kept outside), the rows against the log, the
payloads and segment files against rows and log, the seals against the institutions' keys.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from audit.verify.evidence import check_evidence
from audit.verify.notes import Keys, check_epochs, check_notes, wanted_sizes
from audit.verify.report import Finding, LogSummary, Progress, Report
from audit.verify.rows import check_rows
from audit.verify.tree import Marks, check_log

__all__ = ["Finding", "LogSummary", "Progress", "Report", "verify"]


def verify(
    database_path: Path,
    blobs_dir: Path | None,
    vkeys: Iterable[str],
    outside_notes: Iterable[bytes],
    progress: Progress | None = None,
) -> Report:
    """Check everything; never raises for what it finds.

    vkeys: C2SP verifier keys of logs and seals, as given out by the institution (not read from the machine under test,
    when it is to prove anything against its operator). outside_notes: signed checkpoints kept elsewhere; read them
    BEFORE calling, or a running server may be newer than the snapshot. blobs_dir None: segment files are not read.
    progress(step, done, total) is called now and then.
    """
    report = Report()
    told = progress or _silent
    keys = Keys.parse(vkeys, report)
    notes = list(outside_notes)
    try:
        location = f"file:{quote(str(database_path.resolve()))}?mode=ro"
        with closing(sqlite3.connect(location, uri=True, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.text_factory = _text  # text that is not UTF-8 must not stop the reading
            db.execute("BEGIN")
            _check_all(db, blobs_dir, keys=keys, notes=notes, report=report, progress=told)
            db.execute("ROLLBACK")
    except sqlite3.Error as error:
        report.find("database.unreadable", database_path.name, str(error))
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        # Values of the wrong kind where none can be: tampering so crude that the reading itself fails.
        report.find("database.malformed", database_path.name, f"{type(error).__name__}: {error}")
    return report


def _check_all(
    db: sqlite3.Connection,
    blobs_dir: Path | None,
    *,
    keys: Keys,
    notes: list[bytes],
    report: Report,
    progress: Progress,
) -> None:
    for row in db.execute("PRAGMA integrity_check(20)"):
        if row[0] != "ok":
            report.find("database.damaged", "database", str(row[0]))
    marks = Marks()
    sizes = wanted_sizes(db, notes)
    heads = list(db.execute("SELECT * FROM audit_logs ORDER BY institution_id, epoch"))
    for head in heads:
        wanted = sizes.get(head["origin"], set())
        check_log(db, head, sizes=wanted, marks=marks, report=report, progress=progress)
    marks.check_leftovers(db, {head["origin"] for head in heads}, report)
    explained = check_epochs(db, report)
    check_notes(db, keys, notes, explained, report)
    check_rows(db, marks, report, progress)
    check_evidence(db, blobs_dir, keys, report, progress)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
