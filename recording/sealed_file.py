"""The `.hzs` container: one media file, encrypted in authenticated frames (docs/recording-format.md).

    header | frame 0 | frame 1 | ... | last frame

Every frame is AES-256-GCM under a key of this segment alone (HKDF of the recording key and a random salt), so a nonce
(4-byte prefix, 8-byte frame index) can never repeat under one key. The associated data is the whole header (recording,
seat, track, segment number), the frame index and the frame's clear head (length, flags, clocks): moving a frame to
another place, file, person or recording, or cutting the tail off a sealed file, is detected.
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recording.errors import SegmentDamaged

MAGIC = b"HZS\x1a"
VERSION = 1
SALT_SIZE = 16
PREFIX_SIZE = 4
TAG_SIZE = 16
MAX_PLAIN = 64 * 1024
MAX_HEADER = 4096
LAST = 0x01

_FIXED = struct.Struct(">4sBBH16s4sIQ")  # magic, version, zero, header size, salt, nonce prefix, number, start ms
_HEAD = struct.Struct(">IB3xQI")  # ciphertext size (tag included), flags, clock ms, span ms
FRAME_HEAD_SIZE = _HEAD.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """Clear but authenticated. `started_ms` = server clock (unix ms) of the first sample."""

    recording_id: str
    seat_id: str
    track: str
    number: int
    started_ms: int
    mime: str
    salt: bytes
    nonce_prefix: bytes

    @classmethod
    def fresh(
        cls, recording_id: str, seat_id: str, track: str, number: int, *, started_ms: int, mime: str
    ) -> "SegmentHeader":
        salt, prefix = os.urandom(SALT_SIZE), os.urandom(PREFIX_SIZE)
        return cls(recording_id, seat_id, track, number, started_ms, mime, salt, prefix)

    def encode(self) -> bytes:
        texts = b"".join(
            struct.pack(">H", len(raw)) + raw
            for raw in (text.encode() for text in (self.recording_id, self.seat_id, self.track, self.mime))
        )
        size = _FIXED.size + len(texts)
        if size > MAX_HEADER:
            raise SegmentDamaged("header too long")
        return _FIXED.pack(MAGIC, VERSION, 0, size, self.salt, self.nonce_prefix, self.number, self.started_ms) + texts

    @classmethod
    def decode(cls, data: bytes) -> "SegmentHeader":
        """From exactly the header's bytes. Raises SegmentDamaged."""
        if header_size(data) != len(data):
            raise SegmentDamaged("header size")
        _, _, _, _, salt, prefix, number, started_ms = _FIXED.unpack_from(data)
        texts: list[str] = []
        at = _FIXED.size
        for _ in range(4):
            if at + 2 > len(data):
                raise SegmentDamaged("header cut short")
            (size,) = struct.unpack_from(">H", data, at)
            at += 2 + size
            if at > len(data):
                raise SegmentDamaged("header cut short")
            try:
                texts.append(data[at - size : at].decode())
            except UnicodeDecodeError:
                raise SegmentDamaged("header text") from None
        if at != len(data):
            raise SegmentDamaged("bytes after header")
        return cls(texts[0], texts[1], texts[2], number, started_ms, texts[3], salt, prefix)

    def segment_key(self, recording_key: bytes) -> AESGCM:
        info = b"\x00".join((b"huizhen-hzs-v1", self.recording_id.encode(), self.seat_id.encode(), self.track.encode()))
        info += struct.pack(">BI", 0, self.number)
        return AESGCM(HKDF(hashes.SHA256(), 32, self.salt, info).derive(recording_key))


def header_size(data: bytes) -> int:
    """The header's total size, from its first 8 bytes or more. Raises SegmentDamaged."""
    if len(data) < 8:
        raise SegmentDamaged("no header")
    magic, version, zero, size = struct.unpack_from(">4sBBH", data)
    if magic != MAGIC or zero:
        raise SegmentDamaged("not a sealed segment")
    if version != VERSION:
        raise SegmentDamaged(f"version {version}")
    if not _FIXED.size <= size <= MAX_HEADER:
        raise SegmentDamaged("header size")
    return int(size)


def _nonce(prefix: bytes, index: int) -> bytes:
    return prefix + index.to_bytes(8, "big")


def _bound(header: bytes, index: int, head: bytes) -> bytes:
    return header + index.to_bytes(8, "big") + head


