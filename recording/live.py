"""One recording while it lives: who may be written now, what happened at the child, what is committed when.

To permit: commit, then act (a grant reaches the child only after its event is committed). To restrict: act, then
commit and retry (the tap is shut in the same turn of the event loop; a locked database cannot keep it open).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from consent.errors import RecordingNotPermitted
from consent.grant import GRANT_SECONDS, RecordingGrant
from recording.errors import RecorderUnavailable, RecordingError
from recording.ledger import Ledger, Present
from recording.ports import RecorderPolicy, RecorderPorts
from recording.records import GapCause, Recording, RecordingState
from recording.segment_file import SegmentReport
from recording.shelf import Shelf
from recording.supervisor import RecorderPool
from recording.writing import Writing, WritingPlan

T = TypeVar("T")
Announce = Callable[[Recording, str | None], Awaitable[None]]
SPACE_SECONDS = 1.0
RETRY_SECONDS = 2.0
_RETRIES = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_CAUSES = {"rec.privacy_pause": GapCause.PRIVACY, "rec.exam_view": GapCause.EXAM}
_WRITABLE = (RecordingState.REQUESTED, RecordingState.ACTIVE)
_log = structlog.get_logger(__name__)


class LiveRecording:
    """Owned by a Recorder. Implements WritingListener."""

    def __init__(
        self,
        recording: Recording,
        plan: WritingPlan,
        ports: RecorderPorts,
        *,
        policy: RecorderPolicy,
        ledger: Ledger,
        pool: RecorderPool,
        announce: Announce,
        bars: Callable[[], tuple[str, ...]] = tuple,
        aside: Callable[[], Mapping[str, datetime]] = dict,
    ) -> None:
        self.recording = recording
        self._ports = ports
        self._policy = policy
        self._ledger = ledger
        self._announce = announce
        self._bars = bars
        self._aside = aside
        self.writing = Writing(plan, policy, pool, self, ports.monotonic)
        self.shelf = Shelf(recording, plan.folder, ledger, ports.blobs)
        self._lock = asyncio.Lock()
        self._inbox: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._granted: frozenset[str] = frozenset()
        self._withdrawn: dict[str, datetime] = {}
        self._gap_open = False
        self._renew_at: float | None = None
        self._start_by: float | None = None
        self._recover_by: float | None = None
        self._attempts = 0
        self._closed = False
        self._concluding: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._serve(), name=f"recording-{recording.id}")

    # -- what the Recorder asks for

    async def begin(self, grant: RecordingGrant) -> None:
        """The start is committed: open the tap. Raises RecorderUnavailable."""
        async with self._lock:
            await self._apply(grant)
        if self._overtaken(grant):
            await self.people_changed()

    def await_return(self) -> None:
        """After a server's death: nothing is written until people are back and permitted, and not for ever."""
        self._recover_by = self._ports.monotonic() + self._policy.recovery_seconds

    def adopt(self, report: SegmentReport) -> None:
        """A file that a former process left in the spool."""
        self.writing.know(report.file)
        self.shelf.put(report)

    def shut(self) -> None:
        """Not one packet more, in this very turn of the event loop; `people_changed` says why and for how long."""
        self.writing.shut()
        self._granted = frozenset()

    def leave_out(self, seats: Collection[str]) -> None:
        """Nothing of these people that arrives from now on is written; the others' tracks go on. Synchronous."""
        for seat_id in seats:
            self.writing.drop(seat_id)

    async def people_changed(self) -> None:
        if frozenset(self._ports.present(self.recording.consult_id)) - self._granted:
            self.writing.hold()  # before anything is awaited: a newcomer's first packet must find the door closed
        async with self._lock:
            await self._evaluate()

    async def drop(self, seat_id: str) -> None:
        """One person withdrew and may stay unrecorded."""
        self._withdrawn[seat_id] = self._ports.clock()
        self.writing.drop(seat_id)
        async with self._lock:
            self.recording = await self._persist(lambda: self._ledger.drop(self.recording.id, seat_id))
            await self._evaluate()

    async def finish(self, reason: str) -> None:
        """Nothing is written from this moment; returns when sealed, or after `seal_seconds` with sealing going on."""
        self.writing.shut()
        if self._concluding is None:
            self._concluding = asyncio.create_task(self._conclude(reason), name=f"recording-seal-{self.recording.id}")
        await asyncio.wait({self._concluding}, timeout=self._policy.seal_seconds)

    async def suspend(self) -> None:
        """The server stops in good order: seal the segments, leave the recording paused for the next start."""
        self.writing.shut()
        if self._concluding is None:
            async with self._lock:
                await self.writing.stop()
                if self.recording.state in _WRITABLE:
                    cause, reason = GapCause.PAUSED, "server_stopped"
                    with contextlib.suppress(Exception):  # recover() finds the same out by itself
                        self.recording = await self._ledger.pause(self.recording.id, cause, reason)
        if self._concluding is not None:
            await asyncio.wait({self._concluding}, timeout=self._policy.seal_seconds)
            self._concluding.cancel()  # recover() seals it at the next start
            with contextlib.suppress(asyncio.CancelledError):
                await self._concluding
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.shelf.empty(), self._policy.seal_seconds)
        await self._close()

    # -- WritingListener

    def on_started(self) -> None:
        self._start_by, self._attempts = None, 0
        if self._gap_open or self.recording.state is not RecordingState.ACTIVE:
            self._inbox.put_nowait(self._active)

    def on_segment(self, report: SegmentReport) -> None:
        self.shelf.put(report)

    def on_lapsed(self) -> None:
        self._inbox.put_nowait(self._lapsed)

    def on_no_space(self) -> None:
        self._inbox.put_nowait(self._out_of_space)

    def on_overload(self, dropping: bool) -> None:
        self._inbox.put_nowait(self._overload_began if dropping else self._overload_ended)

    def on_crash(self, last_ms: int | None, alive: bool) -> None:
        since = datetime.fromtimestamp(last_ms / 1000, UTC) if last_ms is not None else self._ports.clock()
        self._gap_open = True
        self._inbox.put_nowait(lambda: self._crashed(since, alive))

    # -- what happens by itself

    async def _serve(self) -> None:
        check = self._ports.monotonic() + SPACE_SECONDS
        while not self._closed:
            due = [at for at in (self._renew_at, self._start_by, self._recover_by) if at is not None]
            try:
                async with asyncio.timeout(max(0.0, min([check, *due]) - self._ports.monotonic())):
                    act = await self._inbox.get()
            except TimeoutError:
                act = self._timers
                if check <= self._ports.monotonic():
                    check = self._ports.monotonic() + SPACE_SECONDS
            try:
                await act()
            except Exception:
                _log.exception("recording_step_failed", recording_id=self.recording.id)

    async def _timers(self) -> None:
        now = self._ports.monotonic()
        if self._concluding is not None:
            self._renew_at = self._start_by = self._recover_by = None
            return
        if self.recording.state in _WRITABLE and self._ports.free_bytes(self._policy.spool) < self._policy.free_floor:
            await self._out_of_space()
        elif self._recover_by is not None and now >= self._recover_by:
            self._recover_by = None
            await self.finish("crash")
        elif self._start_by is not None and now >= self._start_by:
            await self._not_started()
        elif self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            async with self._lock:
                await self._evaluate()

    async def _active(self) -> None:
        async with self._lock:
            if self.recording.state not in _WRITABLE or not self.writing.writing:
                return
            self.recording = await self._ledger.active(self.recording.id)
            self._gap_open = False
        await self._say(None)

    async def _lapsed(self) -> None:
        async with self._lock:
            if self.recording.state in _WRITABLE and not self.writing.writing:
                await self._pause(GapCause.PAUSED, "grant_lapsed")
                self._renew_at = self._ports.monotonic() + RETRY_SECONDS

    async def _out_of_space(self) -> None:
        self.writing.shut()
        await self._say("no_space")
        await self.finish("no_space")

    async def _overload_began(self) -> None:
        await self._ledger.gap(self.recording.id, GapCause.OVERLOAD, self._ports.clock(), None)

    async def _overload_ended(self) -> None:
        await self._ledger.end_gap(self.recording.id, GapCause.OVERLOAD)

    async def _crashed(self, since: datetime, alive: bool) -> None:
        if self.recording.state is RecordingState.ACTIVE:
            await self._persist(lambda: self._ledger.gap(self.recording.id, GapCause.CRASH, since, None))
        if not alive:
            await self._say("recorder_failed")
            await self.finish("crash")
        elif self.recording.state in _WRITABLE and self.writing.writing:
            self._start_by = self._ports.monotonic() + self._policy.start_seconds

    async def _not_started(self) -> None:
        """Say so; try a second child; then give up, unless there simply is no media yet."""
        self._start_by = None
        self._attempts += 1
        if self._attempts == 1:
            await self._say("not_started")
            self.writing.restart()
            self._start_by = self._ports.monotonic() + self._policy.start_seconds
        elif self.writing.tap.delivered:
            await self._say("not_started")
            await self.finish("not_started")

    def _overtaken(self, grant: RecordingGrant) -> bool:
        here = frozenset(self._ports.present(self.recording.consult_id))
        return bool(self._bars()) or here != grant.seats or bool(grant.recorded & self._aside().keys())

    # -- with the lock held

    async def _evaluate(self) -> None:
        """Ask the gate again for exactly those present; open, keep or close the tap accordingly. Fails closed."""
        while self._concluding is None and (self.recording.state in (*_WRITABLE, RecordingState.PAUSED)):
            here = tuple(self._ports.present(self.recording.consult_id))
            present = Present(here, dict(self._withdrawn), self._bars(), dict(self._aside()))
            before = self.recording.state
            try:
                self.recording, grant = await self._ledger.renew(self.recording.id, present)
            except RecordingNotPermitted as refused:
                reason = refused.reasons[0] if refused.reasons else refused.code
                await self._pause(_CAUSES.get(reason, GapCause.PAUSED), reason)
                return
            except Exception:
                _log.exception("recording_grant_failed", recording_id=self.recording.id)
                self._renew_at = self._ports.monotonic() + RETRY_SECONDS
                if set(present.seats) - self._granted:
                    await self._pause(GapCause.PAUSED, "grant_failed")
                return  # without newcomers the running grant holds until it lapses
            if self._overtaken(grant) or self._aside().keys() != present.aside.keys():
                continue  # somebody came, went, went aside or asked for privacy meanwhile: this grant is not for them
            try:
                await self._apply(grant)
            except RecorderUnavailable:
                await self._pause(GapCause.CRASH, "recorder_unavailable")
                self._renew_at = self._ports.monotonic() + RETRY_SECONDS
                return
            if before is not self.recording.state:
                await self._say(None)
            return

    async def _apply(self, grant: RecordingGrant) -> None:
        """Raises RecorderUnavailable."""
        room = self._ports.room(self.recording.consult_id)
        if not self.writing.started:
            await self.writing.start(room)
        if self._concluding is not None or self._bars():
            return
        self.writing.move(room)
        left = min((grant.expires_at - self._ports.clock()).total_seconds(), GRANT_SECONDS)
        now = self._ports.monotonic()
        # A seat whose withdrawal came in while the grant was being committed, or that went aside, stays out.
        recorded = grant.recorded - {seat for seat, at in self._withdrawn.items() if at >= grant.issued_at}
        recorded -= self._aside().keys()
        self.writing.grant(recorded, now + left)
        self._granted = grant.seats
        self._recover_by = None
        self._renew_at = now + min(self._policy.renew_seconds, max(1.0, left / 2))
        if self.recording.state is RecordingState.REQUESTED and self._start_by is None:
            self._start_by = now + self._policy.start_seconds

    async def _pause(self, cause: GapCause, reason: str) -> None:
        self.writing.shut()
        self._granted = frozenset()
        self._start_by = self._renew_at = None
        if self.recording.state is not RecordingState.PAUSED:
            self.recording = await self._persist(lambda: self._ledger.pause(self.recording.id, cause, reason))
            await self._say(reason)

    async def _conclude(self, reason: str) -> None:
        async with self._lock:
            try:
                await self.writing.stop()
            except Exception:  # the recording must end whatever its child did; recover() finds the files again
                _log.exception("recording_child_not_stopped", recording_id=self.recording.id)
            self.recording = await self._persist(lambda: self._ledger.finalize(self.recording.id, reason), forever=True)
        await self._say(reason)
        await self.shelf.empty()
        self.recording = await self._persist(
            lambda: self._ledger.seal(self.recording.id, self._ports.stamp), forever=True
        )
        await self._say(reason)
        await self._close()

    async def _close(self) -> None:
        self._closed = True
        self._task.cancel()
        if self._task is not asyncio.current_task():
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.shelf.close()

    async def _say(self, reason: str | None) -> None:
        await self._announce(self.recording, reason)

    async def _persist(self, act: Callable[[], Awaitable[T]], *, forever: bool = False) -> T:
        """A restriction is already in force; its record is retried while the database is locked or full."""
        attempt = 0
        while True:
            try:
                return await act()
            except RecordingError:
                raise
            except Exception as error:
                if attempt >= len(_RETRIES) and not forever:
                    raise
                _log.warning("recording_commit_retried", recording_id=self.recording.id, error=type(error).__name__)
            await asyncio.sleep(_RETRIES[min(attempt, len(_RETRIES) - 1)])
            attempt += 1
