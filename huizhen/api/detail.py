"""Consults as rows and as whole pages: read-only assembly, role by role."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from audit.errors import MissingRow
from audit.reader import ReadEvent
from clinic import access, admission
from clinic.actor import Actor
from clinic.consult import PANELS, Consult, ConsultStatus, Seat, SeatState
from clinic.errors import NotPermitted, SharingWithdrawn
from clinic.overlays import rules_for
from clinic.panels import in_writing
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Invitation
from clinic.people import CLINICIANS, Role, Staff
from clinic.roles import Action
from consent import desk
from consent.records import ConsentAction, ConsentRecord
from consent.standing import shared_with
from huizhen import masks
from huizhen.api import asking_views, consent_views, render
from huizhen.api.names import who
from huizhen.api.outcome_views import opinion_view, outcome_view
from huizhen.api.own import still_invited
from huizhen.api.shapes.base import Label
from huizhen.api.shapes.consult import (
    AdmissionView,
    CaseView,
    ConsultDetail,
    ConsultRow,
    DecisionView,
    EvidenceView,
    InvitationRow,
    NoteView,
    PatientDetail,
    ReasonView,
    RecordingBrief,
    TimelineRow,
    WrittenView,
)
from huizhen.api.shapes.gates import AttestationView
from huizhen.store.tables import StoreTransaction
from signaling.live import Live

__all__ = ["Reader", "consult_detail", "consult_row", "invitation_row", "may_open", "needs", "who"]

PAUSES = (ConsentAction.PAUSED, ConsentAction.RESUMED)  # on the timeline, not among the papers
_AFTER = (ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and when."""

    actor: Actor
    staff: Staff
    live: Live
    now: datetime


async def consult_row(tx: StoreTransaction, consult: Consult, reader: Reader) -> ConsultRow:
    """One line of a list. The patient's name is masked in lists."""
    seats = await tx.seats.find(consult_id=consult.id)
    records = await desk.records_of(tx, consult.id)
    house = await tx.institutions.get(consult.institution_id)
    patient = await tx.patients.get(consult.patient_id)
    doctor = await tx.staff.get(consult.doctor_id)
    patient_seat = next((seat for seat in seats if seat.role is Role.PATIENT), None)
    return ConsultRow(
        id=consult.id,
        kind=consult.kind,
        status=consult.status,
        starts_at=consult.starts_at,
        ends_at=consult.ends_at,
        patient=render.patient_row(patient, house, reader.now),
        doctor=render.doctor_row(doctor),
        department=consult.department,
        department_label=render.department(consult.department),
        reason=consult.reason,
        waiting=[render.waiting_row(seat, reader.now) for seat in seats if seat.state is SeatState.WAITING],
        consent=render.standings(consult, patient_seat, records, reader.now) if patient_seat else {},
        consent_last=consent_views.last_of(records, patient_seat),
        evidence_count=len(await tx.follow_up_evidence.find(consult_id=consult.id)),
        recording=await _recording(tx, consult),
        needs=await needs(tx, consult, reader),
    )


async def needs(tx: StoreTransaction, consult: Consult, reader: Reader) -> list[str]:
    """What this person still has to do in this consult, in order."""
    todo: list[str] = []
    rules = rules_for(await tx.institutions.get(consult.institution_id), reader.now)
    kind, staff = rules.kinds[consult.kind], reader.staff
    mine = consult.doctor_id == staff.id
    if mine and consult.media_open and "CN-07" in kind.gates:
        if not await tx.follow_up_evidence.find(consult_id=consult.id):
            todo.append("evidence")
        elif not await tx.attestations.find(consult_id=consult.id):
            todo.append("attestation")
    if mine and "note" in kind.closing and consult.status in _AFTER and not await _signed(tx, consult, "visit_notes"):
        todo.append("note")
    if consult.kind in PANELS:
        if mine and consult.media_open and not await tx.cases.find(consult_id=consult.id):
            todo.append("case")
        todo += await _panel_needs(tx, consult, staff)
    if mine and consult.status is ConsultStatus.CONCLUDING and not todo:
        todo.append("close")
    return todo


