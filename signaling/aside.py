"""The experts' side-room, live (HZ-34). Going in cuts the media apart before it is committed; coming out is committed
before anybody is given anything back.

What keeps it apart is here and in `showing.kept_apart`: grants of the media room. No page has a say in it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from clinic.consult import Seat
from clinic.panels import aside as side_rooms
from clinic.panels.errors import NoSideRoom, NotAPanel, NotForYou
from signaling import listening, panel_messages, panel_state, restricting, showing
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

OK: Ack = {"ok": True}


async def start(live: Live, line: Line, message: panel_messages.SideStart) -> Ack:
    """Raises SideRoomOn, NotForYou, NotAPanel, NotAdmitted."""
    room, seat = await _inside(live, line, message.inviting)
    return await _step_in(
        live, room, seat.id, message.op, lambda tx: side_rooms.start(tx, seat.id, inviting=message.inviting)
    )


async def enter(live: Live, line: Line, message: panel_messages.SideEnter) -> Ack:
    """Raises NoSideRoom, NotForYou, NotAPanel, NotAdmitted."""
    room, seat = await _inside(live, line, room_inviting=None)
    if room.panel.side is None:
        raise NoSideRoom
    return await _step_in(live, room, seat.id, message.op, lambda tx: side_rooms.enter(tx, seat.id))


async def leave(live: Live, line: Line, message: panel_messages.SideLeave) -> Ack:
    """Raises NoSideRoom, NotAPanel."""
    room, seat = await _member(live, line)
    return await _come_back(live, room, seat.id, message.op, lambda tx: side_rooms.leave(tx, seat.id))


async def end(live: Live, line: Line, message: panel_messages.SideEnd) -> Ack:
    """For everybody in it. Raises NoSideRoom, NotForYou, NotAPanel."""
    room, seat = await _member(live, line)
    return await _come_back(live, room, seat.id, message.op, lambda tx: side_rooms.end(tx, seat.id))


async def listen(live: Live, line: Line, message: panel_messages.SideListen) -> Ack:
    """Hear the others too, or not; everybody sees who does. Raises NoSideRoom, NotAPanel."""
    room, seat = await _member(live, line)
    (room.panel.hears.add if message.on else room.panel.hears.discard)(seat.id)
    live.sync(room)
    return OK


async def _inside(live: Live, line: Line, room_inviting: bool | None) -> tuple[LiveRoom, Seat]:
    """Somebody the side-room is open to, judged from what is known here: nobody is cut off only to be refused.

    `room_inviting` None: as the side-room that is on says. Raises NotAPanel, NotForYou, NotAdmitted, NotJoined.
    """
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    if room.panel.terms is None:
        raise NotAPanel
    side = room.panel.side
    inviting = room_inviting if room_inviting is not None else side is not None and side.inviting
    if not side_rooms.admits(room.panel.terms, seat.role, inviting=inviting):
        raise NotForYou
    return room, seat


async def _member(live: Live, line: Line) -> tuple[LiveRoom, Seat]:
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if room.panel.terms is None:
        raise NotAPanel
    if seat.id not in panel_state.aside(room):
        raise NoSideRoom
    return room, seat


async def _step_in(live: Live, room: LiveRoom, seat_id: str, op: str, act: Callable[[Any], Awaitable[object]]) -> Ack:
    """Cut apart, then commit and retry: from this very line on not one packet of theirs reaches anybody else."""
    key = f"{seat_id}:{op}"
    room.panel.stepping[key] = (seat_id, live.clock())
    cut_apart(live, room)

    async def commit() -> None:
        async with live.db.begin() as tx:
            await tx.operation(op, seat_id)
            await act(tx)

    async def settled() -> None:
        await settle(live, room, key)

    return await restricting.committed_after(live, room, "side", commit, settled)


async def _come_back(live: Live, room: LiveRoom, seat_id: str, op: str, act: Callable[[Any], Awaitable[object]]) -> Ack:
    """Committed, then given back."""
    async with live.db.begin() as tx:
        await tx.operation(op, seat_id)
        await act(tx)
    await settle(live, room)
    return OK


def cut_apart(live: Live, room: LiveRoom) -> None:
    """Media, recorder and ears follow who is aside now, in this very turn of the event loop."""
    showing.apply(live, room)
    live.recorder.set_aside(room.consult.id, panel_state.aside(room))
    listening.shut(room)


async def settle(live: Live, room: LiveRoom, key: str | None = None) -> None:
    """The rows say who is aside from here on: read them, then let grants, recorder and ears follow."""
    async with room.lock:
        await live.refresh(room)
        if key is not None:
            room.panel.stepping.pop(key, None)
        live.sync(room)
        await live.people_changed(room)
        listening.judge(live, room)
        live.sync(room)
