"""An expert gets or gives back their seat of a panel. Shared by their own answer and by their coordinator's."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import uuid4

from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import AdmissionRefused
from clinic.overlays import rules_for
from clinic.panels import hours
from clinic.panels.reasons import ELSEWHERE, NO_EXPERT_ROLE
from clinic.panels.records import Invitation, InvitationState
from clinic.panels.requests import InvitedParty
from clinic.people import Institution, Role, Staff
from clinic.transaction import ClinicTransaction

LIVE = frozenset({InvitationState.SENT, InvitationState.ACCEPTED})


def unfit(experts: Iterable[Staff], home: Institution, tx: ClinicTransaction) -> tuple[str, ...]:
    """Codes that speak against these people of `home`: not theirs, no experts, licence or years (TM-02, CN-01)."""
    found: list[str] = []
    for expert in experts:
        if expert.institution_id != home.id:
            found.append(ELSEWHERE)
        elif Role.EXPERT not in expert.roles:
            found.append(NO_EXPERT_ROLE)
    own = [expert for expert in experts if expert.institution_id == home.id and Role.EXPERT in expert.roles]
    found += expert_refusals(own, [home], rules_for(home, tx.now), local_date(tx.now, home.time_zone))
    return tuple(dict.fromkeys(found))


def invitation_to(party: InvitedParty, expert: Staff, tx: ClinicTransaction, chair: bool) -> Invitation:
    """To one expert of the party, sent now."""
    return Invitation(
        id=uuid4().hex,
        institution_id=party.institution_id,
        consult_id=party.consult_id,
        case_id=party.case_id or "",
        invited_institution_id=party.invited_institution_id,
        expert_id=expert.id,
        state=InvitationState.SENT,
        chair=chair,
        sent_at=tx.now,
    )


async def take(tx: ClinicTransaction, invitation: Invitation, consult: Consult, by: Actor) -> tuple[Invitation, Seat]:
    """The seat, when the expert is free at these hours and still may. Raises AdmissionRefused."""
    expert = await tx.staff.get(invitation.expert_id)
    home = await tx.institutions.get(invitation.invited_institution_id)
    if refused := unfit([expert], home, tx):
        raise AdmissionRefused(refused)
    await hours.hold(tx, expert, consult)
    answered = replace(invitation, state=InvitationState.ACCEPTED, answered_at=tx.now)
    await tx.invitations.save(answered)
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
    return answered, seat


async def release(tx: ClinicTransaction, invitation: Invitation) -> None:
    """Not needed any more; a seat they had never opens again."""
    await tx.invitations.save(replace(invitation, state=InvitationState.RELEASED))
    for seat in await tx.seats.find(consult_id=invitation.consult_id, person_id=invitation.expert_id):
        if seat.state is not SeatState.REMOVED:
            await tx.seats.save(seat.move(SeatState.REMOVED, tx.now))


async def of_party(tx: ClinicTransaction, party: InvitedParty) -> list[Invitation]:
    """Its invitations that are not refused or released."""
    found = await tx.invitations.find(consult_id=party.consult_id)
    return [row for row in found if row.case_id == party.case_id and row.state in LIVE]
