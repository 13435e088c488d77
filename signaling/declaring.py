"""People at somebody's side: declared, answered for, gone; and the doctor's word that the room list is complete."""

import hashlib
from collections.abc import Sequence

from clinic import present
from clinic.consult import Seat
from clinic.errors import NotPermitted, SeatClosed
from clinic.people import Role
from clinic.present import NewPerson
from consent import room_acts
from signaling import listening
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

OK: Ack = {"ok": True}


async def _inside(live: Live, line: Line) -> tuple[LiveRoom, Seat]:
    """Raises NotJoined, NotAdmitted, RoomOver."""
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    return room, seat


async def declare(live: Live, line: Line, person: NewPerson, agrees: bool | None, op: str) -> Ack:
    """Somebody is at the caller's side. Nothing is written until the ledger has looked at them; undecided, it pauses.

    Raises NotPermitted, InvalidInput.
    """
    room, seat = await _inside(live, line)
    act = f"declare:{seat.id}:{op}"
    live.recorder.bar(room.consult.id, act, "rec.person_unsigned")
    listening.shut(room)
    try:
        async with live.db.begin() as tx:
            await tx.operation(op, seat.id)
            made = await present.declare(tx, seat.id, person, room.actor(seat.id))
            if agrees is not None:
                by = room.actor(seat.id)
                await room_acts.relay_answer(tx, live.sealer, made.id, agrees=agrees, operation_id=_second(op), by=by)
    finally:
        await _settle(live, room, act)
    return {"ok": True, "seat": made.id}


def _second(op: str) -> str:
    """The operation of the answer that came with the declaration."""
    return hashlib.sha256(f"answer:{op}".encode()).hexdigest()[:32]


async def answer(live: Live, line: Line, declared_id: str, agrees: bool, op: str) -> Ack:
    """What the declared person said. A "no" shuts the recorder before it is committed. Raises NotPermitted."""
    room, seat = await _inside(live, line)
    _own(room, seat, declared_id)
    act = f"declared:{declared_id}:{op}"
    if not agrees:
        live.recorder.bar(room.consult.id, act, "rec.person_refused")
        listening.shut(room)
    try:
        async with live.db.begin() as tx:
            await room_acts.relay_answer(
                tx, live.sealer, declared_id, agrees=agrees, operation_id=op, by=room.actor(seat.id)
            )
    finally:
        await _settle(live, room, act)
    return OK


async def gone(live: Live, line: Line, declared_id: str, op: str) -> Ack:
    """They left the caller's side. Raises NotPermitted."""
    room, seat = await _inside(live, line)
    _own(room, seat, declared_id)
    async with live.db.begin() as tx:
        await tx.operation(op, seat.id)
        await present.gone(tx, declared_id, room.consult.id, room.actor(seat.id))
    await _settle(live, room)
    return OK


async def attest(live: Live, line: Line, seat_ids: Sequence[str], op: str) -> Ack:
    """The doctor has asked round and read the list. Raises RoomListChanged, NotPermitted."""
    room, seat = await _inside(live, line)
    async with live.db.begin() as tx:
        await tx.operation(op, seat.id)
        await present.attest(tx, room.consult.id, seat_ids, frozenset(room.present), room.actor(seat.id))
    return OK


def _own(room: LiveRoom, seat: Seat, declared_id: str) -> None:
    """Judged from what is known here, so that it costs no reading. Raises SeatClosed, NotPermitted."""
    person = room.seats.get(declared_id)
    if person is None or person.role is not Role.DECLARED:
        raise SeatClosed
    if person.created_by != seat.id:
        raise NotPermitted("not declared at this seat")


async def _settle(live: Live, room: LiveRoom, act: str | None = None) -> None:
    """Read the rows, then let the recorder and the ears follow them."""
    async with room.lock:
        await live.settle(room)
        if act is not None:
            live.recorder.unbar(room.consult.id, act)
        await live.people_changed(room)
        listening.judge(live, room)
        live.sync(room)
