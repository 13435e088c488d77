"""The pipe between the server and its recorder child: length-prefixed messages, both ways.

    u32 length | u8 kind | body

Media goes in batches of packed records; everything else is JSON. The recording key travels here and nowhere else
(never in arguments, environment or files).
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from recording.errors import RecordingError

MAX_MESSAGE = 16 * 1024 * 1024


class Kind(IntEnum):
    # to the child
    OPEN = 1  # recording, folder, key, segment plan, free-space floor, next numbers
    STREAM = 2  # id, seat, track, lane, codec, rate
    GRANT = 3  # seats that may be written, until when (system-wide monotonic seconds)
    MEDIA = 4  # batch of packets and clocks
    ENDED = 5  # stream id
    STOP = 6
    # to the parent
    READY = 20
    STARTED = 21  # seat, track, number: the first fragment is on disk
    SEGMENT = 22  # a SegmentReport
    BEAT = 23  # alive; counters
    KEY_WANTED = 24  # seats
    NO_SPACE = 25
    LAPSED = 26  # the grant ran out: nothing is written any more
    STOPPED = 27
    UNRECORDABLE = 28  # stream id: a codec the recorder cannot store


class WireDamaged(RecordingError):
    code = "recording.wire_damaged"


_HEAD = struct.Struct(">IB")
_PACKET = struct.Struct(">BHdH")  # 0, stream, arrival, size; then the RTP packet
_CLOCK = struct.Struct(">BHdId")  # 1, stream, arrival, rtp timestamp, ntp


@dataclass(frozen=True, slots=True)
class MediaPacket:
    stream: int
    arrival: float
    rtp: bytes


@dataclass(frozen=True, slots=True)
class MediaClock:
    stream: int
    arrival: float
    rtp_timestamp: int
    ntp: float


def message(kind: Kind, body: Mapping[str, Any] | bytes = b"") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return _HEAD.pack(len(raw) + 1, kind) + raw


def pack_packet(stream: int, arrival: float, rtp: bytes) -> bytes:
    return _PACKET.pack(0, stream, arrival, len(rtp)) + rtp


def pack_clock(stream: int, arrival: float, rtp_timestamp: int, ntp: float) -> bytes:
    return _CLOCK.pack(1, stream, arrival, rtp_timestamp & 0xFFFFFFFF, ntp)


def unpack_media(body: bytes) -> Iterator[MediaPacket | MediaClock]:
    """Raises WireDamaged."""
    at = 0
    try:
        while at < len(body):
            if body[at] == 0:
                _, stream, arrival, size = _PACKET.unpack_from(body, at)
                at += _PACKET.size + size
                if at > len(body):
                    raise WireDamaged("packet")
                yield MediaPacket(stream, arrival, body[at - size : at])
            elif body[at] == 1:
                _, stream, arrival, timestamp, ntp = _CLOCK.unpack_from(body, at)
                at += _CLOCK.size
                yield MediaClock(stream, arrival, timestamp, ntp)
            else:
                raise WireDamaged("record")
    except struct.error:
        raise WireDamaged("media") from None


class MessageReader:
    """Bytes in any pieces -> messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Raises WireDamaged."""
        self._pending += data
        at = 0
        try:
            while len(self._pending) - at >= _HEAD.size:
                length, number = _HEAD.unpack_from(self._pending, at)
                if not 1 <= length <= MAX_MESSAGE:
                    raise WireDamaged("length")
                end = at + 4 + length
                if len(self._pending) < end:
                    break
                body = bytes(self._pending[at + _HEAD.size : end])
                at = end
                try:
                    kind = Kind(number)
                except ValueError:
                    raise WireDamaged(f"kind {number}") from None
                yield kind, body
        finally:
            del self._pending[:at]


def fields(body: bytes) -> dict[str, Any]:
    """Of a JSON message. Raises WireDamaged."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise WireDamaged("json") from None
    if not isinstance(found, dict):
        raise WireDamaged("json")
    return found
