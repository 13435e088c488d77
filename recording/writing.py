"""One recording being written: the tap in the room, the child at the pipe, and the pump between them. No rows here."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from recording.errors import RecorderUnavailable
from recording.ports import RecorderPolicy, TappedRoom
from recording.salvage import salvage
from recording.segment_file import SegmentReport
from recording.supervisor import ChildProcess, RecorderPool
from recording.tap import Door, RecordingTap
from recording.wire import Kind

PUMP_SECONDS = 0.1
BEAT_SECONDS = 5.0  # a child silent for longer is stuck: kill it, start another
STOP_SECONDS = 5.0
MAX_RESTARTS = 5  # within RESTART_WINDOW
RESTART_WINDOW = 60.0
_log = structlog.get_logger(__name__)


class WritingListener(Protocol):
    """Called on the event loop; must not block."""

    def on_started(self) -> None:
        """A fragment of a new segment is on disk."""

    def on_segment(self, report: SegmentReport) -> None: ...

    def on_lapsed(self) -> None: ...

    def on_no_space(self) -> None: ...

    def on_overload(self, dropping: bool) -> None: ...

    def on_crash(self, last_ms: int | None, alive: bool) -> None:
        """The child died; `last_ms` = arrival of the last packet it saved. not alive = no more restarts."""


@dataclass(frozen=True, slots=True)
class WritingPlan:
    recording_id: str
    folder: Path
    key: bytes
    numbers: tuple[tuple[str, str, int], ...] = ()  # next segment number per seat and track


class Writing:
    """`start` once, then `grant` / `hold` / `shut` at any time, `stop` once."""

    def __init__(
        self,
        plan: WritingPlan,
        policy: RecorderPolicy,
        pool: RecorderPool,
        listener: WritingListener,
        monotonic: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._policy = policy
        self._pool = pool
        self._listener = listener
        self._monotonic = monotonic
        self.tap = RecordingTap(self._tell)
        self._room: TappedRoom | None = None
        self._child: ChildProcess | None = None
        self._grant: tuple[frozenset[str], float] = (frozenset(), 0.0)
        self._numbers = {(seat, track): number for seat, track, number in plan.numbers}
        self._reported: set[str] = set()
        self._last_beat = 0.0
        self._restarts: list[float] = []
        self._overloaded = False
        self._stopping = False
        self._pump: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        return self._pump is not None

    @property
    def writing(self) -> bool:
        """Somebody's packets are let through."""
        return self.tap.door is not Door.SHUT

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self, room: TappedRoom | None) -> None:
        """Raises RecorderUnavailable. Nothing flows before `grant`."""
        await self._employ()
        self._pump = asyncio.create_task(self._run(), name=f"recording-pump-{self._plan.recording_id}")
        self.move(room)

    def move(self, room: TappedRoom | None) -> None:
        """Listen in this room (after a restart the consult has a new one)."""
        if room is self._room:
            return
        if self._room is not None:
            self._room.detach(self.tap)
        self._room = room
        if room is not None:
            room.attach(self.tap)

    def grant(self, seats: frozenset[str], deadline: float) -> None:
        """Write these people until `deadline` (monotonic seconds)."""
        before = self._grant[0]
        self._grant = (seats, deadline)
        self._tell(Kind.GRANT, {"seats": sorted(seats), "deadline": deadline})
        self.tap.allow(seats)
        if self._room is not None and seats != before:
            self._room.refresh_taps()
            self._room.request_keyframes(seats)

    def know(self, file: str) -> None:
        """This spool file is somebody else's: leave it alone when the child dies."""
        self._reported.add(file)

    def hold(self) -> None:
        self.tap.hold()

    def drop(self, seat_id: str) -> None:
        """Nothing of this person that arrives from now on is written. Synchronous."""
        self._flush()
        self.tap.restrict(seat_id)
        seats, deadline = self._grant
        self._grant = (seats - {seat_id}, deadline)
        self._tell(Kind.GRANT, {"seats": sorted(self._grant[0]), "deadline": deadline})

    def shut(self) -> None:
        """Nothing that arrives from now on is written; what arrived before is sealed. Synchronous."""
        self._flush()
        self.tap.shut()
        self._grant = (frozenset(), 0.0)
        self._tell(Kind.GRANT, {"seats": [], "deadline": 0.0})
        if self._room is not None:
            self._room.refresh_taps()

    def restart(self) -> None:
        """Kill the child; another takes over."""
        if self._child is not None:
            self._child.kill()

    async def stop(self) -> None:
        """Seal what is open and end the child; every report was given when this returns."""
        self.shut()
        self._stopping = True
        self.move(None)
        for task in (self._pump, self._restarting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)
        await self._salvage()

    # -- ChildListener

    def on_message(self, child: ChildProcess, kind: Kind, told: dict[str, Any]) -> None:
        if child is not self._child:
            return
        self._last_beat = self._monotonic()
        if kind is Kind.STARTED:
            self._count(told["seat"], told["track"], told["number"])
            self._listener.on_started()
        elif kind is Kind.SEGMENT:
            self._report(SegmentReport(**told))
        elif kind is Kind.KEY_WANTED and self._room is not None:
            self._room.request_keyframes(told["seats"])
        elif kind is Kind.NO_SPACE:
            self.tap.shut()
            self._listener.on_no_space()
        elif kind is Kind.LAPSED:
            self.tap.shut()
            self._listener.on_lapsed()
        elif kind is Kind.UNRECORDABLE:
            _log.warning("recording_codec_unsupported", recording_id=self._plan.recording_id)

    def on_exit(self, child: ChildProcess, code: int) -> None:
        if child is not self._child or self._stopping:
            return
        _log.error("recorder_child_died", recording_id=self._plan.recording_id, exit_code=code)
        self._restarting = asyncio.create_task(self._replace(), name=f"recording-replace-{self._plan.recording_id}")

    async def _replace(self) -> None:
        now = self._monotonic()
        self._restarts = [at for at in self._restarts if now - at < RESTART_WINDOW] + [now]
        reports = await self._salvage()
        last = max((report.clock_ms for report in reports), default=None)
        if len(self._restarts) <= MAX_RESTARTS:
            try:
                await self._employ()
            except RecorderUnavailable:
                _log.exception("recorder_child_not_replaced", recording_id=self._plan.recording_id)
            else:
                self._listener.on_crash(last, True)
                if self._room is not None:
                    self._room.request_keyframes(self._grant[0])
                return
        self.tap.shut()
        self._listener.on_crash(last, False)

    async def _employ(self) -> None:
        child = await self._pool.take()
        child.listen(self)
        self._child = child
        self._last_beat = self._monotonic()
        self._tell(
            Kind.OPEN,
            {
                "recording": self._plan.recording_id,
                "folder": str(self._plan.folder),
                "key": self._plan.key.hex(),
                "target_seconds": self._policy.segment_seconds,
                "max_seconds": self._policy.max_segment_seconds,
                "floor": self._policy.free_floor,
                "numbers": [[seat, track, number] for (seat, track), number in self._numbers.items()],
            },
        )
        self.tap.introduce()
        seats, deadline = self._grant
        self._tell(Kind.GRANT, {"seats": sorted(seats), "deadline": deadline})

    async def _salvage(self) -> list[SegmentReport]:
        if not self._plan.folder.is_dir():
            return []
        known = frozenset(self._reported)
        reports = await asyncio.to_thread(salvage, self._plan.folder, self._plan.key, known)
        for report in reports:
            self._report(report)
        return reports

    def _report(self, report: SegmentReport) -> None:
        self._count(report.seat_id, report.track, report.number)
        self._reported.add(report.file)
        self._listener.on_segment(report)

    def _count(self, seat_id: str, track: str, number: int) -> None:
        """A number is never given twice: not even when the child dies before its segment has a whole frame."""
        address = (seat_id, track)
        self._numbers[address] = max(self._numbers.get(address, 0), number + 1)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PUMP_SECONDS)
            self._flush()
            child = self._child
            if child is not None and not child.exited.is_set() and self._monotonic() - self._last_beat > BEAT_SECONDS:
                _log.error("recorder_child_silent", recording_id=self._plan.recording_id)
                child.kill()
                self._last_beat = self._monotonic()

    def _flush(self) -> None:
        if self._child is None or not self._child.alive:
            return  # the tap keeps a bounded batch for the next child
        dropped = self.tap.dropped
        self.tap.dropped = 0
        batch = self.tap.take()
        taken = not batch or self._child.send(Kind.MEDIA, batch)
        overloaded = (not taken and self._child.alive) or dropped > 0
        if overloaded != self._overloaded and (batch or overloaded):
            self._overloaded = overloaded
            self._listener.on_overload(overloaded)

    def _tell(self, kind: Kind, body: dict[str, Any]) -> None:
        """A stream is declared before its packets and ended after them."""
        if kind is Kind.ENDED:
            self._flush()
        if self._child is not None:
            self._child.send(kind, body)


def next_numbers(segments: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
    """From the (seat, track, number) of known segments."""
    found: dict[tuple[str, str], int] = {}
    for seat, track, number in segments:
        found[seat, track] = max(found.get((seat, track), 0), number + 1)
    return tuple((seat, track, number) for (seat, track), number in found.items())
