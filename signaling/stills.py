"""A still out of the call into the case: of which stream it may be, and when of none.

Only what a device or a shared screen shows (an ultrasound, a microscope), never a person's camera. Never while somebody
asked for privacy, during an exam view, or while the experts' side-room is on (HZ-34): what must not be recorded must
not be taken picture by picture.
"""

from dataclasses import dataclass

from consent import interludes
from imaging.errors import ImagingError
from rtc.negotiation import Source
from signaling import panel_state, showing
from signaling.errors import NotJoined, RoomOver
from signaling.live import Live
from signaling.room import LiveRoom


class StillPrivate(ImagingError):
    """Privacy was asked for, an exam view or the side-room is on: no still may be taken now."""

    code = "images.still_private"


class NoStillSource(ImagingError):
    """Stills are taken of a device or a shared screen that is on in this call."""

    code = "images.still_source"


@dataclass(frozen=True, slots=True)
class StillOf:
    """Whose picture it is. `participant`: a seat (its screen) or "<seat>.<8 hex>" (a device)."""

    participant: str
    source: Source


def may_take(live: Live, consult_id: str, seat_id: str | None, participant: str) -> StillOf:
    """Asked before the picture is received and again with its row.

    Raises RoomOver, NotJoined, NoStillSource, StillPrivate.
    """
    room = live.rooms.get(consult_id)
    if room is None or room.ended:
        raise RoomOver
    if seat_id is None or seat_id not in room.in_call:
        raise NotJoined
    source = _source(room, participant)
    if _private(room) or (participant, source) in showing.hidden_from(room, seat_id):
        raise StillPrivate
    return StillOf(participant, source)


def _source(room: LiveRoom, participant: str) -> Source:
    device = room.devices.get(participant)
    source = Source.CAMERA if device is not None else Source.SCREEN
    known = device.kind == "whip" if device is not None else participant in room.in_call
    if not known or source not in room.person(participant).publishing:
        raise NoStillSource
    return source


def _private(room: LiveRoom) -> bool:
    """From the moment it is asked for, whether committed already or not."""
    paused = bool(room.asked_pauses) or bool(interludes.pauses(room.records))
    return paused or showing.veiled(room) or bool(panel_state.aside(room))
