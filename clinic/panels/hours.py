"""An expert's hours over all panels they accepted: never two at one time, whoever asks first.

Two guards, as for slots: the expert's one `DoctorBook` row is turned before anything is read, and what others left is
read after it, so of two acceptances at the same moment one is refused as stale and tried again.
"""

from datetime import datetime

from audit.transaction import After
from clinic.consult import Consult
from clinic.errors import AdmissionRefused
from clinic.panels import in_writing
from clinic.panels.reasons import BUSY
from clinic.panels.records import InvitationState
from clinic.people import Staff
from clinic.places import UNDONE, overlap, turn_page
from clinic.transaction import ClinicTransaction


async def engagements(
    tx: ClinicTransaction, staff_id: str, starts_at: datetime, ends_at: datetime, besides: str
) -> list[Consult]:
    """Consults this person leads or has accepted to advise, still to come or on, within these times."""
    led = tx.consults.query(doctor_id=staff_id, ends_at=After(starts_at))
    accepted = tx.invitations.query(expert_id=staff_id, state=InvitationState.ACCEPTED)
    await tx.fetch(led, accepted)
    panels = [tx.consults.query(id=row.consult_id, ends_at=After(starts_at)) for row in accepted.rows]
    await tx.fetch(*panels)
    found = {consult.id: consult for query in (led, *panels) for consult in query.rows if consult.status in UNDONE}
    found.pop(besides, None)
    busy = [each for each in found.values() if overlap(each.starts_at, each.ends_at, starts_at, ends_at)]
    return [each for each in busy if await in_writing.of(tx, each.id) is None]  # those keep nobody at any hour


async def hold(tx: ClinicTransaction, expert: Staff, consult: Consult) -> None:
    """The expert is free at the consult's hours, and stays so until this commits. Raises AdmissionRefused."""
    if await in_writing.of(tx, consult.id) is not None:
        return
    await turn_page(tx, expert.id, expert.institution_id)
    if await engagements(tx, expert.id, consult.starts_at, consult.ends_at, consult.id):
        raise AdmissionRefused((BUSY,))


async def hold_all(tx: ClinicTransaction, consult: Consult) -> None:
    """As `hold`, for everybody who accepted: the consult has moved to other hours."""
    for row in await tx.invitations.find(consult_id=consult.id, state=InvitationState.ACCEPTED):
        await hold(tx, await tx.staff.get(row.expert_id), consult)
