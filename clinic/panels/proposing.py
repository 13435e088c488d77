"""The invited house offers another time or another expert; the inviting side says yes or no."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, places
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels import hours, seating
from clinic.panels.answering import party_answers, require_in_time
from clinic.panels.records import Invitation
from clinic.panels.requests import (
    OPEN,
    InvitedParty,
    PanelRequest,
    PartyState,
    Proposal,
    ProposalKind,
    ProposalState,
)
from clinic.panels.settling import answer_within, shifted
from clinic.panels.traces import tell
from clinic.panels.triaging import asked_of
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def propose_time(
    tx: ClinicTransaction, request_id: str, starts_at: datetime, ends_at: datetime, *, reason: str, by: Actor
) -> Proposal:
    """Another time. Raises InvalidInput, IllegalMove (answered, or the call begins), AdmissionRefused (too late)."""
    request, party, consult = await asked_of(tx, request_id, by)
    require_in_time(request, party, tx)
    if party.state is not PartyState.ASKED or consult.status is not ConsultStatus.SCHEDULED:
        raise IllegalMove("answered already, or the patient is here")
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    if starts_at.tzinfo is None or ends_at.tzinfo is None:
        raise InvalidInput("starts_at", "without a time zone")
    if not timedelta(0) < ends_at - starts_at <= rules.hours("HZ-01", "longest_hours") or starts_at <= tx.now:
        raise InvalidInput("starts_at", "in the past, or of no length, or too long")
    await tx.invited_parties.save(party.move(PartyState.PROPOSED, tx.now, by.id))
    proposal = _new(request, party, ProposalKind.TIME, reason, by, tx.now)
    return await _made(tx, request, party, replace(proposal, starts_at=starts_at, ends_at=ends_at), by)


async def propose_stand_in(
    tx: ClinicTransaction, request_id: str, expert_id: str, stand_in_id: str, *, reason: str, by: Actor
) -> Proposal:
    """Another expert of the own house for one who cannot come. Raises AdmissionRefused, IllegalMove, MissingRow."""
    request, party, consult = await asked_of(tx, request_id, by)
    require_in_time(request, party, tx)
    if not consult.media_open:
        raise IllegalMove("the consult is over")
    invitations = await seating.of_party(tx, party)
    _of(invitations, expert_id)
    if any(row.expert_id == stand_in_id for row in invitations):
        raise InvalidInput("stand_in_id", "asked already")
    home = await tx.institutions.get(party.invited_institution_id)
    if refused := seating.unfit([await tx.staff.get(stand_in_id)], home, tx):
        raise AdmissionRefused(refused)
    proposal = _new(request, party, ProposalKind.STAND_IN, reason, by, tx.now)
    return await _made(tx, request, party, replace(proposal, expert_id=expert_id, stand_in_id=stand_in_id), by)


def _of(invitations: list[Invitation], expert_id: str) -> Invitation:
    """The expert's invitation. Raises MissingRow."""
    for row in invitations:
        if row.expert_id == expert_id:
            return row
    raise MissingRow("invitations")


def _new(  # noqa: PLR0917
    request: PanelRequest, party: InvitedParty, kind: ProposalKind, reason: str, by: Actor, now: datetime
) -> Proposal:
    return Proposal(
        id=uuid4().hex,
        institution_id=request.institution_id,
        consult_id=request.consult_id,
        request_id=request.id,
        party_id=party.id,
        kind=kind,
        state=ProposalState.OPEN,
        reason=checks.text("reason", reason, 500, 2),
        made_by=by.id,
        made_at=now,
    )


async def _made(
    tx: ClinicTransaction, request: PanelRequest, party: InvitedParty, proposal: Proposal, by: Actor
) -> Proposal:
    await tx.panel_proposals.add(proposal)
    public = {"kind": proposal.kind.value}
    await tell(tx, EventCode.PROPOSAL_MADE, request, by, public, [party], proposal.id)
    return proposal