async def _panel_needs(tx: StoreTransaction, consult: Consult, staff: Staff) -> list[str]:
    """An expert's own opinion, the chair's report; the doctor's decision, and what it still waits for."""
    if consult.status not in _AFTER:
        return []
    papers, invitations = await papers_of(tx, consult.id), await tx.invitations.find(consult_id=consult.id)
    missing = await missing_of(tx, consult, papers)
    accepted = {row.expert_id for row in invitations if row.state == "accepted"}
    signed, handed = {row.expert_id for row in papers.standing if row.signed_at}, papers.handed_over
    owing = {person for person in papers.owing | accepted if not papers.is_released(person)} - signed - handed
    todo: list[str] = []
    if staff.id in owing:
        todo.append("opinion")
    if "report" in missing and papers.chair in papers.reporters & {staff.id} and not owing:
        todo.append("report")
    if consult.doctor_id == staff.id:
        if owing or papers.to_countersign:
            todo.append("opinions_due")
        elif "report" in missing:
            todo.append("report_due")
        if "decision" in missing:
            todo.append("decision")
    return todo


async def _signed(tx: StoreTransaction, consult: Consult, table: str) -> bool:
    return any(row.signed_at is not None for row in await getattr(tx, table).find(consult_id=consult.id))


async def _recording(tx: StoreTransaction, consult: Consult) -> RecordingBrief | None:
    recordings = await tx.recordings.find(consult_id=consult.id)
    return RecordingBrief(id=recordings[-1].id, state=recordings[-1].state.value) if recordings else None


async def consult_detail(
    tx: StoreTransaction, consult: Consult, reader: Reader, events: Sequence[ReadEvent]
) -> ConsultDetail:
    """The whole page. Who may see the chart gets it, the viewing on record; others get the row and the people."""
    row = await consult_row(tx, consult, reader)
    seats = await tx.seats.find(consult_id=consult.id)
    records = await desk.records_of(tx, consult.id)
    names = await render.institution_names(tx, {consult.institution_id, *(seat.home_institution_id for seat in seats)})
    chart = await _chart(tx, consult, reader, records)
    foreign = chart is None and reader.staff.institution_id != consult.institution_id
    if foreign:
        row, seats = _without_names(row, seats)
    mine = access.held_by(seats, reader.staff.id)
    kind = rules_for(await tx.institutions.get(consult.institution_id), reader.now).kinds[consult.kind]
    detail = ConsultDetail(
        **(row.model_dump() | {"patient": PatientDetail(**row.patient.model_dump())}),
        evidence=[],
        seats=render.seat_views(consult, seats, records, names, reader.live, now=reader.now),
        consents=[consent_views.record_view(record, foreign) for record in records if record.action not in PAUSES],
        companions=consent_views.companion_views(await tx.companions.find(consult_id=consult.id), foreign),
        admission=await _admission(tx, consult, reader.now),
        invitations=[await invitation_row(tx, each) for each in await tx.invitations.find(consult_id=consult.id)],
        opinions=[],
        timeline=await _timeline(tx, events, seats),
        fee_cents=consult.fee_cents,
        institution=names[consult.institution_id],
        my_seat=mine.id if mine is not None else None,
        may=sorted(kind.may),
        needs_attestation="CN-07" in kind.gates,
        termination_advices=[] if foreign else await asking_views.advices(tx, consult, seats),
        hold_requests=await asking_views.own_requests(tx, consult, reader.actor),
        written=await _written(tx, consult),
    )
    return detail if chart is None else detail.model_copy(update=await _chart_fields(tx, chart, row, reader))


async def _written(tx: StoreTransaction, consult: Consult) -> WrittenView | None:
    row = await in_writing.of(tx, consult.id) if consult.kind in PANELS else None
    return WrittenView(asked_at=row.asked_at, due_at=row.due_at, begun_at=row.begun_at) if row is not None else None


