"""Legal holds: nothing of a held consult is destroyed until another person lifts it."""

from dataclasses import replace
from uuid import uuid4

from archive.access import at_home
from archive.errors import AlreadyDisposed, IllegalMove, SameHands
from archive.policy import PANEL_COPY, PROCESS_AV
from archive.ports import ArchiveTransaction
from archive.records import HoldAskState, LegalHold, RetainedRecord, RetainedState
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.roles import Action


async def place(tx: ArchiveTransaction, actor: Actor, consult_id: str, reason: str) -> LegalHold:
    """Stop erasure of everything of a consult. Raises AlreadyDisposed when nothing is left, InvalidInput."""
    consult = await tx.consults.get(consult_id)
    at_home(actor, Action.PLACE_HOLD, consult.institution_id)
    return await _place(tx, actor, consult_id, consult.institution_id, reason)


async def place_on_copy(tx: ArchiveTransaction, actor: Actor, copy_id: str, reason: str) -> LegalHold:
    """Stop erasure of the own institution's sealed copy, and of all else it keeps of that consult (rules 1.3).

    One ordered and not made yet may be held too. Raises AlreadyDisposed, InvalidInput, MissingRow (another's).
    """
    copy = await tx.sealed_copies.get(copy_id)
    at_home(actor, Action.PLACE_HOLD, copy.institution_id)
    for record in await tx.retained_records.find(subject_id=copy.id, record_class=PANEL_COPY):
        if await destroyed(tx, record):
            raise AlreadyDisposed()
    return await _place(tx, actor, copy.consult_id, copy.institution_id, reason, copy.id)


async def _place(  # noqa: PLR0917
    tx: ArchiveTransaction, actor: Actor, consult_id: str, institution_id: str, reason: str, copy_id: str = ""
) -> LegalHold:
    """A hold is of one institution, over what that institution keeps of the consult."""
    records = await tx.retained_records.find(consult_id=consult_id, institution_id=institution_id)
    gone = [record.id for record in records if await destroyed(tx, record)]
    if records and len(gone) == len(records):
        raise AlreadyDisposed()
    hold = LegalHold(
        id=uuid4().hex,
        institution_id=institution_id,
        consult_id=consult_id,
        reason=checks.text("reason", reason, 1000, 2),
        placed_by=actor.id,
        placed_at=tx.now,
    )
    await tx.legal_holds.add(hold)
    await tx.append(
        AuditEvent(
            EventCode.HOLD_PLACED,
            hold.institution_id,
            actor.id,
            consult_id,
            hold.id,
            public={"already_destroyed": gone} | ({"copy": copy_id} if copy_id else {}),
        )
    )
    return hold


async def lift(tx: ArchiveTransaction, actor: Actor, hold_id: str, reason: str) -> LegalHold:
    """Let time run again. Raises SameHands for the person who placed it, IllegalMove when lifted, NotPermitted."""
    hold = await tx.legal_holds.get(hold_id)
    at_home(actor, Action.LIFT_HOLD, hold.institution_id)
    if hold.lifted_at is not None:
        raise IllegalMove("lifted already")
    if hold.placed_by == actor.id:
        raise SameHands()
    said = checks.text("reason", reason, 1000, 2)
    lifted = replace(hold, lifted_by=actor.id, lifted_at=tx.now)
    await tx.legal_holds.save(lifted)
    await tx.append(
        AuditEvent(
            EventCode.HOLD_LIFTED, hold.institution_id, actor.id, hold.consult_id, hold.id, private={"reason": said}
        )
    )
    return lifted


async def held(tx: ArchiveTransaction, consult_id: str, institution_id: str) -> bool:
    """A hold of this institution stands, or one is asked for and not answered yet: what goes could not be held.

    Another institution's hold is over its own records of the consult, its own copy included.
    """
    own = {"consult_id": consult_id, "institution_id": institution_id}
    if await tx.legal_holds.find(**own, lifted_at=None):
        return True
    return bool(await tx.hold_requests.find(**own, state=HoldAskState.ASKED))


async def destroyed(tx: ArchiveTransaction, record: RetainedRecord) -> bool:
    """Whether its content is beyond saving: disposed, or the key of the recording is gone."""
    if record.state is RetainedState.DISPOSED:
        return True
    if record.record_class not in (PROCESS_AV, PANEL_COPY) or record.disposal_id is None:
        return False
    disposal = await tx.disposals.get(record.disposal_id)
    kept = tx.recordings if record.record_class == PROCESS_AV else tx.sealed_copies
    key = (await kept.get(record.subject_id)).key_id
    return any(key_id == key for key_id, _ in disposal.tombstones)
