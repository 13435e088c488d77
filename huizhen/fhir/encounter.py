"""Encounter: the consult itself, with who was in the room."""

from clinic.consult import ConsultStatus, Seat
from clinic.people import CLINICIANS, Role
from huizhen.fhir.record import Record
from huizhen.fhir.terms import ACT_CODE, Resource, concept, identifier, kept, period, reference

_STATUS = {
    ConsultStatus.SCHEDULED: "planned",
    ConsultStatus.WAITING: "arrived",
    ConsultStatus.IN_PROGRESS: "in-progress",
    ConsultStatus.CANCELLED: "cancelled",
    ConsultStatus.NO_SHOW: "cancelled",
}
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_TYPES = {Role.ATTENDING: "ATND", Role.INVITING: "ATND", Role.EXPERT: "CON", Role.CHAIR: "CON", Role.NURSE: "SPRF"}


def resources(record: Record) -> list[Resource]:
    """Finished once the media ended; papers still due are told by what is missing, not by this status."""
    consult, asked = record.consult, record.asked
    return [
        kept(
            {
                "resourceType": "Encounter",
                "id": consult.id,
                "identifier": [identifier("consult", consult.id)],
                "status": _STATUS.get(consult.status, "finished"),
                "class": {"system": ACT_CODE, "code": "VR", "display": "virtual"},
                "type": [concept(consult.kind.value)],
                "serviceType": concept(consult.department),
                "subject": reference("Patient", consult.patient_id),
                "basedOn": [reference("ServiceRequest", asked.id)] if asked else None,
                "participant": [_participant(record, seat) for seat in record.seats if seat.role in CLINICIANS],
                "appointment": [reference("Appointment", consult.id)],
                "period": period(consult.opened_at, consult.ended_at) or None,
                "reasonCode": [concept(consult.reason)] if consult.reason else None,
                "serviceProvider": reference(
                    "Organization", consult.institution_id, record.house(consult.institution_id)
                ),
            }
        )
    ]


def _participant(record: Record, seat: Seat) -> Resource:
    return kept(
        {
            "type": [concept(seat.role.value, _PARTICIPATION, _TYPES[seat.role])],
            "period": period(seat.admitted_at, seat.left_at) or None,
            "individual": reference("Practitioner", seat.person_id, seat.display_name) if seat.person_id else None,
        }
    )
