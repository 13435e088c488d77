"""Papers and copies in the blob store, each under a key of its own, wrapped by its institution's."""

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from recording.errors import SegmentDamaged
from recording.ports import Blobs, KeyRing
from recording.sealed_file import FRAME_HEAD_SIZE, SealedWriter, SegmentHeader, index_of

_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Whose it is, under which key and name it lies, and what it is: a mistaken or swapped object does not open."""

    institution_id: str
    consult_id: str
    id: str
    track: str  # "opinion-paper" | "consult-copy"
    key_id: str
    blob_key: str


class Vault:
    def __init__(self, blobs: Blobs, keyring: KeyRing, folder: Path) -> None:
        """`folder`: for encrypted files on their way into the store."""
        self._blobs = blobs
        self._keyring = keyring
        self._folder = folder

    async def put(self, place: Place, plain: bytes, mime: str) -> str:
        """Store; SHA-256 of the encrypted object. What a crash left there, with no row that names it, goes first.

        Raises SegmentDamaged, KeyDestroyed, OSError.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{place.id}.part"
        key = await self._keyring.create(place.institution_id, place.key_id)
        try:
            sealed = await asyncio.to_thread(_seal, place, plain, path, key, mime)
            await self._blobs.delete(place.blob_key)
            if await self._blobs.put(place.blob_key, path) != sealed:
                raise SegmentDamaged(place.blob_key)
            return sealed
        finally:
            path.unlink(missing_ok=True)

    async def read(self, place: Place, plain_sha256: str) -> bytes:
        """The content, decrypted and compared. Raises SegmentDamaged, KeyDestroyed, BlobMissing."""
        key = await self._keyring.get(place.institution_id, place.key_id)
        raw = b"".join([chunk async for chunk in self._blobs.stream(place.blob_key)])
        return await asyncio.to_thread(_open, place, raw, key, plain_sha256)


def _seal(place: Place, plain: bytes, path: Path, key: bytes, mime: str) -> str:
    header = SegmentHeader.fresh(place.id, place.consult_id, place.track, 0, started_ms=0, mime=mime)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        writer = SealedWriter(target, header, key)
        parts = [plain[at : at + _PART] for at in range(0, len(plain), _PART)] or [b""]
        for part in parts[:-1]:
            writer.write(part, 0, 0)
        writer.seal(parts[-1], 0, 0)
        os.fsync(target.fileno())
    return writer.sha256


def _open(place: Place, raw: bytes, key: bytes, plain_sha256: str) -> bytes:
    index = index_of([raw])
    head = index.header
    if (head.recording_id, head.seat_id, head.track) != (place.id, place.consult_id, place.track):
        raise SegmentDamaged("object of another row")
    if index.torn or not index.sealed:
        raise SegmentDamaged("cut short")
    opener = index.open(key)
    plain = b"".join(
        opener.plain(entry, raw[entry.offset : entry.offset + FRAME_HEAD_SIZE + entry.size]) for entry in index.frames
    )
    if hashlib.sha256(plain).hexdigest() != plain_sha256:
        raise SegmentDamaged("not what its row says")
    return plain
