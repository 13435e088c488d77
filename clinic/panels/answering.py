"""An invited expert accepts, or refuses with a reason (rules 1.3)."""

from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.actor import Actor
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import IllegalMove
from clinic.panels.records import Invitation, InvitationState
from clinic.panels.traces import event
from clinic.people import Role
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def answer_invitation(
    tx: ClinicTransaction, invitation_id: str, by: Actor, accept: bool, refusal_reason: str | None = None
) -> tuple[Invitation, Seat | None]:
    """Accept (the expert gets a seat) or refuse with a reason. Raises IllegalMove (answered already, consult over)."""
    invitation, consult = await invited(tx, invitation_id, by)
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
    await tx.append(event(EventCode.INVITATION_ANSWERED, consult, by, invitation.id, public))
    return answered, seat


async def invited(tx: ClinicTransaction, invitation_id: str, by: Actor) -> tuple[Invitation, Consult]:
    invitation = await tx.invitations.get(invitation_id)
    if by.id != invitation.expert_id:
        raise MissingRow("invitations")
    require(by, Action.ANSWER_INVITATION, Place(invitation.invited_institution_id, owners=frozenset({by.id})))
    return invitation, await tx.consults.get(invitation.consult_id)
