"""Asking for a legal hold (domain-rules section 7): a party of the visit asks, the archivist grants or refuses."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from archive import holds
from archive.access import at_home
from archive.errors import AskedAlready, IllegalMove
from archive.ports import ArchiveTransaction
from archive.records import HoldAskState, HoldRequest
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, regulation
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action


async def ask(tx: ArchiveTransaction, actor: Actor, consult_id: str, reason: str) -> HoldRequest:
    """The patient, a child's guardian, the doctor, or a regulator under their case.

    Raises AskedAlready, InvalidInput, NotPermitted, NoCase, CaseOver, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    who, role = await _party(tx, actor, consult)
    waiting = await tx.hold_requests.find(consult_id=consult_id, state=HoldAskState.ASKED, asked_by=who)
    if waiting:
        raise AskedAlready()
    asked = HoldRequest(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        asked_by=who,
        asked_as=role.value,
        reason=checks.text("reason", reason, 1000, 2),
        state=HoldAskState.ASKED,
        asked_at=tx.now,
    )
    await tx.hold_requests.add(asked)
    await tx.append(_event(EventCode.HOLD_ASKED, asked, who))
    return asked


async def _party(tx: ArchiveTransaction, actor: Actor, consult: Consult) -> tuple[str, Role]:
    """The id the request belongs to and the role it is made in."""
    if Role.REGULATOR in actor.roles:
        await regulation.use(tx, CaseScope.CHART, consult, actor)
        return actor.id, Role.REGULATOR
    seat = await authorise(tx, actor, Action.ASK_HOLD, consult)
    return actor.seat_id or actor.id, seat.role if seat is not None else actor.roles[0]


async def decide(tx: ArchiveTransaction, actor: Actor, request_id: str, grant: bool, reason: str) -> HoldRequest:
    """Granting places the hold in the same transaction, for the reason it was asked for.

    Raises IllegalMove (decided), AlreadyDisposed (nothing is left), InvalidInput (a refusal says why), NotPermitted.
    """
    asked = await tx.hold_requests.get(request_id)
    at_home(actor, Action.PLACE_HOLD, asked.institution_id)
    if asked.state is not HoldAskState.ASKED:
        raise IllegalMove(f"{asked.state} is decided")
    said = checks.text("reason", reason, 1000, 0 if grant else 2)
    placed = await holds.place(tx, actor, asked.consult_id, asked.reason) if grant else None
    decided = replace(
        asked,
        state=HoldAskState.GRANTED if grant else HoldAskState.REFUSED,
        decided_by=actor.id,
        decided_at=tx.now,
        decision_reason=said,
        hold_id=placed.id if placed is not None else None,
    )
    await tx.hold_requests.save(decided)
    await tx.append(_event(EventCode.HOLD_GRANTED if grant else EventCode.HOLD_REFUSED, decided, actor.id, said))
    return decided


async def of_house(tx: ArchiveTransaction, actor: Actor) -> Sequence[HoldRequest]:
    """All of the house, newest first. Raises NotPermitted."""
    at_home(actor, Action.PLACE_HOLD, actor.institution_id)
    return tuple(reversed(await tx.hold_requests.find(institution_id=actor.institution_id)))


async def of_party(tx: ArchiveTransaction, actor: Actor, consult_id: str) -> Sequence[HoldRequest]:
    """What the actor themself asked about a consult, oldest first."""
    return await tx.hold_requests.find(consult_id=consult_id, asked_by=actor.seat_id or actor.id)


def _event(code: EventCode, row: HoldRequest, by: str, said: str = "") -> AuditEvent:
    public = {"as": row.asked_as, "hold": row.hold_id or ""}
    private = {"reason": said} if said else {}
    return AuditEvent(code, row.institution_id, by, row.consult_id, row.id, public=public, private=private)
