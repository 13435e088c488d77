"""What only the live room knows and the gates ask for, and asking the gates again while people wait.

The doctor's other rooms (CN-04) and a guardian's camera (HZ-04) are facts no row holds. A verdict that turns while a
patient waits is put on record, then told: to the waiting in plain words by code, to the doctor with the same codes.
"""

from collections.abc import Iterator

from audit.errors import MissingRow
from clinic.admission import Admission, Present
from clinic.consult import ConsultStatus, Seat, SeatState
from clinic.people import CLINICIANS, Role
from clinic.rejudging import record_change, rejudge
from rtc.negotiation import Source
from signaling.live import Live
from signaling.room import LiveRoom


def elsewhere(live: Live, room: LiveRoom, staff_id: str | None) -> Iterator[tuple[LiveRoom, str]]:
    """Seats in which this member of staff holds media in another consult."""
    if staff_id is None:
        return
    for other in list(live.rooms.values()):
        if other is room or other.ended:
            continue
        for seat_id in sorted(other.in_call):
            seat = other.seats.get(seat_id)
            if seat is not None and seat.person_id == staff_id and seat.role in CLINICIANS:
                yield other, seat_id


def guardian_on_camera(room: LiveRoom) -> bool:
    """A guardian is in the call with an open camera."""
    for seat_id in room.in_call:
        seat, person = room.seats.get(seat_id), room.person(seat_id)
        seen = Source.CAMERA in person.publishing and Source.CAMERA not in person.muted
        if seen and seat is not None and seat.role is Role.GUARDIAN:
            return True
    return False


def at_door(live: Live, room: LiveRoom, seat: Seat) -> Present:
    """For somebody who comes to the door: a doctor's own other rooms count, nobody else's."""
    busy = seat.role in CLINICIANS and any(elsewhere(live, room, seat.person_id))
    return Present(doctor_elsewhere=busy, guardian_on_camera=guardian_on_camera(room), entering=seat.role)


def at_reception(live: Live, room: LiveRoom, seat_id: str) -> Present:
    """For somebody who is let in. The consent gate was passed before (`admittance.pass_gates`)."""
    seat = room.seats.get(seat_id)
    consented = True if seat is not None and seat.role is Role.PATIENT else None
    busy = any(elsewhere(live, room, room.consult.doctor_id))
    return Present(consented=consented, doctor_elsewhere=busy, guardian_on_camera=guardian_on_camera(room))


async def recheck(live: Live, institution_id: str | None = None) -> int:
    """Ask the gates again for every consult somebody waits in; how many verdicts turned.

    Called when an institution, an account, a roster, a patient or an overlay changed, and by time.
    """
    turned = 0
    if institution_id is None:
        live.houses.clear()
    else:
        live.houses.pop(institution_id, None)
    for room in list(live.rooms.values()):
        if institution_id is None or room.consult.institution_id == institution_id:
            turned += await recheck_room(live, room)
    return turned


async def recheck_room(live: Live, room: LiveRoom) -> bool:
    """One consult; True when its verdict turned. A running one is asked only what must stay true (`Stage.RUNNING`)."""
    running = room.consult.status is ConsultStatus.IN_PROGRESS
    if room.ended or not (running or room.waiting):
        return False
    try:
        verdict = await _judged_now(live, room)
    except MissingRow:
        return False
    if verdict is None or verdict.codes == room.refused:
        return False
    async with live.db.begin() as tx:
        await record_change(tx, room.consult, verdict, room.waiting)
    room.refused = verdict.codes
    _tell(room)
    return True


async def _judged_now(live: Live, room: LiveRoom) -> Admission | None:
    async with live.db.read() as tx:
        consult = await tx.consults.get(room.consult.id)
        if not consult.media_open:
            return None
        return await rejudge(tx, consult, Present(guardian_on_camera=guardian_on_camera(room)))


def _tell(room: LiveRoom) -> None:
    """Those who wait, and the clinicians inside."""
    for seat_id, seat in room.seats.items():
        waits = seat.state is SeatState.WAITING
        if waits or (seat.role in CLINICIANS and seat_id in room.listening):
            _whisper(room, seat_id)


def tell_refused(room: LiveRoom, seat_id: str) -> None:
    """Once more after a reconnection: direct news is not replayed."""
    seat = room.seats[seat_id]
    if room.refused and (seat.state is SeatState.WAITING or seat.role in CLINICIANS):
        _whisper(room, seat_id)


def _whisper(room: LiveRoom, seat_id: str) -> None:
    room.whisper(seat_id, "admission", allowed=not room.refused, reasons=list(room.refused))
