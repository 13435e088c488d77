"""Each expert's opinion: drafted, then signed and sealed; dissent is kept (rules 1.3).

`shared`: institutions the patient shares with now, told by the edge, which alone reads that ledger.
"""

from collections.abc import Container
from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned, HandedOver, SharingWithdrawn
from clinic.notes import require_writable
from clinic.overlays import rules_for
from clinic.panels.counting import PanelPapers, opinion_of
from clinic.panels.documents import opinion_document
from clinic.panels.papers import papers_of
from clinic.panels.records import Opinion
from clinic.panels.signers import described
from clinic.panels.traces import event
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def save_opinion(
    tx: ClinicTransaction, consult_id: str, by: Actor, shared: Container[str], text: str, *, dissent: bool = False
) -> Opinion:
    """An expert's opinion, unsigned; one that a senior returned is written anew, beside it.

    Raises AlreadySigned, HandedOver, SharingWithdrawn, InvalidInput, NotPermitted, IllegalMove.
    """
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, by, Action.WRITE_OPINION, consult)
    require_writable(consult)
    written = checks.text("text", text, checks.TEXT)
    before = _own(await papers_of(tx, consult_id), by.id)
    home = seat.home_institution_id if seat else by.institution_id
    _require_shared(consult, home, shared)
    if before is not None:
        opinion = replace(before, text=written, dissent=dissent, updated_at=tx.now)
        await tx.opinions.save(opinion)
    else:
        opinion = Opinion(
            uuid4().hex, consult.institution_id, consult_id, by.id, home, written, dissent, updated_at=tx.now
        )
        await tx.opinions.add(opinion)
    await tx.append(event(EventCode.NOTE_DRAFTED, consult, by, opinion.id, {"kind": "opinion"}))
    return opinion


def _own(papers: PanelPapers, expert_id: str) -> Opinion | None:
    """The draft to go on with; None to begin one. Raises AlreadySigned, HandedOver."""
    if expert_id in papers.handed_over:
        raise HandedOver()
    if any(paper is not None and paper.signed_at for paper in (papers.report, papers.decision)):
        raise AlreadySigned("what rests on the opinions is signed")
    own = opinion_of(papers.standing, expert_id)
    if own is not None and own.signed_at is not None:
        raise AlreadySigned()
    return own


def _require_shared(consult: Consult, home: str, shared: Container[str]) -> None:
    """PIPL art. 15, 23: nothing new rests on what is not shared any more. Raises SharingWithdrawn."""
    if home != consult.institution_id and home not in shared:
        raise SharingWithdrawn()


async def sign_opinion(
    tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor, shared: Container[str]
) -> Opinion:
    """The expert signs their own, as who they are that day; a trainee's waits for a senior's signature (HZ-27).

    Raises AlreadySigned, HandedOver, SharingWithdrawn, MissingRow (nothing written), NotPermitted, IllegalMove.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_OPINION, consult, owners=[by.id])
    require_writable(consult)
    own = _own(await papers_of(tx, consult_id), by.id)
    if own is None:
        raise MissingRow("opinions")
    _require_shared(consult, own.expert_institution_id, shared)
    person = await tx.staff.get(by.id)
    home = await tx.institutions.get(person.institution_id)
    trainee = bool(person.requires_countersign) and bool(rules_for(home, tx.now).value("HZ-27", "required"))
    opinion = replace(own, signed_at=tx.now, author=described(person, home.name), countersign=trainee)
    document = opinion_document(opinion)
    opinion = replace(opinion, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.opinions.save(opinion)
    public = {"document": digest(canonical(document)), "dissent": opinion.dissent, "countersign": trainee}
    await tx.append(event(EventCode.OPINION_SIGNED, consult, by, opinion.id, public))
    return opinion
