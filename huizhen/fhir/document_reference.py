"""DocumentReference: papers of the case, the signed note, the inviting doctor's decision, the own sealed copy."""

import base64
from datetime import datetime

from clinic.consult import VisitNote
from clinic.panels.outcome import SealedCopy
from clinic.panels.records import DecisionNote
from clinic.upload import EvidenceFile, FileKind
from huizhen.fhir.record import Record
from huizhen.fhir.terms import LOINC, Resource, concept, extension, identifier, kept, moment, reference

_MEDIA = {FileKind.PDF: "application/pdf", FileKind.JPEG: "image/jpeg", FileKind.PNG: "image/png"}
_TEXT = "text/plain; charset=utf-8"


def resources(record: Record) -> list[Resource]:
    found = [_paper(record, row) for row in record.files]
    if record.note is not None and record.note.signed_at is not None:
        found.append(_note(record, record.note, record.note.signed_at))
    if record.decision is not None and record.decision.signed_at is not None:
        found.append(_decision(record, record.decision, record.decision.signed_at))
    return [*found, *(_copy(record, row) for row in record.copies)]


def _copy(record: Record, row: SealedCopy) -> Resource:
    """The reader's own institution's sealed copy; its archivist takes the package, which is on record."""
    attachment = {
        "contentType": "application/zip",
        "url": f"{record.base}/api/copies/{row.id}/package",
        "size": row.size,
        "creation": moment(row.sealed_at or row.ordered_at),
    }
    told = _document(
        record,
        row.id,
        "sealed-copy",
        concept("会诊封存副本"),
        "",
        at=row.sealed_at or row.ordered_at,
        attachment=attachment,
    )
    sha256 = extension("sha256", valueString=row.package_sha256)
    return {**told, "extension": [sha256], "custodian": reference("Organization", row.institution_id)}


def _note(record: Record, row: VisitNote, at: datetime) -> Resource:
    text = "\n".join((row.complaint, row.findings, row.diagnosis, row.advice))
    kind = concept("病历", LOINC, "34108-1", "Outpatient Note")
    return _document(record, row.id, "visit-note", kind, row.author_id, at=at, attachment=_inline(text, "病历", at))


def _decision(record: Record, row: DecisionNote, at: datetime) -> Resource:
    text = "\n".join((row.adoption.value, row.reason, row.treatment))
    kind = concept("邀请方决定", LOINC, "51847-2", "Evaluation + Plan note")
    attachment = _inline(text, "邀请方决定", at)
    told = _document(record, row.id, "decision", kind, row.doctor_id, at=at, attachment=attachment)
    told["context"]["related"] = [reference("DiagnosticReport", each.id) for each in record.opinions]
    return {**told, "context": kept(told["context"])}


def _paper(record: Record, row: EvidenceFile) -> Resource:
    """The bytes stay behind the door of the papers, where each look is on record."""
    url = f"{record.base}/api/consults/{row.consult_id}/evidence-files/{row.id}"
    attachment = {
        "contentType": _MEDIA[row.kind],
        "url": url,
        "size": row.size,
        "creation": moment(row.added_at),
    }
    kind = concept("患者提供的资料", LOINC, "51855-5", "Patient Note")
    return _document(record, row.id, "evidence-file", kind, "", at=row.added_at, attachment=attachment)


def _document(
    record: Record,
    row_id: str,
    name: str,
    kind: Resource,
    author_id: str,
    *,
    at: datetime,
    attachment: Resource,
) -> Resource:
    author = [reference("Practitioner", author_id, record.person(author_id))] if author_id else None
    return kept(
        {
            "resourceType": "DocumentReference",
            "id": row_id,
            "identifier": [identifier(name, row_id)],
            "status": "current",
            "docStatus": "final",
            "type": kind,
            "subject": reference("Patient", record.consult.patient_id),
            "date": moment(at),
            "author": author,
            "custodian": reference("Organization", record.consult.institution_id),
            "content": [{"attachment": attachment}],
            "context": {"encounter": [reference("Encounter", record.consult.id)]},
        }
    )


def _inline(text: str, title: str, at: datetime) -> Resource:
    data = base64.b64encode(text.encode()).decode()
    return {"contentType": _TEXT, "data": data, "title": title, "creation": moment(at)}
