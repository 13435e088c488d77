"""After the visit: the note, what was decided, who has seen the data, what became of the recording."""

from collections.abc import Mapping, Sequence

from archive import hold_requests, retention
from archive.records import RetainedRecord
from audit.errors import MissingRow
from audit.events import EventCode
from audit.reader import ReadEvent
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.errors import NotPermitted
from clinic.people import Role
from clinic.roles import Action
from consent import desk, lifecycle
from consent.attesting import attestable
from consent.records import ConsentAction
from huizhen.api.asking_views import hold_request_view
from huizhen.api.shapes.seat import (
    AfterVisit,
    ConsentReceipt,
    InstitutionCard,
    PanelResult,
    RecordingFate,
    SignedNote,
    Viewer,
)
from huizhen.store.tables import StoreTransaction

# Which events mean that somebody saw the patient's data, and what they saw.
SEEN: Mapping[str, str] = {
    EventCode.CHART_VIEWED.value: "chart",
    EventCode.CONSENT_VIEWED.value: "consent",
    EventCode.EVIDENCE_VIEWED.value: "chart",
    EventCode.RECORDING_VIEWED.value: "recording",
    EventCode.EXPORTED.value: "export",
    EventCode.CASE_REQUESTED.value: "case_shared",
}


async def after_visit(tx: StoreTransaction, seat: Seat, events: Sequence[ReadEvent]) -> AfterVisit:
    """A guest sees their own consents only; the note and the list of viewers are the patient's and the guardian's."""
    consult = await tx.consults.get(seat.consult_id)
    house = await tx.institutions.get(consult.institution_id)
    near = seat.role in (Role.PATIENT, Role.GUARDIAN)
    actor = Actor.seated(seat)
    return AfterVisit(
        status=consult.status,
        ended_at=consult.ended_at,
        note=await _note(tx, consult) if near else None,
        panel=await _panel(tx, consult) if near else None,
        consents=await _receipts(tx, seat),
        viewers=await _viewers(tx, events) if near else [],
        institution=InstitutionCard(
            id=house.id, name=house.name, name_en=house.name_en, phone=house.phone, time_zone=house.time_zone
        ),
        recording=await _fate(tx, consult),
        may_ask_hold=await _may_ask_hold(tx, seat, consult),
        hold_requests=[await hold_request_view(tx, row) for row in await hold_requests.of_party(tx, actor, consult.id)],
    )


async def _may_ask_hold(tx: StoreTransaction, seat: Seat, consult: Consult) -> bool:
    try:
        await authorise(tx, Actor.seated(seat), Action.ASK_HOLD, consult)
    except NotPermitted:
        return False
    return True


async def _note(tx: StoreTransaction, consult: Consult) -> SignedNote | None:
    for note in await tx.visit_notes.find(consult_id=consult.id):
        if note.signed_at is not None:
            author = await tx.staff.get(note.author_id)
            return SignedNote(
                complaint=note.complaint,
                findings=note.findings,
                diagnosis=note.diagnosis,
                advice=note.advice,
                signed_at=note.signed_at,
                author=author.name,
            )
    return None


async def _panel(tx: StoreTransaction, consult: Consult) -> PanelResult | None:
    """Once the inviting doctor has signed: before that nothing is decided. A panel has no note of a visit."""
    for decision in await tx.decision_notes.find(consult_id=consult.id):
        if decision.signed_at is not None:
            reports = await tx.joint_reports.find(consult_id=consult.id)
            report = next((each for each in reports if each.signed_at is not None), None)
            return PanelResult(
                conclusion=report.conclusion if report else "",
                advice=report.advice if report else "",
                treatment=decision.treatment,
                signed_at=decision.signed_at,
                author=(await tx.staff.get(decision.doctor_id)).name,
            )
    return None


async def _receipts(tx: StoreTransaction, seat: Seat) -> list[ConsentReceipt]:
    receipts = []
    records = await desk.records_of(tx, seat.consult_id)
    for record in records:
        if record.seat_id != seat.id or record.action in (ConsentAction.PAUSED, ConsentAction.RESUMED):
            continue
        title = (await tx.consent_templates.get(record.template_id)).title if record.template_id else ""
        receipts.append(
            ConsentReceipt(
                id=record.id,
                action=record.action,
                permitted=list(record.permitted),
                refused=list(record.refused),
                recorded_at=record.recorded_at,
                digest=record.digest,
                title=title,
                state=lifecycle.overall(records, record, tx.now),
                paper=attestable(record),
            )
        )
    return receipts


async def _viewers(tx: StoreTransaction, events: Sequence[ReadEvent]) -> list[Viewer]:
    """Roles and institutions, newest first; staff names are not the patient's to collect by a page."""
    viewers = []
    for event in reversed(events):
        what = SEEN.get(event.code)
        if what is None or event.outcome != "ok":
            continue
        role, institution = await _who(tx, event.actor_id)
        if role not in (Role.PATIENT.value, Role.GUARDIAN.value):
            viewers.append(Viewer(when=event.at, who_role=role, institution=institution, what=what))
    return viewers


async def _who(tx: StoreTransaction, actor_id: str) -> tuple[str, str]:
    try:
        staff = await tx.staff.get(actor_id)
        role, home = staff.roles[0].value, staff.institution_id
    except MissingRow:
        try:
            seat = await tx.seats.get(actor_id)
        except MissingRow:
            return Role.SYSTEM.value, ""
        role, home = seat.role.value, seat.home_institution_id
    return role, (await tx.institutions.get(home)).name


async def _fate(tx: StoreTransaction, consult: Consult) -> RecordingFate:
    recordings = await tx.recordings.find(consult_id=consult.id)
    if not recordings:
        return RecordingFate(exists=False)
    newest = recordings[-1]
    retained = next(iter(await tx.retained_records.find(subject_id=newest.id)), None)
    if retained is None:
        return RecordingFate(exists=True, state=newest.state.value)
    return RecordingFate(
        exists=retained.disposed_at is None,
        state=retained.state.value,
        kept_until=await kept_until(tx, retained),
        disposed_at=retained.disposed_at,
    )


async def kept_until(tx: StoreTransaction, record: RetainedRecord) -> str | None:
    """The date the policies give, as an ISO date; None when it was disposed of."""
    if record.disposed_at is not None:
        return None
    facts = await retention.facts_of(tx, record.institution_id)
    holds = await tx.legal_holds.find(institution_id=record.institution_id)
    found = retention.assess([record], retention.policies(), holds, facts, tx.now)
    return found[0].due_on.isoformat() if found else None
