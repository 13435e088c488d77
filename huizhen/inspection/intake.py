"""Bytes from the wire into a nameless file, counted; refused as soon as there are too many."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadBusy, UploadEmpty, UploadTooLarge

AT_ONCE = 6  # files arriving; each takes at most the limit in memory


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived; the owner closes the file."""

    file: BinaryIO
    size: int
    sha256: str


class Intake:
    """How many arrive at once, one per person, none larger than `limit` bytes."""

    def __init__(self, limit: int, at_once: int = AT_ONCE) -> None:
        self.limit = limit
        self._at_once = at_once
        self._sending: set[str] = set()

    @contextmanager
    def place(self, sender: str) -> Iterator[None]:
        """Held while this person's file is received and inspected. Raises UploadBusy."""
        if sender in self._sending or len(self._sending) >= self._at_once:
            raise UploadBusy
        self._sending.add(sender)
        try:
            yield
        finally:
            self._sending.discard(sender)

    async def receive(self, announced: int | None, chunks: AsyncIterator[bytes]) -> Received:
        """`announced`: the Content-Length. Raises UploadTooLarge (before the first byte if it can), UploadEmpty."""
        self._within(announced or 0)
        file, digest, size = private_file(), hashlib.sha256(), 0
        try:
            async for chunk in chunks:
                size += len(chunk)
                self._within(size)
                digest.update(chunk)
                file.write(chunk)
            self._within(size, least=1)
        except BaseException:
            file.close()
            raise
        return Received(file, size, digest.hexdigest())

    def _within(self, size: int, least: int = 0) -> None:
        if size > self.limit:
            raise UploadTooLarge
        if size < least:
            raise UploadEmpty
