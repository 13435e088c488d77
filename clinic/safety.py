"""Where the patient is and whom to call (HZ-02): asked at the start, kept encrypted, each reading on record."""

import json
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.errors import IllegalMove
from clinic.facts import Whereabouts
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


class Locker(Protocol):
    """Encrypts small texts under the consult's key. `row_id` is bound to the text: it opens in no other row."""

    async def lock(self, institution_id: str, consult_id: str, row_id: str, text: str) -> str: ...

    async def unlock(self, institution_id: str, consult_id: str, row_id: str, sealed: str) -> str:
        """Raises an error of the store when the key is gone or the text was changed."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What was said; `contact_phone` is dialled as it stands."""

    location: str
    contact_name: str
    contact_phone: str


async def tell_whereabouts(
    tx: ClinicTransaction, locker: Locker, consult_id: str, place: Place, by: Actor
) -> Whereabouts:
    """By the patient or whoever takes part; a later one takes its place. Raises InvalidInput, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.TELL_WHEREABOUTS, consult)
    if not consult.media_open:
        raise IllegalMove("the consult is over")
    said = {
        "location": checks.text("location", place.location, checks.LINE, 2),
        "contact_name": checks.text("contact_name", place.contact_name, 40),
        "contact_phone": checks.text("contact_phone", place.contact_phone, 32, 3),
    }
    row_id = uuid4().hex
    sealed = await locker.lock(consult.institution_id, consult_id, row_id, json.dumps(said, ensure_ascii=False))
    who = by.seat_id or by.id
    row = Whereabouts(row_id, consult.institution_id, consult_id, sealed, who, tx.now)
    await tx.whereabouts.add(row)
    await tx.append(AuditEvent(EventCode.WHEREABOUTS_TOLD, consult.institution_id, who, consult_id, row_id))
    return row


async def read_whereabouts(tx: ClinicTransaction, locker: Locker, consult_id: str, by: Actor) -> Place | None:
    """For those who see the chart; None while nobody said. The reading is on record. Raises NotPermitted."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SEE_CHART, consult)
    rows = await tx.whereabouts.find(consult_id=consult_id)
    if not rows:
        return None
    row = rows[-1]
    said = json.loads(await locker.unlock(consult.institution_id, consult_id, row.id, row.sealed))
    who = by.seat_id or by.id
    await tx.append(AuditEvent(EventCode.WHEREABOUTS_READ, consult.institution_id, who, consult_id, row.id))
    return Place(said["location"], said["contact_name"], said["contact_phone"])
