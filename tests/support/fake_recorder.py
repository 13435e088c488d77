"""A recorder that writes nothing but keeps every rule: it asks the real gate, and holds exactly whom it may."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from consent import gate
from consent.errors import RecordingNotPermitted
from consent.gate import Effect, RecordingPolicy
from recording.records import Recording, RecordingState


class FakeRecorder:
    """`writing[consult]` = seats whose tracks are being written now. `fail` makes the next call of that name raise."""

    def __init__(self, db: Any, present: Callable[[str], Sequence[str]], clock: Callable[[], datetime]) -> None:
        self._db, self._present, self._clock = db, present, clock
        self.on_changed: Callable[[Recording, str | None], Awaitable[None]] | None = None
        self.recordings: dict[str, Recording] = {}
        self.writing: dict[str, frozenset[str]] = {}
        self.bars: dict[str, dict[str, str]] = {}
        self.aside: dict[str, dict[str, datetime]] = {}
        self.policy = RecordingPolicy()
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.before: Callable[[str], Awaitable[None]] | None = None  # runs inside each call, before anything happens

    def state(self, consult_id: str) -> Recording | None:
        return self.recordings.get(consult_id)

    async def start(self, consult_id: str, requested_by_seat: str) -> Recording:
        await self._called("start")
        recording_id = uuid4().hex
        grant = await self._grant(consult_id, recording_id)
        recording = Recording(
            recording_id, grant.institution_id, consult_id, RecordingState.REQUESTED, recording_id,
            requested_by_seat, self._clock(),
        )  # fmt: skip
        self.recordings[consult_id] = recording
        await self._tell(consult_id, None)
        self.writing[consult_id] = grant.recorded
        await self._move(consult_id, RecordingState.ACTIVE, None)
        return self.recordings[consult_id]

    async def people_changed(self, consult_id: str) -> None:
        await self._called("people_changed")
        recording = self.recordings.get(consult_id)
        if recording is None or recording.over:
            return
        try:
            grant = await self._grant(consult_id, recording.id)
        except RecordingNotPermitted as refusal:
            self.writing[consult_id] = frozenset()
            if recording.state is not RecordingState.PAUSED:
                await self._move(consult_id, RecordingState.PAUSED, refusal.reasons[0])
            return
        self.writing[consult_id] = grant.recorded
        if recording.state is RecordingState.PAUSED:
            await self._move(consult_id, RecordingState.ACTIVE, None)

    def bar(self, consult_id: str, act: str, reason: str) -> None:
        self.bars.setdefault(consult_id, {})[act] = reason
        self.writing[consult_id] = frozenset()

    def unbar(self, consult_id: str, act: str) -> None:
        self.bars.get(consult_id, {}).pop(act, None)

    def set_aside(self, consult_id: str, seats: Mapping[str, datetime]) -> None:
        self.aside[consult_id] = dict(seats)
        self.writing[consult_id] = self.writing.get(consult_id, frozenset()) - seats.keys()

    async def withdraw(self, consult_id: str, seat_id: str, effect: Effect) -> None:
        await self._called("withdraw")
        if effect is Effect.DROP_PERSON:
            self.writing[consult_id] = self.writing.get(consult_id, frozenset()) - {seat_id}
            return
        await self._finish(consult_id, "withdrawn")

    async def stop(self, consult_id: str, reason: str) -> None:
        await self._called("stop")
        await self._finish(consult_id, reason)

    async def _finish(self, consult_id: str, reason: str) -> None:
        self.writing[consult_id] = frozenset()
        recording = self.recordings.get(consult_id)
        if recording is None or recording.over:
            return
        await self._move(consult_id, RecordingState.FINALIZING, reason)
        await self._move(consult_id, RecordingState.SEALED, reason)

    async def _grant(self, consult_id: str, recording_id: str) -> Any:
        async with self._db.read() as tx:
            consult = await tx.consults.get(consult_id)
            records = await tx.consent_records.find(consult_id=consult_id)
            beside = await tx.companions.find(consult_id=consult_id)
            present = [await tx.seats.get(seat_id) for seat_id in self._present(consult_id)]
        now = self._clock()
        if bars := self.bars.get(consult_id):
            raise RecordingNotPermitted(tuple(bars.values()))
        grant = gate.recording_grant(
            consult, recording_id, present, records, policy=self.policy, now=now, beside=beside
        )
        return replace(grant, recorded=grant.recorded - self.aside.get(consult_id, {}).keys())

    async def _move(self, consult_id: str, to: RecordingState, reason: str | None) -> None:
        self.recordings[consult_id] = self.recordings[consult_id].move(to, self._clock(), reason)
        await self._tell(consult_id, reason)

    async def _tell(self, consult_id: str, reason: str | None) -> None:
        if self.on_changed is not None:
            await self.on_changed(self.recordings[consult_id], reason)

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fail:
            raise ConnectionError(name)
        if self.before is not None:
            await self.before(name)
