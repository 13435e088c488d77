"""A panel that is over is copied for each institution that took part; the order is a row of the ending transaction.

Made after it in the background (`huizhen.copies`); a crash between the two leaves a row that says what is still due.
"""

from collections.abc import Container
from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import PANELS, Consult
from clinic.errors import CopyNotReady
from clinic.panels import ending
from clinic.panels.counting import PanelPapers
from clinic.panels.outcome import CopyState, OpinionPaper, SealedCopy
from clinic.panels.papers import papers_of
from clinic.panels.traces import event
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def order(
    tx: ClinicTransaction, consult: Consult, by: Actor, shared: Container[str] | None = None
) -> tuple[SealedCopy, ...]:
    """One copy for the inviting institution and one for each whose experts signed, or took part in a panel that was
    ended before they could. None for other kinds, nor for a panel that never met.

    `shared`: institutions the patient shares with now, told by the edge: to another that signed nothing, nothing new
    is given (PIPL art. 15, 23). None: not asked.
    """
    if consult.kind not in PANELS:
        return ()
    papers = await papers_of(tx, consult.id)
    if ending.ended_early(consult) and not ending.met(consult, papers):
        return ()
    holders = _holders(consult, papers, shared)
    ordered = []
    for holder in holders:
        copy_id = uuid4().hex
        copy = SealedCopy(
            id=copy_id,
            institution_id=holder,
            consult_id=consult.id,
            inviting_institution_id=consult.institution_id,
            patient_id=consult.patient_id,
            state=CopyState.DUE,
            ordered_at=tx.now,
            key_id=f"copy-{copy_id}",
            blob_key=f"{holder}/copies/{copy_id}/copy.hzs",
        )
        await tx.sealed_copies.add(copy)
        await tx.append(_event(EventCode.COPY_ORDERED, copy, by.id))
        ordered.append(copy)
    return tuple(ordered)


def _holders(consult: Consult, papers: PanelPapers, shared: Container[str] | None) -> tuple[str, ...]:
    signed = [row.expert_institution_id for row in papers.counted]
    if ending.ended_early(consult):
        signed += [row.expert_institution_id for row in papers.opinions if row.signed_at]
        came = [seat.home_institution_id for seat in papers.taking_part]
        signed += [each for each in came if shared is None or each in shared]
    return tuple(dict.fromkeys((consult.institution_id, *signed)))


async def due(tx: ClinicTransaction) -> tuple[SealedCopy, ...]:
    """What is still to be made, the oldest first."""
    return tuple(await tx.sealed_copies.find(state=CopyState.DUE))


async def file_paper(tx: ClinicTransaction, paper: OpinionPaper) -> OpinionPaper:
    """The paper's row, once per consult: who comes second gets the first one's."""
    known = await tx.opinion_papers.find(consult_id=paper.consult_id)
    if known:
        return known[0]
    await tx.opinion_papers.add(paper)
    consult = await tx.consults.get(paper.consult_id)
    public = {"document": paper.document_sha256, "pdf": paper.pdf_sha256, "code": paper.code}
    await tx.append(event(EventCode.PAPER_FILED, consult, Actor.system(consult.institution_id), paper.id, public))
    return paper


async def sealed(tx: ClinicTransaction, made: SealedCopy) -> SealedCopy:
    """The copy is in the store: its row says so, once. `made` holds what became known while it was made."""
    now = await tx.sealed_copies.get(made.id)
    if now.state is CopyState.SEALED:
        return now
    done = replace(made, state=CopyState.SEALED, sealed_at=tx.now)
    await tx.sealed_copies.save(done)
    public = {"manifest": done.manifest_sha256, "package": done.package_sha256, "file": done.blob_sha256}
    await tx.append(replace(_event(EventCode.COPY_SEALED, done, "system"), public=public))
    return done


async def listed(tx: ClinicTransaction, by: Actor) -> tuple[SealedCopy, ...]:
    """The copies of the archive's institution. Raises NotPermitted."""
    require(by, Action.SEE_COPIES, Place(by.institution_id))
    return tuple(await tx.sealed_copies.find(institution_id=by.institution_id))


async def take(tx: ClinicTransaction, copy_id: str, by: Actor) -> SealedCopy:
    """The archivist of its own institution takes a copy out, on record.

    Raises CopyNotReady, NotPermitted, MissingRow (another institution's).
    """
    copy = await tx.sealed_copies.get(copy_id)
    if copy.institution_id != by.institution_id:
        raise MissingRow("sealed_copies")
    require(by, Action.TAKE_COPY, Place(copy.institution_id))
    if copy.state is not CopyState.SEALED:
        raise CopyNotReady()
    await tx.append(replace(_event(EventCode.COPY_TAKEN, copy, by.id), public={"package": copy.package_sha256}))
    return copy


def _event(code: EventCode, copy: SealedCopy, by: str) -> AuditEvent:
    public = {"inviting": copy.inviting_institution_id}
    return AuditEvent(code, copy.institution_id, by, copy.consult_id, copy.id, public=public)
