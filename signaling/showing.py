"""Who may send what and who is shown what, as grants of the media room: the one place where they are made.

While an exam view is on, the patient's pictures (and those of every device in the room, which may stand at the bedside)
go to the clinicians and the guardian only: not to family, interpreters, observers, nor to any wall display.
"""

from clinic.consult import Seat
from clinic.people import GUESTS, Role
from consent import interludes
from rtc.negotiation import Kind, Source
from rtc.participant import Grants
from signaling import panel_state, views
from signaling.live import Live
from signaling.room import LiveRoom, owner_of

_PICTURES = tuple(source for source in Source if source.kind is Kind.VIDEO)


def veiled(room: LiveRoom) -> bool:
    """An exam view is on, or about to be."""
    return bool(room.veils) or interludes.exam(room.records) is not None


def of_seat(room: LiveRoom, seat_id: str) -> Grants:
    """What a seat in the call may do now."""
    return Grants(views.publishable(room, seat_id), subscribe=True, hidden=hidden_from(room, seat_id))


def hidden_from(room: LiveRoom, participant_id: str) -> frozenset[tuple[str, Source]]:
    """What this participant (a seat or a device) is not sent now: an exam's pictures, and the side-room."""
    return _bare(room, participant_id) | kept_apart(room, participant_id)


def kept_apart(room: LiveRoom, participant_id: str) -> frozenset[tuple[str, Source]]:
    """HZ-34: nothing of who is aside reaches anybody else, nor any wall display; who is aside does not hear the others
    unless they wish to."""
    inside = panel_state.aside(room)
    if not inside:
        return frozenset()
    ours = {*inside, *(each for each, device in room.devices.items() if device.seat_id in inside)}
    if participant_id not in inside:
        return frozenset((each, source) for each in ours for source in Source)
    if participant_id in room.panel.hears:
        return frozenset()
    return frozenset((each, Source.MICROPHONE) for each in {*room.in_call, *room.devices} - ours)


def _bare(room: LiveRoom, participant_id: str) -> frozenset[tuple[str, Source]]:
    device = participant_id in room.devices or owner_of(participant_id) != participant_id
    if not veiled(room) or not (device or _turned_away(room.seats[participant_id])):
        return frozenset()
    bare = [seat.id for seat in room.seats.values() if seat.role is Role.PATIENT] + list(room.devices)
    return frozenset((each, source) for each in bare for source in _PICTURES)


def apply(live: Live, room: LiveRoom) -> None:
    """Bring every participant's grants in line; with the next packet. Does nothing once the consult is ending."""
    media = live.media_room(room)
    if media is None or room.ended:
        return
    media.spotlight(room.panel.floor.spotlight if room.panel.floor is not None else None)
    for participant_id, participant in list(media.participants.items()):
        if participant_id in room.in_call:
            wanted = of_seat(room, participant_id)
        elif participant_id in room.devices:
            held = participant.grants
            wanted = Grants(held.publish, held.subscribe, hidden_from(room, participant_id))
        else:
            continue
        if wanted != participant.grants:
            participant.set_grants(wanted)


def _turned_away(seat: Seat) -> bool:
    return seat.role in GUESTS and seat.role is not Role.GUARDIAN
