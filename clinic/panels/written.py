"""A panel in writing (HZ-45): the experts read the case and give signed opinions; nobody meets on video.

The inviting doctor asks for it before anybody enters a room. It begins when every expert has answered and at least one
takes part: the one move from scheduled to concluding, with its reason. From there the papers are those of every panel.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from audit.events import EventCode
from clinic import checks, places
from clinic.access import authorise
from clinic.actor import Actor
from clinic.booking import moved
from clinic.consult import IN_WRITING, Consult, ConsultStatus, SeatState
from clinic.errors import IllegalMove
from clinic.overlays import rules_for
from clinic.panels.records import InvitationState
from clinic.panels.traces import event, require_panel
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class WrittenConsult:
    """`id` is the consult's. `due_at`: when the opinions are due, as the rules said when it was asked."""

    id: str
    institution_id: str
    consult_id: str
    reason: str
    asked_by: str
    asked_at: datetime
    due_at: datetime
    begun_at: datetime | None = None


class InWriting(IllegalMove):
    """The consult has no room: it is answered in writing."""

    code = "visit.in_writing"


class NotInWriting(IllegalMove):
    """The institution does not let this kind of consult be answered in writing (HZ-45)."""

    code = "visit.not_in_writing"


class NobodyTakesPart(IllegalMove):
    """No expert has accepted."""

    code = "visit.nobody_takes_part"


async def of(tx: ClinicTransaction, consult_id: str) -> WrittenConsult | None:
    """What was asked in writing; None for a consult on video."""
    return next(iter(await tx.written_consults.find(id=consult_id)), None)


async def ask(tx: ClinicTransaction, consult_id: str, reason: str, by: Actor) -> WrittenConsult:
    """By the inviting doctor, before anybody came. The patient's consent is the caller's gate (`consent.written`).

    Raises NotPermitted, IllegalMove, NotInWriting, InvalidInput, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    require_panel(consult)
    if consult.status is not ConsultStatus.SCHEDULED or await of(tx, consult_id) is not None:
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
    row = await of(tx, consult_id)
    if row is None or row.begun_at is not None:
        return False
    states = {each.state for each in await tx.invitations.find(consult_id=consult_id)}
    return InvitationState.ACCEPTED in states and InvitationState.SENT not in states


async def begin(tx: ClinicTransaction, consult_id: str, by: Actor) -> Consult:
    """Go on with the experts who accepted; who has not answered is not waited for.

    Raises IllegalMove (not asked, begun already), NobodyTakesPart, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    row = await of(tx, consult_id)
    if row is None or row.begun_at is not None:
        raise IllegalMove("not asked in writing, or begun already")
    if not await taking_part(tx, consult):
        raise NobodyTakesPart()
    changed = consult.move(ConsultStatus.CONCLUDING, tx.now, IN_WRITING)
    await tx.consults.save(changed)
    await tx.written_consults.save(replace(row, begun_at=tx.now))
    await tx.append(moved(consult, changed, by))
    await places.release(tx, consult.id, by)  # nobody comes at that hour
    return changed


async def taking_part(tx: ClinicTransaction, consult: Consult) -> frozenset[str]:
    """Experts who accepted and were not removed since: each of them owes an opinion."""
    seats = await tx.seats.find(consult_id=consult.id)
    return frozenset(
        seat.person_id
        for seat in seats
        if seat.role in (Role.EXPERT, Role.CHAIR) and seat.person_id and seat.state is not SeatState.REMOVED
    )


async def require_room(tx: ClinicTransaction, consult: Consult) -> None:
    """Raises InWriting."""
    if await of(tx, consult.id) is not None:
        raise InWriting()
