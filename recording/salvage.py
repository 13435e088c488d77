"""Spool files of a recorder that died: what is whole stays, a torn tail goes, and the result is a segment like any."""

import contextlib
import hashlib
import os
from pathlib import Path

from recording.errors import SegmentDamaged
from recording.sealed_file import FRAME_HEAD_SIZE, FrameEntry, IndexScanner, SegmentIndex
from recording.segment_file import SUFFIX, SegmentReport


def salvage(folder: Path, key: bytes, known: frozenset[str] = frozenset()) -> list[SegmentReport]:
    """Close every file of `folder` that is not `known` (by name), oldest first. Blocking.

    Whole frames are kept byte for byte; bytes after the last frame that authenticates are cut off. A file without a
    single frame holds no media and is removed, as is one that never was ours.
    """
    reports: list[SegmentReport] = []
    # Known files may be on their way to the archive and vanish at any moment: not even their dates are asked for.
    left = [path for path in folder.glob(f"*{SUFFIX}") if path.name not in known]
    for path in sorted(left, key=lambda p: (p.stat().st_mtime_ns, p.name)):
        report = _close(path, key)
        if report is None:
            path.unlink()
        else:
            reports.append(report)
    return reports


def _close(path: Path, key: bytes) -> SegmentReport | None:
    index = _tolerant_index(path)
    if index is None:
        return None
    opener = index.open(key)
    plain_hash, good, end = hashlib.sha256(), [], len(index.header.encode())
    with path.open("rb") as file:
        for entry in index.frames:
            file.seek(entry.offset)
            try:
                plain_hash.update(opener.plain(entry, file.read(FRAME_HEAD_SIZE + entry.size)))
            except SegmentDamaged:
                break
            good.append(entry)
            end = entry.end
    if not any(entry.plain_size for entry in good):
        return None
    if path.stat().st_size != end:
        os.truncate(path, end)
    with path.open("rb") as file:
        file_hash = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    head, last = index.header, good[-1]
    return SegmentReport(
        head.seat_id, head.track, head.number, path.name, head.mime, head.started_ms, last.span_ms, last.clock_ms,
        end, file_hash, plain_hash.hexdigest(), _is_sealed(last),
    )  # fmt: skip


def _is_sealed(last: FrameEntry) -> bool:
    return bool(last.flags & 1)


def _tolerant_index(path: Path) -> SegmentIndex | None:
    scanner = IndexScanner()
    with path.open("rb") as file, contextlib.suppress(SegmentDamaged):
        while chunk := file.read(1 << 20):
            scanner.feed(chunk)
    try:
        return scanner.finish()
    except SegmentDamaged:
        return None
