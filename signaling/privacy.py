"""Privacy in the room: pauses anybody may ask for, and exam views the patient confirms one by one.

A pause is in force before it is committed; a resume only after. An exam view is prepared (recording shut, guests turned
away) before it is committed, and undone only after whoever confirmed it says they are covered again.
"""

from clinic.consult import Seat
from consent import interludes, room_acts
from consent.errors import AskerDecides, NoExam
from consent.gate import ExamViews
from signaling import listening, restricting, showing
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import Asked, LiveRoom

OK: Ack = {"ok": True}


async def _inside(live: Live, line: Line) -> tuple[LiveRoom, Seat]:
    """Raises NotJoined, NotAdmitted, RoomOver."""
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    return room, seat


async def pause(live: Live, line: Line, op: str) -> Ack:
    """Write nothing of anybody from this line on; everybody is told who asked. Raises NotPermitted."""
    room, seat = await _inside(live, line)
    act = f"privacy:{seat.id}:{op}"
    live.recorder.bar(room.consult.id, act, "rec.privacy_pause")
    listening.shut(room)
    room.asked_pauses[act] = Asked(seat.id, str(seat.role), live.clock())

    async def commit() -> None:
        async with live.db.begin() as tx:
            await room_acts.pause(tx, live.sealer, seat.id, operation_id=op)

    async def settled() -> None:
        room.asked_pauses.pop(act, None)
        await _settle(live, room, act)

    return await restricting.committed_after(live, room, "privacy", commit, settled)


async def resume(live: Live, line: Line, op: str) -> Ack:
    """End one's own pause. Where the asker decides, they are asked. Raises AskerDecides, NothingToResume."""
    room, seat = await _inside(live, line)
    try:
        async with live.db.begin() as tx:
            await room_acts.resume(
                tx, live.sealer, seat.id, operation_id=op, by=live.policy_of(room.consult).privacy_resume
            )
    except AskerDecides:
        for held in interludes.pauses(room.records):
            room.whisper(held.seat_id, "asked", what="privacy_resume", by=seat.id)
        raise
    await _settle(live, room)
    return OK


async def request_exam(live: Live, line: Line, op: str) -> Ack:
    """The doctor asks; nothing changes before the patient (or the guardian) says yes. Raises ExamDeclined, NoExam."""
    room, seat = await _inside(live, line)
    if not any(room.seats[each].role in room_acts.EXAM_SIGNERS for each in room.in_call):
        raise NoExam("nobody here could confirm it")
    if showing.veiled(room):
        return OK
    async with live.db.begin() as tx:
        await room_acts.request_exam(tx, seat.id, operation_id=op)
    room.exam_asked = Asked(seat.id, str(seat.role), live.clock())
    live.sync(room)
    return OK


async def answer_exam(live: Live, line: Line, agrees: bool, op: str) -> Ack:
    """The patient's word. An unasked yes is taken after an earlier no: the change of mind is theirs. Raises NoExam."""
    room, seat = await _inside(live, line)
    if room.exam_asked is None and not (agrees and interludes.exam_declined(room.records)):
        raise NoExam
    act = f"exam:{seat.id}:{op}"
    if agrees:
        if live.policy_of(room.consult).exam_views is ExamViews.NEVER:
            live.recorder.bar(room.consult.id, act, "rec.exam_view")
        listening.shut(room)
        room.veils.add(act)
        showing.apply(live, room)
    try:
        async with live.db.begin() as tx:
            await room_acts.answer_exam(tx, live.sealer, seat.id, agrees=agrees, operation_id=op)
        room.exam_asked, room.exam_closing = None, False
        await live.refresh(room)
    finally:
        room.veils.discard(act)
        await _settle(live, room, act)
    return OK


async def end_exam(live: Live, line: Line, op: str) -> Ack:
    """Ended by who confirmed it, once covered again. The doctor's word asks them to; a mere request is taken back."""
    room, seat = await _inside(live, line)
    if interludes.exam(room.records) is None and room.exam_asked is not None:
        room.exam_asked = None
        live.sync(room)
        return OK
    try:
        async with live.db.begin() as tx:
            await room_acts.end_exam(tx, live.sealer, seat.id, operation_id=op)
    except AskerDecides:
        room.exam_closing = True
        live.sync(room)
        return OK
    room.exam_closing = False
    await _settle(live, room)
    return OK


async def _settle(live: Live, room: LiveRoom, act: str | None = None) -> None:
    """The rows say what holds from here on: read them, then let recorder, taps and grants follow."""
    async with room.lock:
        await live.settle(room)
        if act is not None:
            live.recorder.unbar(room.consult.id, act)
        await live.people_changed(room)
        listening.judge(live, room)
        live.sync(room)
