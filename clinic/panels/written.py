"""A panel in writing (HZ-45): the experts read the case and give signed opinions; nobody meets on video.

The inviting doctor asks for it before anybody enters a room. It begins when every expert has answered and at least one
takes part: the one move from scheduled to concluding, with its reason. From there the papers are those of every panel.
"""

from dataclasses import replace

from audit.events import EventCode
from clinic import checks, places
from clinic.access import authorise
from clinic.actor import Actor
from clinic.booking import moved
from clinic.consult import IN_WRITING, Consult, ConsultStatus
from clinic.errors import IllegalMove
from clinic.overlays import rules_for
from clinic.panels import in_writing, seating
from clinic.panels.finding import live, parties_of
from clinic.panels.in_writing import NobodyTakesPart, NotInWriting, WrittenConsult
from clinic.panels.records import InvitationState
from clinic.panels.requests import OPEN, WAITING, PartyState, RequestState
from clinic.panels.settling import let_go
from clinic.panels.traces import event, require_panel, tell
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def ask(tx: ClinicTransaction, consult_id: str, reason: str, by: Actor) -> WrittenConsult:
    """By the inviting doctor, before anybody came. The patient's consent is the caller's gate (`consent.written`).

    Raises NotPermitted, IllegalMove, NotInWriting, InvalidInput, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    require_panel(consult)
    if consult.status is not ConsultStatus.SCHEDULED or await in_writing.of(tx, consult_id) is not None:
        raise IllegalMove("somebody came already, or it was asked already")
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    if not rules.value("HZ-45", consult.kind.value):
        raise NotInWriting()
    row = WrittenConsult(
        id=consult_id,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        reason=checks.text("reason", reason, 500, 2),
        asked_by=by.id,
        asked_at=tx.now,
        due_at=tx.now + rules.hours("HZ-45", "opinion_hours"),
    )
    await tx.written_consults.add(row)
    public = {"due": row.due_at.isoformat()}
    await tx.append(event(EventCode.PANEL_IN_WRITING, consult, by, consult_id, public))
    return row


async def require_asking(tx: ClinicTransaction, consult: Consult, by: Actor) -> None:
    """Whether the actor is who may ask here. Raises NotPermitted, MissingRow."""
    await authorise(tx, by, Action.REQUEST_CASE, consult)


async def ready(tx: ClinicTransaction, consult_id: str) -> bool:
    """Whether it begins by itself: asked, not begun, every expert has answered and one takes part."""
    row = await in_writing.of(tx, consult_id)
    if row is None or row.begun_at is not None:
        return False
    request = await live(tx, consult_id)
    if request is not None and request.state is not RequestState.CONVENED:
        return False
    states = {each.state for each in await tx.invitations.find(consult_id=consult_id)}
    return InvitationState.ACCEPTED in states and InvitationState.SENT not in states


async def begin(tx: ClinicTransaction, consult_id: str, by: Actor) -> Consult:
    """Go on with the experts who accepted; who has not answered is not waited for.

    Raises IllegalMove (not asked, begun already), NobodyTakesPart, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    row = await in_writing.of(tx, consult_id)
    if row is None or row.begun_at is not None:
        raise IllegalMove("not asked in writing, or begun already")
    if not await in_writing.taking_part(tx, consult):
        raise NobodyTakesPart()
    await _release_the_rest(tx, consult, by)
    changed = consult.move(ConsultStatus.CONCLUDING, tx.now, IN_WRITING)
    await tx.consults.save(changed)
    await tx.written_consults.save(replace(row, begun_at=tx.now))
    await tx.append(moved(consult, changed, by))
    await places.release(tx, consult.id, by)  # nobody comes at that hour
    return changed


async def _release_the_rest(tx: ClinicTransaction, consult: Consult, by: Actor) -> None:
    """Who has not answered is told that they are not waited for; the request has convened."""
    request = await live(tx, consult.id)
    if request is not None and request.state in WAITING:
        parties = await parties_of(tx, request)
        request = request.move(RequestState.CONVENED, tx.now)
        await tx.panel_requests.save(request)
        for party in parties:
            if party.state in OPEN:
                await let_go(tx, request, party, PartyState.RELEASED, by)
        taking = [row for row in parties if row.state is PartyState.ACCEPTED]
        await tell(tx, EventCode.REQUEST_MOVED, request, by, {"to": request.state.value}, taking)
    for invitation in await tx.invitations.find(consult_id=consult.id, state=InvitationState.SENT):
        await seating.release(tx, invitation)
