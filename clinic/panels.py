"""Expert consults between institutions: request, answers, opinions, the inviting doctor's decision (rules 1.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultKind, Seat, SeatState
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AdmissionRefused, AlreadySigned, IllegalMove, InvalidInput, Unsigned
from clinic.notes import require_writable
from clinic.overlays import rules_for
from clinic.panel import Adoption, Case, DecisionNote, Invitation, InvitationState, Opinion
from clinic.people import Role, Staff
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

MOST_EXPERTS = 7
LIABILITY_MODES = ("inviting", "shared")
_LIABLE = {ConsultKind.EXPERT_CONSULT: "inviting", ConsultKind.REMOTE_DIAGNOSIS: "shared"}


@dataclass(frozen=True, slots=True)
class NewCase:
    """The inviting side's request; every expert belongs to the invited institution."""

    invited_institution_id: str
    expert_ids: tuple[str, ...]
    reason: str
    aim: str
    summary: str
    wanted_specialty: str
    chair_id: str | None = None
    liability_mode: str = ""  # "" = what the kind says (rules 1.3: both sides answer for a remote diagnosis)


async def request_case(
    tx: ClinicTransaction, consult_id: str, new: NewCase, by: Actor
) -> tuple[Case, tuple[Invitation, ...]]:
    """Ask the experts. Raises AdmissionRefused (an expert may not), InvalidInput, IllegalMove, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    if consult.kind not in PANELS or not consult.media_open:
        raise IllegalMove("no experts can be asked to this consult")
    if await tx.cases.find(consult_id=consult_id):
        raise IllegalMove("asked already")
    experts = await _experts(tx, consult, new)
    case = Case(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        invited_institution_id=new.invited_institution_id,
        reason=checks.text("reason", new.reason, 1000),
        aim=checks.text("aim", new.aim, 1000),
        summary=checks.text("summary", new.summary, 8000),
        wanted_specialty=checks.text("wanted_specialty", new.wanted_specialty, 100),
        liability_mode=checks.one_of("liability_mode", new.liability_mode or _LIABLE[consult.kind], LIABILITY_MODES),
        requested_by=by.id,
        requested_at=tx.now,
    )
    await tx.cases.add(case)
    invitations = tuple(_invitation(case, expert, expert.id == new.chair_id) for expert in experts)
    for invitation in invitations:
        await tx.invitations.add(invitation)
    public = {"invited": new.invited_institution_id, "experts": [row.expert_id for row in invitations]}
    await tx.append(_event(EventCode.CASE_REQUESTED, consult, by, case.id, public))
    return case, invitations


async def _experts(tx: ClinicTransaction, consult: Consult, new: NewCase) -> list[Staff]:
    if new.invited_institution_id == consult.institution_id:
        raise InvalidInput("invited_institution_id", "the own institution")
    if not 1 <= len(new.expert_ids) <= MOST_EXPERTS or len(set(new.expert_ids)) != len(new.expert_ids):
        raise InvalidInput("expert_ids", "none, too many, or one twice")
    if new.chair_id is not None and new.chair_id not in new.expert_ids:
        raise InvalidInput("chair_id", "not among the experts")
    home = await tx.institutions.get(new.invited_institution_id)
    today, rules = local_date(tx.now, home.time_zone), rules_for(home, tx.now)
    experts = [await tx.staff.get(expert_id) for expert_id in new.expert_ids]
    for expert in experts:
        if expert.institution_id != home.id:
            raise MissingRow("staff")
        if Role.EXPERT not in expert.roles:
            raise InvalidInput("expert_ids", "not an expert")
    if refused := expert_refusals(experts, [home], rules, today):
        raise AdmissionRefused(refused)
    return experts


def _invitation(case: Case, expert: Staff, chair: bool) -> Invitation:
    return Invitation(
        id=uuid4().hex,
        institution_id=case.institution_id,
        consult_id=case.consult_id,
        case_id=case.id,
        invited_institution_id=case.invited_institution_id,
        expert_id=expert.id,
        state=InvitationState.SENT,
        chair=chair,
        sent_at=case.requested_at,
    )


async def read_case(tx: ClinicTransaction, invitation_id: str, by: Actor) -> tuple[Case, Invitation, Consult]:
    """What an invited expert reads before answering; the viewing is on record. Raises MissingRow for anybody else."""
    invitation, consult = await _invited(tx, invitation_id, by)
    case = await tx.cases.get(invitation.case_id)
    await tx.append(_event(EventCode.CHART_VIEWED, consult, by, case.id, {"part": "case"}))
    return case, invitation, consult


async def answer_invitation(
    tx: ClinicTransaction, invitation_id: str, by: Actor, accept: bool, refusal_reason: str | None = None
) -> tuple[Invitation, Seat | None]:
    """Accept (the expert gets a seat) or refuse with a reason. Raises IllegalMove (answered already, consult over)."""
    invitation, consult = await _invited(tx, invitation_id, by)
    if invitation.state is not InvitationState.SENT or not consult.media_open:
        raise IllegalMove("answered already, or the consult is over")
    seat: Seat | None = None
    if accept:
        answered = replace(invitation, state=InvitationState.ACCEPTED, answered_at=tx.now)
        expert = await tx.staff.get(invitation.expert_id)
        seat = Seat(
            id=uuid4().hex,
            institution_id=consult.institution_id,
            consult_id=consult.id,
            role=Role.CHAIR if invitation.chair else Role.EXPERT,
            display_name=expert.name,
            home_institution_id=expert.institution_id,
            person_id=expert.id,
            state=SeatState.EXPECTED,
            created_at=tx.now,
            created_by=by.id,
        )
        await tx.seats.add(seat)
    else:
        reason = checks.text("refusal_reason", refusal_reason or "", 500, 2)
        answered = replace(invitation, state=InvitationState.REFUSED, answered_at=tx.now, refusal_reason=reason)
    await tx.invitations.save(answered)
    public = {"answer": answered.state.value, "expert": invitation.expert_id, "seat": seat.id if seat else ""}
    await tx.append(_event(EventCode.INVITATION_ANSWERED, consult, by, invitation.id, public))
    return answered, seat


async def _invited(tx: ClinicTransaction, invitation_id: str, by: Actor) -> tuple[Invitation, Consult]:
    invitation = await tx.invitations.get(invitation_id)
    if by.id != invitation.expert_id:
        raise MissingRow("invitations")
    require(by, Action.ANSWER_INVITATION, Place(invitation.invited_institution_id, owners=frozenset({by.id})))
    return invitation, await tx.consults.get(invitation.consult_id)


async def save_opinion(tx: ClinicTransaction, consult_id: str, by: Actor, text: str, dissent: bool = False) -> Opinion:
    """An expert's opinion, unsigned. Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, by, Action.WRITE_OPINION, consult)
    require_writable(consult)
    written = checks.text("text", text, checks.TEXT)
    before = await tx.opinions.find(consult_id=consult_id, expert_id=by.id)
    if before and before[0].signed_at is not None:
        raise AlreadySigned()
    if before:
        opinion = replace(before[0], text=written, dissent=dissent, updated_at=tx.now)
        await tx.opinions.save(opinion)
    else:
        home = seat.home_institution_id if seat else by.institution_id
        opinion = Opinion(
            uuid4().hex, consult.institution_id, consult_id, by.id, home, written, dissent, updated_at=tx.now
        )
        await tx.opinions.add(opinion)
    await tx.append(_event(EventCode.NOTE_DRAFTED, consult, by, opinion.id, {"kind": "opinion"}))
    return opinion


