"""Coming and going: join, admit, leave, remove, a lost connection, and what the waiting room is told."""

from typing import Any

from audit.errors import DuplicateOperation
from audit.events import EventCode
from clinic import present, visit
from clinic.access import authorise, consult_of, record_denied, record_refusal
from clinic.actor import Actor
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import AdmissionRefused, NotPermitted, SeatClosed
from clinic.panels import aside as side_rooms
from clinic.people import CLINICIANS
from clinic.roles import Action, permits
from consent import desk, gate
from consent.errors import ConsentMissing
from signaling import devices, listening, seen, showing, views
from signaling.admittance import gives_notice, pass_gates, require_current
from signaling.errors import OtherDevice, RoomOver, is_coded
from signaling.live import Live
from signaling.messages import Join
from signaling.outcomes import Ack
from signaling.ports import Caller, Line
from signaling.room import LiveRoom
from signaling.waiting import tell_queues

OK: Ack = {"ok": True}


async def join(live: Live, line: Line, message: Join) -> Ack:
    """Ticket holder -> admission judged -> consent gate -> commit -> media grants -> snapshot (or replay) in the ack.

    Raises RoomOver, OtherDevice, AdmissionRefused, ConsentMissing, SeatClosed.
    """
    caller = line.caller
    room = await live.open(caller.consult_id)
    await _let_go_elsewhere(live, room, caller)
    async with room.lock:
        if room.ended or live.rooms.setdefault(caller.consult_id, room) is not room:
            raise RoomOver
        _check_device(room, caller, takeover=message.takeover)
        await _enter(live, room, caller, message.op)
        await live.refresh(room)
        _stay_out(room, caller.seat_id)
        previous = room.presence.get(caller.seat_id)
        other_device = previous is not None and previous.device_id not in (None, caller.device_id)
        _take_seat(live, room, line, other_device=other_device)
        if room.seats[caller.seat_id].state is SeatState.ADMITTED:
            await enter_media(live, room, caller.seat_id, fresh=other_device)
            if room.line_of(caller.seat_id) is not line:
                raise RoomOver  # lost while the recorder was asked
        live.sync(room)
        tell_queues(live, room.consult.doctor_id)
        return _welcome(live, room, line, message)


def _check_device(room: LiveRoom, caller: Caller, *, takeover: bool) -> None:
    """A patient's second device simply replaces the first; a doctor is asked."""
    if caller.role in CLINICIANS and not takeover and room.presence.held_elsewhere(caller.seat_id, caller.device_id):
        raise OtherDevice


async def _let_go_elsewhere(live: Live, room: LiveRoom, caller: Caller) -> None:
    """A doctor is in one room at a time (CN-04): a seat whose connection is lost does not hold them in the other."""
    seat = room.seats.get(caller.seat_id)
    if seat is None or seat.role not in CLINICIANS:
        return
    for other, seat_id in seen.elsewhere(live, room, seat.person_id):
        if other.line_of(seat_id) is None:
            await depart(live, other, seat_id, Actor.system(other.consult.institution_id))


def _stay_out(room: LiveRoom, seat_id: str) -> None:
    """What was restricted while we waited stays restricted, committed or not."""
    if room.ended:
        raise RoomOver
    if seat_id in room.barred:
        raise SeatClosed


async def _enter(live: Live, room: LiveRoom, caller: Caller, op: str) -> None:
    """Both gates and the commit, in one transaction; a refusal goes on record in another."""
    _stay_out(room, caller.seat_id)
    known = room.presence.get(caller.seat_id)
    seat_id = caller.seat_id
    try:
        async with live.db.begin() as tx:
            consult, seat = await consult_of(tx, caller.consult_id, seat_id)
            await tx.operation(op, seat_id)
            await pass_gates(tx, consult, seat)
            code = EventCode.ROOM_JOINED
            if known is not None or seat.state is SeatState.ADMITTED:
                other = known is not None and known.device_id not in (None, caller.device_id)
                code = EventCode.ROOM_REPLACED if other else EventCode.ROOM_RESUMED
            entered = await visit.enter(tx, seat_id, present=seen.at_door(live, room, seat))
            if gives_notice(entered.seat):
                await desk.notice(tx, live.sealer, seat_id)
            await visit.record_room_event(tx, seat_id, code)
    except DuplicateOperation:
        async with live.db.read() as tx:  # a resend: the seat was entered, unless it was left or closed since
            consult, seat = await consult_of(tx, caller.consult_id, seat_id)
            await pass_gates(tx, consult, seat)
            if seat.state not in visit.INSIDE:
                raise
    except (AdmissionRefused, ConsentMissing) as refusal:
        await live.refresh(room)
        await note_refusal(live, room.seats[seat_id], refusal)
        raise


async def note_refusal(
    live: Live, seat: Seat, refusal: AdmissionRefused | ConsentMissing, by: Actor | None = None
) -> None:
    """A gate's refusal on the trail."""
    reasons = refusal.reasons if isinstance(refusal, AdmissionRefused) else (refusal.code,)
    async with live.db.begin() as tx:
        await record_refusal(tx, by or Actor.seated(seat), seat.consult_id, seat.id, reasons)


