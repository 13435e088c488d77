"""A doctor's hours over their visits and all panels they accepted: never two at one time, whoever asks first (HZ-18).

Two guards, as for slots: the person's one `DoctorBook` row is turned before anything is read, and what others left is
read after it, so of two bookings or acceptances at the same moment one is refused as stale and tried again.
"""

from collections.abc import Iterable
from datetime import datetime

from audit.transaction import After
from clinic.consult import PANELS, Consult, ConsultStatus
from clinic.errors import AdmissionRefused, DoctorBusy, DoctorInPanel
from clinic.panels import in_writing
from clinic.panels.reasons import BUSY
from clinic.panels.records import InvitationState
from clinic.people import Staff
from clinic.places import UNDONE, overlap, turn_page
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


def at_once(starts_at: datetime, booked_at: datetime, rules: RuleSet) -> bool:
    """Booked for now: a walk-in. It has no hour of its own and waits in the line; nothing urgent is refused. Pure."""
    return starts_at <= booked_at + rules.minutes("HZ-18", "walk_in_minutes")


def keeps_hour(consult: Consult, rules: RuleSet) -> bool:
    """Whether nothing else may be booked over it: panels and visits with an hour, not walk-ins. Pure."""
    return consult.kind in PANELS or not at_once(consult.starts_at, consult.created_at, rules)


async def engagements(
    tx: ClinicTransaction, staff_id: str, starts_at: datetime, ends_at: datetime, besides: str | None = None
) -> list[Consult]:
    """Consults this person leads or has accepted to advise, still to come or on, within these times."""
    led = tx.consults.query(doctor_id=staff_id, ends_at=After(starts_at))
    accepted = tx.invitations.query(expert_id=staff_id, state=InvitationState.ACCEPTED)
    await tx.fetch(led, accepted)
    panels = [tx.consults.query(id=row.consult_id, ends_at=After(starts_at)) for row in accepted.rows]
    await tx.fetch(*panels)
    found = {consult.id: consult for query in (led, *panels) for consult in query.rows if consult.status in UNDONE}
    busy = at([each for each in found.values() if each.id != besides], starts_at, ends_at)
    return [each for each in busy if await in_writing.of(tx, each.id) is None]  # those keep nobody at any hour


def at(busy: Iterable[Consult], starts_at: datetime, ends_at: datetime) -> list[Consult]:
    """Of these, what stands within these times. Pure."""
    return [each for each in busy if overlap(each.starts_at, each.ends_at, starts_at, ends_at)]


def refusal(busy: Consult, doctor_id: str) -> DoctorBusy:
    """Which words: an own visit, or a panel of somebody else's. Pure."""
    return DoctorBusy("consult") if busy.doctor_id == doctor_id else DoctorInPanel()


async def book(tx: ClinicTransaction, consult: Consult, rules: RuleSet) -> None:
    """The consult's doctor is free at its hours, and stays so until this commits. What is for now stands over anything
    but a booked place. Raises DoctorBusy, DoctorInPanel."""
    await turn_page(tx, consult.doctor_id, consult.institution_id)
    now = at_once(consult.starts_at, tx.now, rules)
    for other in await engagements(tx, consult.doctor_id, consult.starts_at, consult.ends_at, consult.id):
        if (keeps_hour(other, rules) and not now) or await tx.slot_places.find(consult_id=other.id):
            raise refusal(other, consult.doctor_id)


async def take_over(tx: ClinicTransaction, consult: Consult, rules: RuleSet) -> None:
    """As `book`, for a colleague's consult. Who waits stands in the line, whose hour does not count any more; but
    nobody is handed to a doctor who sits in a panel then. Raises DoctorBusy, DoctorInPanel."""
    await turn_page(tx, consult.doctor_id, consult.institution_id)
    if not keeps_hour(consult, rules):
        return
    waits = consult.status is ConsultStatus.WAITING
    starts_at = max(consult.starts_at, tx.now) if waits else consult.starts_at
    ends_at = max(consult.ends_at, starts_at + (consult.ends_at - consult.starts_at))
    for other in await engagements(tx, consult.doctor_id, starts_at, ends_at, consult.id):
        if other.doctor_id != consult.doctor_id or (keeps_hour(other, rules) and not waits):
            raise refusal(other, consult.doctor_id)


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
