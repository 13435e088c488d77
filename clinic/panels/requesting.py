"""The inviting side asks experts of another institution (rules 1.3)."""

from dataclasses import dataclass
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultKind
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels.answering import invited
from clinic.panels.records import Case, Invitation, InvitationState
from clinic.panels.traces import event
from clinic.people import Role, Staff
from clinic.roles import Action
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
    await tx.append(event(EventCode.CASE_REQUESTED, consult, by, case.id, public))
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
    invitation, consult = await invited(tx, invitation_id, by)
    case = await tx.cases.get(invitation.case_id)
    await tx.append(event(EventCode.CHART_VIEWED, consult, by, case.id, {"part": "case"}))
    return case, invitation, consult
