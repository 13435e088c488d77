"""Destroying records, steps 1 and 2 (domain-rules 5.5): one proposes a list, two others approve exactly that list."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from archive.access import at_home, rules_of
from archive.errors import Held, IllegalMove, ListChanged, NotDue, SameHands, StepUpNeeded
from archive.policy import PolicyVersion, shipped
from archive.ports import ArchiveTransaction
from archive.records import Disposal, DisposalState, RetainedState
from archive.retention import Due, assessment
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.documents import canonical, digest
from clinic.errors import InvalidInput
from clinic.people import CLINICIANS
from clinic.roles import Action

PROPOSABLE = (RetainedState.ACTIVE, RetainedState.RESTRICTED)


async def propose(tx: ArchiveTransaction, actor: Actor, record_ids: Sequence[str], reason: str) -> Disposal:
    """Step 1: an archivist proposes what is due. Raises NotDue, Held, IllegalMove (proposed already), InvalidInput."""
    at_home(actor, Action.PROPOSE_DISPOSAL, actor.institution_id)
    dues = await _list(tx, actor.institution_id, record_ids)
    await require_clear(tx, actor.institution_id, dues)
    if any(item.record.state not in PROPOSABLE for item in dues):
        raise IllegalMove("already in a proposal")
    disposal = Disposal(
        id=uuid4().hex,
        institution_id=actor.institution_id,
        record_ids=tuple(item.record.id for item in dues),
        list_sha256=list_digest(dues),
        reason=checks.text("reason", reason, 1000, 2),
        proposed_by=actor.id,
        proposed_at=tx.now,
        state=DisposalState.PROPOSED,
    )
    await tx.disposals.add(disposal)
    for item in dues:
        await tx.retained_records.save(
            replace(item.record.move(RetainedState.PROPOSED, tx.now), disposal_id=disposal.id)
        )
    await tx.append(_event(EventCode.DISPOSAL_PROPOSED, disposal, actor))
    return disposal


async def revise(tx: ArchiveTransaction, actor: Actor, disposal_id: str, record_ids: Sequence[str]) -> Disposal:
    """Change the list; every approval given before is void. Raises as `propose`."""
    disposal = await _open(tx, disposal_id)
    at_home(actor, Action.PROPOSE_DISPOSAL, disposal.institution_id)
    dues = await _list(tx, disposal.institution_id, record_ids)
    await require_clear(tx, disposal.institution_id, dues)
    if any(item.record.state not in PROPOSABLE and item.record.disposal_id != disposal_id for item in dues):
        raise IllegalMove("already in a proposal")
    kept = {item.record.id for item in dues}
    await _release(tx, [record_id for record_id in disposal.record_ids if record_id not in kept])
    for item in dues:
        if item.record.disposal_id != disposal_id:
            record = replace(item.record.move(RetainedState.PROPOSED, tx.now), disposal_id=disposal_id)
            await tx.retained_records.save(record)
    revised = replace(
        disposal,
        record_ids=tuple(item.record.id for item in dues),
        list_sha256=list_digest(dues),
        proposed_by=actor.id,
        proposed_at=tx.now,
        approvals=(),
    )
    await tx.disposals.save(revised)
    await tx.append(_event(EventCode.DISPOSAL_PROPOSED, revised, actor))
    return revised


async def approve(
    tx: ArchiveTransaction, actor: Actor, disposal_id: str, list_sha256: str, stepped_up_at: datetime | None
) -> Disposal:
    """Step 2: approve the list one has seen, freshly authenticated.

    Raises SameHands (the proposer, a doctor of a case, twice the same person), StepUpNeeded, ListChanged, Held, NotDue.
    """
    disposal = await _open(tx, disposal_id)
    at_home(actor, Action.APPROVE_DISPOSAL, disposal.institution_id)
    limit = (await rules_of(tx, disposal.institution_id)).minutes("AR-01", "step_up_minutes")
    if stepped_up_at is None or not timedelta(0) <= tx.now - stepped_up_at <= limit:
        raise StepUpNeeded()
    if list_sha256 != disposal.list_sha256:
        raise ListChanged()
    dues = await require_same_list(tx, disposal)
    if actor.id == disposal.proposed_by or actor.id in {staff_id for staff_id, _ in disposal.approvals}:
        raise SameHands()
    if actor.id in await _doctors(tx, {item.record.consult_id for item in dues}):
        raise SameHands("a doctor of the case")
    approved = replace(disposal, approvals=(*disposal.approvals, (actor.id, tx.now.isoformat())))
    await tx.disposals.save(approved)
    await tx.append(_event(EventCode.DISPOSAL_APPROVED, approved, actor))
    return approved


async def refuse(tx: ArchiveTransaction, actor: Actor, disposal_id: str, reason: str) -> Disposal:
    """An approver says no: the records are what they were before. Raises IllegalMove, NotPermitted."""
    disposal = await _open(tx, disposal_id)
    at_home(actor, Action.APPROVE_DISPOSAL, disposal.institution_id)
    said = checks.text("reason", reason, 1000, 2)
    await _release(tx, disposal.record_ids)
    refused = replace(disposal, state=DisposalState.REFUSED, refused_by=actor.id)
    await tx.disposals.save(refused)
    await tx.append(replace(_event(EventCode.DISPOSAL_REFUSED, refused, actor), private={"reason": said}))
    return refused


async def policy_of(tx: ArchiveTransaction, institution_id: str) -> PolicyVersion:
    """The policies in force today in the institution's calendar."""
    institution = await tx.institutions.get(institution_id)
    return shipped().current(local_date(tx.now, institution.time_zone))


