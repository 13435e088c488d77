"""The invited house's coordinator: who comes, yes or no. What they may do is one row of the role table."""

from collections.abc import Sequence

from audit.errors import MissingRow
from audit.events import EventCode
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels import reasons, refusing, seating
from clinic.panels.answering import party_answers, require_in_time
from clinic.panels.records import Invitation
from clinic.panels.requests import InvitedParty, PanelRequest, PartyState, RequestState
from clinic.panels.traces import tell
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def assign(
    tx: ClinicTransaction, request_id: str, expert_ids: Sequence[str], chair_id: str | None, by: Actor
) -> tuple[PanelRequest, list[Invitation]]:
    """These experts of the own house are asked, one may be offered as chair; who was asked before and is not among
    them is not asked any more. Raises AdmissionRefused, IllegalMove, NotPermitted, MissingRow.
    """
    request, party, consult = await asked_of(tx, request_id, by)
    require_in_time(request, party, tx)
    if party.state is PartyState.ACCEPTED or not consult.media_open:
        raise IllegalMove("accepted already, or the consult is over")
    invitations = await _invite(tx, party, expert_ids, chair_id)
    if request.state is RequestState.SENT:
        request = request.move(RequestState.TRIAGED, tx.now)
    await tx.panel_requests.save(request)
    public = {"experts": list(expert_ids), "chair": chair_id or ""}
    await tell(tx, EventCode.REQUEST_TRIAGED, request, by, public, [party], party.id)
    return request, invitations


async def _invite(
    tx: ClinicTransaction, party: InvitedParty, expert_ids: Sequence[str], chair_id: str | None
) -> list[Invitation]:
    if not expert_ids or len(set(expert_ids)) != len(expert_ids):
        raise InvalidInput("expert_ids", "none, or one twice")
    if chair_id is not None and chair_id not in expert_ids:
        raise AdmissionRefused((reasons.CHAIR,))
    home = await tx.institutions.get(party.invited_institution_id)
    if len(expert_ids) > rules_for(home, tx.now).value("HZ-23", "most_experts"):
        raise AdmissionRefused((reasons.TOO_MANY_EXPERTS,))
    experts = [await tx.staff.get(expert_id) for expert_id in expert_ids]
    if refused := seating.unfit(experts, home, tx):
        raise AdmissionRefused(refused)
    for before in await seating.of_party(tx, party):  # of a party that has not answered nobody has accepted
        await seating.release(tx, before)
    if chair_id is not None:
        await _require_no_chair(tx, party.consult_id)
    made = [seating.invitation_to(party, expert, tx, expert.id == chair_id) for expert in experts]
    for invitation in made:
        await tx.invitations.add(invitation)
    return made


async def _require_no_chair(tx: ClinicTransaction, consult_id: str) -> None:
    """One person leads, whichever institution they are from."""
    for row in await tx.invitations.find(consult_id=consult_id):
        if row.chair and row.state in seating.LIVE:
            raise AdmissionRefused((reasons.CHAIR_TAKEN,))


async def accept(tx: ClinicTransaction, request_id: str, by: Actor) -> PanelRequest:
    """The house takes part with the experts who are assigned; each gets their seat, or nobody does.

    Raises AdmissionRefused (nobody assigned, busy, too late), IllegalMove, NotPermitted, MissingRow.
    """
    request, party, consult = await asked_of(tx, request_id, by)
    require_in_time(request, party, tx)
    if party.state is PartyState.ACCEPTED or not consult.media_open:
        raise IllegalMove("accepted already, or the consult is over")
    assigned = await seating.of_party(tx, party)
    if not assigned:
        raise AdmissionRefused((reasons.UNASSIGNED,))
    for invitation in assigned:
        answered, seat = await seating.take(tx, invitation, consult, by)
        public = {"answer": answered.state.value, "expert": answered.expert_id, "seat": seat.id}
        await tell(tx, EventCode.INVITATION_ANSWERED, request, by, public, [party], answered.id)
    return await party_answers(tx, request, party, PartyState.ACCEPTED, by)


async def refuse(
    tx: ClinicTransaction, request_id: str, reason: str, by: Actor, code: str | None = None
) -> PanelRequest:
    """The house does not take part, and says why. Raises InvalidInput, IllegalMove, AdmissionRefused (too late)."""
    request, party, _ = await asked_of(tx, request_id, by)
    require_in_time(request, party, tx)
    if party.state is PartyState.ACCEPTED:
        raise IllegalMove("accepted already")
    code, said = await refusing.why(tx, party.invited_institution_id, reason, code)
    for invitation in await seating.of_party(tx, party):
        await seating.release(tx, invitation)
    return await party_answers(tx, request, party, PartyState.REFUSED, by, said, code)


async def asked_of(
    tx: ClinicTransaction, request_id: str, by: Actor, action: Action = Action.TRIAGE_REQUEST
) -> tuple[PanelRequest, InvitedParty, Consult]:
    """The request as the actor's house was asked. Raises MissingRow (it never was), NotPermitted."""
    request = await tx.panel_requests.get(request_id)
    for party in await tx.invited_parties.find(request_id=request_id, invited_institution_id=by.institution_id):
        if party.case_id is not None:
            require(by, action, Place(party.invited_institution_id))
            return request, party, await tx.consults.get(request.consult_id)
    raise MissingRow("panel_requests")
