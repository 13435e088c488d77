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
    asked, consult = record.asked, record.consult
    if asked is None:
        return []
    experts = [row for party in record.parties for row in party.invitations]
    return [
        kept(
            {
                "resourceType": "ServiceRequest",
                "id": asked.id,
                "identifier": [identifier("request", asked.id)],
                "extension": [extension("liability-mode", valueCode=asked.liability_mode)],
                "status": "revoked" if asked.withdrawn else _ENDED.get(consult.status, "active"),
                "intent": "order",
                "priority": "urgent" if asked.urgent else "routine",
                "category": [concept(consult.kind.value)],
                "code": concept("远程会诊", SNOMED, "11429006", "Consultation"),
                "orderDetail": [concept(asked.aim)],
                "subject": reference("Patient", consult.patient_id),
                "encounter": reference("Encounter", consult.id),
                "occurrencePeriod": period(consult.starts_at, consult.ends_at),
                "authoredOn": moment(asked.at),
                "requester": reference("Practitioner", asked.by, record.person(asked.by)),
                "performerType": concept(asked.specialty) or None,
                "performer": [
                    *(
                        reference("Organization", party.institution_id, record.house(party.institution_id))
                        for party in record.parties
                    ),
                    *(reference("Practitioner", row.expert_id, record.person(row.expert_id)) for row in experts),
                ],
                "reasonCode": [concept(asked.reason)],
                "supportingInfo": [
                    *(reference("ImagingStudy", row.id) for row in record.studies),
                    *(reference("DocumentReference", row.id) for row in record.files),
                ],
                "note": [{"text": asked.summary}],
            }
        )
    ]
