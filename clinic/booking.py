"""A consult is booked, gets its evidence and its guests, or is cancelled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, evidence_files, line, places
from clinic.access import authorise
from clinic.actor import Actor
from clinic.admission import Admission, Stage, judge, people_facts
from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultKind, ConsultStatus, FollowUpEvidence, Seat, SeatState
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels import hours, settling
from clinic.people import GUESTS, Patient, Role, Staff
from clinic.roles import Action, Place, require
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

MOST_GUESTS = 6
CANCEL_CODES = ("patient_asked", "doctor_unavailable", "institution_closed", "booked_by_mistake", "other")


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """Proof of an earlier physical visit; `visited_on` is an ISO date."""

    department: str
    visited_on: str
    visited_institution: str
    diagnosis: str
    reference: str


@dataclass(frozen=True, slots=True)
class NewConsult:
    kind: ConsultKind
    department: str
    doctor_id: str
    patient_id: str
    reason: str
    fee_cents: int
    starts_at: datetime
    ends_at: datetime
    evidence: tuple[NewEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class NewGuest:
    role: Role  # family, interpreter or guardian
    display_name: str
    relation: str  # to the patient


@dataclass(frozen=True, slots=True)
class Booked:
    consult: Consult
    doctor_seat: Seat
    patient_seat: Seat
    admission: Admission


async def book(
    tx: ClinicTransaction, new: NewConsult, actor: Actor, rules: RuleSet | None = None, *, held: bool = False
) -> Booked:
    """A consult with the doctor's and the patient's seats, judged now (`Stage.BOOKING`) and again at the door.

    `held`: the caller holds the doctor's hours already. Raises DoctorBusy, DoctorInPanel, AdmissionRefused,
    InvalidInput, NotPermitted, MissingRow.
    """
    doctor, patient = await tx.staff.get(new.doctor_id), await tx.patients.get(new.patient_id)
    home = doctor.institution_id
    if actor.institution_id != home or patient.institution_id != home:
        raise MissingRow("staff" if actor.institution_id != home else "patients")
    require(actor, Action.BOOK, Place(home, owners=frozenset({patient.id})))
    rules = rules or rules_for(await tx.institutions.get(home), tx.now)
    leading = rules.kinds[new.kind].leading
    if leading not in doctor.roles:
        raise InvalidInput("doctor_id", "does not lead this kind of consult")
    consult = _consult(new, home, actor.id, tx.now, rules)
    verdict = judge(await people_facts(tx, consult, rules), rules, tx.now, Stage.BOOKING)
    if not verdict.allowed:
        raise AdmissionRefused(verdict.codes)
    if not held:
        await hours.book(tx, consult, rules)
    doctor_seat = _seat(consult, leading, doctor, actor.id, tx.now)
    patient_seat = _seat(consult, Role.PATIENT, patient, actor.id, tx.now)
    await tx.consults.add(consult)
    await tx.seats.add(doctor_seat)
    await tx.seats.add(patient_seat)
    public = {
        "kind": consult.kind.value,
        "rules": verdict.rules_version,
        "seats": [doctor_seat.id, patient_seat.id],
    }
    await tx.append(AuditEvent(EventCode.CONSULT_BOOKED, home, actor.id, consult.id, consult.id, public=public))
    for evidence in new.evidence:
        await _keep_evidence(tx, consult, evidence, actor)
    return Booked(consult, doctor_seat, patient_seat, verdict)


def _consult(new: NewConsult, institution_id: str, by: str, now: datetime, rules: RuleSet) -> Consult:
    if new.starts_at.tzinfo is None or new.ends_at.tzinfo is None:
        raise InvalidInput("starts_at", "without a time zone")
    if not timedelta(0) < new.ends_at - new.starts_at <= rules.hours("HZ-01", "longest_hours"):
        raise InvalidInput("ends_at", "not after the start, or too far from it")
    if new.ends_at <= now:
        raise InvalidInput("ends_at", "in the past")
    if new.fee_cents < 0:
        raise InvalidInput("fee_cents", "negative")
    return Consult(
        id=uuid4().hex,
        institution_id=institution_id,
        kind=new.kind,
        department=checks.text("department", new.department, 64),
        doctor_id=new.doctor_id,
        patient_id=new.patient_id,
        reason=checks.text("reason", new.reason, 500),
        fee_cents=new.fee_cents,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        status=ConsultStatus.SCHEDULED,
        created_at=now,
        created_by=by,
    )


def _seat(consult: Consult, role: Role, person: Staff | Patient, by: str, now: datetime) -> Seat:
    return Seat(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        role=role,
        display_name=person.name,
        home_institution_id=person.institution_id,
        person_id=person.id,
        state=SeatState.EXPECTED,
        created_at=now,
        created_by=by,
    )


async def add_evidence(
    tx: ClinicTransaction, consult_id: str, new: NewEvidence, actor: Actor, file_ids: tuple[str, ...] = ()
) -> FollowUpEvidence:
    """Proof of the earlier visit (CN-07), until the call begins; `file_ids`: the uploaded papers it was read from.

    Raises InvalidInput, NotPermitted, IllegalMove, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, actor, Action.ADD_EVIDENCE, consult)
    if consult.status not in (ConsultStatus.SCHEDULED, ConsultStatus.WAITING):
        raise IllegalMove("evidence belongs before the call")
    evidence = await _keep_evidence(tx, consult, new, actor)
    await evidence_files.link(tx, evidence, file_ids, actor)
    return evidence


