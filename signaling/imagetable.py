"""The shared view of the image table in the room: operations numbered and told to whoever may see the images now.

The state is this process's (imaging.table); pages that were away ask `table.since`. Nothing here is evidence: openings
and saved measurements are, and go by REST.
"""

from typing import Any

from clinic.people import Role
from clinic.roles import Action, permits
from consent.errors import ConsentMissing
from consent.records import Purpose
from consent.standing import shared_with
from imaging import form
from imaging.pointers import Pointer, colour_of
from imaging.table import Stamped
from imaging.viewer import Person
from signaling import told, views
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.messages import TableAct, TablePoint, TableSince
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

_PRESIDING = frozenset({Role.CHAIR, Role.INVITING, Role.ATTENDING})
OK: Ack = {"ok": True}


async def act(live: Live, line: Line, message: TableAct) -> Ack:
    """Raises NotAdmitted, ConsentMissing, BadOperation, BadMeasurement, NotLeading, NotYours, TableFull."""
    room, seat_id = await _inside(live, line)
    raw = message.model_dump(exclude={"op", "kind"}, exclude_none=True)
    op = form.heard({"op": message.kind, **raw})
    _free_lead(live, room)
    person = Person(seat_id, presides=room.seats[seat_id].role in _PRESIDING)
    before = room.images.document.version
    stamped = room.images.act(message.op, person, op)
    if stamped.version > before:
        _tell(live, room, stamped)
    return {"ok": True, "version": stamped.version}


async def since(live: Live, line: Line, message: TableSince) -> Ack:
    """What the page missed: operations in order, or the document. Raises NotAdmitted, ConsentMissing."""
    room, _ = await _inside(live, line)
    known = message.version if message.epoch == room.log.epoch else -1
    missed = room.images.since(known)
    ack: Ack = {"ok": True, "epoch": room.log.epoch, "version": room.images.document.version}
    ack["acts"] = [_told(room, stamped) for stamped in missed.ops]
    if missed.snapshot is not None:
        ack["document"] = form.document_as_json(missed.snapshot)
    return ack


async def point(live: Live, line: Line, message: TablePoint) -> Ack:
    """A hand over the picture, to the others. Raises NotAdmitted, ConsentMissing."""
    room, seat_id = await _inside(live, line)
    at_ms = int(live.clock().timestamp() * 1000)
    pointer = Pointer(seat_id, message.instance, message.frame, message.x, message.y, message.count, at_ms)
    room.pointers.keep(room.in_call)
    if room.pointers.point(pointer):
        news = told.PointerTold(
            type="pointer",
            seat=seat_id,
            colour=colour_of(seat_id, _lookers(room)),
            instance=message.instance,
            frame=message.frame,
            x=message.x,
            y=message.y,
        )
        for each in _audience(live, room) - {seat_id}:
            room.whisper(each, "pointer", **_body(news))
    return OK


async def _inside(live: Live, line: Line) -> tuple[LiveRoom, str]:
    """The room and seat of somebody in the call who may see the images now.

    Raises NotJoined, NotAdmitted, ConsentMissing, RoomOver.
    """
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    if seat.id not in _audience(live, room):
        raise ConsentMissing((Purpose.SHARE_PANEL.value,))
    return room, seat.id


def _audience(live: Live, room: LiveRoom) -> set[str]:
    """Seats in the call whose role may see images; of another institution by the patient's word only."""
    shared = shared_with(room.records, live.clock()) | {room.consult.institution_id}
    inside = (room.seats[seat_id] for seat_id in room.in_call if seat_id in room.seats)
    return {seat.id for seat in inside if permits(seat.role, Action.SEE_IMAGES) and seat.home_institution_id in shared}


def _lookers(room: LiveRoom) -> set[str]:
    """Seats whose role may see images, in the call or not: pages choose colours by the same list."""
    return {seat.id for seat in room.seats.values() if permits(seat.role, Action.SEE_IMAGES)}


def _free_lead(live: Live, room: LiveRoom) -> None:
    """A lead does not stay with who is gone."""
    leader = room.images.document.leader
    if leader and leader not in room.in_call and (stamped := room.images.gone(leader)) is not None:
        _tell(live, room, stamped)


def _tell(live: Live, room: LiveRoom, stamped: Stamped) -> None:
    body = _told(room, stamped)
    for seat_id in sorted(_audience(live, room)):
        room.whisper(seat_id, "table", **{key: value for key, value in body.items() if key != "type"})


def _told(room: LiveRoom, stamped: Stamped) -> dict[str, Any]:
    raw = form.said(stamped.op)
    view = told.TableTold(
        type="table",
        epoch=room.log.epoch,
        version=stamped.version,
        seat=stamped.person.id,
        op=stamped.op_id,
        act=told.TableActView.model_validate({"kind": raw.pop("op"), **raw}),
    )
    return views.plain(view)


def _body(news: views.View) -> dict[str, Any]:
    return {key: value for key, value in views.plain(news).items() if key != "type"}