async def require_same_list(tx: ArchiveTransaction, disposal: Disposal) -> list[Due]:
    """The proposed records as they are now. Raises ListChanged (a date moved, a policy changed), Held, NotDue."""
    dues = await _list(tx, disposal.institution_id, disposal.record_ids)
    await require_clear(tx, disposal.institution_id, dues)
    if list_digest(dues) != disposal.list_sha256:
        raise ListChanged()
    return dues


async def require_clear(tx: ArchiveTransaction, institution_id: str, dues: Iterable[Due]) -> None:
    """Raises Held for a record that is held or asked to be, NotDue for one that is not due or whose consult is open."""
    institution = await tx.institutions.get(institution_id)
    today = local_date(tx.now, institution.time_zone)
    for item in dues:
        if any(block == "asked" or block.startswith("hold:") for block in item.blocked_by):
            raise Held(item.record.id)
        if item.blocked_by or item.due_on > today:
            raise NotDue(item.record.id)


def list_digest(dues: Sequence[Due]) -> str:
    """SHA-256 over the ordered list: what is destroyed, under which policy, due when. Restriction does not matter."""
    rows = [
        [row.id, row.record_class, row.subject_id, row.consult_id, row.policy_version, item.due_on.isoformat()]
        for item in sorted(dues, key=lambda item: item.record.id)
        for row in (item.record,)
    ]
    return digest(canonical({"records": rows}))


async def _list(tx: ArchiveTransaction, institution_id: str, record_ids: Sequence[str]) -> list[Due]:
    """The records in the order of their ids. Raises InvalidInput (none, too many, one twice), MissingRow."""
    largest = (await rules_of(tx, institution_id)).value("AR-01", "largest_batch")
    if not 1 <= len(record_ids) <= largest or len(set(record_ids)) != len(record_ids):
        raise InvalidInput("record_ids", "none, too many, or one twice")
    known = {item.record.id: item for item in await assessment(tx, institution_id)}
    if missing := [record_id for record_id in record_ids if record_id not in known]:
        raise MissingRow(f"retained_records ({len(missing)})")
    return [known[record_id] for record_id in sorted(record_ids)]


async def _open(tx: ArchiveTransaction, disposal_id: str) -> Disposal:
    disposal = await tx.disposals.get(disposal_id)
    if disposal.state is not DisposalState.PROPOSED:
        raise IllegalMove(f"the disposal is {disposal.state}")
    return disposal


async def _release(tx: ArchiveTransaction, record_ids: Iterable[str]) -> None:
    for record_id in record_ids:
        record = await tx.retained_records.get(record_id)
        before = RetainedState.RESTRICTED if record.restricted else RetainedState.ACTIVE
        await tx.retained_records.save(replace(record.move(before, tx.now), disposal_id=None))


async def _doctors(tx: ArchiveTransaction, consult_ids: Iterable[str]) -> set[str]:
    """Everybody who treated in these consults."""
    people: set[str] = set()
    for consult_id in consult_ids:
        people.add((await tx.consults.get(consult_id)).doctor_id)
        seats = await tx.seats.find(consult_id=consult_id)
        people |= {seat.person_id for seat in seats if seat.role in CLINICIANS and seat.person_id}
    return people


def _event(code: EventCode, disposal: Disposal, actor: Actor) -> AuditEvent:
    public = {
        "list": disposal.list_sha256,
        "records": len(disposal.record_ids),
        "approvals": len(disposal.approvals),
    }
    return AuditEvent(code, disposal.institution_id, actor.id, subject_id=disposal.id, public=public)
