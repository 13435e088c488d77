"""The inviting doctor decides with reference to the opinions and the joint report (rules 1.3)."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned, InvalidInput, PapersMissing
from clinic.notes import require_writable
from clinic.panels.documents import decision_document
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Adoption, DecisionNote
from clinic.panels.signers import signer_of
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
    """Sign after experts and chair did: the seal covers their opinions and the joint report too.

    Raises PapersMissing, InvalidInput (nothing to adopt, or nothing said of opinions), AlreadySigned, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_DECISION, consult)
    require_writable(consult)
    rows = await tx.decision_notes.find(consult_id=consult_id)
    if not rows:
        raise MissingRow("decision_notes")
    if rows[0].signed_at is not None:
        raise AlreadySigned()
    papers = await papers_of(tx, consult_id)
    if missing := tuple(paper for paper in await missing_of(tx, consult, papers) if paper != "decision"):
        raise PapersMissing(missing)
    if (rows[0].adoption is Adoption.NOTHING) == bool(papers.counted):
        raise InvalidInput("adoption", "says of opinions what is not so")
    decision = replace(rows[0], doctor_id=by.id, signed_at=tx.now, author=await signer_of(tx, by.id))
    document = decision_document(decision, papers.counted, papers.report)
    decision = replace(decision, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.decision_notes.save(decision)
    public = {"document": digest(canonical(document)), "adoption": decision.adoption.value}
    await tx.append(event(EventCode.DECISION_SIGNED, consult, by, decision.id, public))
    return decision
