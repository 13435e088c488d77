"""A consult in progress with a room of synthetic people, the real recorder child, rows and keys in memory."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Consult, ConsultKind, ConsultStatus, Seat, SeatState
from clinic.people import Role
from consent.gate import RecordingPolicy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from huizhen.store.blobs import LocalBlobs
from recording.errors import KeyDestroyed
from recording.playback import Playback
from recording.ports import RecorderPolicy, RecorderPorts, RetentionStamp, consent_gate
from recording.recorder import Recorder
from recording.records import Recording, RecordingState
from rtc.negotiation import Source
from rtc.sink import Tap, TapClock, TapPacket
from tests.support.av_source import SourcePacket, as_tapped
from tests.support.memory import MemoryDatabase

INSTITUTION, CONSULT = "inst", "consult"


class MemoryKeys:
    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.destroyed: set[str] = set()

    async def create(self, institution_id: str, key_id: str) -> bytes:
        return self.keys.setdefault(key_id, os.urandom(32))

    async def get(self, institution_id: str, key_id: str) -> bytes:
        if key_id in self.destroyed:
            raise KeyDestroyed(key_id)
        return self.keys[key_id]

    async def destroy(self, institution_id: str, key_id: str) -> str:
        self.keys.pop(key_id, None)
        self.destroyed.add(key_id)
        return "0" * 64


class FakeRoom:
    """Implements TappedRoom: asks `wants` as the real one does, and lets tests push packets."""

    def __init__(self) -> None:
        self.taps: list[Tap] = []
        self.wanted: dict[tuple[str, Source], bool] = {}
        self.keyframes: list[tuple[str, ...]] = []

    def attach(self, tap: Tap) -> None:
        self.taps.append(tap)
        self.wanted = {}

    def detach(self, tap: Tap) -> None:
        if tap in self.taps:
            self.taps.remove(tap)

    def refresh_taps(self) -> None:
        self.wanted = {}

    def request_keyframes(self, participant_ids: Collection[str] | None = None) -> None:
        self.keyframes.append(tuple(participant_ids or ()))

    def push(self, event: TapPacket | TapClock) -> None:
        for tap in list(self.taps):
            address = (event.participant_id, event.source)
            if self.wanted.setdefault(address, tap.wants(*address)):
                if isinstance(event, TapPacket):
                    tap.write(event)
                else:
                    tap.clock(event)


class World:
    def __init__(self, folder: Path, *, db: Any = None, **policy: Any) -> None:
        self.folder = folder
        self.db: Any = db or MemoryDatabase(lambda: datetime.now(UTC))
        self.keys: Any = db.keys if db is not None else MemoryKeys()
        self.blobs: Any = LocalBlobs(folder / "blobs")
        self.room = FakeRoom()
        self.present: list[str] = []
        self.free = 1 << 40
        self.changes: list[tuple[RecordingState, str | None]] = []
        self._changed = asyncio.Event()
        self._players: list[asyncio.Task[None]] = []
        self.policy = RecorderPolicy(**{"spool": folder / "spool", "free_floor": 1 << 20, **policy})
        self.recorder = self.new_recorder()

    def new_recorder(self, gate: Any = None) -> Recorder:
        ports = RecorderPorts(
            db=self.db, room=lambda consult_id: self.room, present=lambda consult_id: tuple(self.present),
            keyring=self.keys, blobs=self.blobs, clock=lambda: datetime.now(UTC),
            gate=gate or consent_gate(RecordingPolicy()),
            stamp=lambda consult: RetentionStamp("process.av", "cn-2022.1"), free_bytes=lambda path: self.free,
        )  # fmt: skip
        recorder = Recorder(ports, self.policy)
        recorder.on_changed = self._on_changed
        return recorder

    async def _on_changed(self, recording: Recording, reason: str | None) -> None:
        self.changes.append((recording.state, reason))
        self._changed.set()

    async def seat(self, seat_id: str, role: Role, *, agrees: bool | None = True, enters: bool = True) -> None:
        now = datetime.now(UTC)
        async with self.db.begin() as tx:
            await tx.seats.add(
                Seat(seat_id, INSTITUTION, CONSULT, role, "n", INSTITUTION, None, SeatState.ADMITTED, now, "sys")
            )
            await tx.append(AuditEvent(EventCode.SEAT_ADDED, INSTITUTION, "sys", CONSULT))
        if agrees is not None:
            await self.decide(seat_id, ConsentAction.SIGNED, agrees, treat=role is Role.PATIENT)
        if enters:
            self.present.append(seat_id)

    async def decide(self, seat_id: str, action: ConsentAction, permit: bool, *, treat: bool = False) -> None:
        yes = ((Purpose.REC_AV,) if permit else ()) + ((Purpose.TREAT,) if treat else ())
        record = ConsentRecord(
            uuid4().hex, INSTITUTION, CONSULT, seat_id, action, yes, () if permit else (Purpose.REC_AV,), (),
            SignerCapacity.SELF, None, "zh", "{}", "0" * 64, "", datetime.now(UTC),
        )  # fmt: skip
        async with self.db.begin() as tx:
            await tx.consent_records.add(record)
            await tx.append(AuditEvent(EventCode.CONSENT_SIGNED, INSTITUTION, seat_id, CONSULT))

    def play(self, seat_id: str, media: tuple[SourcePacket, ...]) -> float:
        """Push in real time; returns the unix time of capture second 0."""
        start = time.time()
        self._players.append(asyncio.create_task(self._play(seat_id, media, start)))
        return start

    async def _play(self, seat_id: str, media: tuple[SourcePacket, ...], start: float) -> None:
        for event in as_tapped(media, seat_id, start=start, reports_from=0.1):
            if (wait := event.arrival - time.time()) > 0.002:
                await asyncio.sleep(wait)
            self.room.push(event)

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s; changes: {self.changes}")
            await asyncio.sleep(0.01)

    async def until_state(self, state: RecordingState, seconds: float = 10.0) -> Recording:
        def reached() -> bool:
            now = self.recorder.state(CONSULT)
            return now is not None and now.state is state

        await self.until(reached, seconds)
        found = self.recorder.state(CONSULT)
        assert found is not None
        return found

    def live(self) -> Any:
        return self.recorder._live[CONSULT]

    def playback(self) -> Playback:
        return Playback(self.db, self.keys, self.blobs)

    async def close(self) -> None:
        for player in self._players:
            player.cancel()
        await asyncio.gather(*self._players, return_exceptions=True)
        await self.recorder.close()


async def open_world(folder: Path, *, db: Any = None, **policy: Any) -> World:
    """A follow-up consult in progress; patient `p` and doctor `d` are in the room and have agreed."""
    world = World(folder, db=db, **policy)
    await add_consult(world)
    await world.seat("p", Role.PATIENT)
    await world.seat("d", Role.ATTENDING)
    await world.recorder.open()
    return world


async def add_consult(world: World) -> None:
    now = datetime.now(UTC)
    consult = Consult(
        CONSULT, INSTITUTION, ConsultKind.FOLLOW_UP, "02", "doc", "pat", "r", 0, now, now + timedelta(hours=1),
        ConsultStatus.IN_PROGRESS, now, "sys", opened_at=now,
    )  # fmt: skip
    async with world.db.begin() as tx:
        await tx.consults.add(consult)
        await tx.append(AuditEvent(EventCode.CONSULT_BOOKED, INSTITUTION, "sys", CONSULT))


WorldFactory = Callable[..., Awaitable[World]]