def _take_seat(live: Live, room: LiveRoom, line: Line, *, other_device: bool) -> None:
    """The seat's connection is now this one; the former is told and closed."""
    caller = line.caller
    room.listening.discard(caller.seat_id)
    before = room.line_of(caller.seat_id)
    if before is not None and before.id != line.id:
        before.send("direct", {"type": "replaced"})
        before.close("replaced")
        room.lines.pop(before.id, None)
    room.presence.arrive(caller.seat_id, line.id, caller.device_id, live.clock())
    room.lines[line.id] = line
    live.counters.count("signaling_joins", "other_device" if other_device else "")


async def enter_media(live: Live, room: LiveRoom, seat_id: str, *, fresh: bool = False) -> None:
    """Media for an admitted seat. The recorder looks first: it pauses before a newcomer's media flows.

    `fresh` cuts what the seat's former device still sends. A seat that held media keeps it (resume).
    """
    if seat_id not in room.in_call:
        room.in_call.add(seat_id)
        listening.shut(room)
        try:
            await live.people_changed(room)
            _stay_out(room, seat_id)
        except BaseException:
            room.in_call.discard(seat_id)
            raise
        if seat_id not in room.in_call:
            raise RoomOver  # left or was put out meanwhile
    media = live.media_room(room) or live.media.open_room(room.consult.id, live.media_events)
    if fresh:
        media.leave(seat_id, "replaced")
        room.person(seat_id).publishing.clear()
    media.join(seat_id, showing.of_seat(room, seat_id))
    listening.judge(live, room)


def _welcome(live: Live, room: LiveRoom, line: Line, message: Join) -> Ack:
    """The ack of a join; from here on the connection gets the room's events."""
    seat_id = line.caller.seat_id
    person, resume = room.person(seat_id), message.resume
    if room.seats[seat_id].state is not SeatState.ADMITTED:
        return {"ok": True, "snapshot": views.plain(views.snapshot(room, seat_id, live.clock()))}
    room.listening.add(seat_id)
    replay = None
    if resume is not None and person.visible_from is not None and resume.seq >= person.visible_from:
        replay = room.log.since(resume.epoch, resume.seq)
    if replay is not None:
        ack: Ack = {"ok": True, "replay": replay, "me": views.plain(views.me_view(room, seat_id))}
    else:
        person.visible_from = room.log.seq
        ack = {"ok": True, "snapshot": views.plain(views.snapshot(room, seat_id, live.clock()))}
    _tell_again(room, seat_id)
    return ack


def _tell_again(room: LiveRoom, seat_id: str) -> None:
    """Direct news is not replayed: what still holds is said once more."""
    person = room.person(seat_id)
    if person.slots is not None:
        room.whisper(seat_id, "slots", slots=person.slots)
    if person.pool is not None:
        room.whisper(seat_id, "pool", **person.pool)
    if person.video_limited:
        room.whisper(seat_id, "video_limited", on=True)
    seen.tell_refused(room, seat_id)


async def admit(live: Live, line: Line, seat_id: str, op: str) -> Ack:
    """Let a waiting person in: commit, then give. Raises NotPermitted, ConsentMissing, AdmissionRefused."""
    room = await live.open(line.caller.consult_id)
    by = room.actor(room.require_joined(line).id)
    async with room.lock:
        _stay_out(room, seat_id)
        try:
            async with live.db.begin() as tx:
                await tx.operation(op, line.caller.seat_id)
                consult = await tx.consults.get(room.consult.id)
                await authorise(tx, by, Action.ADMIT, consult)
                seat = await _seat_here(tx, consult, seat_id)
                records = await pass_gates(tx, consult, seat)
                await require_current(tx, consult, seat, records)
                if live.records(consult.id):
                    gate.require_decision(records, seat, live.policy_of(consult), now=tx.now)
                await visit.admit(tx, consult.id, seat_id, by, present=seen.at_reception(live, room, seat_id))
        except (AdmissionRefused, ConsentMissing) as refusal:
            await note_refusal(live, room.seats[seat_id], refusal, by)
            raise
        await live.refresh(room)
        if seat_id in room.presence:
            await enter_media(live, room, seat_id)
        live.sync(room)
        if room.line_of(seat_id) is not None:
            room.person(seat_id).visible_from = room.log.seq
            room.whisper(seat_id, "admitted", snapshot=views.plain(views.snapshot(room, seat_id, live.clock())))
            room.listening.add(seat_id)
        tell_queues(live, room.consult.doctor_id)
    return OK


async def _seat_here(tx: Any, consult: Consult, seat_id: str) -> Seat:
    """A seat of this consult. Raises MissingRow alike for foreign and unknown ones."""
    _, seat = await consult_of(tx, consult.id, seat_id)
    return seat


