"""Task: what one invited institution was asked to do, and what became of it."""

from clinic.panels.records import Invitation, InvitationState
from huizhen.fhir.record import Party, Record
from huizhen.fhir.terms import Resource, concept, identifier, kept, moment, period, reference


def resources(record: Record) -> list[Resource]:
    return [_task(record, party) for party in record.parties]


def _task(record: Record, party: Party) -> Resource:
    case, consult = record.case, record.consult
    assert case is not None, "a party belongs to a case"
    opinions = [row for row in record.opinions if row.expert_institution_id == party.institution_id]
    answered = [row.answered_at for row in party.invitations if row.answered_at]
    changed = [*answered, *(row.signed_at for row in opinions if row.signed_at), case.requested_at]
    status = status_of(party.invitations, bool(opinions), ended=consult.over)
    refused = next((row.refusal_reason for row in party.invitations if row.refusal_reason), None)
    return kept(
        {
            "resourceType": "Task",
            "id": party.id,
            "identifier": [identifier("invited-party", party.id)],
            "basedOn": [reference("ServiceRequest", case.id)],
            "status": status,
            "statusReason": concept(refused) if status == "rejected" and refused else None,
            "intent": "order",
            "code": concept("参加远程会诊并出具意见"),
            "focus": reference("ServiceRequest", case.id),
            "for": reference("Patient", consult.patient_id),
            "encounter": reference("Encounter", consult.id),
            "executionPeriod": period(consult.opened_at, consult.ended_at),
            "authoredOn": moment(case.requested_at),
            "lastModified": moment(max(changed)),
            "requester": reference("Organization", consult.institution_id, record.house(consult.institution_id)),
            "owner": reference("Organization", party.institution_id, record.house(party.institution_id)),
            "output": [
                {
                    "type": concept("opinion"),
                    "valueReference": reference("DiagnosticReport", row.id),
                }
                for row in opinions
            ],
        }
    )


def status_of(invitations: tuple[Invitation, ...], opinion: bool, *, ended: bool) -> str:
    """`completed` with a signed opinion; `rejected` when every expert refused; `cancelled` when nothing more comes."""
    states = {row.state for row in invitations}
    if opinion:
        return "completed"
    if states and states <= {InvitationState.REFUSED}:
        return "rejected"
    if ended:
        return "cancelled"
    return "accepted" if InvitationState.ACCEPTED in states else "requested"