async def sign_opinion(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> Opinion:
    """The expert signs their own. Raises AlreadySigned, MissingRow (nothing written), NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    own = await tx.opinions.find(consult_id=consult_id, expert_id=by.id)
    await authorise(tx, by, Action.SIGN_OPINION, consult, owners=[by.id])
    require_writable(consult)
    if not own:
        raise MissingRow("opinions")
    if own[0].signed_at is not None:
        raise AlreadySigned()
    opinion = replace(own[0], signed_at=tx.now)
    document = opinion_document(opinion)
    opinion = replace(opinion, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.opinions.save(opinion)
    public = {"document": digest(canonical(document)), "dissent": opinion.dissent}
    await tx.append(_event(EventCode.OPINION_SIGNED, consult, by, opinion.id, public))
    return opinion


async def save_decision(  # noqa: PLR0917
    tx: ClinicTransaction, consult_id: str, by: Actor, adoption: Adoption, reason: str, treatment: str
) -> DecisionNote:
    """The inviting doctor's decision, unsigned. Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_DECISION, consult)
    require_writable(consult)
    _expert_consult(consult)
    values: dict[str, Any] = {
        "adoption": Adoption(adoption),
        "reason": checks.text("reason", reason, checks.TEXT),
        "treatment": checks.text("treatment", treatment, checks.TEXT),
    }
    before = await tx.decision_notes.find(consult_id=consult_id)
    if before and before[0].signed_at is not None:
        raise AlreadySigned()
    if before:
        decision = replace(before[0], doctor_id=by.id, updated_at=tx.now, **values)
        await tx.decision_notes.save(decision)
    else:
        decision = DecisionNote(
            id=uuid4().hex,
            institution_id=consult.institution_id,
            consult_id=consult_id,
            doctor_id=by.id,
            updated_at=tx.now,
            **values,
        )
        await tx.decision_notes.add(decision)
    await tx.append(_event(EventCode.NOTE_DRAFTED, consult, by, decision.id, {"kind": "decision"}))
    return decision


async def sign_decision(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> DecisionNote:
    """Sign after the experts did: the seal covers their opinions too. Raises Unsigned, AlreadySigned, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_DECISION, consult)
    require_writable(consult)
    rows = await tx.decision_notes.find(consult_id=consult_id)
    if not rows:
        raise MissingRow("decision_notes")
    if rows[0].signed_at is not None:
        raise AlreadySigned()
    if missing := await _unsigned_opinions(tx, consult):
        raise Unsigned(",".join(missing))
    opinions = await tx.opinions.find(consult_id=consult_id)
    decision = replace(rows[0], doctor_id=by.id, signed_at=tx.now)
    document = decision_document(decision, opinions)
    decision = replace(decision, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.decision_notes.save(decision)
    public = {"document": digest(canonical(document)), "adoption": decision.adoption.value}
    await tx.append(_event(EventCode.DECISION_SIGNED, consult, by, decision.id, public))
    return decision


async def unsigned_panel(tx: ClinicTransaction, consult: Consult, closing: Sequence[str]) -> tuple[str, ...]:
    """Which of the papers "opinion" and "decision" the kind closes with nobody has signed yet."""
    missing = await _unsigned_opinions(tx, consult) if "opinion" in closing else ()
    decisions = await tx.decision_notes.find(consult_id=consult.id)
    decided = "decision" not in closing or any(decision.signed_at for decision in decisions)
    return (*missing, *(() if decided else ("decision",)))


async def _unsigned_opinions(tx: ClinicTransaction, consult: Consult) -> tuple[str, ...]:
    """Every expert who was in the room signs, and at least one does."""
    signed = {row.expert_id for row in await tx.opinions.find(consult_id=consult.id) if row.signed_at}
    seats = await tx.seats.find(consult_id=consult.id)
    came = {seat.person_id for seat in seats if seat.role in (Role.EXPERT, Role.CHAIR) and seat.admitted_at}
    return () if signed and came <= signed else ("opinion",)


async def joint_report(tx: ClinicTransaction, consult_id: str, by: Actor) -> dict[str, Any]:
    """Request, signed opinions (the chair's first, dissent marked), decision; each with its seal. Raises Unsigned."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SEE_CHART, consult)
    _expert_consult(consult)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    if missing := await unsigned_panel(tx, consult, rules.kinds[consult.kind].closing):
        raise Unsigned(",".join(missing))
    case = (await tx.cases.find(consult_id=consult_id))[0]
    chairs = {row.expert_id for row in await tx.invitations.find(consult_id=consult_id) if row.chair}
    opinions = [row for row in await tx.opinions.find(consult_id=consult_id) if row.signed_at]
    opinions.sort(key=lambda row: row.expert_id not in chairs)
    decisions = [row for row in await tx.decision_notes.find(consult_id=consult_id) if row.signed_at]
    await tx.append(_event(EventCode.CHART_VIEWED, consult, by, case.id, {"part": "report"}))
    return {
        "type": "huizhen.joint-report",
        "v": 1,
        "consult": consult_id,
        "request": {
            "by": case.requested_by,
            "at": case.requested_at.isoformat(),
            "reason": case.reason,
            "aim": case.aim,
            "summary": case.summary,
            "liability": case.liability_mode,
        },
        "opinions": [
            {**opinion_document(row), "chair": row.expert_id in chairs, "signature": row.signature} for row in opinions
        ],
        "decision": {**decision_document(decisions[0], opinions), "signature": decisions[0].signature}
        if decisions
        else None,  # a remote diagnosis is the experts' word alone
    }


def opinion_document(opinion: Opinion) -> dict[str, object]:
    """What an expert's seal covers."""
    return {
        "type": "huizhen.opinion",
        "v": 1,
        "id": opinion.id,
        "consult": opinion.consult_id,
        "expert": opinion.expert_id,
        "institution": opinion.expert_institution_id,
        "text": opinion.text,
        "dissent": opinion.dissent,
        "signed_at": opinion.signed_at,
    }


def decision_document(decision: DecisionNote, opinions: Sequence[Opinion]) -> dict[str, object]:
    """What the inviting doctor's seal covers: the decision and the digests of the opinions it refers to."""
    return {
        "type": "huizhen.decision",
        "v": 1,
        "id": decision.id,
        "consult": decision.consult_id,
        "doctor": decision.doctor_id,
        "adoption": decision.adoption,
        "reason": decision.reason,
        "treatment": decision.treatment,
        "opinions": sorted(digest(canonical(opinion_document(row))) for row in opinions if row.signed_at),
        "signed_at": decision.signed_at,
    }


def _expert_consult(consult: Consult) -> None:
    if consult.kind not in PANELS:
        raise IllegalMove("not an expert consult")


def _event(code: EventCode, consult: Consult, by: Actor, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    return AuditEvent(code, consult.institution_id, by.seat_id or by.id, consult.id, subject_id, public=public)
