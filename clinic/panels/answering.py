"""An invited expert accepts, or refuses with a reason (rules 1.3); with it their institution takes part or does not."""

from dataclasses import replace

from audit.errors import MissingRow
from audit.events import EventCode
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.errors import AdmissionRefused, IllegalMove
from clinic.panels import refusing, seating
from clinic.panels.reasons import LATE
from clinic.panels.records import Case, Invitation, InvitationState
from clinic.panels.requests import OPEN, InvitedParty, PanelRequest, PartyState
from clinic.panels.settling import overdue, settle, void_proposals
from clinic.panels.traces import event, tell
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def answer_invitation(  # noqa: PLR0917
    tx: ClinicTransaction,
    invitation_id: str,
    by: Actor,
    accept: bool,
    refusal_reason: str | None = None,
    code: str | None = None,
) -> tuple[Invitation, Seat | None]:
    """Accept (the expert gets a seat) or refuse with a reason.

    Raises IllegalMove (answered already, consult over), AdmissionRefused (busy then, too late, not licensed any more).
    """
    invitation, consult = await invited(tx, invitation_id, by)
    if invitation.state is not InvitationState.SENT or not consult.media_open:
        raise IllegalMove("answered already, or the consult is over")
    found = await _asked(tx, invitation)
    if found is not None:
        require_in_time(found[0], found[1], tx)
    seat: Seat | None = None
    if accept:
        answered, seat = await seating.take(tx, invitation, consult, by)
    else:
        code, reason = await refusing.why(tx, invitation.invited_institution_id, refusal_reason, code)
        answered = replace(invitation, state=InvitationState.REFUSED, answered_at=tx.now, refusal_reason=reason)
        await tx.invitations.save(answered)
    public = {"answer": answered.state.value, "expert": invitation.expert_id, "seat": seat.id if seat else ""}
    if found is None:  # asked before there were requests
        await tx.append(event(EventCode.INVITATION_ANSWERED, consult, by, invitation.id, public))
        return answered, seat
    await tell(tx, EventCode.INVITATION_ANSWERED, found[0], by, public, [found[1]], invitation.id)
    await _for_the_house(tx, *found, answered, by, code)
    return answered, seat


async def _for_the_house(  # noqa: PLR0917
    tx: ClinicTransaction,
    request: PanelRequest,
    party: InvitedParty,
    answered: Invitation,
    by: Actor,
    code: str | None,
) -> None:
    """The first expert who accepts brings their institution in; when the last one refused, it does not take part."""
    if party.state not in OPEN:
        return
    if answered.state is InvitationState.ACCEPTED:
        await party_answers(tx, request, party, PartyState.ACCEPTED, by)
    elif not await seating.of_party(tx, party):
        await party_answers(tx, request, party, PartyState.REFUSED, by, answered.refusal_reason, code)


async def party_answers(  # noqa: PLR0917
    tx: ClinicTransaction,
    request: PanelRequest,
    party: InvitedParty,
    to: PartyState,
    by: Actor,
    reason: str | None = None,
    code: str | None = None,
) -> PanelRequest:
    """The institution's answer on both trails, and what it does to the request."""
    party = party.move(to, tx.now, by.id, reason, code)
    await tx.invited_parties.save(party)
    await tx.panel_requests.save(request)  # of two answers at one moment one is stale
    await void_proposals(tx, party)
    await tell(
        tx,
        EventCode.PARTY_ANSWERED,
        request,
        by,
        {"answer": to.value, "invited": party.invited_institution_id} | ({"why": code} if code else {}),
        [party],
        party.id,
    )
    return await settle(tx, request, by)


def require_in_time(request: PanelRequest, party: InvitedParty, tx: ClinicTransaction) -> None:
    """An institution that has not answered does so before the time is over, whether or not the clock has acted yet.

    Raises AdmissionRefused, IllegalMove (released, refused, expired).
    """
    if party.state is PartyState.ACCEPTED and not request.over:
        return
    if party.state not in OPEN or request.over:
        raise IllegalMove("not asked any more")
    if overdue(request, tx.now):
        raise AdmissionRefused((LATE,))


async def _asked(tx: ClinicTransaction, invitation: Invitation) -> tuple[PanelRequest, InvitedParty] | None:
    """The request and the institution the invitation belongs to; None: it was sent before there were requests."""
    for party in await tx.invited_parties.find(consult_id=invitation.consult_id):
        if party.case_id == invitation.case_id:
            return await tx.panel_requests.get(party.request_id), party
    return None


async def invited(tx: ClinicTransaction, invitation_id: str, by: Actor) -> tuple[Invitation, Consult]:
    invitation = await tx.invitations.get(invitation_id)
    if by.id != invitation.expert_id:
        raise MissingRow("invitations")
    require(by, Action.ANSWER_INVITATION, Place(invitation.invited_institution_id, owners=frozenset({by.id})))
    return invitation, await tx.consults.get(invitation.consult_id)


async def read_case(tx: ClinicTransaction, invitation_id: str, by: Actor) -> tuple[Case, Invitation, Consult]:
    """What an invited expert reads before answering; the viewing is on record. Raises MissingRow for anybody else."""
    invitation, consult = await invited(tx, invitation_id, by)
    case = await tx.cases.get(invitation.case_id)
    await tx.append(event(EventCode.CHART_VIEWED, consult, by, case.id, {"part": "case"}))
    return case, invitation, consult
