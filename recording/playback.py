"""Reading a recording back: the player's manifest, and any byte range of a segment in the clear.

Whether somebody may see it is the archive's question, asked before each call. A destroyed key is the end: KeyDestroyed.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audit.transaction import Database
from clinic.consult import Seat
from recording.errors import SegmentDamaged
from recording.manifest import player_manifest
from recording.ports import Blobs, KeyRing, RecordingTransaction
from recording.records import Recording, Segment
from recording.sealed_file import IndexScanner, SegmentIndex

MAX_INDEXES = 256  # segments whose frame index is remembered (no content, no key)


def seat_facts(seat: Seat) -> Mapping[str, Any]:
    """What the player shows of a person."""
    return {"role": str(seat.role), "name": seat.display_name, "institutionId": seat.home_institution_id}


class Playback:
    def __init__(
        self,
        db: Database[RecordingTransaction],
        keyring: KeyRing,
        blobs: Blobs,
        describe: Callable[[Seat], Mapping[str, Any]] = seat_facts,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._blobs = blobs
        self._describe = describe
        self._indexes: OrderedDict[str, SegmentIndex] = OrderedDict()

    async def manifest(self, recording_id: str) -> dict[str, Any]:
        """See recording.manifest.player_manifest. Raises MissingRow; KeyDestroyed when the content is gone."""
        async with self._db.read() as tx:
            recording = await tx.recordings.get(recording_id)
            segments = await tx.segments.find(recording_id=recording_id)
            gaps = await tx.gaps.find(recording_id=recording_id)
            seats = await tx.seats.find(consult_id=recording.consult_id)
        await self._keyring.get(recording.institution_id, recording.key_id)
        return player_manifest(recording, segments, gaps, {seat.id: self._describe(seat) for seat in seats})

    async def contents(self, recording_id: str) -> tuple[Recording, Sequence[Segment]]:
        """Raises MissingRow."""
        async with self._db.read() as tx:
            return await tx.recordings.get(recording_id), await tx.segments.find(recording_id=recording_id)

    async def segment(self, recording_id: str, segment_id: str) -> tuple[Recording, Segment]:
        """Raises MissingRow, also when the segment is another recording's."""
        async with self._db.read() as tx:
            recording = await tx.recordings.get(recording_id)
            segment = await tx.segments.get(segment_id)
        if segment.recording_id != recording_id:
            raise SegmentDamaged("not of this recording")
        return recording, segment

    async def plain_size(self, segment: Segment) -> int:
        """Bytes of the media file in the clear. Raises SegmentDamaged."""
        return (await self._index(segment)).plain_size

    async def read_plain(self, recording: Recording, segment: Segment, start: int, length: int) -> bytes:
        """Plaintext [start, start+length), shorter at the end. Raises SegmentDamaged, KeyDestroyed."""
        index = await self._index(segment)
        key = await self._keyring.get(recording.institution_id, recording.key_id)
        entries = index.covering(start, length)
        if not entries:
            return b""
        at, end = entries[0].offset, entries[-1].end
        raw = await self._blobs.read(segment.blob_key, at, end - at)
        opener = index.open(key)
        plain = await asyncio.to_thread(
            lambda: b"".join(opener.plain(entry, raw[entry.offset - at : entry.end - at]) for entry in entries)
        )
        skip = start - entries[0].plain_offset
        return plain[skip : skip + length]

    async def check(self, segment: Segment) -> None:
        """The stored file is the one that was sealed (no key needed). Raises SegmentDamaged."""
        digest = hashlib.sha256()
        async for chunk in self._blobs.stream(segment.blob_key):
            digest.update(chunk)
        if digest.hexdigest() != segment.sha256:
            raise SegmentDamaged(segment.blob_key)

    async def _index(self, segment: Segment) -> SegmentIndex:
        if segment.id in self._indexes:
            self._indexes.move_to_end(segment.id)
            return self._indexes[segment.id]
        scanner = IndexScanner()
        async for chunk in self._blobs.stream(segment.blob_key):
            scanner.feed(chunk)
        index = scanner.finish()
        _match(index, segment)
        self._indexes[segment.id] = index
        if len(self._indexes) > MAX_INDEXES:
            self._indexes.popitem(last=False)
        return index


def _match(index: SegmentIndex, segment: Segment) -> None:
    """The file says it is this row's, whole unless the row says it was recovered."""
    head = index.header
    if (head.recording_id, head.seat_id, head.track, head.number) != (
        segment.recording_id, segment.seat_id, str(segment.track), segment.number,
    ):  # fmt: skip
        raise SegmentDamaged("file of another segment")
    if index.torn or index.end != segment.size or not (index.sealed or segment.recovered):
        raise SegmentDamaged("cut short")