async def answer_proposal(
    tx: ClinicTransaction, proposal_id: str, accept: bool, by: Actor, reason: str | None = None
) -> Proposal:
    """The inviting side's word; a no says why. Raises AdmissionRefused (an expert is busy then), DoctorBusy,
    IllegalMove (answered or void already), InvalidInput, NotPermitted, MissingRow.
    """
    proposal = await tx.panel_proposals.get(proposal_id)
    consult = await tx.consults.get(proposal.consult_id)
    await authorise(tx, by, Action.ANSWER_PROPOSAL, consult)
    if proposal.state is not ProposalState.OPEN or not consult.media_open:
        raise IllegalMove("answered already, or the consult is over")
    party = await tx.invited_parties.get(proposal.party_id)
    said = reason if accept else checks.text("reason", reason or "", 500, 2)
    to = ProposalState.ACCEPTED if accept else ProposalState.DECLINED
    answered = replace(proposal, state=to, answered_by=by.id, answered_at=tx.now, answer_reason=said)
    await tx.panel_proposals.save(answered)
    if proposal.kind is ProposalKind.TIME:
        party = party.move(PartyState.ASKED, tx.now, by.id)
        await tx.invited_parties.save(party)
    request = await tx.panel_requests.get(proposal.request_id)
    public = {"kind": proposal.kind.value, "answer": to.value}
    await tell(tx, EventCode.PROPOSAL_ANSWERED, request, by, public, [party], proposal.id)
    if accept and proposal.kind is ProposalKind.TIME:
        await _move(tx, consult, answered, by)
    elif accept:
        await _replace_expert(tx, request, party, consult, answered, by)
    return answered


async def _move(tx: ClinicTransaction, consult: Consult, proposal: Proposal, by: Actor) -> None:
    """The consult takes place at the offered hours, where nobody who takes part has something else."""
    if proposal.starts_at is None or proposal.ends_at is None or proposal.starts_at <= tx.now:
        raise IllegalMove("the offered time has passed")
    if consult.status is not ConsultStatus.SCHEDULED:
        raise IllegalMove("the time changes before the patient comes")
    doctor = await tx.staff.get(consult.doctor_id)
    await places.turn_page(tx, doctor.id, doctor.institution_id)
    for busy in await hours.engagements(tx, doctor.id, proposal.starts_at, proposal.ends_at, consult.id):
        raise hours.refusal(busy, doctor.id)
    await places.release(tx, consult.id, by)
    moved = replace(consult, starts_at=proposal.starts_at, ends_at=proposal.ends_at)
    await tx.consults.save(moved)
    times = {"from": int(consult.starts_at.timestamp()), "to": int(moved.starts_at.timestamp())}
    await tx.append(
        AuditEvent(EventCode.TIME_CHANGED, consult.institution_id, by.seat_id or by.id, consult.id, public=times)
    )
    request = await tx.panel_requests.get(proposal.request_id)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    later = max(request.answer_by or tx.now, tx.now + answer_within(request, rules))
    await tx.panel_requests.save(replace(request, answer_by=later))  # who waited for this word has the time anew
    await shifted(tx, moved, by)


async def _replace_expert(  # noqa: PLR0917
    tx: ClinicTransaction, request: PanelRequest, party: InvitedParty, consult: Consult, proposal: Proposal, by: Actor
) -> None:
    """The stand-in sits where the other would have; with that their house takes part."""
    before = _of(await seating.of_party(tx, party), proposal.expert_id or "")
    await seating.release(tx, before)
    stand_in = await tx.staff.get(proposal.stand_in_id or "")
    invitation = seating.invitation_to(party, stand_in, tx, before.chair)
    await tx.invitations.add(invitation)
    answered, seat = await seating.take(tx, invitation, consult, by)
    public = {"answer": answered.state.value, "expert": stand_in.id, "seat": seat.id, "instead_of": before.expert_id}
    await tell(tx, EventCode.INVITATION_ANSWERED, request, by, public, [party], answered.id)
    if party.state in OPEN:
        await party_answers(tx, request, party, PartyState.ACCEPTED, by)
