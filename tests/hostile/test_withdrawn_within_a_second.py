"""Withdrawal while recording, by each of the three ways, against the running server: measured in the sealed files."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import socketio

from clinic.people import Role
from recording.records import GapCause, RecordingState
from recording.sealed_file import index_of
from rtc.sink import TapPacket
from tests.huizhen.test_together import _join, _ticket
from tests.huizhen.world import Browser, World, operation, sign
from tests.support.av_source import as_tapped, flash_and_beep

pytestmark = pytest.mark.alone

TALK = flash_and_beep(8.0, None)
GUEST = "张女士"


class Scene:
    """Doctor, patient and daughter in a recorded call; their packets enter the real room's taps."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sockets: dict[str, socketio.AsyncClient] = {}
        self.browsers: dict[str, Browser] = {}
        self.seats: dict[str, str] = {}
        self.players: list[asyncio.Task[None]] = []
        self.consult = ""

    async def open(self) -> None:
        world, booked = self.world, await self.world.book()
        self.consult = booked.consult.id
        patient, doctor = await world.patient(booked), await world.staff("city", Role.ATTENDING)
        await sign(patient)
        self.browsers = {"patient": patient, "doctor": doctor, "nurse": await world.staff("city", Role.NURSE)}
        self.seats = {"patient": booked.patient.id, "doctor": booked.doctor.id}
        path = f"/api/consults/{self.consult}"
        self.sockets["patient"], _ = await _join(world, await _ticket(patient, "/api/seat/ticket"))
        self.sockets["doctor"], _ = await _join(world, await _ticket(doctor, f"{path}/ticket"))
        await self.say("doctor", "admit", seat=booked.patient.id)
        invited = await self.say("doctor", "guest.invite", role="family", display_name=GUEST, relation="女儿")
        self.seats["daughter"] = invited["seat"]
        guest = self.browsers["daughter"] = await world.browser()
        await guest.post("/api/links/redeem", secret=invited["link"]["url"].partition("#")[2])
        assert (await sign(guest, GUEST)).status == 200
        self.sockets["daughter"], _ = await _join(world, await _ticket(guest, "/api/seat/ticket"))
        await self.say("doctor", "admit", seat=invited["seat"])
        await self.say("doctor", "recording.start")
        self.players = [asyncio.create_task(self._play(seat)) for seat in self.seats.values()]
        await self.until(lambda: self.state is RecordingState.ACTIVE)
        await asyncio.sleep(1.0)

    async def say(self, who: str, event: str, **body: Any) -> dict[str, Any]:
        ack: dict[str, Any] = await self.sockets[who].call(event, {"op": operation()} | body, timeout=10)
        assert ack["ok"], ack
        return ack

    @property
    def state(self) -> RecordingState | None:
        recording = self.world.parts.recorder.state(self.consult)
        return recording.state if recording is not None else None

    async def _play(self, seat_id: str) -> None:
        room = self.world.parts.media.room(self.consult)
        assert room is not None
        for event in as_tapped(TALK, seat_id, start=time.time(), reports_from=0.1):
            if (wait := event.arrival - time.time()) > 0.002:
                await asyncio.sleep(wait)
            for tap in list(room._taps):
                if tap.wants(event.participant_id, event.source):
                    if isinstance(event, TapPacket):
                        tap.write(event)
                    else:
                        tap.clock(event)

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for player in self.players:
            player.cancel()
        await asyncio.gather(*self.players, return_exceptions=True)
        for socket in self.sockets.values():
            await socket.disconnect()

    async def last_packets(self) -> dict[str, float]:
        """Arrival of each person's last recorded packet, read from the sealed files."""
        found: dict[str, float] = {}
        recording = self.world.parts.recorder.state(self.consult)
        assert recording is not None
        async with self.world.db.read() as tx:
            segments = await tx.segments.find(recording_id=recording.id)
        for segment in segments:
            stored = (self.world.parts.settings.blobs_path / segment.blob_key).read_bytes()
            found[segment.seat_id] = max(found.get(segment.seat_id, 0.0), index_of([stored]).clock_ms / 1000)
        return found


async def by_page(scene: Scene, who: str) -> None:
    await scene.say(who, "consent.withdraw", purposes=["rec_av"])


async def by_portal(scene: Scene, who: str) -> None:
    reply = await scene.browsers[who].post("/api/seat/consent/withdraw", purposes=["rec_av"], reason=None)
    assert reply.status == 200, reply.body


async def by_nurse(scene: Scene, who: str) -> None:
    path = f"/api/consults/{scene.consult}/seats/{scene.seats[who]}/consent/withdraw"
    reply = await scene.browsers["nurse"].post(path, purposes=["rec_av"], reason="电话告知", identified="called_back")
    assert reply.status == 200, reply.body


WAYS = [by_page, by_portal, by_nurse]
Way = Callable[[Scene, str], Awaitable[None]]


@pytest.mark.parametrize("way", WAYS)
async def test_a_guests_tracks_end_within_a_second_and_the_others_go_on(world: World, way: Way) -> None:
    scene = Scene(world)
    try:
        await scene.open()
        moment = time.time()
        await way(scene, "daughter")
        answered = time.time() - moment
        await asyncio.sleep(2.0)
        assert scene.state is RecordingState.ACTIVE
        await scene.say("doctor", "recording.stop")
        await scene.until(lambda: scene.state is RecordingState.SEALED, 40)
    finally:
        await scene.close()
    last = await scene.last_packets()
    print(
        f"{way.__name__}: answered after {answered:.3f} s, last packet {last[scene.seats['daughter']] - moment:+.3f} s"
    )
    assert last[scene.seats["daughter"]] <= moment + 1.0
    assert last[scene.seats["patient"]] > moment + 1.5
    assert last[scene.seats["doctor"]] > moment + 1.5
    async with world.db.read() as tx:
        gaps = await tx.gaps.find(consult_id=scene.consult, cause=GapCause.WITHDRAWN)
        records = await tx.consent_records.find(seat_id=scene.seats["daughter"])
    assert [gap.seat_id for gap in gaps] == [scene.seats["daughter"]], "the privacy interval is on record"
    assert [record.action.value for record in records] == ["signed", "withdrawn"]
    if way is by_nurse:
        assert world.houses["city"].staff[Role.NURSE].id in records[-1].evidence


@pytest.mark.parametrize("way", WAYS)
async def test_the_patients_withdrawal_ends_everybodys_recording_within_a_second(world: World, way: Way) -> None:
    scene = Scene(world)
    try:
        await scene.open()
        moment = time.time()
        await way(scene, "patient")
        await asyncio.sleep(1.2)
        await scene.until(lambda: scene.state is RecordingState.SEALED, 40)
    finally:
        await scene.close()
    last = await scene.last_packets()
    print(f"{way.__name__}: last packet of anybody {max(last.values()) - moment:+.3f} s")
    assert set(last) == set(scene.seats.values())
    assert max(last.values()) <= moment + 1.0
