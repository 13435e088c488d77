"""The live consults of this process, without a transport: sockets, WHIP/WHEP, REST and jobs call the same functions.

`Live` holds the wiring and the rooms; the use cases are functions beside it: `joining` (join, admit, leave, remove),
`talking` (media, chat), `consenting` (record, withdraw), `closing` (end, terminate), `devices`, `upkeep`.

To permit: commit, then act. To restrict: act first, then commit and retry until it is committed.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from audit.errors import StaleRow
from clinic.consult import Consult
from clinic.people import Institution
from consent.gate import RecordingPolicy
from consent.house_policies import PolicyBook
from consent.transaction import Sealer
from recording.records import Recording, RecordingState
from signaling import panel_state, views
from signaling.chores import Chores
from signaling.errors import RoomOver, is_coded
from signaling.media_events import MediaEvents
from signaling.outcomes import Outcomes
from signaling.ports import Clock, Counters, LinkIssuer, LiveDatabase, MediaRoom, MediaRooms, NoCounters, Recorder
from signaling.room import CHAT_KEPT, LiveRoom
from signaling.room_log import RoomLog

log = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Guide values; seconds."""

    recorder_answer: float = 5.0  # how long a join waits for the recorder to pause
    recorder_stop: float = 20.0  # how long an ending waits for the seal; sealing goes on by itself
    retry_inline: tuple[float, ...] = (0.05, 0.2)  # pauses between the first tries of a restricting commit
    retry_most: float = 10.0  # longest pause between later tries
    quality_every: float = 60.0  # quality evidence per person at most
    stats_every: float = 10.0


