"""Who may do what in which consult, read from the rows; refused tries and chart views go on record."""

from collections.abc import Iterable
from dataclasses import dataclass

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import clients, regulation
from clinic.actor import Actor
from clinic.calendar import age_on, local_date
from clinic.consult import Consult, FollowUpEvidence, Seat, SeatState, VisitNote
from clinic.errors import NotPermitted
from clinic.glass import BrokenGlass, GlassState
from clinic.overlays import rules_for
from clinic.panels.records import Case, DecisionNote, Opinion
from clinic.people import Patient, Role
from clinic.regulation import CaseScope, RegulatorCase
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def authorise(
    tx: ClinicTransaction, actor: Actor, action: Action, consult: Consult, owners: Iterable[str] | None = None
) -> Seat | None:
    """The actor's seat in the consult (None for an office holder without one).

    `owners` are the ids the thing belongs to; by default the patient and the consult's doctor.
    Raises MissingRow for strangers from elsewhere, NotPermitted for people of the house who may not.
    """
    seat = await seat_of(tx, actor, consult)
    if seat is None and actor.institution_id != consult.institution_id:
        raise MissingRow("consults")
    owning = frozenset((consult.patient_id, consult.doctor_id) if owners is None else owners)
    if owners is None and seat is not None and seat.role is Role.GUARDIAN and await is_minor(tx, consult):
        owning |= {seat.id}  # what is the child's, until the 18th birthday (domain-rules section 7)
    place = Place(consult.institution_id, consult.id, owning, seat, open=not consult.over)
    require(actor, action, place)
    return seat


async def is_minor(tx: ClinicTransaction, consult: Consult) -> bool:
    """The patient is not of age today (AC-02), in the institution's time zone."""
    house = await tx.institutions.get(consult.institution_id)
    patient = await tx.patients.get(consult.patient_id)
    return age_on(patient.birth_date, local_date(tx.now, house.time_zone)) < rules_for(house, tx.now).value(
        "AC-02", "adult_years"
    )


async def behind_glass(tx: ClinicTransaction, actor: Actor, consult: Consult) -> BrokenGlass | None:
    """The actor's open emergency access to this consult's chart."""
    found = await tx.broken_glasses.find(consult_id=consult.id, staff_id=actor.id, state=GlassState.OPEN)
    return next((glass for glass in found if glass.expires_at is not None and tx.now < glass.expires_at), None)


async def seat_of(tx: ClinicTransaction, actor: Actor, consult: Consult) -> Seat | None:
    """The seat the actor acts from, or the one their account holds in this consult."""
    if actor.seat_id is not None:
        seat = await tx.seats.get(actor.seat_id)
        return seat if seat.consult_id == consult.id else None
    return held_by(await tx.seats.find(consult_id=consult.id, person_id=actor.id), actor.id)


def held_by(seats: Iterable[Seat], person_id: str) -> Seat | None:
    """A person's seat: the open one, when they were given another after one was closed (handed over and back)."""
    own = [seat for seat in seats if seat.person_id == person_id]
    return next((seat for seat in own if seat.state is not SeatState.REMOVED), own[0] if own else None)


async def consult_of(tx: ClinicTransaction, consult_id: str, seat_id: str) -> tuple[Consult, Seat]:
    """Both rows. Raises MissingRow when the seat belongs to another consult."""
    consults, seats = tx.consults.query(id=consult_id), tx.seats.query(id=seat_id)
    await tx.fetch(consults, seats)
    consult, seat = consults.one(), seats.one()
    if seat.consult_id != consult.id:
        raise MissingRow("seats")
    return consult, seat


async def record_denied(
    tx: ClinicTransaction, actor: Actor, action: str, consult_id: str | None = None, code: str = "access.denied"
) -> None:
    """A refused try, in a transaction of its own (the refused one rolled back)."""
    institution_id = actor.institution_id
    if consult_id is not None:
        institution_id = (await tx.consults.get(consult_id)).institution_id
    await tx.append(
        AuditEvent(
            EventCode.ACCESS_DENIED,
            institution_id,
            actor.seat_id or actor.id,
            consult_id,
            outcome=code,
            public={"action": action},
        )
    )


async def record_refusal(
    tx: ClinicTransaction, actor: Actor, consult_id: str, seat_id: str | None, reasons: tuple[str, ...]
) -> None:
    """A gate's refusal with all its reasons, in a transaction of its own."""
    consult = await tx.consults.get(consult_id)
    await tx.append(
        AuditEvent(
            EventCode.GATE_FAILED,
            consult.institution_id,
            actor.seat_id or actor.id,
            consult_id,
            seat_id,
            outcome=reasons[0] if reasons else "visit.not_admitted",
            public={"reasons": list(reasons)},
        )
    )


@dataclass(frozen=True, slots=True)
class Chart:
    """What a treating person reads about one consult."""

    consult: Consult
    patient: Patient
    evidence: tuple[FollowUpEvidence, ...]
    note: VisitNote | None
    case: Case | None
    opinions: tuple[Opinion, ...]
    decision: DecisionNote | None


async def view_chart(tx: ClinicTransaction, actor: Actor, consult_id: str) -> Chart:
    """The chart, the viewing on record. Drafts are seen by their author only. Raises NotPermitted, MissingRow."""
    consult = await tx.consults.get(consult_id)
    basis = await chart_use(tx, actor, consult)
    notes = await tx.visit_notes.find(consult_id=consult_id)
    cases = await tx.cases.find(consult_id=consult_id)
    decisions = await tx.decision_notes.find(consult_id=consult_id)
    opinions = await tx.opinions.find(consult_id=consult_id)
    chart = Chart(
        consult,
        await tx.patients.get(consult.patient_id),
        tuple(await tx.follow_up_evidence.find(consult_id=consult_id)),
        next((note for note in notes if note.signed_at or note.author_id == actor.id), None),
        cases[-1] if cases else None,  # of the latest request
        tuple(row for row in opinions if row.signed_at or row.expert_id == actor.id),
        next((row for row in decisions if row.signed_at or row.doctor_id == actor.id), None),
    )
    who = actor.seat_id or actor.id
    await tx.append(
        AuditEvent(EventCode.CHART_VIEWED, consult.institution_id, who, consult_id, consult.patient_id, public=basis)
    )
    return chart


async def chart_use(tx: ClinicTransaction, actor: Actor, consult: Consult) -> dict[str, str]:
    """As `chart_access`, a regulator's use on record; what the event of the viewing says of its basis."""
    basis = await chart_access(tx, actor, consult)
    if isinstance(basis, RegulatorCase):
        await regulation.use(tx, CaseScope.CHART, consult, actor)
        return {"case": basis.id}
    return {"glass": basis.id} if basis is not None else {}


async def chart_access(tx: ClinicTransaction, actor: Actor, consult: Consult) -> BrokenGlass | RegulatorCase | None:
    """None: by the role table. Otherwise the emergency access or the regulator's case it needs.

    Raises NotPermitted, MissingRow; for a regulator NoCase, CaseOver.
    """
    if Role.REGULATOR in actor.roles:
        return await regulation.covered(tx, CaseScope.CHART, consult, actor)
    if Role.SYSTEM in actor.roles:
        await clients.covered(tx, consult, actor)
        return None
    try:
        await authorise(tx, actor, Action.SEE_CHART, consult)
    except NotPermitted:
        glass = await behind_glass(tx, actor, consult)
        if glass is None:
            raise
        return glass
    return None
