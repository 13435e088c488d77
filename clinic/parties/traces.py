"""Events of the parties: what happens to an agreement is on both sides' trails."""

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.parties.records import CooperationAgreement
from clinic.transaction import ClinicTransaction


async def tell(  # noqa: PLR0917
    tx: ClinicTransaction,
    code: EventCode,
    agreement: CooperationAgreement,
    by: Actor,
    reason: str = "",
    digest: str = "",
) -> None:
    """On the trail of each side that knows of it; a draft is its author's affair."""
    public = {
        "inviting": agreement.inviting_id,
        "invited": agreement.invited_id,
        "version": agreement.version,
        "state": agreement.state.value,
    }
    if digest:
        public["document"] = digest
    knows = agreement.parties if agreement.offered_at else {agreement.institution_id}
    for institution_id in sorted(knows):
        private = {"reason": reason} if reason else {}
        await tx.append(
            AuditEvent(code, institution_id, by.id, subject_id=agreement.id, public=public, private=private)
        )
