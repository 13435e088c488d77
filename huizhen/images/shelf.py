"""Image files in the blob store: inspected, encrypted, stored, and told part by part.

A file exists for others only when its row is committed; what a crash leaves is swept at the next start.
"""

import asyncio
import contextlib
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from audit.transaction import Database
from huizhen.images import chamber as inspecting
from huizhen.images import container, rows, wire
from huizhen.images.chamber import ImageChamber, Looked, Part
from huizhen.images.container import Contents, Layout, Source
from huizhen.images.rows import Case, Digests
from huizhen.inspection.chamber import Chamber, private_file
from huizhen.inspection.clamd import Scanner
from huizhen.inspection.errors import UploadRefused
from huizhen.inspection.intake import Intake
from huizhen.inspection.verdict import UNKNOWN_TYPE
from huizhen.store.tables import StoreTransaction
from huizhen.store.transaction import settled
from imaging.errors import ReportFailed, Stranger
from imaging.keeping import Arrived
from imaging.records import Identity, ImageInstance, ImageStudy, Kind
from recording.errors import SegmentDamaged
from recording.ports import Blobs, KeyRing

Commit = Callable[[Sequence[Arrived]], Awaitable[Sequence[Arrived]]]

_HEAD = 4096
_HEADER = 4 << 20  # of a file: patient and study stand at its beginning
_LAYOUTS = 2_048  # remembered; each a few numbers per frame
_STILLS = {"jpeg": (Kind.PHOTO, "image/jpeg"), "png": (Kind.PHOTO, "image/png"), "pdf": (Kind.PAPER, "application/pdf")}


