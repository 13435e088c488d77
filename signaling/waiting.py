"""The waiting room, live: places and honest estimates, knocking, words from the doctor, another doctor taking over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.events import EventCode
from clinic import line as places
from clinic import visit
from clinic.consult import SeatState
from clinic.errors import NotWaiting
from clinic.overlays import rules_for
from clinic.people import CLINICIANS
from clinic.queueing import WaitingPlace, outlook, pace_of
from clinic.reassigning import Reassigned
from clinic.rulebook import RuleSet
from clinic.telling import WaitingMessage
from signaling import views
from signaling.live import Live
from signaling.messages import Ready
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

WORDS_KEPT = 5
LENGTHS_KEPT = timedelta(minutes=5)  # a doctor's pace is read again after this
AGAIN = timedelta(seconds=30)  # estimates age even when nobody moves


def tell_queues(live: Live, doctor_id: str) -> None:
    """Everybody waiting for this doctor learns their place when it changed. Reads later, as a chore, once for many."""
    waited_for = any(room.waiting for room in live.rooms.values() if room.consult.doctor_id == doctor_id)
    if waited_for and doctor_id not in live.queues_due:
        live.queues_due.add(doctor_id)
        live.chores.add("queue", lambda: _tell_queues(live, doctor_id))


def refresh_queues(live: Live, now: datetime) -> None:
    """Called every second: estimates are told again from time to time."""
    if live.queues_told_at is not None and now - live.queues_told_at < AGAIN:
        return
    live.queues_told_at = now
    for doctor_id in sorted({room.consult.doctor_id for room in live.rooms.values() if room.waiting}):
        tell_queues(live, doctor_id)


async def _tell_queues(live: Live, doctor_id: str) -> None:
    live.queues_due.discard(doctor_id)
    rooms = [room for room in live.rooms.values() if room.consult.doctor_id == doctor_id and room.waiting]
    if not rooms:
        return
    async with live.db.read() as tx:
        waiting = await places.of_doctor(tx, doctor_id)
        running = await places.running(tx, doctor_id)
        rules = await _rules(live, tx, rooms[0].consult.institution_id)
        lengths = await _lengths(live, tx, doctor_id, rules)
    now = _Line(waiting, running, lengths, doctor_here(live, doctor_id), rules)
    for room in rooms:
        for seat_id in room.waiting:
            _tell_place(live, room, seat_id, now)


async def _rules(live: Live, tx: object, institution_id: str) -> RuleSet:
    """What binds the house now; its row is read once, `seen.recheck` forgets it."""
    if institution_id not in live.houses:
        live.houses[institution_id] = await tx.institutions.get(institution_id)  # type: ignore[attr-defined]
    return rules_for(live.houses[institution_id], live.clock())


async def _lengths(live: Live, tx: object, doctor_id: str, rules: RuleSet) -> list[timedelta]:
    now = live.clock()
    known = live.lengths.get(doctor_id)
    if known is not None and now - known[0] < LENGTHS_KEPT:
        return known[1]
    found = await places.recent_lengths(tx, doctor_id, rules)  # type: ignore[arg-type]
    live.lengths[doctor_id] = (now, found)
    return found


def doctor_here(live: Live, doctor_id: str) -> bool:
    """The doctor is connected to one of their rooms."""
    return any(
        seat.person_id == doctor_id and room.line_of(seat.id) is not None
        for room in live.rooms.values()
        for seat in room.seats.values()
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """One doctor's line as it was read."""

    waiting: Sequence[WaitingPlace]
    running: Sequence[timedelta]
    lengths: Sequence[timedelta]
    here: bool
    rules: RuleSet


def _tell_place(live: Live, room: LiveRoom, seat_id: str, line: _Line) -> None:
    """A guest waits with the patient: the patient's place is theirs."""
    patient = next((seat.id for seat in room.seats.values() if seat.person_id == room.consult.patient_id), seat_id)
    policy = line.rules
    pace = pace_of(line.lengths, room.consult.ends_at - room.consult.starts_at, policy)
    found = outlook(line.waiting, patient, pace, running=line.running, now=live.clock(), policy=policy)
    if found is None:
        return
    view = views.QueueView(
        position=found.position,
        ahead=found.ahead,
        estimate_minutes=found.high,
        low_minutes=found.low,
        high_minutes=found.high,
        late_minutes=found.late,
        near=found.near,
        doctor_here=line.here,
    )
    person = room.person(seat_id)
    if person.queue != view:
        person.queue = view
        room.whisper(seat_id, "queue", **views.plain(view))


async def ready(live: Live, line: Line, message: Ready) -> Ack:
    """The page knocks (or takes it back): the doctor sees "ready", and once it goes on record.

    Raises NotJoined, NotWaiting (let in already).
    """
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.state is not SeatState.WAITING or seat.role in CLINICIANS:
        raise NotWaiting
    person = room.person(seat.id)
    first = message.ready and not person.knocked
    person.ready, person.knocked = message.ready, person.knocked or message.ready
    live.sync(room)
    if first:
        live.chores.add("ready", lambda: _note_ready(live, seat.id))
    return {"ok": True}


async def _note_ready(live: Live, seat_id: str) -> None:
    async with live.db.begin() as tx:
        await visit.record_room_event(tx, seat_id, EventCode.ROOM_READY)


def told(live: Live, messages: Sequence[WaitingMessage]) -> None:
    """After the commit: a line from the doctor or the nurse, to whoever waits in each visit."""
    for message in messages:
        room = live.rooms.get(message.consult_id)
        if room is None:
            continue
        room.words = [*room.words, message][-WORDS_KEPT:]
        for seat_id in room.waiting:
            room.whisper(seat_id, "waiting_words", **views.plain(views.words_view(message)))


async def reassigned(live: Live, done: Reassigned) -> None:
    """After the commit: the former doctor is out at once, the waiting are told, both lines are counted anew."""
    from signaling.joining import cut  # it tells queues, too

    room = live.rooms.get(done.consult.id)
    if room is not None:
        for seat in done.former:
            room.barred.add(seat.id)
            cut(live, room, seat.id, "removed")
            room.whisper(seat.id, "removed", reason="no_longer_needed")
            room.hang_up(seat.id, "removed")
        async with room.lock:
            await live.settle(room)
        for seat_id in room.waiting:
            room.whisper(seat_id, "notice", code="waiting.doctor_changed")
    for doctor_id in (done.former_doctor, done.consult.doctor_id):
        tell_queues(live, doctor_id)
