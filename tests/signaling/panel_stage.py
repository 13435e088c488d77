"""A panel on a media server that really forwards: every packet carries its sender's name, and whatever reaches
somebody's wire or the recorder's tap is kept to be looked at."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consent.records import Purpose
from recording.tap import RecordingTap
from rtc.room import Room
from rtc.sink import TapPacket
from tests.signaling.panel_ward import PanelWard, panel_ward
from tests.support.conference import Conference, both
from tests.support.fakebrowser import FakeBrowser, Outgoing
from tests.support.rtp_factory import pool
from tests.support.session_client import SessionClient

MEMBERS = ("chair", "expert")


class NamedBrowser(FakeBrowser):
    """Each packet ends with who sent it; `heard` lists (sender, when) of whatever comes in, repairs included."""

    name = ""

    def _send(self, out: Outgoing, payload: bytes, *, marker: bool, payload_type: int) -> None:
        super()._send(out, payload + self.name.encode(), marker=marker, payload_type=payload_type)


@dataclass
class Stage:
    """The consult's room is a real rtc.Room; whoever joins gets a browser that sends at once."""

    house: PanelWard
    conference: Conference = field(default_factory=lambda: Conference(seed=3))
    rooms: dict[str, Room] = field(default_factory=dict)
    heard: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def open_room(self, room_id: str, listener: Any) -> Room:
        if room_id not in self.rooms or self.rooms[room_id].closed:
            now = self.conference.clock.now_ns
            room = Room(room_id, listener, wall_offset_ns=0, now_ns=now, rng=random.Random(5))
            self.rooms[room_id] = self.conference.room = room
        return self.rooms[room_id]

    def room(self, room_id: str) -> Room | None:
        room = self.rooms.get(room_id)
        return None if room is None or room.closed else room

    async def negotiate(self, participant: Any, offer: Any) -> Any:
        raise NotImplementedError

    def connect(self, who: str) -> None:
        """The seat's browser: sends at once unless it may only watch."""
        seat = self.house.seats[who].id
        participant = self.conference.room.participants[seat]
        path = self.conference.network.path()
        publish = both(()) if participant.grants.publish else ()
        browser = NamedBrowser(
            self.conference.clock,
            path,
            publish=publish,
            receive=pool(9, 9),
            base_ssrc=0x1000 * (len(self.conference.browsers) + 1),
            fps=5,
        )
        browser.name = f"<{who}>"
        into = path.peer_rtp
        inbox = self.heard.setdefault(who, [])

        def take(data: bytes) -> None:
            inbox.append((self.conference.clock.now_ns, data))
            into(data)

        path.peer_rtp = take
        self.conference.browsers[who] = browser
        participant.bind(path, browser.negotiated, self.conference.clock.now_ns)
        browser.start()

    def run(self, seconds: float) -> None:
        self.conference.run(seconds)

    def senders(self, viewer: str, since: int) -> set[str]:
        """Whose packets reached the viewer's wire after a moment (and a wire's delay: they were on it before)."""
        later = [data for at, data in self.heard[viewer] if at > since + 45_000_000]
        return {who for who in self.conference.browsers for data in later if data.endswith(f"<{who}>".encode())}


class Ear(RecordingTap):
    """The recorder's own tap, keeping what it would hand to the child: (sender, when)."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(lambda *_: None)
        self.stage = stage
        self.kept: list[tuple[int, bytes]] = []

    def write(self, packet: TapPacket) -> None:
        before = self.delivered
        super().write(packet)
        if self.delivered > before:
            self.kept.append((self.stage.conference.clock.now_ns, packet.rtp))

    def senders(self, since: int) -> set[str]:
        names = self.stage.conference.browsers
        return {who for who in names for at, rtp in self.kept if at > since and rtp.endswith(f"<{who}>".encode())}


class Scene:
    """Everybody in the call, recorded, sound and pictures flowing to whoever may have them."""

    def __init__(self, house: PanelWard, stage: Stage, pages: dict[str, SessionClient], ear: Ear) -> None:
        self.house, self.stage, self.pages, self.ear = house, stage, pages, ear

    @property
    def now(self) -> int:
        return self.stage.conference.clock.now_ns

    async def act(self, who: str, event: str, **body: Any) -> dict[str, Any]:
        ack = await self.pages[who].act(event, **body)
        self.follow()
        return ack

    def follow(self) -> None:
        """The recorder's child follows its grant: the fake recorder says who is written."""
        self.ear.allow(self.house.recorder.writing[self.house.consult.id])
        self.stage.conference.room.refresh_taps()

    def flow(self, viewer: str, seconds: float = 0.7) -> set[str]:
        """Whose packets reach this person from now on."""
        since = self.now
        self.stage.run(seconds)
        return self.stage.senders(viewer, since)


async def staged() -> Scene:
    """Doctor, patient and experts connected; guests are in the call and connect when a test wants them."""
    house = await panel_ward()
    stage = Stage(house)
    house.live.media = stage
    pages = await house.opened("daughter", "interpreter", "student")
    for guest in ("daughter", "interpreter", "student"):
        await house.sign(guest, permitted=(Purpose.REC_AV,))
    assert (await pages["doctor"].act("recording.start"))["ok"]
    ear = Ear(stage)
    ear.allow(house.recorder.writing[house.consult.id])
    stage.conference.room.attach(ear)
    told = house.recorder.set_aside

    def set_aside(consult_id: str, seats: Mapping[str, datetime]) -> None:
        """As recording.writing does: the tap drops them in the same call."""
        told(consult_id, seats)
        for seat_id in seats:
            ear.restrict(seat_id)

    house.recorder.set_aside = set_aside  # type: ignore[method-assign]
    for who in ("doctor", "patient", "third", *MEMBERS):
        stage.connect(who)
    stage.run(1)
    return Scene(house, stage, pages, ear)
