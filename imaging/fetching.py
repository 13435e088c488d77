"""Studies of the hospital's own archive: found for this patient only, allowed one by one, fetched into the case.

Experts never reach the archive: what they see lies in the case. Whoever searches is asked as whoever uploads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.people import Patient
from imaging import uids
from imaging.access import may_add
from imaging.errors import Stranger, TooMany
from imaging.identity import Named, compare
from imaging.keeping import MOST_STUDIES
from imaging.records import Identity, PacsStudy
from imaging.transaction import ImagingTransaction


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """What the archive says of one study. Nothing of `named` is kept."""

    uid: str
    named: Named
    day: str = ""
    modalities: tuple[str, ...] = ()
    description: str = ""
    instances: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of files that were fetched at once. `next`: where the following ones begin, -1: all are through."""

    added: int
    known: int
    refused: int
    next: int


def own(found: Sequence[FoundStudy], patient: Patient) -> tuple[FoundStudy, ...]:
    """This patient's: nothing that can be compared differs, and birth date or identity number agree. Pure.

    A name alone is not enough, an archive holds many people of one name; and it cannot be asked for where the archive
    has it in letters only and the house in characters only.
    """
    return tuple(
        one
        for one in found
        if compare(one.named, patient)[0] is not Identity.DIFFERS
        and (one.named.birth_date or one.named.patient_id.strip().upper() == patient.id_number.upper())
    )


async def searched(
    tx: ImagingTransaction, actor: Actor, consult_id: str, found: Sequence[FoundStudy]
) -> tuple[FoundStudy, ...]:
    """Put on record before anything of it is told. Raises NotPermitted, MissingRow, NotTaken."""
    viewer = await may_add(tx, actor, consult_id)
    mine = own(found, await tx.patients.get(viewer.consult.patient_id))
    public = {"found": len(mine), "others": len(found) - len(mine)}
    await tx.append(
        AuditEvent(EventCode.PACS_SEARCHED, viewer.consult.institution_id, viewer.id, consult_id, public=public)
    )
    return mine


async def allow(tx: ImagingTransaction, actor: Actor, consult_id: str, found: FoundStudy) -> PacsStudy:
    """One more line of the allow-list; allowed again it is the same line.

    Raises NotPermitted, MissingRow, NotTaken, Stranger, TooMany.
    """
    viewer = await may_add(tx, actor, consult_id)
    if not own([found], await tx.patients.get(viewer.consult.patient_id)):
        raise Stranger
    before = await tx.pacs_studies.find(consult_id=consult_id)
    row_id = uids.row_id(consult_id, "pacs", found.uid)
    if known := next((row for row in before if row.id == row_id), None):
        return known
    if len(before) >= MOST_STUDIES:
        raise TooMany
    row = PacsStudy(
        id=row_id,
        institution_id=viewer.consult.institution_id,
        consult_id=consult_id,
        uid=found.uid,
        day=found.day,
        modalities=found.modalities,
        description=found.description,
        instances=found.instances,
        allowed_by=viewer.id,
        allowed_at=tx.now,
    )
    await tx.pacs_studies.add(row)
    public = {"modalities": list(row.modalities), "instances": row.instances}
    await tx.append(
        AuditEvent(EventCode.PACS_ALLOWED, row.institution_id, viewer.id, consult_id, row.id, public=public)
    )
    return row


async def allowed(tx: ImagingTransaction, actor: Actor, consult_id: str) -> tuple[PacsStudy, ...]:
    """The list, oldest first. Raises NotPermitted, MissingRow, NotTaken."""
    await may_add(tx, actor, consult_id)
    return tuple(await tx.pacs_studies.find(consult_id=consult_id))


async def line(tx: ImagingTransaction, actor: Actor, consult_id: str, row_id: str) -> PacsStudy:
    """Before anything is fetched. Raises NotPermitted, NotTaken, MissingRow: not on this consult's list."""
    await may_add(tx, actor, consult_id)
    row = await tx.pacs_studies.get(row_id)
    if row.consult_id != consult_id:
        raise MissingRow("pacs_studies")
    return row


async def fetched(tx: ImagingTransaction, actor: Actor, row: PacsStudy, batch: Batch) -> None:
    """A batch on record, beside the event that covers its rows."""
    public = {"added": batch.added, "known": batch.known, "refused": batch.refused, "next": batch.next}
    who = actor.seat_id or actor.id
    await tx.append(AuditEvent(EventCode.PACS_FETCHED, row.institution_id, who, row.consult_id, row.id, public=public))
