"""The handler table: event -> (message model, action of the role table, use case). Nothing else decides."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from audit.errors import DuplicateOperation
from clinic.errors import NotPermitted
from clinic.people import Role
from clinic.present import NewPerson
from clinic.roles import Action, permits
from consent.records import Purpose
from signaling import (
    aside,
    closing,
    consenting,
    declaring,
    imagetable,
    joining,
    presiding,
    privacy,
    spoken,
    talking,
    waiting,
)
from signaling import messages as m
from signaling import panel_messages as pm
from signaling.errors import INTERNAL, NotJoined, ack_of, is_coded
from signaling.live import Live, log
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

M = TypeVar("M", bound=m.Message)


@dataclass(frozen=True, slots=True)
class Handler:
    """One row: no event without an action of the role table."""

    model: type[m.Message]
    action: Action
    run: Callable[[Live, Line, Any], Awaitable[Ack]]


def _handler(model: type[M], action: Action, run: Callable[[Live, Line, M], Awaitable[Ack]]) -> Handler:
    return Handler(model, action, run)


async def _room(live: Live, line: Line) -> LiveRoom:
    """For acts on the whole consult: the caller must have joined it."""
    room = await live.open(line.caller.consult_id)
    room.require_joined(line)
    return room


async def _end(live: Live, line: Line, message: m.End) -> Ack:
    room = await _room(live, line)
    return await closing.end(live, room.consult.id, room.actor(line.caller.seat_id), message.op)


async def _terminate(live: Live, line: Line, message: m.Terminate) -> Ack:
    room = await _room(live, line)
    by = room.actor(line.caller.seat_id)
    return await closing.terminate(
        live, room.consult.id, by, reason_code=message.reason_code, advice=message.advice, op=message.op
    )


async def _withdraw(live: Live, line: Line, message: m.ConsentWithdraw) -> Ack:
    room = await _room(live, line)
    purposes = tuple(Purpose(name) for name in dict.fromkeys(message.purposes))
    seat_id = line.caller.seat_id
    return await consenting.withdraw(
        live, seat_id, purposes, reason=message.reason, op=message.op, by=room.actor(seat_id)
    )


async def _declare(live: Live, line: Line, message: m.PersonDeclare) -> Ack:
    person = NewPerson(message.display_name, message.kind, message.on_camera)
    return await declaring.declare(live, line, person, message.agrees, message.op)


HANDLERS: dict[str, Handler] = {
    "join": _handler(m.Join, Action.JOIN_MEDIA, joining.join),
    "leave": _handler(m.Leave, Action.LEAVE, lambda live, line, msg: joining.leave(live, line, msg.op)),
    "admit": _handler(m.Admit, Action.ADMIT, lambda live, line, msg: joining.admit(live, line, msg.seat, msg.op)),
    "remove": _handler(
        m.Remove, Action.REMOVE, lambda live, line, msg: joining.remove(live, line, msg.seat, msg.reason, msg.op)
    ),
    "end": _handler(m.End, Action.END, _end),
    "terminate": _handler(m.Terminate, Action.TERMINATE, _terminate),
    "media.offer": _handler(m.MediaOffer, Action.JOIN_MEDIA, talking.offer),
    "media.view": _handler(m.MediaView, Action.JOIN_MEDIA, talking.view),
    "media.mute": _handler(m.MediaMute, Action.JOIN_MEDIA, talking.mute),
    "hand": _handler(m.Hand, Action.JOIN_MEDIA, talking.hand),
    "ready": _handler(m.Ready, Action.JOIN_MEDIA, waiting.ready),
    "chat": _handler(m.Chat, Action.CHAT, talking.chat),
    "recording.start": _handler(
        m.RecordingStart, Action.START_RECORDING, lambda live, line, msg: consenting.start_recording(live, line, msg.op)
    ),
    "recording.stop": _handler(
        m.RecordingStop,
        Action.STOP_RECORDING,
        lambda live, line, msg: consenting.stop_recording(live, line, msg.reason, msg.op),
    ),
    "consent.withdraw": _handler(m.ConsentWithdraw, Action.WITHDRAW_CONSENT, _withdraw),
    "consent.spoken": _handler(m.ConsentSpoken, Action.WITNESS_CONSENT, spoken.act),
    "guest.invite": _handler(m.GuestInvite, Action.INVITE_GUEST, talking.invite),
    "privacy.pause": _handler(
        m.PrivacyPause, Action.PRIVACY_PAUSE, lambda live, line, msg: privacy.pause(live, line, msg.op)
    ),
    "privacy.resume": _handler(
        m.PrivacyResume, Action.PRIVACY_RESUME, lambda live, line, msg: privacy.resume(live, line, msg.op)
    ),
    "exam.request": _handler(
        m.ExamRequest, Action.REQUEST_EXAM, lambda live, line, msg: privacy.request_exam(live, line, msg.op)
    ),
    "exam.answer": _handler(
        m.ExamAnswer, Action.ANSWER_EXAM, lambda live, line, msg: privacy.answer_exam(live, line, msg.agrees, msg.op)
    ),
    "exam.end": _handler(m.ExamEnd, Action.END_EXAM, lambda live, line, msg: privacy.end_exam(live, line, msg.op)),
    "person.declare": _handler(m.PersonDeclare, Action.DECLARE_PERSON, _declare),
    "person.answer": _handler(
        m.PersonAnswer,
        Action.DECLARE_PERSON,
        lambda live, line, msg: declaring.answer(live, line, msg.seat, msg.agrees, msg.op),
    ),
    "person.gone": _handler(
        m.PersonGone, Action.DECLARE_PERSON, lambda live, line, msg: declaring.gone(live, line, msg.seat, msg.op)
    ),
    "room.attest": _handler(
        m.RoomAttest, Action.ATTEST_ROOM, lambda live, line, msg: declaring.attest(live, line, msg.seats, msg.op)
    ),
    "table.act": _handler(m.TableAct, Action.SEE_IMAGES, imagetable.act),
    "table.since": _handler(m.TableSince, Action.SEE_IMAGES, imagetable.since),
    "table.point": _handler(m.TablePoint, Action.SEE_IMAGES, imagetable.point),
    "panel.open": _handler(pm.PanelOpen, Action.PRESIDE, presiding.open_panel),
    "panel.order": _handler(pm.PanelOrder, Action.PRESIDE, presiding.order),
    "panel.word": _handler(pm.PanelWord, Action.PRESIDE, presiding.word),
    "panel.next": _handler(pm.PanelNext, Action.PRESIDE, presiding.following),
    "panel.spotlight": _handler(pm.PanelSpotlight, Action.PRESIDE, presiding.spotlight),
    "panel.chair": _handler(pm.PanelChair, Action.PRESIDE, presiding.hand_over),
    "panel.take": _handler(pm.PanelTake, Action.TAKE_CHAIR, presiding.take),
    "panel.ask": _handler(pm.PanelAsk, Action.PRESIDE, presiding.ask_to_mute),
    "side.start": _handler(pm.SideStart, Action.SIDE_ROOM, aside.start),
    "side.enter": _handler(pm.SideEnter, Action.SIDE_ROOM, aside.enter),
    "side.leave": _handler(pm.SideLeave, Action.SIDE_ROOM, aside.leave),
    "side.listen": _handler(pm.SideListen, Action.SIDE_ROOM, aside.listen),
    "side.end": _handler(pm.SideEnd, Action.SIDE_ROOM, aside.end),
    "stats": _handler(m.Stats, Action.JOIN_MEDIA, talking.stats),
}


if set(HANDLERS) != set(m.EVENTS):  # neither a message nobody answers nor an answer to no message
    raise RuntimeError(f"messages and handlers differ: {sorted(set(HANDLERS) ^ set(m.EVENTS))}")


def _role(live: Live, line: Line) -> Role:
    """The seat's role now: the chair's goes over with the chair, whatever the ticket said."""
    room = live.rooms.get(line.caller.consult_id)
    seat = room.seats.get(line.caller.seat_id) if room is not None else None
    return seat.role if seat is not None else line.caller.role


async def handle(live: Live, line: Line, event: object, body: object) -> Ack:
    """One message to its ack. Never raises: a refusal is coded, a defect is logged and says nothing."""
    try:
        name, message = m.parse(event, body)
        live.counters.count("signaling_events", name)
        handler = HANDLERS[name]
        if not permits(_role(live, line), handler.action):
            live.chores.add("denied", lambda: joining.note_denied(live, line, str(handler.action)))
            return _refusal(live, NotPermitted(handler.action.value))
        if isinstance(message, m.Mutation) and not isinstance(message, m.Join):  # a join is told what holds now
            return await live.outcomes.once(line.caller.seat_id, message.op, lambda: _run(live, line, handler, message))
        return await _run(live, line, handler, message)
    except Exception as error:
        return _refusal(live, error)


async def _run(live: Live, line: Line, handler: Handler, message: m.Message) -> Ack:
    """A coded refusal is an outcome (a resend gets the same); a repeated operation was done before: success."""
    try:
        return await handler.run(live, line, message)
    except DuplicateOperation:
        return {"ok": True, "repeated": True}
    except NotJoined:
        raise  # another connection may be the joined one by the time of the resend
    except Exception as error:
        if not is_coded(error):
            raise
        return _refusal(live, error)


def _refusal(live: Live, error: BaseException) -> Ack:
    ack = ack_of(error)
    if ack["code"] == INTERNAL:
        log.error("a handler failed", exc_info=error)
    live.counters.count("signaling_refused", ack["code"])
    return ack
