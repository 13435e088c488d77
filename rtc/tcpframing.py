"""RFC 4571 framing: each packet on a TCP connection is preceded by its length in two bytes."""

import struct
from collections.abc import Iterator

from rtc.errors import ParseError

MAX_FRAME = 2048  # bytes; nothing honest on this path is larger than one UDP datagram
_LENGTH = struct.Struct("!H")


def frame(packet: bytes | bytearray | memoryview) -> bytes:
    """One packet with its length in front."""
    return _LENGTH.pack(len(packet)) + packet


class FrameReader:
    """Cuts a byte stream into packets. Holds at most one incomplete packet (MAX_FRAME + 2 bytes) between calls."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def pending(self) -> int:
        """Bytes held back for an incomplete packet."""
        return len(self._pending)

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Yield each complete packet (a view valid until the next step). ParseError on an oversized frame."""
        buffer = bytes(self._pending) + data if self._pending else data
        self._pending.clear()
        view, position, end = memoryview(buffer), 0, len(buffer)
        try:
            while end - position >= 2:
                (size,) = _LENGTH.unpack_from(buffer, position)
                if size > MAX_FRAME:
                    raise ParseError("frame too long")
                if end - position - 2 < size:
                    break
                position += 2 + size
                if size:  # empty frames are keep-alives of some stacks
                    yield view[position - size : position]
        finally:
            self._pending += buffer[position : position + MAX_FRAME + 2]