class RawFile(Protocol):
    """Unbuffered: what `write` returned for has reached the operating system (survives kill -9)."""

    def write(self, data: bytes, /) -> int | None: ...

    def truncate(self, size: int | None = None, /) -> int: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class SealedWriter:
    """Appends frames. After an OSError the file still ends with a whole frame (a torn write is cut off again)."""

    def __init__(self, file: RawFile, header: SegmentHeader, recording_key: bytes) -> None:
        self._file = file
        self._header = header
        self._bytes = header.encode()
        self._aead = header.segment_key(recording_key)
        self._index = 0
        self._file_hash = hashlib.sha256()
        self._plain_hash = hashlib.sha256()
        self.size = 0
        self.plain_size = 0
        self.sealed = False
        self._put(self._bytes)

    @property
    def sha256(self) -> str:
        return self._file_hash.hexdigest()

    @property
    def plain_sha256(self) -> str:
        return self._plain_hash.hexdigest()

    def write(self, plain: bytes, clock_ms: int, span_ms: int) -> None:
        """Encrypt and append. `clock_ms` = arrival (unix ms) of its newest packet, `span_ms` = media length so far."""
        for start in range(0, len(plain), MAX_PLAIN):
            self._frame(plain[start : start + MAX_PLAIN], 0, clock_ms, span_ms)

    def seal(self, plain: bytes, clock_ms: int, span_ms: int) -> None:
        """The last bytes, and the mark that nothing was cut off."""
        whole = max(0, (len(plain) - 1) // MAX_PLAIN) * MAX_PLAIN
        self.write(plain[:whole], clock_ms, span_ms)
        self._frame(plain[whole:], LAST, clock_ms, span_ms)
        self.sealed = True

    def _frame(self, plain: bytes, flags: int, clock_ms: int, span_ms: int) -> None:
        if self.sealed:
            raise SegmentDamaged("write after seal")
        head = _HEAD.pack(len(plain) + TAG_SIZE, flags, clock_ms, span_ms)
        # The index moves before the write: a frame that failed half-way must never share its nonce with another one.
        index, self._index = self._index, self._index + 1
        bound = _bound(self._bytes, index, head)
        try:
            self._put(head + self._aead.encrypt(_nonce(self._header.nonce_prefix, index), plain, bound))
        except OSError:
            self.sealed = True  # a skipped index would break the chain: nothing more goes into this file
            raise
        self._plain_hash.update(plain)
        self.plain_size += len(plain)

    def _put(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        except OSError:
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise
        self._file_hash.update(data)
        self.size += len(data)


@dataclass(frozen=True, slots=True)
class FrameEntry:
    index: int
    offset: int  # of the frame's head in the file
    size: int  # ciphertext with tag
    flags: int
    clock_ms: int
    span_ms: int
    plain_offset: int

    @property
    def plain_size(self) -> int:
        return self.size - TAG_SIZE

    @property
    def end(self) -> int:
        return self.offset + FRAME_HEAD_SIZE + self.size


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """Where each frame lies. `sealed`: the last frame has the last mark; `torn`: bytes after the last whole frame."""

    header: SegmentHeader
    frames: tuple[FrameEntry, ...]
    sealed: bool
    torn: bool

    @property
    def plain_size(self) -> int:
        return self.frames[-1].plain_offset + self.frames[-1].plain_size if self.frames else 0

    @property
    def end(self) -> int:
        """Size of header and whole frames."""
        return self.frames[-1].end if self.frames else len(self.header.encode())

    @property
    def clock_ms(self) -> int:
        """Arrival (unix ms) of the newest packet in the file; the start of the segment when it is empty."""
        return self.frames[-1].clock_ms if self.frames else self.header.started_ms

    @property
    def span_ms(self) -> int:
        return self.frames[-1].span_ms if self.frames else 0

    def covering(self, start: int, length: int) -> tuple[FrameEntry, ...]:
        """The frames that hold plaintext [start, start+length)."""
        return tuple(
            f for f in self.frames if f.plain_offset < start + length and f.plain_offset + f.plain_size > start
        )

    def open(self, key: bytes) -> "FrameOpener":
        return FrameOpener(self.header, key)


class FrameOpener:
    """Decrypts single frames of one segment."""

    def __init__(self, header: SegmentHeader, recording_key: bytes) -> None:
        self._bytes = header.encode()
        self._prefix = header.nonce_prefix
        self._aead = header.segment_key(recording_key)

    def plain(self, entry: FrameEntry, raw: bytes) -> bytes:
        """`raw` = the frame's head and ciphertext. Raises SegmentDamaged."""
        if len(raw) != FRAME_HEAD_SIZE + entry.size:
            raise SegmentDamaged(f"frame {entry.index} cut short")
        bound = _bound(self._bytes, entry.index, raw[:FRAME_HEAD_SIZE])
        try:
            return self._aead.decrypt(_nonce(self._prefix, entry.index), raw[FRAME_HEAD_SIZE:], bound)
        except InvalidTag:
            raise SegmentDamaged(f"frame {entry.index}") from None


class IndexScanner:
    """Builds the index from the file's bytes, fed in any pieces; payload is skipped, no key is needed."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._at = 0  # file offset of _pending[0]
        self._skip = 0
        self._header: SegmentHeader | None = None
        self._frames: list[FrameEntry] = []

    def feed(self, data: bytes) -> None:
        """Raises SegmentDamaged for what no writer writes."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            self._at += passed
            data = data[passed:]
        self._pending += data
        while self._step():
            pass

    def finish(self) -> SegmentIndex:
        """Raises SegmentDamaged when not even the header is whole. A frame that is not whole is left out (torn)."""
        if self._header is None:
            raise SegmentDamaged("no header")
        torn = bool(self._pending) or self._skip > 0
        frames = self._frames[:-1] if self._skip else self._frames
        sealed = bool(frames) and bool(frames[-1].flags & LAST)
        return SegmentIndex(self._header, tuple(frames), sealed, torn)

    def _step(self) -> bool:
        if self._header is None:
            if len(self._pending) < 8 or len(self._pending) < (size := header_size(bytes(self._pending))):
                return False
            self._header = SegmentHeader.decode(bytes(self._pending[:size]))
            self._drop(size)
            return True
        if self._frames and self._frames[-1].flags & LAST and self._pending and not self._skip:
            raise SegmentDamaged("bytes after the last frame")
        if self._skip or len(self._pending) < FRAME_HEAD_SIZE:
            return False
        size, flags, clock_ms, span_ms = _HEAD.unpack_from(self._pending)
        if not TAG_SIZE <= size <= MAX_PLAIN + TAG_SIZE or flags & ~LAST:
            raise SegmentDamaged(f"frame {len(self._frames)} head")
        before = self._frames[-1] if self._frames else None
        offset = before.plain_offset + before.plain_size if before else 0
        self._frames.append(FrameEntry(len(self._frames), self._at, size, flags, clock_ms, span_ms, offset))
        self._drop(FRAME_HEAD_SIZE)
        here = min(size, len(self._pending))
        self._drop(here)
        self._skip = size - here
        return True

    def _drop(self, count: int) -> None:
        del self._pending[:count]
        self._at += count


def index_of(chunks: Iterable[bytes]) -> SegmentIndex:
    scanner = IndexScanner()
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.finish()


class SealedFile:
    """A segment in the local file system, read at any plaintext offset."""

    def __init__(self, path: Path, recording_key: bytes) -> None:
        self._path = path
        with path.open("rb") as file:
            self.index = index_of(iter(lambda: file.read(1 << 20), b""))
        self._opener = self.index.open(recording_key)

    def frames(self, entries: Iterable[FrameEntry]) -> Iterator[bytes]:
        """Plaintext of each frame. Raises SegmentDamaged."""
        with self._path.open("rb") as file:
            for entry in entries:
                file.seek(entry.offset)
                yield self._opener.plain(entry, file.read(FRAME_HEAD_SIZE + entry.size))

    def read(self, start: int, length: int) -> bytes:
        """Plaintext [start, start+length), shorter at the end of the file. Raises SegmentDamaged."""
        entries = self.index.covering(start, length)
        if not entries:
            return b""
        data = b"".join(self.frames(entries))
        skip = start - entries[0].plain_offset
        return data[skip : skip + length]

    def whole(self, *, recovered: bool = False) -> bytes:
        """All plaintext. Raises SegmentDamaged when the tail is missing and the file is not a recovered one."""
        if not recovered and (not self.index.sealed or self.index.torn):
            raise SegmentDamaged("cut short")
        return b"".join(self.frames(self.index.frames))