def _without_names(row: ConsultRow, seats: Sequence[Seat]) -> tuple[ConsultRow, list[Seat]]:
    """For another institution before the patient shares with it: no names of patient and guests, no visit reason."""
    masked = [
        seat if seat.role in CLINICIANS else replace(seat, display_name=masks.name(seat.display_name)) for seat in seats
    ]
    waiting = [each.model_copy(update={"display_name": masks.name(each.display_name)}) for each in row.waiting]
    return row.model_copy(update={"waiting": waiting, "reason": ""}), masked


async def _chart(
    tx: StoreTransaction, consult: Consult, reader: Reader, records: Sequence[ConsentRecord]
) -> access.Chart | None:
    """None: may look, but not at the chart. Another institution's people need the patient's word (PIPL art. 23)."""
    home = reader.staff.institution_id
    if home != consult.institution_id and home not in shared_with(records, tx.now):
        await _may_look(tx, consult, reader)
        return None
    try:
        return await access.view_chart(tx, reader.actor, consult.id)
    except (NotPermitted, MissingRow):  # the latter: from another institution, and without a seat
        # book-keepers of the consult (nurse) and invited experts who have not accepted yet see it without the chart
        await _may_look(tx, consult, reader)
        return None


async def may_open(tx: StoreTransaction, consult: Consult, reader: Reader) -> None:
    """Whether the page of the consult opens for this person, with its chart or without. Raises NotPermitted."""
    home = reader.staff.institution_id
    if home == consult.institution_id or home in shared_with(await desk.records_of(tx, consult.id), tx.now):
        with suppress(NotPermitted, MissingRow):
            await access.chart_access(tx, reader.actor, consult)
            return
        with suppress(NotPermitted, MissingRow):
            await access.authorise(tx, reader.actor, Action.BOOK, consult)
            return
    await _may_look(tx, consult, reader)


async def _may_look(tx: StoreTransaction, consult: Consult, reader: Reader) -> None:
    invited = await still_invited(tx, consult.id, reader.staff.id)
    house = reader.staff.institution_id == consult.institution_id
    booker = consult.created_by == reader.staff.id
    if not invited and not booker and not (house and Role.NURSE in reader.staff.roles):
        if (await papers_of(tx, consult.id)).is_released(reader.staff.id):
            raise SharingWithdrawn()  # who took part is told why the case is closed to them
        raise NotPermitted(Action.SEE_CHART.value)


async def _chart_fields(
    tx: StoreTransaction, chart: access.Chart, row: ConsultRow, reader: Reader
) -> dict[str, object]:
    patient, papers = chart.patient, await papers_of(tx, chart.consult.id)
    return {
        "patient": PatientDetail(
            **row.patient.model_dump(),
            name=patient.name,
            masked_id=masks.id_number(patient.id_number),
            birth_date=patient.birth_date.isoformat(),
            phone_masked=masks.phone(patient.phone),
            identity_level=int(patient.identity_level),
        ),
        "evidence": [
            EvidenceView(
                id=each.id,
                department=each.department,
                department_label=render.department(each.department),
                visited_on=each.visited_on,
                visited_institution=each.visited_institution,
                diagnosis=each.diagnosis,
                reference=each.reference,
                added_at=each.added_at,
            )
            for each in chart.evidence
        ],
        "note": await _note_view(tx, chart),
        "case": await _case_view(tx, chart),
        "opinions": [await opinion_view(tx, each, papers) for each in chart.opinions],
        "outcome": await outcome_view(tx, chart.consult, reader.staff) if chart.consult.kind in PANELS else None,
        "decision": await _decision_view(tx, chart),
        "attestation": await _attestation_view(tx, chart.consult),
        "whereabouts_told": bool(await tx.whereabouts.find(consult_id=chart.consult.id)),
    }


