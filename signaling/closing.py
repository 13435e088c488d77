"""How a live consult ends: for all, as unsuitable, swept, or by REST. Media and recording first, then the commit."""

from collections.abc import Awaitable, Callable
from typing import Any

from archive import intake
from audit.errors import DuplicateOperation, MissingRow
from clinic import visit
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import MOVES, Consult, ConsultStatus
from clinic.errors import IllegalMove, NotPermitted
from clinic.roles import Action, permits
from consent import desk
from consent.standing import shared_with
from rtc.participant import Grants
from signaling import views
from signaling.errors import is_coded
from signaling.live import Live
from signaling.outcomes import Ack
from signaling.room import LiveRoom

NOTHING = Grants(frozenset(), subscribe=False)


async def end(live: Live, consult_id: str, by: Actor, op: str) -> Ack:
    """For everybody: media stops, the recording is sealed, the consult is concluding, the room closes.

    Raises NotPermitted, IllegalMove (not in progress), MissingRow, DuplicateOperation.
    """

    async def commit() -> None:
        async with live.db.begin() as tx:
            await tx.operation(op, by.seat_id or by.id)
            await visit.conclude(tx, consult_id, by)

    return await _finish(live, consult_id, by, action=Action.END, to=ConsultStatus.CONCLUDING, commit=commit)


async def terminate(live: Live, consult_id: str, by: Actor, *, reason_code: str, advice: str, op: str) -> Ack:
    """CN-09: stop at once and send the patient to a physical hospital. The advice stays in the chat record.

    Raises NotPermitted, IllegalMove, MissingRow, DuplicateOperation, PrescriptionInText.
    """
    room = live.rooms.get(consult_id)
    advice = visit.require_advice(advice)
    if advice and room is not None and by.seat_id in room.in_call and permits(by.roles[0], Action.TERMINATE):
        async with live.db.begin() as tx:
            message = await visit.say(tx, by.seat_id or "", advice)
        room.chat.append(message)
        room.tell("chat", message=views.plain(views.chat_view(message)))

    async def commit() -> None:
        async with live.db.begin() as tx:
            await tx.operation(op, by.seat_id or by.id)
            shared = shared_with(await desk.records_of(tx, consult_id), tx.now)
            await visit.terminate(tx, consult_id, by, reason_code, shared)
            await intake.on_consult_over(tx, consult_id)

    to = ConsultStatus.TERMINATED_UNSUITABLE
    return await _finish(live, consult_id, by, action=Action.TERMINATE, to=to, commit=commit)


async def _finish(
    live: Live,
    consult_id: str,
    by: Actor,
    *,
    action: Action,
    to: ConsultStatus,
    commit: Callable[[], Awaitable[None]],
) -> Ack:
    consult = await _may_finish(live, consult_id, by, action, to)
    room = live.rooms.get(consult_id)
    if room is not None:
        room.ended = True
        silence(live, room)
    await live.stop_recording(consult, "ended")
    try:
        committed = await live.commit_restriction(action.value, commit)
    except Exception as error:
        if room is not None and is_coded(error) and not isinstance(error, DuplicateOperation):
            await consult_changed(live, consult_id)  # settled otherwise meanwhile: the row says what is true
        raise
    if room is not None:
        await shut(live, room, str(to))
    return {"ok": True} if committed else {"ok": True, "pending": True}


async def _may_finish(live: Live, consult_id: str, by: Actor, action: Action, to: ConsultStatus) -> Consult:
    """Judged before acting. With the room here, from memory: an unreadable database stops no ending."""
    room = live.rooms.get(consult_id)
    if room is not None and by.seat_id is not None:
        if by.seat_id not in room.seats:
            raise MissingRow("consults")
        if not permits(room.seats[by.seat_id].role, action):
            raise NotPermitted(action.value)
        consult = room.consult
    else:
        async with live.db.read() as tx:
            consult = await tx.consults.get(consult_id)
            await authorise(tx, by, action, consult)
    if to not in MOVES[consult.status]:
        raise IllegalMove(f"{consult.status}->{to}")
    return consult


def silence(live: Live, room: LiveRoom) -> None:
    """Nobody sends or receives from the next packet on; transports stay until the room closes."""
    media = live.media_room(room)
    if media is None:
        return
    for participant in list(media.participants.values()):
        participant.set_grants(NOTHING)


async def shut(live: Live, room: LiveRoom, reason: str) -> None:
    """Tell everybody, close the media room, hang up, forget. Idempotent."""
    room.ended = True
    await live.settle(room)
    live.tell_recording(room)
    room.tell("ended", reason=reason)
    for attendance in room.presence:
        if attendance.seat_id not in room.listening:
            room.whisper(attendance.seat_id, "removed", reason="ended")
    media = live.media_room(room)
    if media is not None:
        media.close("ended")
    room.in_call.clear()
    room.devices.clear()
    for attendance in room.presence:
        room.hang_up(attendance.seat_id, "ended")
    if live.rooms.get(room.consult.id) is room:
        del live.rooms[room.consult.id]


async def consult_changed(live: Live, consult_id: str) -> None:
    """After a change made elsewhere (REST, sweeper): show it in the room; when media is over, end it here too."""
    async with live.db.read() as tx:
        consult = await tx.consults.get(consult_id)
    room = live.rooms.get(consult_id)
    if consult.media_open:
        if room is not None:
            room.ended = False
            await live.settle(room)
        return
    if room is not None:
        room.ended = True
        silence(live, room)
    await live.stop_recording(consult, str(consult.status))
    if room is not None:
        await shut(live, room, str(consult.status))


async def end_by_withdrawal(
    live: Live, consult: Consult, commit: Callable[[], Awaitable[None]], reason: str = "consent_withdrawn"
) -> bool:
    """The patient no longer agrees to the treatment: media and recording first, then the ledger and the consult."""
    room = live.rooms.get(consult.id)
    if room is not None:
        room.ended = True
        silence(live, room)
    await live.stop_recording(consult, "withdrawn")
    try:
        committed = await live.commit_restriction("withdraw", commit)
    except Exception:
        if room is not None:
            await consult_changed(live, consult.id)
        raise
    if room is not None:
        await shut(live, room, reason)
    return committed


async def conclude_withdrawn(tx: Any, consult_id: str, reason: str = "consent_withdrawn") -> None:
    """Inside the withdrawal's transaction: the consult ends with the consent it stood on."""
    consult: Consult = await tx.consults.get(consult_id)
    if not consult.media_open:
        return
    running = consult.status is ConsultStatus.IN_PROGRESS
    to = ConsultStatus.CONCLUDING if running else ConsultStatus.CANCELLED
    await visit.end(tx, consult, to, Actor.system(consult.institution_id), reason)
    if not running:
        await intake.on_consult_over(tx, consult_id)
