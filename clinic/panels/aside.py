"""Experts talking among themselves (HZ-34): who is in the side-room, since when. The media is kept apart by
`signaling.aside`, before anything here is committed."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import PANELS, Consult, Seat, SeatState
from clinic.errors import NotPermitted
from clinic.overlays import rules_for
from clinic.panels.errors import NoSideRoom, NotAPanel, NotForYou, SideRoomOn
from clinic.panels.presiding import presiding
from clinic.panels.quorum import EXPERTS
from clinic.panels.room_records import SideRoom
from clinic.panels.terms import PanelTerms, terms_of
from clinic.panels.traces import event
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


def admits(terms: PanelTerms, role: Role, *, inviting: bool) -> bool:
    """Whether a seat of this role may be in a side-room (`inviting`: that the inviting doctor may come in)."""
    if not terms.side_room:
        return False
    return role in EXPERTS or (role is Role.INVITING and inviting and terms.side_inviting)


async def running(tx: ClinicTransaction, consult_id: str) -> SideRoom | None:
    """The one that is on."""
    found: Sequence[SideRoom] = await tx.side_rooms.find(consult_id=consult_id, ended_at=None)
    return found[0] if found else None


async def start(tx: ClinicTransaction, seat_id: str, *, inviting: bool) -> SideRoom:
    """The starter goes in; the others come by themselves. Raises SideRoomOn, NotForYou, NotAPanel, NotPermitted."""
    consult, seat, actor, terms = await _caller(tx, seat_id)
    if not admits(terms, seat.role, inviting=inviting):
        raise NotForYou
    if await running(tx, consult.id) is not None:
        raise SideRoomOn
    room = SideRoom(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        started_by=seat_id,
        started_at=tx.now,
        inviting=inviting and terms.side_inviting,
        inside=(seat_id,),
        came=(seat_id,),
    )
    await tx.side_rooms.add(room)
    await tx.append(event(EventCode.SIDE_STARTED, consult, actor, room.id, {"inviting": room.inviting}))
    return room


async def enter(tx: ClinicTransaction, seat_id: str) -> SideRoom:
    """Raises NoSideRoom, NotForYou, NotAPanel, NotPermitted."""
    consult, seat, actor, terms = await _caller(tx, seat_id)
    room = await running(tx, consult.id)
    if room is None:
        raise NoSideRoom
    if not admits(terms, seat.role, inviting=room.inviting):
        raise NotForYou
    if seat_id in room.inside:
        return room
    came = room.came if seat_id in room.came else (*room.came, seat_id)
    changed = replace(room, inside=(*room.inside, seat_id), came=came)
    return await _keep(tx, changed, event(EventCode.SIDE_ENTERED, consult, actor, room.id, {"seat": seat_id}))


async def leave(tx: ClinicTransaction, seat_id: str) -> SideRoom:
    """Back to everybody; the last one out ends it. Raises NoSideRoom, NotAPanel, NotPermitted."""
    consult, _, actor, _ = await _caller(tx, seat_id)
    room = await running(tx, consult.id)
    if room is None or seat_id not in room.inside:
        raise NoSideRoom
    return await _out(tx, consult, actor, room, seat_id)


async def end(tx: ClinicTransaction, seat_id: str) -> SideRoom:
    """For all in it: by who started it or presides, from inside. Raises NoSideRoom, NotForYou, NotAPanel."""
    consult, _, actor, _ = await _caller(tx, seat_id)
    room = await running(tx, consult.id)
    if room is None or seat_id not in room.inside:
        raise NoSideRoom
    floors = await tx.panel_floors.find(consult_id=consult.id)
    chair = presiding(floors[0] if floors else None, await tx.seats.find(consult_id=consult.id))
    if seat_id not in (room.started_by, chair):
        raise NotForYou
    return await _over(tx, consult, actor, room)


async def follow(tx: ClinicTransaction, seat_id: str, consult_id: str, by: Actor) -> SideRoom | None:
    """The seat left the room, or was put out: it is no longer in the side-room either."""
    room = await running(tx, consult_id)
    if room is None or seat_id not in room.inside:
        return None
    return await _out(tx, await tx.consults.get(consult_id), by, room, seat_id)


async def close(tx: ClinicTransaction, consult: Consult, by: Actor) -> None:
    """The consult's media is over."""
    room = await running(tx, consult.id) if consult.kind in PANELS else None
    if room is not None:
        await _over(tx, consult, by, room)


async def _out(tx: ClinicTransaction, consult: Consult, by: Actor, room: SideRoom, seat_id: str) -> SideRoom:
    left = replace(room, inside=tuple(each for each in room.inside if each != seat_id))
    if not left.inside:
        return await _over(tx, consult, by, left)
    return await _keep(tx, left, event(EventCode.SIDE_LEFT, consult, by, room.id, {"seat": seat_id}))


async def _over(tx: ClinicTransaction, consult: Consult, by: Actor, room: SideRoom) -> SideRoom:
    ended = replace(room, inside=(), ended_at=tx.now)
    return await _keep(tx, ended, event(EventCode.SIDE_ENDED, consult, by, room.id, {"came": sorted(room.came)}))


async def _keep(tx: ClinicTransaction, room: SideRoom, traced: AuditEvent) -> SideRoom:
    await tx.side_rooms.save(room)
    await tx.append(traced)
    return room


async def _caller(tx: ClinicTransaction, seat_id: str) -> tuple[Consult, Seat, Actor, PanelTerms]:
    """Raises NotAPanel, NotPermitted."""
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if consult.kind not in PANELS:
        raise NotAPanel
    actor = Actor.seated(seat)
    await authorise(tx, actor, Action.SIDE_ROOM, consult)
    if seat.state is not SeatState.ADMITTED or not consult.media_open:
        raise NotPermitted("not in the room")
    return consult, seat, actor, terms_of(rules_for(await tx.institutions.get(consult.institution_id), tx.now))
