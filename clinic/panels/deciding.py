"""The inviting doctor decides with reference to the opinions (rules 1.3)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned, Unsigned
from clinic.notes import require_writable
from clinic.panels.opining import opinion_document, unsigned_opinions
from clinic.panels.records import Adoption, DecisionNote, Opinion
from clinic.panels.traces import event, require_panel
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def save_decision(  # noqa: PLR0917
    tx: ClinicTransaction, consult_id: str, by: Actor, adoption: Adoption, reason: str, treatment: str
) -> DecisionNote:
    """The inviting doctor's decision, unsigned. Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_DECISION, consult)
    require_writable(consult)
    require_panel(consult)
    values: dict[str, Any] = {
        "adoption": Adoption(adoption),
        "reason": checks.text("reason", reason, checks.TEXT),
        "treatment": checks.text("treatment", treatment, checks.TEXT),
    }
    before = await tx.decision_notes.find(consult_id=consult_id)
    if before and before[0].signed_at is not None:
        raise AlreadySigned()
    if before:
        decision = replace(before[0], doctor_id=by.id, updated_at=tx.now, **values)
        await tx.decision_notes.save(decision)
    else:
        decision = DecisionNote(
            id=uuid4().hex,
            institution_id=consult.institution_id,
            consult_id=consult_id,
            doctor_id=by.id,
            updated_at=tx.now,
            **values,
        )
        await tx.decision_notes.add(decision)
    await tx.append(event(EventCode.NOTE_DRAFTED, consult, by, decision.id, {"kind": "decision"}))
    return decision


async def sign_decision(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> DecisionNote:
    """Sign after the experts did: the seal covers their opinions too. Raises Unsigned, AlreadySigned, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_DECISION, consult)
    require_writable(consult)
    rows = await tx.decision_notes.find(consult_id=consult_id)
    if not rows:
        raise MissingRow("decision_notes")
    if rows[0].signed_at is not None:
        raise AlreadySigned()
    if missing := await unsigned_opinions(tx, consult):
        raise Unsigned(",".join(missing))
    opinions = await tx.opinions.find(consult_id=consult_id)
    decision = replace(rows[0], doctor_id=by.id, signed_at=tx.now)
    document = decision_document(decision, opinions)
    decision = replace(decision, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.decision_notes.save(decision)
    public = {"document": digest(canonical(document)), "adoption": decision.adoption.value}
    await tx.append(event(EventCode.DECISION_SIGNED, consult, by, decision.id, public))
    return decision


def decision_document(decision: DecisionNote, opinions: Sequence[Opinion]) -> dict[str, object]:
    """What the inviting doctor's seal covers: the decision and the digests of the opinions it refers to."""
    return {
        "type": "huizhen.decision",
        "v": 1,
        "id": decision.id,
        "consult": decision.consult_id,
        "doctor": decision.doctor_id,
        "adoption": decision.adoption,
        "reason": decision.reason,
        "treatment": decision.treatment,
        "opinions": sorted(digest(canonical(opinion_document(row))) for row in opinions if row.signed_at),
        "signed_at": decision.signed_at,
    }
