"""The child seen from the server: a delivery goes in, answers and transcoded frames come out, or codes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from huizhen.images import wire
from huizhen.inspection import verdict
from huizhen.inspection.chamber import private_file, run

SECONDS = 150.0
AT_ONCE = 1  # children; each may take a core
_MODULE = "huizhen.images.worker"
_REPORTER = "huizhen.images.report_worker"
_REPORT_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Part:
    """One received file inside a nameless one: where it begins and how long it is."""

    file: BinaryIO
    at: int
    size: int


@dataclass(slots=True)
class Looked:
    """What became of one file; `output` holds its parts from `told.at` on. The owner closes it."""

    part: Part
    told: wire.Told
    output: BinaryIO


class ImageChamber:
    def __init__(self, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._free = asyncio.Semaphore(at_once)

    async def look(self, parts: Sequence[Part]) -> list[Looked]:
        """As many answers as parts, in their order. One bad file costs the others a second child, not their place.

        Raises InspectionUnavailable.
        """
        async with self._free:
            found = await self._one_child(parts)
            if found is not None:
                return found
            if len(parts) == 1:
                return [Looked(parts[0], wire.Told(None, verdict.TOO_COMPLEX), private_file())]
            found = []
            try:
                for part in parts:
                    found += await self._one_child([part]) or [
                        Looked(part, wire.Told(None, verdict.TOO_COMPLEX), private_file())
                    ]
            except BaseException:
                close(found)
                raise
            return found

    async def report(self, order: bytes, header: bytes) -> bytes | None:
        """The file a measurement report is; None where it could not be written. Raises InspectionUnavailable."""
        async with self._free:
            with private_file() as source, private_file() as target:
                for each in (order, header):
                    wire.put_file(source, len(each))
                    source.write(each)
                source.flush()
                source.seek(0)
                ended = await run(_REPORTER, (), source, target, seconds=_REPORT_SECONDS)
                target.seek(0)
                return target.read() if ended == b"done\n" else None

    async def _one_child(self, parts: Sequence[Part]) -> list[Looked] | None:
        """None: it died, took too long, or said something that does not fit."""
        with private_file() as source:
            await asyncio.to_thread(_put_all, source, parts)
            target = private_file()
            try:
                ended = await run(_MODULE, (), source, target, seconds=self._seconds)
                told = None
                if ended == b"done\n":
                    with suppress(ValueError):
                        told = await asyncio.to_thread(_believed, target, len(parts))
            except BaseException:
                target.close()
                raise
        if told is None:
            target.close()
            return None
        return [Looked(part, each, target) for part, each in zip(parts, told, strict=True)]


def _believed(target: BinaryIO, expected: int) -> list[wire.Told]:
    """Raises ValueError."""
    told = wire.told(target, expected)
    for each in told:
        if each.opened is not None:
            target.seek(each.at)
            wire.check_metadata(target.read(each.opened.metadata))
    return told


def close(looked: Sequence[Looked]) -> None:
    for each in looked:
        each.output.close()


def _put_all(source: BinaryIO, parts: Sequence[Part]) -> None:
    for part in parts:
        wire.put_file(source, part.size)
        part.file.seek(part.at)
        left = part.size
        while left > 0 and (chunk := part.file.read(min(left, 1 << 20))):
            source.write(chunk)
            left -= len(chunk)
    source.flush()
    source.seek(0)
