"""All uploads in pieces that are under way: how many, how large, how old, and who is sending now."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import ClientPayloadError, StreamReader, web

from audit.errors import MissingRow
from huizhen import logs
from huizhen.images.arriving import ArrivingFile, Piece, Upload
from huizhen.images.errors import Overtaken, TooManyUploads, WrongChecksum, WrongOffset
from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadBusy, UploadEmpty, UploadTooLarge
from huizhen.store.errors import StoreFull

log = logs.get("arrivals")

MOST_OF_CONSULT = 24  # unfinished at once; each at most a delivery
_CHUNK = 1 << 18
_QUIET = 30.0  # seconds without a byte: the line is dead, whatever it says


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes of one upload, of all unfinished ones, of disk that stays free; how long one may take."""

    each: int
    total: int
    floor: int
    age: timedelta


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a piece has to amount to. `digest`: a fresh hash object."""

    digest: Any
    expected: bytes


@dataclass(slots=True)
class _State:
    upload: Upload
    offset: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    line: StreamReader | None = None


class Arrivals:
    def __init__(self, folder: Path, key: bytes, bounds: Bounds, clock: Callable[[], datetime]) -> None:
        self.bounds = bounds
        self._folder = folder
        self._key = key
        self._clock = clock
        self._known: dict[str, _State] = {}

    def load(self) -> int:
        """At the start of the server: what is there goes on where it was. Returns how many."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._folder.iterdir():
            try:
                upload, offset = self._file(path.stem).open()
            except (OSError, ValueError, KeyError, TypeError):
                path.unlink(missing_ok=True)  # torn while it was begun, or of another key
                continue
            self._known[upload.id] = _State(upload, offset)
        return len(self._known)

    def _file(self, upload_id: str) -> ArrivingFile:
        return ArrivingFile(self._folder, self._key, upload_id)

    async def begin(self, institution_id: str, consult_id: str, sender: str, sizes: tuple[int, ...]) -> Upload:
        """Raises UploadTooLarge, UploadEmpty, TooManyUploads, StoreFull."""
        upload = Upload(uuid4().hex, institution_id, consult_id, sender, sizes, self._clock())
        if not sizes or min(sizes) < 1:
            raise UploadEmpty
        if upload.length > self.bounds.each:
            raise UploadTooLarge
        open_ones = [state.upload for state in self._known.values() if not state.upload.finished]
        if sum(one.consult_id == consult_id for one in open_ones) >= MOST_OF_CONSULT:
            raise TooManyUploads
        if sum(one.length for one in open_ones) + upload.length > self.bounds.total:
            raise TooManyUploads
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(self._folder).free < self.bounds.floor + upload.length:
            raise StoreFull
        self._known[upload.id] = _State(upload, 0)  # before the disk is waited for: it counts already
        try:
            await asyncio.to_thread(self._file(upload.id).create, upload)
        except BaseException:
            self._known.pop(upload.id)
            raise
        return upload

    def get(self, consult_id: str, upload_id: str) -> tuple[Upload, int]:
        """The upload and how much of it is there. Raises MissingRow."""
        state = self._state(consult_id, upload_id)
        return state.upload, state.upload.length if state.upload.finished else state.offset

    async def reached(self, consult_id: str, upload_id: str) -> tuple[Upload, int]:
        """As `get`, for a sender who lost the line: the dead request lets go first. Raises MissingRow."""
        state = self._state(consult_id, upload_id)
        async with self._alone(state, None):
            return self.get(consult_id, upload_id)

    def _state(self, consult_id: str, upload_id: str) -> _State:
        state = self._known.get(upload_id)
        if state is None or state.upload.consult_id != consult_id or self._clock() >= self.ends_at(state.upload):
            raise MissingRow("image_uploads")
        return state

    def ends_at(self, upload: Upload) -> datetime:
        return upload.begun_at + self.bounds.age

    async def append(
        self, consult_id: str, upload_id: str, offset: int, content: StreamReader, checksum: Checksum | None = None
    ) -> int:
        """Receive a piece; the new offset. A line that dies leaves what came, unless a checksum speaks for the whole.

        Raises MissingRow, WrongOffset, WrongChecksum, UploadTooLarge, Overtaken, ConnectionError.
        """
        state = self._state(consult_id, upload_id)
        async with self._alone(state, content):
            self._state(consult_id, upload_id)  # it may have been ended while this request waited
            if state.upload.finished or offset != state.offset:
                raise WrongOffset
            piece = await asyncio.to_thread(Piece, self._file(upload_id), state.offset)
            whole = False
            try:
                await self._receive(piece, state.upload.length - offset, content, checksum)
                whole = True
            finally:
                keep = whole or checksum is None
                state.offset = await asyncio.to_thread(piece.end if keep else piece.undo)
            return state.offset

    async def _receive(self, piece: Piece, most: int, content: StreamReader, checksum: Checksum | None) -> None:
        while True:
            try:
                async with asyncio.timeout(_QUIET):
                    chunk = await content.read(_CHUNK)
            except (ClientPayloadError, web.RequestPayloadError, TimeoutError, RuntimeError):
                raise ConnectionResetError from None  # RuntimeError: aiohttp's word for a closed connection
            if not chunk:
                break
            if piece.size + len(chunk) > most:
                raise UploadTooLarge
            if checksum is not None:
                checksum.digest.update(chunk)
            await asyncio.to_thread(piece.write, chunk)
        if checksum is not None and checksum.digest.digest() != checksum.expected:
            raise WrongChecksum

    @asynccontextmanager
    async def _alone(self, state: _State, content: StreamReader | None) -> AsyncIterator[None]:
        """One request at a time. The newest is the one whose line is alive: an older one is told to let go."""
        if state.line is not None:
            state.line.set_exception(Overtaken())
        async with state.lock:
            state.line = content
            try:
                yield
            finally:
                state.line = None

    @asynccontextmanager
    async def finishing(self, consult_id: str, upload_id: str) -> AsyncIterator[Upload]:
        """Nobody else sends or finishes it meanwhile. Raises MissingRow, UploadBusy."""
        state = self._state(consult_id, upload_id)
        if state.lock.locked():
            raise UploadBusy
        async with self._alone(state, None):
            yield state.upload

    async def plain(self, upload: Upload) -> Any:
        """Everything that arrived in a nameless file; the owner closes it. Raises UploadRefused."""
        target = private_file()
        try:
            await asyncio.to_thread(self._file(upload.id).copy, target)
        except BaseException:
            target.close()
            raise
        return target

    async def finish(self, upload: Upload, status: int, answer: str) -> None:
        state = self._known[upload.id]
        state.upload = await asyncio.to_thread(self._file(upload.id).finish, upload, status, answer)

    async def remove(self, consult_id: str, upload_id: str) -> None:
        """Raises MissingRow."""
        state = self._state(consult_id, upload_id)
        async with self._alone(state, None):
            self._known.pop(upload_id, None)
            await asyncio.to_thread(self._file(upload_id).remove)

    async def expire(self) -> int:
        """What is too old goes, finished or not. Returns how many."""
        now = self._clock()
        old = [state for state in self._known.values() if now >= self.ends_at(state.upload)]
        for state in old:
            async with self._alone(state, None):
                self._known.pop(state.upload.id, None)
                await asyncio.to_thread(self._file(state.upload.id).remove)
        return len(old)
