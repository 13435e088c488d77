"""DiagnosticReport: each opinion that counts and the joint report; a view that differs is marked, never left out."""

from clinic.panels.outcome import JointReport
from clinic.panels.records import Opinion
from huizhen.fhir.record import Record
from huizhen.fhir.terms import LOINC, Resource, concept, extension, identifier, kept, moment, period, reference

_CATEGORY = "http://terminology.hl7.org/CodeSystem/v2-0074"


def resources(record: Record) -> list[Resource]:
    found = [_opinion(record, row) for row in record.opinions]
    return [*found, _joint(record, record.report)] if record.report is not None else found


def _joint(record: Record, row: JointReport) -> Resource:
    """What the chair drew together and signed."""
    assert row.signed_at is not None, "drafts are nobody's record"
    chair = reference("Practitioner", row.chair_id, record.person(row.chair_id))
    return kept(
        {
            "resourceType": "DiagnosticReport",
            "id": row.id,
            "identifier": [identifier("joint-report", row.id)],
            "extension": [extension("joint", valueBoolean=True)],
            "basedOn": [reference("ServiceRequest", record.asked.id)] if record.asked else None,
            "status": "final",
            "category": [concept("会诊共同意见", _CATEGORY, "OTH", "Other")],
            "code": concept("会诊共同意见", LOINC, "11488-4", "Consult note"),
            "subject": reference("Patient", record.consult.patient_id),
            "encounter": reference("Encounter", record.consult.id),
            "issued": moment(row.signed_at),
            "performer": [chair],
            "resultsInterpreter": [chair],
            "conclusion": "\n".join(each for each in (row.conclusion, row.advice) if each),
        }
    )


def _opinion(record: Record, row: Opinion) -> Resource:
    assert row.signed_at is not None, "drafts are nobody's record"
    chairs = {each.expert_id for party in record.parties for each in party.invitations if each.chair}
    expert = reference("Practitioner", row.expert_id, record.person(row.expert_id))
    return kept(
        {
            "resourceType": "DiagnosticReport",
            "id": row.id,
            "identifier": [identifier("opinion", row.id)],
            "extension": [
                extension("dissent", valueBoolean=row.dissent),
                extension("chair", valueBoolean=row.expert_id in chairs),
            ],
            "basedOn": [reference("ServiceRequest", record.asked.id)] if record.asked else None,
            "status": "final",
            "category": [concept("会诊意见", _CATEGORY, "OTH", "Other")],
            "code": concept("会诊意见", LOINC, "11488-4", "Consult note"),
            "subject": reference("Patient", record.consult.patient_id),
            "encounter": reference("Encounter", record.consult.id),
            "effectivePeriod": period(record.consult.opened_at, record.consult.ended_at) or None,
            "issued": moment(row.signed_at),
            "performer": [
                reference("Organization", row.expert_institution_id, record.house(row.expert_institution_id)),
                expert,
            ],
            "resultsInterpreter": [expert],
            "imagingStudy": [reference("ImagingStudy", study.id) for study in record.studies],
            "conclusion": row.text,
        }
    )