async def _attestation_view(tx: StoreTransaction, consult: Consult) -> AttestationView | None:
    """The latest word of the doctor."""
    words = await tx.attestations.find(consult_id=consult.id)
    if not words:
        return None
    return AttestationView(
        evidence=words[-1].evidence_id,
        diagnosis=words[-1].diagnosis,
        visited_on=words[-1].visited_on.isoformat(),
        visited_institution=words[-1].visited_institution,
        doctor=(await tx.staff.get(words[-1].doctor_id)).name,
        signed_at=words[-1].signed_at,
    )


async def _note_view(tx: StoreTransaction, chart: access.Chart) -> NoteView | None:
    note = chart.note
    if note is None:
        return None
    return NoteView(
        complaint=note.complaint,
        findings=note.findings,
        diagnosis=note.diagnosis,
        advice=note.advice,
        author=(await tx.staff.get(note.author_id)).name,
        updated_at=note.updated_at,
        signed_at=note.signed_at,
    )


async def _case_view(tx: StoreTransaction, chart: access.Chart) -> CaseView | None:
    case = chart.case
    if case is None:
        return None
    return CaseView(
        id=case.id,
        invited_institution=(await tx.institutions.get(case.invited_institution_id)).name,
        invited_institution_id=case.invited_institution_id,
        reason=case.reason,
        aim=case.aim,
        summary=case.summary,
        wanted_specialty=case.wanted_specialty,
        liability_mode=case.liability_mode,
        requested_at=case.requested_at,
    )


async def _decision_view(tx: StoreTransaction, chart: access.Chart) -> DecisionView | None:
    decision = chart.decision
    if decision is None:
        return None
    return DecisionView(
        adoption=decision.adoption,
        reason=decision.reason,
        treatment=decision.treatment,
        doctor=(await tx.staff.get(decision.doctor_id)).name,
        updated_at=decision.updated_at,
        signed_at=decision.signed_at,
    )


async def invitation_row(tx: StoreTransaction, invitation: Invitation) -> InvitationRow:
    """What an invited expert decides on (and the inviting doctor waits for)."""
    case = await tx.cases.get(invitation.case_id)
    consult = await tx.consults.get(invitation.consult_id)
    doctor, house = await tx.staff.get(consult.doctor_id), await tx.institutions.get(consult.institution_id)
    return InvitationRow(
        id=invitation.id,
        consult_id=invitation.consult_id,
        state=invitation.state,
        chair=invitation.chair,
        expert=render.doctor_row(await tx.staff.get(invitation.expert_id)),
        institution=(await tx.institutions.get(invitation.invited_institution_id)).name,
        inviting_institution=house.name,
        inviting_institution_en=house.name_en,
        inviting_doctor=doctor.name,
        inviting_doctor_en=doctor.name_en,
        reason=case.reason,
        aim=case.aim,
        summary=case.summary,
        wanted_specialty=case.wanted_specialty,
        starts_at=consult.starts_at,
        ends_at=consult.ends_at,
        sent_at=invitation.sent_at,
        answered_at=invitation.answered_at,
        refusal_reason=invitation.refusal_reason,
    )


async def _admission(tx: StoreTransaction, consult: Consult, now: datetime) -> AdmissionView:
    house = await tx.institutions.get(consult.institution_id)
    rules = rules_for(house, now)
    verdict = admission.judge(await admission.facts_of(tx, consult, rules=rules), rules, now)
    return AdmissionView(
        allowed=verdict.allowed,
        reasons=[
            ReasonView(code=each.code, rule=each.rule, citation=Label(zh=each.citation, en=each.citation_en))
            for each in verdict.reasons
        ],
        evidence_read=list(verdict.evidence_read),
        rules_version=verdict.rules_version,
    )


async def _timeline(tx: StoreTransaction, events: Sequence[ReadEvent], seats: Sequence[Seat]) -> list[TimelineRow]:
    names = {seat.id: seat.display_name for seat in seats} | {
        seat.person_id: seat.display_name for seat in seats if seat.person_id
    }
    rows = []
    for event in events:
        if event.actor_id not in names:
            names[event.actor_id] = await who(tx, event.actor_id)
        rows.append(TimelineRow(t=event.at, code=event.code, who=names[event.actor_id], outcome=event.outcome))
    return rows
