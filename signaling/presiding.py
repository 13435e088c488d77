"""Presiding over a panel, live: opened, ordered, the word, the spotlight, the chair itself. Committed, then told."""

from collections.abc import Awaitable, Callable
from typing import Any

from clinic.access import record_refusal
from clinic.consult import Seat
from clinic.panels import presiding as chairs
from clinic.panels.errors import NoQuorum, NotAPanel, NotForThem, NotPresiding
from signaling import panel_messages, panel_state, views
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

OK: Ack = {"ok": True}


async def open_panel(live: Live, line: Line, message: panel_messages.PanelOpen) -> Ack:
    """Raises NoQuorum (on record), NotAPanel, NotPermitted."""
    room, seat = await _inside(live, line)
    by, here = room.actor(seat.id), {each.id for each in panel_state.connected(room)}
    try:
        return await _commit(live, room, line, message.op, lambda tx: chairs.open_panel(tx, room.consult.id, by, here))
    except NoQuorum as refusal:
        async with live.db.begin() as tx:
            await record_refusal(tx, by, room.consult.id, seat.id, refusal.reasons)
        raise


async def order(live: Live, line: Line, message: panel_messages.PanelOrder) -> Ack:
    """Raises InvalidInput, NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    by = room.actor(seat.id)
    return await _commit(
        live, room, line, message.op, lambda tx: chairs.set_order(tx, room.consult.id, by, message.seats)
    )


async def word(live: Live, line: Line, message: panel_messages.PanelWord) -> Ack:
    """Whoever is given the word has their hand lowered. Raises NotForThem, NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    by, to = room.actor(seat.id), message.seat
    return await _commit(
        live, room, line, message.op, lambda tx: chairs.give_word(tx, room.consult.id, by, to, room.in_call)
    )


async def following(live: Live, line: Line, message: panel_messages.PanelNext) -> Ack:
    """The word goes to the next in the order, else to the first raised hand. Raises NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    by, hands = room.actor(seat.id), panel_state.hands(room)
    here = {each.id for each in panel_state.connected(room)}
    return await _commit(
        live, room, line, message.op, lambda tx: chairs.next_word(tx, room.consult.id, by, here, hands)
    )


async def spotlight(live: Live, line: Line, message: panel_messages.PanelSpotlight) -> Ack:
    """Raises NotForThem, NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    by, to = room.actor(seat.id), message.seat
    return await _commit(
        live, room, line, message.op, lambda tx: chairs.set_spotlight(tx, room.consult.id, by, to, room.in_call)
    )


async def hand_over(live: Live, line: Line, message: panel_messages.PanelChair) -> Ack:
    """Raises NotForThem, NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    by, here = room.actor(seat.id), {each.id for each in panel_state.connected(room)}
    ack = await _commit(
        live, room, line, message.op, lambda tx: chairs.hand_over(tx, room.consult.id, by, message.seat, here)
    )
    _tell_rights(room)
    return ack


async def take(live: Live, line: Line, message: panel_messages.PanelTake) -> Ack:
    """Raises ChairHeld, NotAPanel."""
    room, seat = await _inside(live, line)
    by, allowed = room.actor(seat.id), panel_state.heirs(room, live.clock())
    ack = await _commit(live, room, line, message.op, lambda tx: chairs.take_chair(tx, room.consult.id, by, allowed))
    _tell_rights(room)
    return ack


async def ask_to_mute(live: Live, line: Line, message: panel_messages.PanelAsk) -> Ack:
    """They are asked; their microphone is their own. Raises NotForThem, NotPresiding, NotAPanel."""
    room, seat = await _inside(live, line)
    if room.panel.terms is None:
        raise NotAPanel
    if panel_state.chair(room) != seat.id:
        raise NotPresiding
    if message.seat not in room.in_call or message.seat not in room.seats:
        raise NotForThem
    room.whisper(message.seat, "asked", what="mute", by=seat.id)
    return OK


async def _inside(live: Live, line: Line) -> tuple[LiveRoom, Seat]:
    """Raises NotJoined, NotAdmitted, RoomOver."""
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    return room, seat


async def _commit(live: Live, room: LiveRoom, line: Line, op: str, act: Callable[[Any], Awaitable[object]]) -> Ack:
    async with room.lock:
        async with live.db.begin() as tx:
            await tx.operation(op, line.caller.seat_id)
            await act(tx)
        await live.refresh(room)
        _lower_hand(room)
        live.sync(room)
    return OK


def _lower_hand(room: LiveRoom) -> None:
    """Who has the word need not ask for it."""
    floor = room.panel.floor
    if floor is not None and floor.word is not None and floor.word in room.people:
        person = room.people[floor.word]
        person.hand, person.hand_at = False, None


def _tell_rights(room: LiveRoom) -> None:
    """The role followed the chair: those concerned learn what they may do now."""
    for seat_id in sorted(room.listening):
        room.whisper(seat_id, "me", me=views.plain(views.me_view(room, seat_id)))
