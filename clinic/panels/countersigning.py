"""A senior's signature under a trainee's opinion (rules 1.5, HZ-27), or the opinion sent back with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import NothingToCountersign, NotSenior, SharingWithdrawn
from clinic.notes import WRITABLE, require_writable
from clinic.overlays import rules_for
from clinic.panels.documents import countersign_document
from clinic.panels.outcome import Countersignature
from clinic.panels.papers import papers_of
from clinic.panels.records import Case, Opinion
from clinic.panels.signers import described
from clinic.panels.traces import event
from clinic.people import Staff
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class ToCountersign:
    """What a senior reads before signing."""

    opinion: Opinion
    consult: Consult
    case: Case | None


async def countersign(  # noqa: PLR0917
    tx: ClinicTransaction, sealer: Sealer, opinion_id: str, by: Actor, agrees: bool, remark: str
) -> Countersignature:
    """Sign under a colleague's opinion, or return it. Raises NotSenior, NothingToCountersign,
    SharingWithdrawn, InvalidInput, NotPermitted, MissingRow (of another institution), IllegalMove (closed)."""
    opinion = await _in_house(tx, opinion_id, by)
    consult = await tx.consults.get(opinion.consult_id)
    require_writable(consult)
    papers = await papers_of(tx, consult.id)
    if opinion.expert_institution_id in papers.released:
        raise SharingWithdrawn()
    if opinion not in papers.to_countersign:
        raise NothingToCountersign()
    senior, home = await tx.staff.get(by.id), await tx.institutions.get(by.institution_id)
    today, rules = local_date(tx.now, home.time_zone), rules_for(home, tx.now)
    if senior.requires_countersign or senior.id == opinion.expert_id or expert_refusals([senior], [home], rules, today):
        raise NotSenior()
    word = Countersignature(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        opinion_id=opinion.id,
        senior_id=senior.id,
        agrees=agrees,
        remark=checks.text("remark", remark, checks.TEXT, 0 if agrees else 2),
        author=described(senior, home.name),
        signed_at=tx.now,
        signature="",
    )
    document = countersign_document(word, opinion)
    word = replace(word, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.countersignatures.add(word)
    public = {"document": digest(canonical(document)), "opinion": opinion.id, "agrees": agrees}
    await tx.append(event(EventCode.OPINION_COUNTERSIGNED, consult, by, word.id, public))
    return word


async def waiting(tx: ClinicTransaction, senior: Staff) -> tuple[ToCountersign, ...]:
    """Opinions of this institution's trainees that wait for a senior; the viewing of each case is on record."""
    by = Actor.staff(senior)
    require(by, Action.COUNTERSIGN, Place(senior.institution_id))
    signed = await tx.opinions.find(expert_institution_id=senior.institution_id, countersign=True)
    found = []
    for consult_id in dict.fromkeys(row.consult_id for row in signed if row.expert_id != senior.id):
        consult = await tx.consults.get(consult_id)
        if consult.status not in WRITABLE:
            continue
        cases: Sequence[Case] = await tx.cases.find(consult_id=consult_id)
        papers = await papers_of(tx, consult_id)
        own = [row for row in papers.to_countersign if row.expert_institution_id == senior.institution_id]
        for opinion in own:
            await tx.append(event(EventCode.CHART_VIEWED, consult, by, opinion.id, {"part": "opinion"}))
            found.append(ToCountersign(opinion, consult, cases[0] if cases else None))
    return tuple(found)


async def _in_house(tx: ClinicTransaction, opinion_id: str, by: Actor) -> Opinion:
    opinion = await tx.opinions.get(opinion_id)
    if opinion.expert_institution_id != by.institution_id:
        raise MissingRow("opinions")
    require(by, Action.COUNTERSIGN, Place(opinion.expert_institution_id))
    return opinion
