"""Runs the independent verifier over this server's own files."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import make_url

from audit import verify as verifier
from huizhen.settings import Settings


class NotLocal(Exception):
    """The verifier reads SQLite files; on another database it runs on an export."""

    code = "verify.not_local"


def database_file(settings: Settings) -> Path:
    """Raises NotLocal."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise NotLocal
    return Path(url.database)


def verify(
    settings: Settings,
    *,
    vkeys: Path | None = None,
    notes: Sequence[Path] = (),
    progress: verifier.Progress | None = None,
) -> verifier.Report:
    """Blocking: call it in a thread. `vkeys` and `notes` from elsewhere make it proof against our own operator."""
    known = vkeys or settings.keys_path / "public.vkeys"
    lines = known.read_text().splitlines() if known.exists() else []
    kept = [*sorted((settings.keys_path / "notes").glob("*.note")), *notes]
    outside: list[bytes] = []
    for path in kept:
        with contextlib.suppress(FileNotFoundError):
            outside.append(path.read_bytes())
    blobs = settings.blobs_path if settings.blobs_path.is_dir() else None
    return verifier.verify(database_file(settings), blobs, [line for line in lines if line.strip()], outside, progress)


def counts(report: verifier.Report) -> dict[str, int]:
    return {
        "logs": len(report.logs),
        "leaves": report.leaves,
        "rows": report.rows,
        "files": report.files,
        "bytes": report.file_bytes,
        "seals": report.seals,
        "suppressed": report.suppressed,
    }