async def _keep_evidence(tx: ClinicTransaction, consult: Consult, new: NewEvidence, actor: Actor) -> FollowUpEvidence:
    institution = await tx.institutions.get(consult.institution_id)
    visited = checks.iso_date("visited_on", new.visited_on)
    if visited > local_date(tx.now, institution.time_zone):
        raise InvalidInput("visited_on", "in the future")
    evidence = FollowUpEvidence(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        department=checks.text("department", new.department, 64),
        visited_on=visited.isoformat(),
        visited_institution=checks.text("visited_institution", new.visited_institution),
        diagnosis=checks.text("diagnosis", new.diagnosis),
        reference=checks.text("reference", new.reference, 64),
        added_by=actor.seat_id or actor.id,
        added_at=tx.now,
    )
    await tx.follow_up_evidence.add(evidence)
    await tx.append(
        AuditEvent(EventCode.EVIDENCE_ADDED, consult.institution_id, actor.seat_id or actor.id, consult.id, evidence.id)
    )
    return evidence


async def add_guest(tx: ClinicTransaction, consult_id: str, new: NewGuest, actor: Actor) -> Seat:
    """A seat for family, an interpreter or a guardian; they sign for themselves. Raises InvalidInput, NotPermitted."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, actor, Action.INVITE_GUEST, consult)
    if not consult.media_open:
        raise IllegalMove("the room is closed")
    if new.role not in GUESTS:
        raise InvalidInput("role", "not a guest's")
    if new.role is Role.OBSERVER:
        await authorise(tx, actor, Action.INVITE_OBSERVER, consult)
    seats = await tx.seats.find(consult_id=consult_id)
    if sum(seat.role in GUESTS and seat.state is not SeatState.REMOVED for seat in seats) >= MOST_GUESTS:
        raise InvalidInput("role", "too many guests")
    seat = Seat(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        role=new.role,
        display_name=checks.text("display_name", new.display_name, 40),
        home_institution_id=consult.institution_id,
        person_id=None,
        state=SeatState.EXPECTED,
        created_at=tx.now,
        created_by=actor.seat_id or actor.id,
        relation=checks.text("relation", new.relation, 40),
    )
    await tx.seats.add(seat)
    await tx.append(
        AuditEvent(
            EventCode.SEAT_ADDED,
            consult.institution_id,
            actor.seat_id or actor.id,
            consult.id,
            seat.id,
            public={"role": seat.role.value},
        )
    )
    return seat


async def cancel(tx: ClinicTransaction, consult_id: str, actor: Actor, outcome_code: str) -> Consult:
    """Before the call only. Raises IllegalMove, InvalidInput, NotPermitted."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, actor, Action.BOOK, consult)
    checks.one_of("outcome_code", outcome_code, CANCEL_CODES)
    changed = consult.move(ConsultStatus.CANCELLED, tx.now, outcome_code)
    await tx.consults.save(changed)
    for seat in await tx.seats.find(consult_id=consult_id, person_id=consult.patient_id):
        await line.give_up(tx, seat)
    await tx.append(moved(consult, changed, actor))
    await places.release(tx, consult_id, actor)
    if consult.kind in PANELS:
        await settling.end_with_consult(tx, changed, actor)
    return changed


def moved(before: Consult, after: Consult, actor: Actor) -> AuditEvent:
    """The event of a consult's move."""
    return AuditEvent(
        EventCode.CONSULT_MOVED,
        after.institution_id,
        actor.seat_id or actor.id,
        after.id,
        after.id,
        public={"from": before.status.value, "to": after.status.value, "code": after.outcome_code or ""},
    )
