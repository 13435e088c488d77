"""Who is really there: people declared at somebody's side, off camera or on, and the doctor's word on the room list.

An expert who asks a colleague in must say so (domain-rules section 6): a declared person is a seat without a page,
counts as a present human for the recording gate, and goes with the seat that declared them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise, consult_of
from clinic.actor import Actor
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import InvalidInput, NotPermitted, RoomListChanged
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

MOST_DECLARED = 6  # at one seat; a crowd is a mistake
KINDS = ("doctor", "nurse", "student", "technician", "family", "other")


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody at the declaring seat's side."""

    display_name: str
    kind: str  # one of KINDS
    on_camera: bool = False


async def declare(tx: ClinicTransaction, seat_id: str, new: NewPerson, by: Actor) -> Seat:
    """A seat for them, present from now on. Raises NotPermitted, InvalidInput."""
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    await authorise(tx, by, Action.DECLARE_PERSON, consult)
    if by.seat_id != seat.id or seat.state is not SeatState.ADMITTED or not consult.media_open:
        raise NotPermitted("not in the room")
    if len(await declared_at(tx, seat.id, consult.id)) >= MOST_DECLARED:
        raise InvalidInput("display_name", "too many people at one seat")
    person = Seat(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        role=Role.DECLARED,
        display_name=checks.text("display_name", new.display_name, 40),
        home_institution_id=seat.home_institution_id,
        person_id=None,
        state=SeatState.ADMITTED,
        created_at=tx.now,
        created_by=seat.id,
        relation=checks.one_of("kind", new.kind, KINDS),
        admitted_at=tx.now,
    )
    await tx.seats.add(person)
    public = {"role": person.role.value, "kind": new.kind, "on_camera": new.on_camera}
    await tx.append(_event(EventCode.PERSON_DECLARED, consult, by, person.id, public))
    return person


async def gone(tx: ClinicTransaction, declared_id: str, consult_id: str, by: Actor) -> Seat:
    """They left the side of the seat that declared them. Idempotent. Raises NotPermitted, MissingRow."""
    consult, person = await consult_of(tx, consult_id, declared_id)
    await authorise(tx, by, Action.DECLARE_PERSON, consult)
    if person.role is not Role.DECLARED or person.created_by != by.seat_id:
        raise NotPermitted("not declared at this seat")
    return await _leave(tx, consult, person, by) if person.state is SeatState.ADMITTED else person


async def follow(tx: ClinicTransaction, seat_id: str, consult_id: str, by: Actor) -> None:
    """The seat left or was put out: the people at its side went with it."""
    consult = await tx.consults.get(consult_id)
    for person in await declared_at(tx, seat_id, consult_id):
        await _leave(tx, consult, person, by)


async def declared_at(tx: ClinicTransaction, seat_id: str, consult_id: str) -> Sequence[Seat]:
    """Who is at the side of this seat now."""
    seats = await tx.seats.find(consult_id=consult_id, role=Role.DECLARED, state=SeatState.ADMITTED)
    return [seat for seat in seats if seat.created_by == seat_id]


async def attest(
    tx: ClinicTransaction, consult_id: str, seat_ids: Sequence[str], here: frozenset[str], by: Actor
) -> None:
    """The doctor read the room list and says it is complete. `here`: who the server knows to be present.

    Raises RoomListChanged when the list read is not the list that holds, NotPermitted.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.ATTEST_ROOM, consult)
    if frozenset(seat_ids) != here:
        raise RoomListChanged()
    await tx.append(_event(EventCode.ROOM_ATTESTED, consult, by, consult.id, {"seats": sorted(here)}))


async def _leave(tx: ClinicTransaction, consult: Consult, person: Seat, by: Actor) -> Seat:
    left = person.move(SeatState.LEFT, tx.now)
    await tx.seats.save(left)
    await tx.append(_event(EventCode.PERSON_GONE, consult, by, person.id, {"role": person.role.value}))
    return left


def _event(code: EventCode, consult: Consult, by: Actor, subject_id: str, public: Mapping[str, object]) -> AuditEvent:
    return AuditEvent(code, consult.institution_id, by.seat_id or by.id, consult.id, subject_id, public=public)
