"""Closed segments from the spool into the blob store, then into the ledger, then off the spool: in that order only."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import structlog

from recording.errors import SegmentDamaged
from recording.ledger import Ledger
from recording.ports import Blobs
from recording.records import Recording, Segment, Track
from recording.segment_file import SUFFIX, SegmentReport

_DELAYS = (0.2, 1.0, 3.0, 10.0, 30.0)  # s between attempts; the last one repeats
_log = structlog.get_logger(__name__)


class Shelf:
    """One per live recording. A failing store delays, never loses: the file stays until its copy was read back."""

    def __init__(self, recording: Recording, folder: Path, ledger: Ledger, blobs: Blobs) -> None:
        self._recording = recording
        self._folder = folder
        self._ledger = ledger
        self._blobs = blobs
        self._waiting: asyncio.Queue[SegmentReport] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(), name=f"recording-shelf-{recording.id}")

    def put(self, report: SegmentReport) -> None:
        self._waiting.put_nowait(report)  # bounded by the disk: each entry is a file

    async def empty(self) -> None:
        """Returns when every segment put so far is stored and committed."""
        await self._waiting.join()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self._waiting.empty():
            with contextlib.suppress(OSError):
                self._folder.rmdir()

    async def _run(self) -> None:
        while True:
            report = await self._waiting.get()
            attempt = 0
            while not await self._store(report):
                await asyncio.sleep(_DELAYS[min(attempt, len(_DELAYS) - 1)])
                attempt += 1
            self._waiting.task_done()

    async def _store(self, report: SegmentReport) -> bool:
        segment = segment_of(self._recording, report)
        path = self._folder / report.file
        try:
            await self._copy(segment, path)
            await self._ledger.segment(segment)
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever the store or the database throws: keep the file, try again
            _log.warning("segment_not_stored", recording_id=self._recording.id, error=type(error).__name__)
            return False
        return True

    async def _copy(self, segment: Segment, path: Path) -> None:
        """The store read its copy back; it must be the very bytes the child wrote. Raises SegmentDamaged."""
        if await self._blobs.put(segment.blob_key, path) != segment.sha256:
            raise SegmentDamaged(f"stored copy of {segment.blob_key} differs")


def segment_of(recording: Recording, report: SegmentReport) -> Segment:
    key = f"{recording.institution_id}/{recording.id}/{report.seat_id}/{report.track}-{report.number}{SUFFIX}"
    return Segment(
        id=uuid4().hex,
        institution_id=recording.institution_id,
        consult_id=recording.consult_id,
        recording_id=recording.id,
        seat_id=report.seat_id,
        track=Track(report.track),
        number=report.number,
        mime=report.mime,
        started_at=datetime.fromtimestamp(report.started_ms / 1000, UTC),
        duration_ms=report.duration_ms,
        size=report.size,
        sha256=report.sha256,
        plain_sha256=report.plain_sha256,
        blob_key=key,
        recovered=not report.sealed,
    )
