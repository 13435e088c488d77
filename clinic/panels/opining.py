"""Each expert's opinion: drafted, then signed and sealed; dissent is kept (rules 1.3)."""

from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned
from clinic.notes import require_writable
from clinic.panels import written
from clinic.panels.records import Opinion
from clinic.panels.traces import event
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def save_opinion(tx: ClinicTransaction, consult_id: str, by: Actor, text: str, dissent: bool = False) -> Opinion:
    """An expert's opinion, unsigned. Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, by, Action.WRITE_OPINION, consult)
    require_writable(consult)
    written = checks.text("text", text, checks.TEXT)
    before = await tx.opinions.find(consult_id=consult_id, expert_id=by.id)
    if before and before[0].signed_at is not None:
        raise AlreadySigned()
    if before:
        opinion = replace(before[0], text=written, dissent=dissent, updated_at=tx.now)
        await tx.opinions.save(opinion)
    else:
        home = seat.home_institution_id if seat else by.institution_id
        opinion = Opinion(
            uuid4().hex, consult.institution_id, consult_id, by.id, home, written, dissent, updated_at=tx.now
        )
        await tx.opinions.add(opinion)
    await tx.append(event(EventCode.NOTE_DRAFTED, consult, by, opinion.id, {"kind": "opinion"}))
    return opinion


async def sign_opinion(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> Opinion:
    """The expert signs their own. Raises AlreadySigned, MissingRow (nothing written), NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    own = await tx.opinions.find(consult_id=consult_id, expert_id=by.id)
    await authorise(tx, by, Action.SIGN_OPINION, consult, owners=[by.id])
    require_writable(consult)
    if not own:
        raise MissingRow("opinions")
    if own[0].signed_at is not None:
        raise AlreadySigned()
    opinion = replace(own[0], signed_at=tx.now)
    document = opinion_document(opinion)
    opinion = replace(opinion, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.opinions.save(opinion)
    public = {"document": digest(canonical(document)), "dissent": opinion.dissent}
    await tx.append(event(EventCode.OPINION_SIGNED, consult, by, opinion.id, public))
    return opinion


def opinion_document(opinion: Opinion) -> dict[str, object]:
    """What an expert's seal covers."""
    return {
        "type": "huizhen.opinion",
        "v": 1,
        "id": opinion.id,
        "consult": opinion.consult_id,
        "expert": opinion.expert_id,
        "institution": opinion.expert_institution_id,
        "text": opinion.text,
        "dissent": opinion.dissent,
        "signed_at": opinion.signed_at,
    }


async def unsigned_opinions(tx: ClinicTransaction, consult: Consult) -> tuple[str, ...]:
    """Every expert who was in the room signs (who took part, in writing), and at least one does."""
    signed = {row.expert_id for row in await tx.opinions.find(consult_id=consult.id) if row.signed_at}
    seats = await tx.seats.find(consult_id=consult.id)
    came = {seat.person_id for seat in seats if seat.role in (Role.EXPERT, Role.CHAIR) and seat.admitted_at}
    if await written.of(tx, consult.id) is not None:
        came |= await written.taking_part(tx, consult)
    return () if signed and came <= signed else ("opinion",)