class Live:
    def __init__(
        self,
        db: LiveDatabase,
        media: MediaRooms,
        sealer: Sealer,
        issue_link: LinkIssuer,
        *,
        clock: Clock,
        counters: Counters | None = None,
        policy: RecordingPolicy | None = None,
        policies: PolicyBook | None = None,
        limits: LiveLimits | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.db = db
        self.media = media
        self.sealer = sealer
        self.issue_link = issue_link
        self.clock = clock
        self.counters: Counters = counters or NoCounters()
        self.policy = policy or RecordingPolicy()
        self.policies = policies
        self.limits = limits or LiveLimits()
        self.sleep = sleep
        self.recorder: Recorder
        self.rooms: dict[str, LiveRoom] = {}
        self.outcomes = Outcomes()
        self.chores = Chores(self.counters)
        self.media_events = MediaEvents(self)
        self.queues_due: set[str] = set()  # doctors whose line is about to be told
        self.queues_told_at: datetime | None = None
        self.houses: dict[str, Institution] = {}  # read once for the rules that bind them
        self.lengths: dict[str, tuple[datetime, list[timedelta]]] = {}  # doctor -> read when, recent visits
        self.withdrawing: dict[str, list[str]] = {}  # consult -> seats whose withdrawal acts but is not committed yet
        self._retries: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None

    # -- looking ---------------------------------------------------------------------------------------------------

    def present(self, consult_id: str) -> tuple[str, ...]:
        """Seats that hold media or are about to, connection lost or not: whom the recorder has to ask."""
        room = self.rooms.get(consult_id)
        return room.present if room is not None else ()

    def waiting(self, consult_id: str) -> tuple[str, ...]:
        """Seats connected to the waiting room, longest first."""
        room = self.rooms.get(consult_id)
        return room.waiting if room is not None else ()

    def occupied(self) -> frozenset[str]:
        """Consults with somebody in the room or the waiting room."""
        return frozenset(consult_id for consult_id, room in self.rooms.items() if len(room.presence))

    def policy_of(self, consult: Consult) -> RecordingPolicy:
        """The recording policy of the consult's institution; the installation's where the house has no say."""
        return self.policies.of(consult.institution_id, self.clock()) if self.policies is not None else self.policy

    def media_room(self, room: LiveRoom) -> MediaRoom | None:
        return self.media.room(room.consult.id)

    # -- rooms -----------------------------------------------------------------------------------------------------

    async def open(self, consult_id: str) -> LiveRoom:
        """The live room, loaded when it is not there yet. Raises MissingRow; RoomOver when its media time is past."""
        room = self.rooms.get(consult_id)
        if room is None:
            async with self.db.read() as tx:
                consult: Consult = await tx.consults.get(consult_id)
                chat = await tx.chat_messages.find(consult_id=consult_id)
                words = await tx.waiting_messages.find(consult_id=consult_id)
            if not consult.media_open:
                raise RoomOver
            now = self.clock()
            kept = deque(chat, maxlen=CHAT_KEPT)
            fresh = LiveRoom(consult, {}, {}, RoomLog(secrets.token_hex(8)), kept, reckoned_at=now, heeded_at=now)
            fresh.recording = self.recorder.state(consult_id)
            fresh.words = list(words)[-5:]
            await self.refresh(fresh)
            room = self.rooms.setdefault(consult_id, fresh)
        if room.ended:
            raise RoomOver
        return room

    async def refresh(self, room: LiveRoom) -> None:
        """Read the room's rows again. One reading at a time, so that an older one never overwrites a newer."""
        async with room.reading, self.db.read() as tx:
            consult = await tx.consults.get(room.consult.id)
            seats = {seat.id: seat for seat in await tx.seats.find(consult_id=consult.id)}
            records = await tx.consent_records.find(consult_id=consult.id)
            companions = await tx.companions.find(consult_id=consult.id)
            spoken = {(m.recording_id, m.seat_id) for m in await tx.spoken_marks.find(consult_id=consult.id)}
            houses = {consult.institution_id, *(seat.home_institution_id for seat in seats.values())}
            for institution_id in houses - set(room.institutions):
                institution = await tx.institutions.get(institution_id)
                room.institutions[institution_id] = institution.short_name or institution.name
                if institution_id == consult.institution_id:
                    room.basis = institution.recording_basis
            room.consult, room.seats = consult, seats
            room.keep(records, self.clock())
            room.companions, room.spoken = companions, spoken
            await panel_state.read(tx, room)

    def sync(self, room: LiveRoom) -> None:
        """Bring the media grants in line; announce every seat whose view changed, pauses, exam view, consult status."""
        from signaling import showing  # it needs this module

        showing.apply(self, room)
        self.recorder.set_aside(room.consult.id, {} if room.ended else panel_state.aside(room))
        for view in views.all_seats(room):
            if room.told.get(view.id) != view:
                room.told[view.id] = view
                room.tell("seat", seat=views.plain(view))
        privacy = views.privacy_view(room)
        if privacy != (room.told_privacy or views.PrivacyView()):
            room.told_privacy = privacy
            room.tell("privacy", privacy=views.plain(privacy))
        panel = views.panel_view(room, self.clock())
        if panel is not None and panel != room.panel.told:
            room.panel.told = panel
            room.tell("panel", panel=views.plain(panel))
        if room.told_status != room.consult.status:
            room.told_status = room.consult.status
            room.tell("consult", status=str(room.consult.status))
        self.counters.gauge("signaling_rooms", len(self.rooms))
        self.counters.gauge("signaling_people", sum(len(each.in_call) for each in self.rooms.values()))

    async def settle(self, room: LiveRoom) -> None:
        """After a commit: read again and tell what changed. An unreadable database leaves the copies as they were."""
        try:
            await self.refresh(room)
        except Exception as error:
            log.warning("room not refreshed", extra={"consult": room.consult.id, "error": type(error).__name__})
        self.sync(room)

    def drop_if_empty(self, room: LiveRoom) -> None:
        """Forget a room nobody is in; a running recording keeps it (and its media room) alive."""
        recording = self.recorder.state(room.consult.id)
        if len(room.presence) or (recording is not None and not recording.over and not room.ended):
            return
        if self.rooms.get(room.consult.id) is room:
            del self.rooms[room.consult.id]
        media = self.media_room(room)
        if media is not None:
            media.close("empty")

    # -- recording -------------------------------------------------------------------------------------------------

    async def recording_changed(self, recording: Recording, reason: str | None) -> None:
        """Recorder.on_changed: tell the room. Says "recording" only of what is on disk."""
        room = self.rooms.get(recording.consult_id)
        if room is None:
            return
        room.recording, room.recording_reason = recording, reason
        self.tell_recording(room)
        self.sync(room)

    def tell_recording(self, room: LiveRoom) -> None:
        view = views.recording_view(room)
        if view is not None and view != room.told_recording:
            room.told_recording = view
            room.tell("recording", recording=views.plain(view))

    async def people_changed(self, room: LiveRoom) -> None:
        """Let the recorder look again at who is here and what they permit. When it does not answer it is stopped."""
        consult_id = room.consult.id
        try:
            await self.bounded(self.recorder.people_changed(consult_id), self.limits.recorder_answer)
        except Exception as error:
            log.warning("recorder did not follow", extra={"consult": consult_id, "error": type(error).__name__})
            await self.stop_recording(room.consult, "recorder_failed")
        self.tell_recording(room)

    async def stop_recording(self, consult: Consult, reason: str) -> None:
        """Stop and seal if anything runs. Waits for the seal within reason; sealing itself is not given up."""
        recording = self.recorder.state(consult.id)
        if recording is None or recording.over:
            return
        try:
            await self.bounded(self.recorder.stop(consult.id, reason), self.limits.recorder_stop)
        except Exception as error:
            log.warning("recording not sealed yet", extra={"consult": consult.id, "error": type(error).__name__})

    async def bounded(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        """Wait so long and no longer. Raises TimeoutError; the work goes on, owned here, never cut off half-way."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait_for(asyncio.shield(task), seconds)

    def records(self, consult_id: str) -> bool:
        """Whether a recording is being made (or about to be, or paused)."""
        recording = self.recorder.state(consult_id)
        return recording is not None and not recording.over and recording.state is not RecordingState.FINALIZING

    # -- restricting commits -----------------------------------------------------------------------------------------

    async def commit_restriction(
        self,
        what: str,
        act: Callable[[], Awaitable[object]],
        settled: Callable[[], Awaitable[object]] | None = None,
    ) -> bool:
        """Commit what was already done. True when committed; False when it is being retried in the background.

        `settled` is called when a retry in the background came to an end, whichever; not in the other cases.
        Errors raised on purpose (not permitted, repeated) are the caller's, except a row that changed meanwhile.
        """
        for pause in (*self.limits.retry_inline, None):
            try:
                await act()
            except Exception as error:
                if is_coded(error) and not isinstance(error, StaleRow):
                    raise
                log.warning("restriction not committed", extra={"act": what, "error": type(error).__name__})
            else:
                return True
            if pause is not None:
                await self.sleep(pause)
        task = asyncio.create_task(self._retry(what, act, settled), name=f"retry-{what}")
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)
        return False

    async def _retry(
        self, what: str, act: Callable[[], Awaitable[object]], settled: Callable[[], Awaitable[object]] | None
    ) -> None:
        await self._persist(what, act)
        if settled is not None:
            await settled()

    async def _persist(self, what: str, act: Callable[[], Awaitable[object]]) -> None:
        pause = 0.4
        while True:
            await self.sleep(pause)
            pause = min(pause * 2, self.limits.retry_most)
            self.counters.count("signaling_commit_retries", what)
            try:
                await act()
            except Exception as error:
                if is_coded(error) and not isinstance(error, StaleRow):
                    code = getattr(error, "code", "")
                    log.warning("restriction settled otherwise", extra={"act": what, "code": code})
                    return
            else:
                return

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin the one timer (leases and grace, every second) and the chores."""
        self.chores.start()
        if self._timer is None:
            self._timer = asyncio.create_task(self._keep_time(), name="signaling-timer")

    async def close(self, reason: str = "shutdown") -> None:
        """Stop the timer, hang up, finish small writes. Seats stay as they are: people come back after a restart."""
        timer, self._timer = self._timer, None
        for task in [*self._retries, *([timer] if timer is not None else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for room in self.rooms.values():
            for line in list(room.lines.values()):
                line.close(reason)
        await self.chores.close()

    async def _keep_time(self) -> None:
        from signaling import upkeep  # the use cases import this module

        while True:
            await asyncio.sleep(1.0)
            try:
                await upkeep.tick(self, self.clock())
            except Exception:
                log.exception("the live timer failed once")

    async def restore(self) -> None:
        """After a restart: whoever was inside has the usual grace to come back, then counts as gone."""
        from signaling import upkeep

        await upkeep.restore(self)
