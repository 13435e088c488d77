"""Task: what one invited institution was asked to do, and what became of it."""

from clinic.panels.records import Invitation, InvitationState
from clinic.panels.requests import PartyState
from huizhen.fhir.record import Party, Record
from huizhen.fhir.terms import Resource, concept, identifier, kept, moment, period, reference


def resources(record: Record) -> list[Resource]:
    return [_task(record, party) for party in record.parties]


def _task(record: Record, party: Party) -> Resource:
    asked, consult = record.asked, record.consult
    assert asked is not None, "a party belongs to a request"
    opinions = [row for row in record.opinions if row.expert_institution_id == party.institution_id]
    answered = [row.answered_at for row in (*party.invitations, party.row) if row is not None and row.answered_at]
    changed = [*answered, *(row.signed_at for row in opinions if row.signed_at), asked.at]
    status = status_of(party, bool(opinions), ended=consult.over)
    refused = next((row.refusal_reason for row in party.invitations if row.refusal_reason), None)
    refused = party.row.reason if party.row is not None and party.row.reason else refused
    return kept(
        {
            "resourceType": "Task",
            "id": party.id,
            "identifier": [identifier("invited-party", party.id)],
            "basedOn": [reference("ServiceRequest", asked.id)],
            "status": status,
            "statusReason": concept(refused) if status == "rejected" and refused else None,
            "intent": "order",
            "code": concept("参加远程会诊并出具意见"),
            "focus": reference("ServiceRequest", asked.id),
            "for": reference("Patient", consult.patient_id),
            "encounter": reference("Encounter", consult.id),
            "executionPeriod": period(consult.opened_at, consult.ended_at),
            "authoredOn": moment(asked.at),
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


_ANSWERED = {
    PartyState.ACCEPTED: "accepted",
    PartyState.REFUSED: "rejected",
    PartyState.RELEASED: "cancelled",
    PartyState.EXPIRED: "failed",
    PartyState.PROPOSED: "received",
}


def status_of(party: Party, opinion: bool, *, ended: bool) -> str:
    """`completed` with a signed opinion; the institution's answer; `cancelled` when nothing more comes."""
    if opinion:
        return "completed"
    status = _ANSWERED.get(party.row.state, "requested") if party.row is not None else _by_experts(party.invitations)
    return "cancelled" if ended and status in ("requested", "received", "accepted") else status


def _by_experts(invitations: tuple[Invitation, ...]) -> str:
    states = {row.state for row in invitations}
    if states <= {InvitationState.REFUSED}:
        return "rejected"
    return "accepted" if InvitationState.ACCEPTED in states else "requested"