async def leave(live: Live, line: Line, op: str) -> Ack:
    """Of one's own will: media ends at once, then it is committed."""
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    room.listening.discard(seat.id)
    await depart(live, room, seat.id, Actor.seated(seat), op)
    return OK


async def depart(live: Live, room: LiveRoom, seat_id: str, by: Actor, op: str | None = None) -> None:
    """Out of the room: media first, then the commit, then the recorder may resume without them."""
    line = room.line_of(seat_id)
    cut(live, room, seat_id, "left")
    room.presence.forget(seat_id)
    if line is not None:
        room.lines.pop(line.id, None)

    async def commit() -> None:
        async with live.db.begin() as tx:
            if op is not None:
                await tx.operation(op, seat_id)
            if seat_id not in room.presence:  # who came back before the commit has not left
                await visit.leave(tx, seat_id, by)
                await present.follow(tx, seat_id, room.consult.id, by)
                await side_rooms.follow(tx, seat_id, room.consult.id, by)

    async with room.lock:
        try:
            await live.commit_restriction("leave", commit)
        except DuplicateOperation:
            pass
        await live.settle(room)
        if not room.ended:
            await live.people_changed(room)
            listening.judge(live, room)
        live.sync(room)
        tell_queues(live, room.consult.doctor_id)
        live.drop_if_empty(room)


def cut(live: Live, room: LiveRoom, seat_id: str, reason: str) -> None:
    """No more media from or to this seat and its devices, with the next packet."""
    for participant_id in [each for each, device in room.devices.items() if device.seat_id == seat_id]:
        devices.forget(live, room, participant_id, reason)
    room.in_call.discard(seat_id)
    media = live.media_room(room)
    if media is not None:
        media.leave(seat_id, reason)
    room.people.pop(seat_id, None)
    if room.speaker == seat_id:
        room.speaker = None
        room.whisper_all("speaker", seat=None)


async def remove(live: Live, line: Line, seat_id: str, reason: str, op: str) -> Ack:
    """Put somebody out, or turn away somebody who waits. Acts first. Raises NotPermitted, MissingRow, IllegalMove."""
    room = await live.open(line.caller.consult_id)
    own = room.require_joined(line)
    if seat_id in room.devices:
        if not permits(own.role, Action.REMOVE):
            raise NotPermitted(Action.REMOVE.value)
        room.barred.add(seat_id)  # its token is good for hours: it would be back with the next POST
        devices.forget(live, room, seat_id, "removed")
        return OK
    by = Actor.seated(own)
    await _may_remove(live, room, by, seat_id)
    room.barred.add(seat_id)
    cut(live, room, seat_id, "removed")
    room.whisper(seat_id, "removed", reason=reason)
    room.hang_up(seat_id, "removed")

    async def commit() -> None:
        async with live.db.begin() as tx:
            await tx.operation(op, own.id)
            await visit.remove(tx, room.consult.id, seat_id, by, reason)
            await present.follow(tx, seat_id, room.consult.id, by)
            await side_rooms.follow(tx, seat_id, room.consult.id, by)

    try:
        committed = await live.commit_restriction("remove", commit)
    except Exception as error:
        if is_coded(error):
            room.barred.discard(seat_id)  # settled otherwise: the row says what is true
        raise
    async with room.lock:
        await live.settle(room)
        await live.people_changed(room)
        listening.judge(live, room)
        tell_queues(live, room.consult.doctor_id)
    return OK if committed else {"ok": True, "pending": True}


async def _may_remove(live: Live, room: LiveRoom, by: Actor, seat_id: str) -> None:
    """Judged before acting, from what is known here, so that an unreadable database stops no removal."""
    target = room.seats.get(seat_id)
    if target is None:
        await live.refresh(room)
        target = room.seats.get(seat_id)
    own = room.seats[by.seat_id or ""]
    if not permits(own.role, Action.REMOVE):
        raise NotPermitted(Action.REMOVE.value)
    if target is None or target.state is SeatState.REMOVED:
        raise SeatClosed
    if target.role in visit.LEADS or target.id == own.id:
        raise NotPermitted("the leading doctor ends the visit instead")


def disconnected(live: Live, line: Line) -> None:
    """The socket is gone; the seat and its media stay for the grace."""
    room = live.rooms.get(line.caller.consult_id)
    if room is None:
        return
    room.lines.pop(line.id, None)
    if room.presence.lost(line.caller.seat_id, line.id, live.clock()):
        room.listening.discard(line.caller.seat_id)
        room.person(line.caller.seat_id).ready = False
        live.sync(room)
        tell_queues(live, room.consult.doctor_id)


async def note_denied(live: Live, line: Line, action: str) -> None:
    """Somebody tried what their role may not do."""
    seat_room = live.rooms.get(line.caller.consult_id)
    if seat_room is None or line.caller.seat_id not in seat_room.seats:
        return
    async with live.db.begin() as tx:
        await record_denied(tx, seat_room.actor(line.caller.seat_id), action, line.caller.consult_id)
