"""A Room with fake browsers on the in-memory wire, and a listener and tap that write everything down."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtc.negotiation import PublishSection, ReceiveSection, Source
from rtc.participant import Grants, Participant
from rtc.quality import Quality
from rtc.room import Room
from rtc.sink import TapClock, TapPacket
from rtc.transport import TransportState
from rtc.viewer import SlotMapping
from tests.support.fakebrowser import FakeBrowser
from tests.support.rtp_factory import pool, publish_section
from tests.support.wire import MS, Network, VirtualClock

EVERYTHING = Grants(frozenset(Source), subscribe=True)
SIMULCAST = ("q", "h", "f")


def both(rids: tuple[str, ...] = SIMULCAST) -> tuple[PublishSection, ...]:
    """Microphone and camera."""
    return (publish_section(Source.MICROPHONE, "0"), publish_section(Source.CAMERA, "1", rids))


class Diary:
    """A RoomListener that remembers."""

    def __init__(self) -> None:
        self.slots: dict[str, list[list[SlotMapping]]] = {}
        self.short: list[tuple[str, int, int]] = []
        self.speakers: list[str | None] = []
        self.transports: list[tuple[str, TransportState]] = []
        self.producers: list[tuple[str, Source, bool]] = []
        self.quality: list[tuple[str, Quality]] = []

    def on_slots(self, room: Room, participant_id: str, slots: Sequence[SlotMapping]) -> None:
        self.slots.setdefault(participant_id, []).append(list(slots))

    def on_pool_short(self, room: Room, participant_id: str, audio: int, video: int) -> None:
        self.short.append((participant_id, audio, video))

    def on_speaker(self, room: Room, participant_id: str | None) -> None:
        self.speakers.append(participant_id)

    def on_transport(self, room: Room, participant_id: str, state: TransportState) -> None:
        self.transports.append((participant_id, state))

    def on_producer(self, room: Room, participant_id: str, source: Source, live: bool) -> None:
        self.producers.append((participant_id, source, live))

    def on_quality(self, room: Room, participant_id: str, quality: Quality) -> None:
        self.quality.append((participant_id, quality))

    def table(self, viewer: str) -> dict[str, tuple[str, Source]]:
        """mid -> occupant, as told last."""
        return {
            s.mid: (s.participant_id, s.source)
            for s in self.slots[viewer][-1]
            if s.participant_id is not None and s.source is not None
        }


@dataclass
class RecordingTap:
    """A Tap that keeps everything."""

    refused: set[tuple[str, Source]] = field(default_factory=set)
    packets: list[TapPacket] = field(default_factory=list)
    clocks: list[TapClock] = field(default_factory=list)
    endings: list[tuple[str, Source, str]] = field(default_factory=list)

    def wants(self, participant_id: str, source: Source) -> bool:
        return (participant_id, source) not in self.refused

    def write(self, packet: TapPacket) -> None:
        self.packets.append(packet)

    def clock(self, report: TapClock) -> None:
        self.clocks.append(report)

    def ended(self, participant_id: str, source: Source, reason: str) -> None:
        self.endings.append((participant_id, source, reason))

    def of(self, participant_id: str, source: Source) -> list[TapPacket]:
        return [p for p in self.packets if (p.participant_id, p.source) == (participant_id, source)]


class Conference:
    """`add` people, `run` seconds."""

    def __init__(self, *, seed: int = 1, loss: float = 0.0, delay_ms: int = 20, jitter_ms: int = 0) -> None:
        self.clock = VirtualClock()
        self.network = Network(self.clock, random.Random(seed), loss, delay_ms * MS, jitter_ms * MS)
        self.diary = Diary()
        self.room = Room("room", self.diary, wall_offset_ns=0, now_ns=self.clock.now_ns, rng=random.Random(seed + 1))
        self.browsers: dict[str, FakeBrowser] = {}
        self.clock.every(20 * MS, lambda: self.room.tick(self.clock.now_ns))

    def add(
        self,
        name: str,
        *,
        publish: tuple[PublishSection, ...] | None = None,
        receive: tuple[ReceiveSection, ...] | None = None,
        grants: Grants = EVERYTHING,
        start: bool = True,
        wall_skew_ns: int = 0,
        remb: float | None = 5_000_000.0,
    ) -> Participant:
        participant = self.room.join(name, grants)
        path = self.network.path()
        browser = FakeBrowser(
            self.clock,
            path,
            publish=both() if publish is None else publish,
            receive=pool(4, 4) if receive is None else receive,
            base_ssrc=0x1000 * (len(self.browsers) + 1),
            wall_skew_ns=wall_skew_ns,
            remb=remb,
        )
        self.browsers[name] = browser
        participant.bind(path, browser.negotiated, self.clock.now_ns)
        if start:
            browser.start()
        return participant

    def run(self, seconds: float) -> None:
        self.clock.run(int(seconds * 1000) * MS)
