"""A spoken "I agree", marked in the recording: begun and ended by the one who asks, seen by everybody.

It supplements the signature and replaces nothing: no gate reads a mark. What was not recorded is not marked.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import authorise
from clinic.people import CLINICIANS
from clinic.roles import Action
from consent.errors import SeatCannotSign, SpokenBusy, SpokenNotAsked, SpokenNotRecorded
from recording.records import Gap, Recording, RecordingState, SpokenMark
from signaling import views
from signaling.live import Live
from signaling.messages import ConsentSpoken
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom, SpokenAsk

OK: Ack = {"ok": True}
LONGEST = timedelta(seconds=120)


async def act(live: Live, line: Line, message: ConsentSpoken) -> Ack:
    """Raises NotJoined, NotPermitted, SeatCannotSign, SpokenBusy, SpokenNotAsked, SpokenNotRecorded."""
    room = await live.open(line.caller.consult_id)
    asker = room.require_joined(line).id
    async with live.db.read() as tx:
        await authorise(tx, room.actor(asker), Action.WITNESS_CONSENT, await tx.consults.get(room.consult.id))
    async with room.lock:
        if message.phase == "begin":
            _begin(live, room, asker, message.seat)
        else:
            ask = _asked(live, room, asker, message.seat)
            room.asking = None
            try:
                if message.phase == "end":
                    await _mark(live, room, ask, message.op)
            finally:
                live.tell_recording(room)
    return OK


def _begin(live: Live, room: LiveRoom, asker: str, seat_id: str) -> None:
    seat = room.seats.get(seat_id)
    if seat is None or seat.role in CLINICIANS:
        raise SeatCannotSign()
    recording = _running(room, seat_id)
    if room.asking is not None and live.clock() - room.asking.began_at <= LONGEST:
        raise SpokenBusy()
    room.asking = SpokenAsk(seat_id, asker, recording.id, live.clock())
    live.tell_recording(room)


def _running(room: LiveRoom, seat_id: str) -> Recording:
    """The recording that is writing this person now. Raises SpokenNotRecorded."""
    recording = room.recording
    if recording is None or recording.state is not RecordingState.ACTIVE:
        raise SpokenNotRecorded()
    if not views.seat_view(room, seat_id).recorded:
        raise SpokenNotRecorded()
    return recording


def _asked(live: Live, room: LiveRoom, asker: str, seat_id: str) -> SpokenAsk:
    ask = room.asking
    if ask is None or ask.seat_id != seat_id or ask.asked_by != asker:
        raise SpokenNotAsked()
    if live.clock() - ask.began_at > LONGEST:
        room.asking = None
        live.tell_recording(room)
        raise SpokenNotAsked()
    return ask


async def _mark(live: Live, room: LiveRoom, ask: SpokenAsk, op: str) -> None:
    """The mark and its event in one transaction; nothing when a hole lies in between."""
    if _running(room, ask.seat_id).id != ask.recording_id:
        raise SpokenNotRecorded()
    async with live.db.begin() as tx:
        await tx.operation(op, ask.asked_by)
        for gap in await tx.gaps.find(recording_id=ask.recording_id):
            if gap.seat_id in (None, ask.seat_id) and _overlaps(gap, ask.began_at, tx.now):
                raise SpokenNotRecorded()
        await _write(tx, room, ask)
    room.spoken.add((ask.recording_id, ask.seat_id))


def _overlaps(gap: Gap, began: datetime, ended: datetime) -> bool:
    return gap.started_at < ended and (gap.ended_at is None or gap.ended_at > began)


async def _write(tx: Any, room: LiveRoom, ask: SpokenAsk) -> None:
    mark = SpokenMark(
        id=uuid4().hex,
        institution_id=room.consult.institution_id,
        consult_id=room.consult.id,
        recording_id=ask.recording_id,
        seat_id=ask.seat_id,
        asked_by=ask.asked_by,
        began_at=ask.began_at,
        ended_at=tx.now,
    )
    await tx.spoken_marks.add(mark)
    public = {
        "mark": mark.id,
        "recording": mark.recording_id,
        "began": mark.began_at.isoformat(),
        "ended": mark.ended_at.isoformat(),
    }
    await tx.append(
        AuditEvent(
            EventCode.CONSENT_SPOKEN, mark.institution_id, ask.asked_by, mark.consult_id, ask.seat_id, public=public
        )
    )
