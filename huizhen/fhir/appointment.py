"""Appointment: when, and who said they would come."""

from clinic.consult import ConsultStatus
from clinic.panels.records import InvitationState
from huizhen.fhir.record import Record
from huizhen.fhir.terms import Resource, concept, identifier, kept, moment, reference

_STATUS = {
    ConsultStatus.SCHEDULED: "booked",
    ConsultStatus.WAITING: "arrived",
    ConsultStatus.CANCELLED: "cancelled",
    ConsultStatus.NO_SHOW: "noshow",
}
_ANSWER = {
    InvitationState.SENT: "needs-action",
    InvitationState.ACCEPTED: "accepted",
    InvitationState.REFUSED: "declined",
    InvitationState.RELEASED: "declined",
}


def resources(record: Record) -> list[Resource]:
    consult, asked = record.consult, record.asked
    experts = [row for party in record.parties for row in party.invitations]
    status = _STATUS.get(consult.status, "fulfilled")
    if status == "booked" and asked is not None and not any(row.state == "accepted" for row in experts):
        status = "pending"
    doctor = reference("Practitioner", consult.doctor_id, record.person(consult.doctor_id))
    return [
        kept(
            {
                "resourceType": "Appointment",
                "id": consult.id,
                "identifier": [identifier("consult", consult.id)],
                "status": status,
                "cancelationReason": concept(consult.outcome_code)
                if status == "cancelled" and consult.outcome_code
                else None,
                "serviceType": [concept(consult.kind.value)],
                "specialty": [concept(consult.department)],
                "start": moment(consult.starts_at),
                "end": moment(consult.ends_at),
                "created": moment(consult.created_at),
                "basedOn": [reference("ServiceRequest", asked.id)] if asked else None,
                "participant": [
                    {"actor": reference("Patient", consult.patient_id), "status": "accepted"},
                    {"actor": doctor, "required": "required", "status": "accepted"},
                    *(
                        {
                            "actor": reference("Practitioner", row.expert_id, record.person(row.expert_id)),
                            "status": _ANSWER.get(row.state, "tentative"),
                        }
                        for row in experts
                    ),
                ],
            }
        )
    ]