@dataclass(frozen=True, slots=True)
class Ready:
    """A file that passed, with where its parts lie."""

    row: Arrived
    contents: Contents
    parts: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a delivery. `refused`: which part (from 0), and its code."""

    added: tuple[Arrived, ...]
    known: tuple[Arrived, ...]
    refused: tuple[tuple[int, str], ...]


class ImageShelf:
    def __init__(
        self,
        blobs: Blobs,
        keyring: KeyRing,
        folder: Path,
        *,
        intake: Intake,
        chamber: ImageChamber,
        papers: Chamber,
        scanner: Scanner,
    ) -> None:
        """`folder`: for encrypted files on their way into the store. `papers`: where photos and PDF are opened."""
        self.intake = intake
        self._blobs = blobs
        self._keyring = keyring
        self._folder = folder
        self._chamber = chamber
        self._papers = papers
        self._scanner = scanner
        self._layouts: OrderedDict[str, Layout] = OrderedDict()

    async def take(self, case: Case, parts: Sequence[Part], commit: Commit, *, only: str | None = None) -> Taken:
        """Take a delivery in; `commit` writes its rows. `only`: the one study it may be of, and of this patient.

        Raises UploadError of every kind, and what `commit` raises.
        """
        await self._scanner.scan(parts[0].file)
        async with contextlib.AsyncExitStack() as stack:
            ready: list[Ready] = []
            refused: list[tuple[int, str]] = []
            dicom = [number for number, part in enumerate(parts) if await asyncio.to_thread(_for_chamber, part)]
            looked = await self._chamber.look([parts[number] for number in dicom]) if dicom else []
            stack.callback(inspecting.close, looked)
            for number, each in zip(dicom, looked, strict=True):
                if each.told.opened is None:
                    refused.append((number, each.told.code))
                    continue
                found = await asyncio.to_thread(_of_dicom, case, each, each.told.opened)
                if only is not None and (
                    each.told.opened.study != only or found.row.study.identity is Identity.DIFFERS
                ):
                    refused.append((number, Stranger.code))
                else:
                    ready.append(found)
            for number in sorted(set(range(len(parts))) - set(dicom)):
                try:
                    ready.append(await self._still(case, parts[number], stack))
                except UploadRefused as error:
                    refused.append((number, error.code))
            added = await settled(self._store(ready, commit)) if ready else ()
        known = tuple(each.row for each in ready if each.row.instance.id not in {row.instance.id for row in added})
        return Taken(tuple(added), known, tuple(sorted(refused)))

    async def take_still(self, case: Case, part: Part, commit: Commit) -> Taken:
        """A picture out of the call, drawn anew, into the series of its own. Raises as `take`, UploadRefused."""
        await self._scanner.scan(part.file)
        async with contextlib.AsyncExitStack() as stack:
            ready = await self._still(case, part, stack, of_call=True)
            added = await settled(self._store([ready], commit))
        return Taken(tuple(added), () if added else (ready.row,), ())

    async def _still(self, case: Case, part: Part, stack: contextlib.AsyncExitStack, *, of_call: bool = False) -> Ready:
        """A photo or a paper, drawn or written anew. Raises UploadRefused."""
        alone = stack.enter_context(private_file())
        await asyncio.to_thread(_copy, part, alone)
        inspected = await self._papers.inspect(alone, None)
        stack.push(inspected.file)
        found = inspected.found
        kind, media_type = _STILLS[found.kind]
        if of_call and kind is not Kind.PHOTO:
            raise UploadRefused(UNKNOWN_TYPE)
        received = await asyncio.to_thread(rows.digests, part, preamble=False)
        clean = Part(inspected.file, 0, found.size)
        digest = Digests(received.received, (await asyncio.to_thread(rows.digests, clean, preamble=False)).kept)
        row = rows.of_still(case, (kind, media_type), (found.size, found.height, found.width), digest, of_call=of_call)
        empty = Source(io.BytesIO(b"{}"), 0, 2)
        return Ready(row, Contents(2, (), (found.size,), 0), (empty, Source(inspected.file, 0, found.size)))

    async def _store(self, ready: Sequence[Ready], commit: Commit) -> Sequence[Arrived]:
        stored: list[Arrived] = []
        added: Sequence[Arrived] = ()
        try:
            for each in ready:
                stored.append(each.row)
                stored[-1] = await self._seal(each)
            added = await commit(stored)
        finally:
            kept = {row.instance.blob_key for row in added}
            for row in stored:
                if row.instance.blob_key not in kept:
                    await self._blobs.delete(row.instance.blob_key)
        return added

    async def _seal(self, ready: Ready) -> Arrived:
        row, instance = ready.row, ready.row.instance
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{uuid4().hex}.part"
        try:
            key = await self._keyring.create(instance.institution_id, row.study.key_id)
            digest = await asyncio.to_thread(
                container.seal, path, key, (instance.id, instance.consult_id), ready.contents, ready.parts
            )
            if await self._blobs.put(instance.blob_key, path) != digest:
                raise SegmentDamaged(instance.blob_key)
        finally:
            path.unlink(missing_ok=True)
        return replace(row, instance=replace(instance, blob_sha256=digest))

    async def metadata(self, study: ImageStudy, instance: ImageInstance) -> bytes:
        """DICOM JSON of one instance, without identifiers. Raises SegmentDamaged, KeyDestroyed, BlobMissing."""
        key, layout, first = await self._layout(study, instance)
        start, size = layout.metadata
        if start + size <= len(first):
            return first[start : start + size]
        return await container.read(self._blobs, instance.blob_key, key, layout.head, layout.metadata)

    async def preview(self, study: ImageStudy, instance: ImageInstance, number: int) -> bytes:
        """From 0. Raises IndexError, and as `metadata`."""
        key, layout, _ = await self._layout(study, instance)
        return await container.read(self._blobs, instance.blob_key, key, layout.head, layout.preview(number))

    async def frame(self, study: ImageStudy, instance: ImageInstance, number: int) -> bytes:
        """From 0: JPEG-LS for pictures, JSON for waveforms, the cleaned file otherwise. Raises as `preview`."""
        key, layout, _ = await self._layout(study, instance)
        return await container.read(self._blobs, instance.blob_key, key, layout.head, layout.frame(number))

    async def report(self, study: ImageStudy, instance: ImageInstance, order: bytes) -> bytes:
        """A measurement report that names patient and study as this file of it does.

        Raises ReportFailed, InspectionUnavailable, and as `metadata`.
        """
        key, layout, _ = await self._layout(study, instance)
        start, size = layout.file
        head = await container.read(self._blobs, instance.blob_key, key, layout.head, (start, min(size, _HEADER)))
        made = await self._chamber.report(order, head)
        if made is None:
            raise ReportFailed
        return made

    async def _layout(self, study: ImageStudy, instance: ImageInstance) -> tuple[bytes, Layout, bytes]:
        """Key, layout, and the beginning of the object where it was just read.

        The key is asked for each time: what is destroyed is gone at once, whatever is remembered of its layout.
        """
        key = await self._keyring.get(study.institution_id, study.key_id)
        layout = self._layouts.get(instance.id)
        if layout is not None:
            self._layouts.move_to_end(instance.id)
            return key, layout, b""
        owner = (instance.id, instance.consult_id)
        layout, first = await container.begin(self._blobs, instance.blob_key, key, owner)
        self._layouts[instance.id] = layout
        if len(self._layouts) > _LAYOUTS:
            self._layouts.popitem(last=False)
        return key, layout, first

    async def sweep(self, db: Database[StoreTransaction], institution_ids: Sequence[str]) -> int:
        """At the start of the server: objects without a row. Returns how many went."""
        removed = 0
        for institution_id in institution_ids:
            async with db.read() as tx:
                known = {row.blob_key for row in await tx.image_instances.find(institution_id=institution_id)}
            for blob_key in await self._blobs.list(rows.prefix(institution_id)):
                if blob_key not in known:
                    await self._blobs.delete(blob_key)
                    removed += 1
        return removed


def _for_chamber(part: Part) -> bool:
    part.file.seek(part.at)
    head = part.file.read(min(part.size, _HEAD))
    return head[128:132] == b"DICM" or b"AnnotatedECG" in head or head[16:22] == b"SCPECG"


def _of_dicom(case: Case, looked: Looked, opened: wire.Opened) -> Ready:
    part, at = looked.part, looked.told.at
    part.file.seek(part.at + 128)
    dicom = part.file.read(4) == b"DICM"
    digest = rows.digests(part, preamble=dicom)
    row = rows.of_dicom(case, opened, part.size, digest, rows.DICOM if dicom else rows.ECG)
    kept = (
        rows.kept_file(part, Source(io.BytesIO(bytes(128)), 0, 128))
        if dicom
        else [Source(part.file, part.at, part.size)]
    )
    told = Source(looked.output, at, opened.metadata + sum(opened.previews) + sum(opened.frames))
    return Ready(row, Contents(opened.metadata, opened.previews, opened.frames, part.size), (told, *kept))


def _copy(part: Part, target: Any) -> None:
    for chunk in Source(part.file, part.at, part.size).chunks():
        target.write(chunk)
    target.flush()
