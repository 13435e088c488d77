"""The recorder as signaling sees it: one per process, at most one recording per consult being written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from clinic.consult import Consult, ConsultStatus
from consent.gate import Effect
from recording.errors import KeyDestroyed, NoSpace, RecorderUnavailable
from recording.ledger import Ledger, Present
from recording.live import LiveRecording
from recording.ports import RecorderPolicy, RecorderPorts
from recording.records import GapCause, Recording, RecordingState, Segment
from recording.salvage import salvage
from recording.segment_file import SegmentReport
from recording.supervisor import RecorderPool
from recording.writing import WritingPlan, next_numbers

KEPT_OVER = 256  # ended recordings that `state` still answers for
_log = structlog.get_logger(__name__)


async def _silent(recording: Recording, reason: str | None) -> None:
    """Until wiring says whom to tell."""


class Recorder:
    """`on_changed(recording, reason)` is set by wiring: each change of state, and trouble that people must hear of
    (not_started, no_space, grant_lapsed, recorder_failed, or the gate's first reason for a pause)."""

    def __init__(self, ports: RecorderPorts, policy: RecorderPolicy) -> None:
        self._ports = ports
        self._policy = policy
        self._ledger = Ledger(ports.db, ports.gate)
        self._pool = RecorderPool()
        self._live: dict[str, LiveRecording] = {}
        self._retired: set[LiveRecording] = set()  # still sealing while a newer recording of the consult runs
        self._bars: dict[str, dict[str, str]] = {}  # consult -> act under way -> reason nothing may be written
        self._aside: dict[str, dict[str, datetime]] = {}  # consult -> seats in the side-room, since when
        self._starting = asyncio.Lock()
        self._closed = False
        self.on_changed: Callable[[Recording, str | None], Awaitable[None]] = _silent

    async def open(self) -> None:
        """Warm one child up."""
        self._policy.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._pool.start()

    async def start(self, consult_id: str, requested_by_seat: str) -> Recording:
        """REQUESTED and committed; ACTIVE follows by `on_changed`. A running recording is returned as it is.

        Raises RecordingNotPermitted, NoSpace, RecorderUnavailable.
        """
        async with self._starting:
            live = self._live.get(consult_id)
            if live is not None and live.recording.state is RecordingState.PAUSED:
                await live.people_changed()
                return live.recording
            if live is not None and live.recording.state in (RecordingState.REQUESTED, RecordingState.ACTIVE):
                return live.recording
            if live is not None:
                self._retired.add(live)
            return await self._start(consult_id, requested_by_seat)

    async def _start(self, consult_id: str, by_seat: str) -> Recording:
        if self._closed:
            raise RecorderUnavailable("closing")
        self._policy.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._ports.free_bytes(self._policy.spool) < self._policy.free_floor:
            raise NoSpace()
        recording_id = key_id = uuid4().hex
        bars, aside = tuple(self._bars.get(consult_id, {}).values()), dict(self._aside.get(consult_id, {}))
        present = Present(tuple(self._ports.present(consult_id)), {}, bars, aside)
        consult = await self._ledger.judge(consult_id, recording_id, present)
        key = await self._ports.keyring.create(consult.institution_id, key_id)
        try:
            recording, grant = await self._ledger.request(consult_id, recording_id, key_id, by_seat, present)
        except BaseException:
            await self._ports.keyring.destroy(consult.institution_id, key_id)
            raise
        live = self._enlist(recording, key, ())
        try:
            await live.begin(grant)
        except RecorderUnavailable:
            await live.finish("recorder_unavailable")
            raise
        return live.recording

    async def people_changed(self, consult_id: str) -> None:
        """Call before a newcomer's media may flow, and after each leave or signature."""
        if (live := self._live.get(consult_id)) is not None:
            await live.people_changed()

    def bar(self, consult_id: str, act: str, reason: str) -> None:
        """Write nothing from this very line on, until `unbar`: a restriction that is in force before it is committed.
        `people_changed` afterwards puts the pause on record."""
        self._bars.setdefault(consult_id, {})[act] = reason
        if (live := self._live.get(consult_id)) is not None:
            live.shut()

    def unbar(self, consult_id: str, act: str) -> None:
        """The act is settled: from the next `people_changed` on the ledger alone decides. Idempotent."""
        bars = self._bars.get(consult_id, {})
        bars.pop(act, None)
        if not bars:
            self._bars.pop(consult_id, None)

    def set_aside(self, consult_id: str, seats: Mapping[str, datetime]) -> None:
        """Who is in the side-room now, since when (HZ-34): of who is new there not one packet more from this very line
        on, committed or not. `people_changed` afterwards notes the hole, or takes up those who came back."""
        before = self._aside.get(consult_id, {})
        if seats == before:
            return
        self._aside[consult_id] = dict(seats)
        if not seats:
            del self._aside[consult_id]
        if (live := self._live.get(consult_id)) is not None:
            live.leave_out(seats.keys() - before.keys())

    async def withdraw(self, consult_id: str, seat_id: str, effect: Effect) -> None:
        """Writing ends in this very turn of the event loop; then it is committed."""
        if (live := self._live.get(consult_id)) is None:
            return
        if effect in (Effect.STOP_RECORDING, Effect.END_CONSULT):
            await live.finish("withdrawn")
        elif effect is Effect.DROP_PERSON:
            await live.drop(seat_id)

    async def stop(self, consult_id: str, reason: str) -> None:
        """Returns when sealed (or after the policy's patience, with sealing going on)."""
        if (live := self._live.get(consult_id)) is not None:
            await live.finish(reason)

    def state(self, consult_id: str) -> Recording | None:
        """The consult's recording of this process, also when it is over."""
        live = self._live.get(consult_id)
        return live.recording if live else None

    async def recover(self) -> list[Recording]:
        """At start: close what a dead server left. Open consults' recordings wait, paused, for people to come back
        (`people_changed` resumes them); the others are sealed."""
        found: list[Recording] = []
        for recording, consult, segments in await self._ledger.unfinished():
            if recording.consult_id in self._live:
                continue
            try:
                found.append(await self._recover(recording, consult, segments))
            except Exception:
                _log.exception("recording_not_recovered", recording_id=recording.id)
        return found

    async def _recover(self, recording: Recording, consult: Consult, segments: list[Segment]) -> Recording:
        folder = self._policy.spool / recording.id
        key, reports = b"", list[SegmentReport]()
        try:
            key = await self._ports.keyring.get(recording.institution_id, recording.key_id)
        except KeyDestroyed:
            _log.error("recording_key_destroyed", recording_id=recording.id)
        else:
            reports = await asyncio.to_thread(salvage, folder, key) if folder.is_dir() else []
        last = max(
            [report.clock_ms for report in reports]
            + [int(one.started_at.timestamp() * 1000) + one.duration_ms for one in segments],
            default=int((recording.started_at or recording.requested_at).timestamp() * 1000),
        )
        numbers = next_numbers(
            [(r.seat_id, r.track, r.number) for r in reports] + [(s.seat_id, s.track, s.number) for s in segments]
        )
        goes_on = bool(key) and consult.status is ConsultStatus.IN_PROGRESS
        if recording.state is not RecordingState.FINALIZING:
            since = min(datetime.fromtimestamp(last / 1000, UTC), self._ports.clock())
            recording = await self._ledger.pause(recording.id, GapCause.CRASH, "crash", since)
        live = self._enlist(recording, key, numbers)
        for report in reports:
            live.adopt(report)
        if goes_on and recording.state is RecordingState.PAUSED:
            live.await_return()
            await self._announce(recording, "crash")
        else:
            await live.finish("crash")
        return live.recording

    async def close(self) -> None:
        """Idempotent. Segments are sealed; recordings stay paused for the next start."""
        self._closed = True
        for live in [*self._live.values(), *self._retired]:
            if not live.recording.over:
                await live.suspend()
        await self._pool.close()

    def _enlist(self, recording: Recording, key: bytes, numbers: tuple[tuple[str, str, int], ...]) -> LiveRecording:
        plan = WritingPlan(recording.id, self._policy.spool / recording.id, key, numbers)
        live = LiveRecording(
            recording, plan, self._ports,
            policy=self._policy, ledger=self._ledger, pool=self._pool, announce=self._announce,
            bars=lambda: tuple(self._bars.get(recording.consult_id, {}).values()),
            aside=lambda: self._aside.get(recording.consult_id, {}),
        )  # fmt: skip
        self._live[recording.consult_id] = live
        return live

    async def _announce(self, recording: Recording, reason: str | None) -> None:
        self._retired = {live for live in self._retired if not live.recording.over}
        over = [consult_id for consult_id, live in self._live.items() if live.recording.over]
        for consult_id in over[:-KEPT_OVER]:
            del self._live[consult_id]
        try:
            await self.on_changed(recording, reason)
        except Exception:
            _log.exception("recording_change_not_told", recording_id=recording.id)
