"""RTP packets of one stream back into coded frames: RFC 3550 header, reorder buffer, lost packets made visible."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rtc.errors import ParseError

WAIT_SECONDS = 0.3  # how long a hole may hold back what follows (retransmissions arrive well before)
MAX_HELD = 512  # packets
_LEAP = 3000  # a jump of this many numbers is a new stream, not a loss


@dataclass(frozen=True, slots=True)
class RtpPacket:
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes  # without padding; empty for padding-only packets
    arrival: float  # unix seconds


def parse_rtp(data: bytes, arrival: float) -> RtpPacket:
    """RFC 3550 section 5.1. Raises ParseError."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise ParseError("rtp header")
    sequence, timestamp = struct.unpack_from(">HI", data, 2)
    start = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < start + 4:
            raise ParseError("rtp extension")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if data[0] & 0x20:
        if not data[-1] or start + data[-1] > end:
            raise ParseError("rtp padding")
        end -= data[-1]
    if start > end:
        raise ParseError("rtp cut short")
    return RtpPacket(sequence, timestamp, bool(data[1] & 0x80), data[start:end], arrival)


@dataclass(frozen=True, slots=True)
class Lost:
    """`count` packets in a row that will not come."""

    count: int


class ReorderBuffer:
    """Restores sequence order. A hole is waited for at most WAIT_SECONDS (or MAX_HELD packets), then given up."""

    def __init__(self) -> None:
        self._next: int | None = None  # extended sequence number due
        self._held: dict[int, RtpPacket] = {}

    @property
    def waiting(self) -> bool:
        """A hole holds back at least one packet."""
        return bool(self._held)

    def push(self, packet: RtpPacket) -> Iterator[RtpPacket | Lost]:
        """What became due, in order. Duplicates and packets later than their given-up hole are dropped."""
        if self._next is None:
            self._next = packet.sequence
        step = (packet.sequence - self._next) & 0xFFFF
        if step >= 0x8000:
            if 0x10000 - step > _LEAP:
                yield from self._restart(packet)
            return  # late or duplicate
        if step > _LEAP:
            yield from self._restart(packet)
            return
        self._held.setdefault(self._next + step, packet)
        yield from self.due(packet.arrival)

    def due(self, now: float) -> Iterator[RtpPacket | Lost]:
        """What became due by time alone (unix seconds)."""
        while self._held and self._next is not None:
            if (packet := self._held.pop(self._next, None)) is not None:
                self._next += 1
                yield packet
                continue
            first = min(self._held)
            oldest = min(p.arrival for p in self._held.values())
            if len(self._held) < MAX_HELD and now - oldest < WAIT_SECONDS:
                return
            yield Lost(first - self._next)
            self._next = first

    def flush(self) -> Iterator[RtpPacket | Lost]:
        """Everything held, at the end of the stream."""
        yield from self.due(float("inf"))

    def _restart(self, packet: RtpPacket) -> Iterator[RtpPacket | Lost]:
        yield from self.flush()
        yield Lost(1)
        self._next = packet.sequence + 1
        yield packet
