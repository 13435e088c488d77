"""Uploaded papers in the blob store: received, inspected, scanned, encrypted, stored; read back; swept.

A file exists for others only when its row is committed. What a crash leaves is an encrypted object without a row and a
key nobody knows the use of: `sweep` removes both.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from audit.transaction import Database
from clinic.upload import EvidenceFile, FileKind
from huizhen.inspection import kinds
from huizhen.inspection.chamber import Chamber, Inspected
from huizhen.inspection.clamd import Scanner
from huizhen.inspection.errors import UploadRefused
from huizhen.inspection.intake import Intake, Received
from huizhen.inspection.verdict import Refused
from huizhen.store.tables import StoreTransaction
from huizhen.store.transaction import settled
from recording.errors import SegmentDamaged
from recording.ports import Blobs, KeyRing
from recording.sealed_file import FRAME_HEAD_SIZE, SealedWriter, SegmentHeader, index_of

TRACK = "evidence"
MEDIA_TYPES = {FileKind.JPEG: "image/jpeg", FileKind.PNG: "image/png", FileKind.PDF: "application/pdf"}
EXTENSIONS = {FileKind.JPEG: "jpg", FileKind.PNG: "png", FileKind.PDF: "pdf"}
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """What the sender said of the file, and its bytes."""

    sender: str
    media_type: str
    name: str
    announced: int | None
    chunks: AsyncIterator[bytes]


def prefix(institution_id: str) -> str:
    return f"{institution_id}/{TRACK}/"


class EvidenceShelf:
    def __init__(
        self, blobs: Blobs, keyring: KeyRing, folder: Path, *, intake: Intake, chamber: Chamber, scanner: Scanner
    ) -> None:
        """`folder`: for encrypted files on their way into the store."""
        self._blobs = blobs
        self._keyring = keyring
        self._folder = folder
        self._intake = intake
        self._chamber = chamber
        self._scanner = scanner

    async def add(
        self,
        institution_id: str,
        consult_id: str,
        upload: Upload,
        commit: Callable[[EvidenceFile], Awaitable[EvidenceFile]],
    ) -> EvidenceFile:
        """Take a file in; `commit` writes its row. Nothing stays when anything fails.

        Raises UploadError of every kind, and what `commit` raises.
        """
        with self._intake.place(upload.sender):
            try:
                said = kinds.declared(upload.media_type, upload.name)
            except Refused as error:
                raise UploadRefused(error.code) from None
            received = await self._intake.receive(upload.announced, upload.chunks)
            with received.file:
                inspected = await self._chamber.inspect(received.file, said)
                with inspected.file:
                    await self._scanner.scan(received.file)
                    draft = _draft(institution_id, consult_id, received, inspected)
                    return await settled(self._store(draft, inspected.file, commit))

    async def _store(
        self, draft: EvidenceFile, source: BinaryIO, commit: Callable[[EvidenceFile], Awaitable[EvidenceFile]]
    ) -> EvidenceFile:
        path = self._folder / f"{draft.id}.part"
        try:
            key = await self._keyring.create(draft.institution_id, draft.key_id)
            plain, sealed = await asyncio.to_thread(_seal, draft, source, path, key)
            await self._put(draft.blob_key, path, sealed)
            return await commit(replace(draft, sha256=plain, blob_sha256=sealed))
        except BaseException:
            await self._forget(draft.institution_id, draft.key_id, draft.blob_key)
            raise
        finally:
            path.unlink(missing_ok=True)

    async def _put(self, blob_key: str, path: Path, sealed: str) -> None:
        if await self._blobs.put(blob_key, path) != sealed:
            raise SegmentDamaged(blob_key)

    async def _forget(self, institution_id: str, key_id: str, blob_key: str) -> None:
        await self._blobs.delete(blob_key)
        await self._keyring.destroy(institution_id, key_id)

    async def read(self, file: EvidenceFile) -> bytes:
        """The cleaned copy, decrypted and compared with its row. Raises SegmentDamaged, KeyDestroyed, BlobMissing."""
        key = await self._keyring.get(file.institution_id, file.key_id)
        raw = b"".join([chunk async for chunk in self._blobs.stream(file.blob_key)])
        return await asyncio.to_thread(_open, file, raw, key)

    async def sweep(self, db: Database[StoreTransaction], institution_ids: list[str]) -> int:
        """At the start of the server: what a crash left. Returns how many objects went."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._folder.glob("*.part"):
            path.unlink(missing_ok=True)
        removed = 0
        for institution_id in institution_ids:
            async with db.read() as tx:
                known = {row.blob_key for row in await tx.evidence_files.find(institution_id=institution_id)}
            for blob_key in await self._blobs.list(prefix(institution_id)):
                if blob_key not in known:
                    file_id = blob_key.removeprefix(prefix(institution_id)).partition("/")[0]
                    await self._forget(institution_id, f"{TRACK}-{file_id}", blob_key)
                    removed += 1
        return removed


def _draft(institution_id: str, consult_id: str, received: Received, inspected: Inspected) -> EvidenceFile:
    """The row, as far as it is known before the bytes are encrypted."""
    file_id, found = uuid4().hex, inspected.found
    return EvidenceFile(
        id=file_id,
        institution_id=institution_id,
        consult_id=consult_id,
        evidence_id=None,
        kind=FileKind(found.kind),
        pages=found.pages,
        width=found.width,
        height=found.height,
        size=found.size,
        sha256="",
        received_sha256=received.sha256,
        key_id=f"{TRACK}-{file_id}",
        blob_key=f"{prefix(institution_id)}{file_id}/paper.hzs",
        blob_sha256="",
        added_by="",
        added_at=datetime.min.replace(tzinfo=UTC),
    )


def _seal(file: EvidenceFile, source: BinaryIO, path: Path, key: bytes) -> tuple[str, str]:
    """Encrypt into a new file; (sha256 of the clear bytes, of the encrypted ones)."""
    header = SegmentHeader.fresh(file.id, file.consult_id, TRACK, 0, started_ms=0, mime=MEDIA_TYPES[file.kind])
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        writer = SealedWriter(target, header, key)
        source.seek(0)
        before = source.read(_READ)
        while following := source.read(_READ):
            writer.write(before, 0, 0)
            before = following
        writer.seal(before, 0, 0)
        os.fsync(target.fileno())
    return writer.plain_sha256, writer.sha256


def _open(file: EvidenceFile, raw: bytes, key: bytes) -> bytes:
    index = index_of([raw])
    head = index.header
    if (head.recording_id, head.seat_id, head.track) != (file.id, file.consult_id, TRACK):
        raise SegmentDamaged("file of another row")
    if index.torn or not index.sealed:
        raise SegmentDamaged("cut short")
    opener = index.open(key)
    plain = b"".join(
        opener.plain(entry, raw[entry.offset : entry.offset + FRAME_HEAD_SIZE + entry.size]) for entry in index.frames
    )
    if hashlib.sha256(plain).hexdigest() != file.sha256:
        raise SegmentDamaged("not what its row says")
    return plain
