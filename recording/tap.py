"""The recorder's ear in a room: takes packets synchronously, batches them for the child, can be shut in an instant.

Shutting is a plain assignment on the event loop: the very next packet is dropped, whatever awaits meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from recording.records import Track
from recording.wire import Kind, pack_clock, pack_packet
from rtc.negotiation import Codec, Source
from rtc.negotiation import Kind as MediaKind
from rtc.sink import TapClock, TapPacket

MAX_BATCH = 4 * 1024 * 1024  # bytes kept between two pumps, or while a decision is pending


class Door(Enum):
    SHUT = auto()  # every packet is dropped
    HELD = auto()  # packets wait, in bounded memory, for a decision that is being committed
    OPEN = auto()


@dataclass(frozen=True, slots=True)
class _Stream:
    id: int
    codec: Codec


def track_of(source: Source) -> Track:
    return Track.SCREEN if source is Source.SCREEN else Track.AV


class RecordingTap:
    """Implements rtc.sink.Tap. `tell` sends a control message to the child, in order with the batches taken."""

    def __init__(self, tell: Callable[[Kind, dict[str, Any]], None]) -> None:
        self._tell = tell
        self._door = Door.SHUT
        self._seats: frozenset[str] = frozenset()
        self._streams: dict[tuple[str, Source], _Stream] = {}
        self._clocks: dict[tuple[str, Source], TapClock] = {}
        self._next_id = 1
        self._batch = bytearray()
        self.delivered = 0  # packets taken in since the start
        self.dropped = 0  # packets lost to a full batch

    @property
    def door(self) -> Door:
        return self._door

    def allow(self, seats: frozenset[str]) -> None:
        """Open for exactly these people. What was held while deciding, and is theirs, is kept."""
        if not seats >= self._seats:
            self._batch.clear()  # held packets of a person who may not be recorded any more
        self._seats = seats
        self._door = Door.OPEN

    def hold(self) -> None:
        """A newcomer is at the door: keep packets back until it is known whether they may be written."""
        if self._door is Door.OPEN:
            self._door = Door.HELD

    def shut(self) -> None:
        """Drop everything from now on, and what was held."""
        if self._door is Door.HELD:
            self._batch.clear()
        self._door = Door.SHUT
        self._seats = frozenset()

    def restrict(self, seat_id: str) -> None:
        """Drop this person's packets from now on."""
        self._seats -= {seat_id}

    def take(self) -> bytes:
        """The batch so far; empty while a decision is pending."""
        if self._door is Door.HELD:
            return b""
        batch = bytes(self._batch)
        self._batch.clear()
        return batch

    def introduce(self) -> None:
        """A new child knows nothing: tell it every stream and its last clock again (before what waits in the batch)."""
        for (seat_id, source), stream in self._streams.items():
            self._declare(seat_id, source, stream)

    # -- rtc.sink.Tap

    def wants(self, participant_id: str, source: Source) -> bool:
        return self._door is not Door.SHUT and participant_id in self._seats

    def write(self, packet: TapPacket) -> None:
        if self._door is Door.SHUT or packet.participant_id not in self._seats:
            return
        address = (packet.participant_id, packet.source)
        stream = self._streams.get(address)
        if stream is None or stream.codec.key != packet.codec.key:
            stream = self._begin(address, packet.codec)
        self.delivered += 1
        self._append(pack_packet(stream.id, packet.arrival, packet.rtp))

    def clock(self, report: TapClock) -> None:
        address = (report.participant_id, report.source)
        self._clocks[address] = report
        stream = self._streams.get(address)
        if stream is not None and self._door is not Door.SHUT and report.participant_id in self._seats:
            self._append(pack_clock(stream.id, report.arrival, report.rtp_timestamp, report.ntp))

    def ended(self, participant_id: str, source: Source, reason: str) -> None:
        self._clocks.pop((participant_id, source), None)
        stream = self._streams.pop((participant_id, source), None)
        if stream is not None:
            self._tell(Kind.ENDED, {"id": stream.id})

    def _begin(self, address: tuple[str, Source], codec: Codec) -> _Stream:
        before = self._streams.get(address)
        if before is not None:
            self._tell(Kind.ENDED, {"id": before.id})
        stream = self._streams[address] = _Stream(self._next_id, codec)
        self._next_id += 1
        self._declare(*address, stream)
        return stream

    def _declare(self, seat_id: str, source: Source, stream: _Stream) -> None:
        lane = "audio" if source.kind is MediaKind.AUDIO else "video"
        self._tell(
            Kind.STREAM,
            {
                "id": stream.id,
                "seat": seat_id,
                "track": str(track_of(source)),
                "lane": lane,
                "codec": stream.codec.name,
                "rate": stream.codec.clock_rate,
            },
        )
        report = self._clocks.get((seat_id, source))
        if report is not None:
            self._append(pack_clock(stream.id, report.arrival, report.rtp_timestamp, report.ntp))

    def _append(self, record: bytes) -> None:
        if len(self._batch) + len(record) > MAX_BATCH:
            self.dropped += 1
            return
        self._batch += record
