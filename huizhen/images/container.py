"""One object per instance, encrypted like a recording's segment, readable at any part without the rest.

    length | index (JSON) | metadata | previews | frames | the file itself

The sealed frames are all of the same size but the last, so a part's place in the object is arithmetic.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recording.errors import SegmentDamaged
from recording.ports import Blobs
from recording.sealed_file import (
    FRAME_HEAD_SIZE,
    MAX_HEADER,
    MAX_PLAIN,
    TAG_SIZE,
    FrameEntry,
    FrameOpener,
    SealedWriter,
    SegmentHeader,
    header_size,
)

TRACK = "image"
_LENGTH = struct.Struct(">I")
_STEP = FRAME_HEAD_SIZE + MAX_PLAIN + TAG_SIZE
_CHUNK = 1 << 20
_MAX_INDEX = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes [at, at + size) of an open file."""

    file: BinaryIO
    at: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        self.file.seek(self.at)
        left = self.size
        while left:
            chunk = self.file.read(min(left, _CHUNK))
            if not chunk:
                raise SegmentDamaged("source cut short")
            left -= len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class Contents:
    """Sizes of the parts, in the order in which they lie."""

    metadata: int
    previews: tuple[int, ...]
    frames: tuple[int, ...]
    file: int

    def encode(self) -> bytes:
        told = {"m": self.metadata, "p": list(self.previews), "f": list(self.frames), "c": self.file}
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> "Contents":
        told = json.loads(raw)
        return cls(told["m"], tuple(told["p"]), tuple(told["f"]), told["c"])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each part of an object lies in its plaintext. `head`: the object's clear header."""

    head: SegmentHeader
    contents: Contents
    start: int  # of the metadata

    @property
    def metadata(self) -> tuple[int, int]:
        return self.start, self.contents.metadata

    def preview(self, number: int) -> tuple[int, int]:
        """From 0. Raises IndexError."""
        before = self.start + self.contents.metadata
        return before + sum(self.contents.previews[:number]), self.contents.previews[number]

    def frame(self, number: int) -> tuple[int, int]:
        """From 0. Raises IndexError."""
        before = self.start + self.contents.metadata + sum(self.contents.previews)
        return before + sum(self.contents.frames[:number]), self.contents.frames[number]

    @property
    def file(self) -> tuple[int, int]:
        before = self.start + self.contents.metadata + sum(self.contents.previews) + sum(self.contents.frames)
        return before, self.contents.file


def seal(path: Path, key: bytes, owner: tuple[str, str], contents: Contents, parts: Iterable[Source]) -> str:
    """Write the object; its sha256. `owner`: instance and consult; `parts`: as `contents` says, one after the other."""
    header = SegmentHeader.fresh(*owner, TRACK, 0, started_ms=0, mime="application/octet-stream")
    index = contents.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        writer = SealedWriter(target, header, key)
        waiting = bytearray(_LENGTH.pack(len(index)) + index)
        for part in parts:
            for chunk in part.chunks():
                waiting += chunk
                whole = (len(waiting) - 1) // MAX_PLAIN * MAX_PLAIN
                writer.write(bytes(waiting[:whole]), 0, 0)
                del waiting[:whole]
        writer.seal(bytes(waiting), 0, 0)
        os.fsync(target.fileno())
    return writer.sha256


async def begin(blobs: Blobs, blob_key: str, key: bytes, owner: tuple[str, str]) -> tuple[Layout, bytes]:
    """Where the parts lie, and the first bytes of the plaintext: one reading, the metadata nearly always in it.

    `owner`: instance and consult. Raises SegmentDamaged (not what its row says), BlobMissing.
    """
    raw = await blobs.read(blob_key, 0, MAX_HEADER + _STEP)
    header = SegmentHeader.decode(raw[: header_size(raw)])
    if (header.recording_id, header.seat_id, header.track) != (*owner, TRACK):
        raise SegmentDamaged("file of another row")
    at = len(header.encode())
    first = _plain(FrameOpener(header, key), 0, raw[at : at + _STEP], 0)
    (size,) = _LENGTH.unpack_from(first) if len(first) >= _LENGTH.size else (_MAX_INDEX + 1,)
    if size > _MAX_INDEX:
        raise SegmentDamaged("index")
    index = first[_LENGTH.size :][:size]
    if len(index) < size:
        index = await read(blobs, blob_key, key, header, (_LENGTH.size, size))
    return Layout(header, Contents.decode(index), _LENGTH.size + size), first


async def read(blobs: Blobs, blob_key: str, key: bytes, header: SegmentHeader, place: tuple[int, int]) -> bytes:
    """Plaintext [start, start + length). Raises SegmentDamaged, BlobMissing."""
    start, length = place
    if not length:
        return b""
    first, last = start // MAX_PLAIN, (start + length - 1) // MAX_PLAIN
    at = len(header.encode()) + first * _STEP
    raw = await blobs.read(blob_key, at, (last - first + 1) * _STEP)
    opener = FrameOpener(header, key)
    plain = b"".join(_plain(opener, first + number, raw, number * _STEP) for number in range(last - first + 1))
    wanted = plain[start - first * MAX_PLAIN :][:length]
    if len(wanted) != length:
        raise SegmentDamaged("cut short")
    return wanted


def _plain(opener: FrameOpener, index: int, raw: bytes, at: int) -> bytes:
    piece = raw[at : at + _STEP]
    size = len(piece) - FRAME_HEAD_SIZE
    if size < TAG_SIZE:
        raise SegmentDamaged("cut short")
    return opener.plain(FrameEntry(index, at, size, 0, 0, 0, 0), piece)
