"""Papers a patient or the clinic uploads as proof of the earlier visit (CN-07): kept, shown and linked, each on record.

The bytes are the store's affair; a row says what they are, who added them and which proof they belong to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import authorise, chart_access, chart_use
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, FollowUpEvidence
from clinic.errors import IllegalMove, NotPermitted
from clinic.roles import Action
from clinic.transaction import ClinicTransaction
from clinic.upload import EvidenceFile

MOST_FILES = 12  # per consult: a discharge summary photographed page by page
_OPEN = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)


class TooManyFiles(IllegalMove):
    """The consult holds as many files as it may."""

    code = "visit.too_many_files"


def takes_more(consult: Consult, files: Sequence[EvidenceFile]) -> bool:
    return consult.status in _OPEN and len(files) < MOST_FILES


async def may_add(tx: ClinicTransaction, consult_id: str, actor: Actor) -> Consult:
    """Asked before a byte is received, and again when the row is written.

    Raises NotPermitted, MissingRow, IllegalMove, TooManyFiles.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, actor, Action.ADD_EVIDENCE, consult)
    if consult.status not in _OPEN:
        raise IllegalMove("papers are added before the visit ends")
    if not takes_more(consult, await tx.evidence_files.find(consult_id=consult_id)):
        raise TooManyFiles()
    return consult


async def keep(tx: ClinicTransaction, file: EvidenceFile, actor: Actor) -> EvidenceFile:
    """The row of a stored file. Raises as `may_add`."""
    consult = await may_add(tx, file.consult_id, actor)
    file = replace(file, added_by=actor.seat_id or actor.id, added_at=tx.now)
    await tx.evidence_files.add(file)
    public = {
        "kind": file.kind.value,
        "pages": file.pages,
        "size": file.size,
        "sha256": file.sha256,
        "received": file.received_sha256,
    }
    await tx.append(
        AuditEvent(
            EventCode.EVIDENCE_UPLOADED, consult.institution_id, file.added_by, consult.id, file.id, public=public
        )
    )
    return file


async def view(tx: ClinicTransaction, actor: Actor, consult_id: str, file_id: str) -> EvidenceFile:
    """The row, the viewing on record: commit before a byte is told. Raises NotPermitted, MissingRow."""
    file = await tx.evidence_files.get(file_id)
    if file.consult_id != consult_id:
        raise MissingRow("evidence_files")
    consult = await tx.consults.get(consult_id)
    basis = await chart_use(tx, actor, consult)
    who = actor.seat_id or actor.id
    await tx.append(
        AuditEvent(EventCode.EVIDENCE_VIEWED, consult.institution_id, who, consult_id, file.id, public=basis)
    )
    return file


async def listed(tx: ClinicTransaction, actor: Actor, consult_id: str) -> tuple[EvidenceFile, ...]:
    """What there is, without its content. Raises NotPermitted, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await chart_access(tx, actor, consult)
    return tuple(await tx.evidence_files.find(consult_id=consult_id))


async def link(tx: ClinicTransaction, evidence: FollowUpEvidence, file_ids: Iterable[str], actor: Actor) -> None:
    """These files are what this proof was read from. Raises MissingRow, NotPermitted (linked already)."""
    for file_id in dict.fromkeys(file_ids):
        file = await tx.evidence_files.get(file_id)
        if file.consult_id != evidence.consult_id:
            raise MissingRow("evidence_files")
        if file.evidence_id is not None:
            raise NotPermitted("the file belongs to another proof")
        await tx.evidence_files.save(replace(file, evidence_id=evidence.id))
        await tx.append(
            AuditEvent(
                EventCode.EVIDENCE_LINKED,
                evidence.institution_id,
                actor.seat_id or actor.id,
                evidence.consult_id,
                file.id,
                public={"evidence": evidence.id},
            )
        )
