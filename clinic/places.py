"""Opened hours and their places, as rows. A place's id is computed: the database itself refuses a second one."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import ConsultKind, ConsultStatus
from clinic.transaction import ClinicTransaction

UNDONE = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)


class SlotState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"  # no further booking; those booked stay


@dataclass(frozen=True, slots=True)
class Slot:
    """Hours of one doctor that may be booked: `capacity` places of equal length, one after the other."""

    id: str
    institution_id: str
    doctor_id: str
    department: str
    kind: ConsultKind
    day: str  # ISO date in the institution's zone
    starts_at: datetime
    ends_at: datetime
    capacity: int
    state: SlotState
    opened_by: str
    opened_at: datetime

    def time_of(self, number: int) -> tuple[datetime, datetime]:
        """Start and end of a place (0-based)."""
        length = (self.ends_at - self.starts_at) / self.capacity
        return self.starts_at + number * length, self.starts_at + (number + 1) * length


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Made when first booked, kept when released: `consult_id` None = free again."""

    id: str
    institution_id: str
    slot_id: str
    number: int
    doctor_id: str
    consult_id: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class DoctorBook:
    """One row per doctor (`id`), saved by everything that changes their hours: two at once, and one is StaleRow.

    Operational: it says nothing that the slots do not say.
    """

    id: str
    institution_id: str
    changes: int


def place_id(slot_id: str, number: int) -> str:
    return hashlib.sha256(f"huizhen-place\x00{slot_id}\x00{number}".encode()).hexdigest()[:32]


async def release(tx: ClinicTransaction, consult_id: str, by: Actor) -> SlotPlace | None:
    """Give a consult's place back (cancelled, moved). None when it never had one."""
    for place in await tx.slot_places.find(consult_id=consult_id):
        freed = replace(place, consult_id=None, changed_at=tx.now)
        await tx.slot_places.save(freed)
        public = {"number": place.number}
        await tx.append(
            AuditEvent(
                EventCode.PLACE_RELEASED, place.institution_id, by.seat_id or by.id, consult_id, place.slot_id,
                public=public,
            )
        )  # fmt: skip
        return freed
    return None


async def turn_page(tx: ClinicTransaction, doctor_id: str, institution_id: str) -> None:
    """Before anything else about the doctor's hours is read; whoever turned it meanwhile makes us StaleRow."""
    page = tx.doctor_books.query(id=doctor_id)
    await tx.fetch(page)
    await turned(tx, page.last(), doctor_id, institution_id)


async def turned(tx: ClinicTransaction, page: DoctorBook | None, doctor_id: str, institution_id: str) -> None:
    """Save the page as it was read."""
    if page is not None:
        await tx.doctor_books.save(replace(page, changes=page.changes + 1))
    else:
        await tx.doctor_books.add(DoctorBook(doctor_id, institution_id, 1))


def overlap(one_from: datetime, one_to: datetime, other_from: datetime, other_to: datetime) -> bool:
    return one_from < other_to and other_from < one_to
