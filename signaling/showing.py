"""Who may send what and who is shown what, as grants of the media room: the one place where they are made.

While an exam view is on, the patient's pictures (and those of every device in the room, which may stand at the bedside)
go to the clinicians and the guardian only: not to family, interpreters, observers, nor to any wall display.
"""

from clinic.consult import Seat
from clinic.people import GUESTS, Role
from consent import interludes
from rtc.negotiation import Kind, Source
from rtc.participant import Grants
from signaling import views
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
    """The pictures this participant (a seat or a device) is not shown now."""
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
