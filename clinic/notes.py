"""The attending doctor's visit note: drafted, then signed with the server's seal, never changed after."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, VisitNote
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned, IllegalMove
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

WRITABLE = (ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING)


@dataclass(frozen=True, slots=True)
class NoteText:
    complaint: str
    findings: str
    diagnosis: str
    advice: str


async def save_draft(tx: ClinicTransaction, consult_id: str, text: NoteText, by: Actor) -> VisitNote:
    """Write or rewrite the unsigned note. Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.WRITE_NOTE, consult)
    require_writable(consult)
    values: dict[str, Any] = {
        "complaint": checks.text("complaint", text.complaint, checks.TEXT, 0),
        "findings": checks.text("findings", text.findings, checks.TEXT, 0),
        "diagnosis": checks.text("diagnosis", text.diagnosis, checks.TEXT, 0),
        "advice": checks.text("advice", text.advice, checks.TEXT, 0),
    }
    before = await tx.visit_notes.find(consult_id=consult_id)
    if before and before[0].signed_at is not None:
        raise AlreadySigned()
    if before:
        note = replace(before[0], author_id=by.id, updated_at=tx.now, **values)
        await tx.visit_notes.save(note)
    else:
        note = VisitNote(uuid4().hex, consult.institution_id, consult_id, by.id, updated_at=tx.now, **values)
        await tx.visit_notes.add(note)
    await tx.append(
        AuditEvent(EventCode.NOTE_DRAFTED, consult.institution_id, by.seat_id or by.id, consult_id, note.id)
    )
    return note


async def sign(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> VisitNote:
    """The author signs; complaint, diagnosis and advice must be there. Raises AlreadySigned, InvalidInput."""
    consult = await tx.consults.get(consult_id)
    notes = await tx.visit_notes.find(consult_id=consult_id)
    await authorise(tx, by, Action.SIGN_NOTE, consult, owners=[note.author_id for note in notes] or None)
    require_writable(consult)
    if not notes:
        raise MissingRow("visit_notes")
    note = notes[0]
    if note.signed_at is not None:
        raise AlreadySigned()
    for field in ("complaint", "diagnosis", "advice"):
        checks.text(field, getattr(note, field), checks.TEXT)
    document = document_of(replace(note, signed_at=tx.now))
    note = replace(note, signed_at=tx.now, signature=sealed(sealer, note.institution_id, document, tx.now))
    await tx.visit_notes.save(note)
    await tx.append(
        AuditEvent(
            EventCode.NOTE_SIGNED,
            consult.institution_id,
            by.seat_id or by.id,
            consult_id,
            note.id,
            public={"document": digest(canonical(document))},
        )
    )
    return note


def document_of(note: VisitNote) -> dict[str, object]:
    """What is sealed: everything the note says, by whom and when."""
    return {
        "type": "huizhen.visit-note",
        "v": 1,
        "id": note.id,
        "institution": note.institution_id,
        "consult": note.consult_id,
        "author": note.author_id,
        "complaint": note.complaint,
        "findings": note.findings,
        "diagnosis": note.diagnosis,
        "advice": note.advice,
        "signed_at": note.signed_at,
    }


def require_writable(consult: Consult) -> None:
    """Papers are written during the call and after it, until the consult closes. Raises IllegalMove."""
    if consult.status not in WRITABLE:
        raise IllegalMove(f"no papers while {consult.status}")
