"""Virus scanning by a clamd of the house, over its unix socket (INSTREAM). Off unless a socket is set."""

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import BinaryIO, Protocol

from huizhen.inspection.errors import ScanUnavailable, UploadRefused
from huizhen.inspection.verdict import INFECTED

_CHUNK = 1 << 18
_ANSWER = 4096
_SECONDS = 60.0


class Scanner(Protocol):
    async def scan(self, source: BinaryIO) -> None:
        """Raises UploadRefused (infected), ScanUnavailable."""
        ...


class NoScanner:
    """None is configured."""

    async def scan(self, source: BinaryIO) -> None:
        """Passes everything."""


class Clamd:
    def __init__(self, socket: Path, seconds: float = _SECONDS) -> None:
        self._socket = socket
        self._seconds = seconds

    async def scan(self, source: BinaryIO) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._ask(source)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ScanUnavailable(type(error).__name__) from None
        if answer.endswith(b" FOUND"):
            raise UploadRefused(INFECTED)
        if not answer.endswith(b" OK"):  # "INSTREAM size limit exceeded. ERROR": not scanned is not clean
            raise ScanUnavailable("answer")

    async def _ask(self, source: BinaryIO) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(b"zINSTREAM\x00")
            source.seek(0)
            while chunk := source.read(_CHUNK):
                writer.write(struct.pack(">I", len(chunk)) + chunk)
                await writer.drain()
            writer.write(struct.pack(">I", 0))
            await writer.drain()
            return (await reader.read(_ANSWER)).rstrip(b"\x00\n ")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def scanner(socket: Path | None) -> Scanner:
    return Clamd(socket) if socket is not None else NoScanner()
