"""ServiceRequest: the inviting side's request (会诊申请)."""

from clinic.consult import ConsultStatus
from huizhen.fhir.record import Record
from huizhen.fhir.terms import SNOMED, Resource, concept, extension, identifier, kept, moment, period, reference

_ENDED = {
    ConsultStatus.CLOSED: "completed",
    ConsultStatus.CANCELLED: "revoked",
    ConsultStatus.NO_SHOW: "revoked",
    ConsultStatus.TERMINATED_UNSUITABLE: "revoked",
}


def resources(record: Record) -> list[Resource]:
    case, consult = record.case, record.consult
    if case is None:
        return []
    experts = [row for party in record.parties for row in party.invitations]
    return [
        kept(
            {
                "resourceType": "ServiceRequest",
                "id": case.id,
                "identifier": [identifier("case", case.id)],
                "extension": [extension("liability-mode", valueCode=case.liability_mode)],
                "status": _ENDED.get(consult.status, "active"),
                "intent": "order",
                "category": [concept(consult.kind.value)],
                "code": concept("远程会诊", SNOMED, "11429006", "Consultation"),
                "orderDetail": [concept(case.aim)],
                "subject": reference("Patient", consult.patient_id),
                "encounter": reference("Encounter", consult.id),
                "occurrencePeriod": period(consult.starts_at, consult.ends_at),
                "authoredOn": moment(case.requested_at),
                "requester": reference("Practitioner", case.requested_by, record.person(case.requested_by)),
                "performerType": concept(case.wanted_specialty) or None,
                "performer": [
                    *(
                        reference("Organization", party.institution_id, record.house(party.institution_id))
                        for party in record.parties
                    ),
                    *(reference("Practitioner", row.expert_id, record.person(row.expert_id)) for row in experts),
                ],
                "reasonCode": [concept(case.reason)],
                "supportingInfo": [
                    *(reference("ImagingStudy", row.id) for row in record.studies),
                    *(reference("DocumentReference", row.id) for row in record.files),
                ],
                "note": [{"text": case.summary}],
            }
        )
    ]
