"""Another doctor of the same department takes over somebody who waits; the place in the line is kept (HZ-12)."""

from dataclasses import dataclass, replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import line
from clinic.access import authorise
from clinic.actor import Actor
from clinic.admission import Stage, facts_of, judge
from clinic.consult import Consult, ConsultStatus, Seat, SeatState
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels import hours
from clinic.people import Role, Staff
from clinic.places import release
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

MOVABLE = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING)


@dataclass(frozen=True, slots=True)
class Reassigned:
    consult: Consult
    former: tuple[Seat, ...]  # the leaving doctor's, closed: cut their media
    doctor_seat: Seat
    former_doctor: str


async def reassign(tx: ClinicTransaction, consult_id: str, doctor_id: str, by: Actor) -> Reassigned:
    """Judged as a booking with the new doctor; the former one's seat closes, the patient's stays as it is.

    Raises AdmissionRefused, DoctorBusy, DoctorInPanel, IllegalMove, InvalidInput, NotPermitted, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REASSIGN, consult)
    doctor, role = await _taking_over(tx, consult, doctor_id)
    changed = replace(consult, doctor_id=doctor.id)
    facts = await facts_of(tx, changed)
    rules = rules_for(facts.institution, tx.now)
    verdict = judge(facts, rules, tx.now, Stage.BOOKING)
    if not verdict.allowed:
        raise AdmissionRefused(verdict.codes)
    await hours.take_over(tx, changed, rules)
    await release(tx, consult_id, by)
    former = await _closed(tx, consult, role)
    fresh = await _seated(tx, changed, doctor, role, by)
    await tx.consults.save(changed)
    for seat in await tx.seats.find(consult_id=consult_id, person_id=consult.patient_id):
        place = await line.of_seat(tx, seat.id)
        if place is not None:
            await tx.waiting_places.save(replace(place, doctor_id=doctor.id))
    public = {"from": consult.doctor_id, "to": doctor.id, "rules": verdict.rules_version, "seats": [fresh.id]}
    await tx.append(
        AuditEvent(
            EventCode.REASSIGNED, consult.institution_id, by.seat_id or by.id, consult_id, consult_id, public=public
        )
    )
    return Reassigned(changed, former, fresh, consult.doctor_id)


async def _taking_over(tx: ClinicTransaction, consult: Consult, doctor_id: str) -> tuple[Staff, Role]:
    """Who takes over, and the role they lead in. Raises IllegalMove, InvalidInput, MissingRow."""
    if consult.status not in MOVABLE:
        raise IllegalMove("the visit has begun")
    doctor = await tx.staff.get(doctor_id)
    if doctor.institution_id != consult.institution_id:
        raise MissingRow("staff")
    role = rules_for(await tx.institutions.get(consult.institution_id), tx.now).kinds[consult.kind].leading
    if doctor.id == consult.doctor_id or role not in doctor.roles:
        raise InvalidInput("doctor_id", "does not lead this kind of consult, or leads it already")
    if doctor.department != consult.department:
        raise InvalidInput("doctor_id", "of another department")
    return doctor, role


async def _closed(tx: ClinicTransaction, consult: Consult, role: Role) -> tuple[Seat, ...]:
    """The leaving doctor's seats, removed just now."""
    former: list[Seat] = []
    for seat in await tx.seats.find(consult_id=consult.id, person_id=consult.doctor_id):
        if seat.role is role and seat.state is not SeatState.REMOVED:
            former.append(seat.move(SeatState.REMOVED, tx.now))
            await tx.seats.save(former[-1])
    return tuple(former)


async def _seated(tx: ClinicTransaction, consult: Consult, doctor: Staff, role: Role, by: Actor) -> Seat:
    fresh = Seat(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        role=role,
        display_name=doctor.name,
        home_institution_id=doctor.institution_id,
        person_id=doctor.id,
        state=SeatState.EXPECTED,
        created_at=tx.now,
        created_by=by.id,
    )
    await tx.seats.add(fresh)
    return fresh
