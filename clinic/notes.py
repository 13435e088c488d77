"""The attending doctor's visit note: drafted, then signed with the server's seal, never changed after."""

from collections.abc import Mapping
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
from clinic.errors import AlreadySigned, DiagnosisNotAllowed, IllegalMove, PrescriptionInText
from clinic.overlays import rules_for
from clinic.prescribing import prescribes
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
    """Write or rewrite the unsigned note.

    Raises AlreadySigned, InvalidInput, NotPermitted, IllegalMove, DiagnosisNotAllowed, PrescriptionInText.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.WRITE_NOTE, consult)
    require_writable(consult)
    values: dict[str, Any] = {
        "complaint": checks.text("complaint", text.complaint, checks.TEXT, 0),
        "findings": checks.text("findings", text.findings, checks.TEXT, 0),
        "diagnosis": checks.text("diagnosis", text.diagnosis, checks.TEXT, 0),
        "advice": checks.text("advice", text.advice, checks.TEXT, 0),
    }
    await _allowed(tx, consult, values)
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


async def _allowed(tx: ClinicTransaction, consult: Consult, values: Mapping[str, str]) -> None:
    """What the note of this kind may say is data: advice names no diagnosis (CN-07) and prescribes nothing (CN-11)."""
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    may = rules.kinds[consult.kind].may
    if "diagnose" not in may and values["diagnosis"]:
        raise DiagnosisNotAllowed()
    if "prescribe" not in may or rules.value("CN-11", "every_note"):
        for field, text in values.items():
            if prescribes(text):
                raise PrescriptionInText(field)


async def sign(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> VisitNote:
    """The author signs; complaint, advice and (where the kind has one) diagnosis must be there.

    Raises AlreadySigned, InvalidInput, DiagnosisNotAllowed, PrescriptionInText.
    """
    consult = await tx.consults.get(consult_id)
    notes = await tx.visit_notes.find(consult_id=consult_id)
    await authorise(tx, by, Action.SIGN_NOTE, consult, owners=[note.author_id for note in notes] or None)
    require_writable(consult)
    if not notes:
        raise MissingRow("visit_notes")
    note = notes[0]
    if note.signed_at is not None:
        raise AlreadySigned()
    await _allowed(
        tx, consult, {name: getattr(note, name) for name in ("complaint", "findings", "diagnosis", "advice")}
    )
    house = await tx.institutions.get(consult.institution_id)
    diagnosed = "diagnose" in rules_for(house, tx.now).kinds[consult.kind].may
    for field in ("complaint", *(("diagnosis",) if diagnosed else ()), "advice"):
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
