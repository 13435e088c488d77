"""A line from the doctor or the nurse to those who wait: "the doctor needs about 15 more minutes"."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, line
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import NotWaiting
from clinic.overlays import rules_for
from clinic.queueing import line as in_line
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

LONGEST = 200


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """One line as one visit got it: what is said to five people is five rows."""

    id: str
    institution_id: str
    consult_id: str
    by_id: str
    text: str
    said_at: datetime


async def tell(
    tx: ClinicTransaction, consult_id: str, text: str, by: Actor, *, everybody: bool = False
) -> tuple[WaitingMessage, ...]:
    """To the people waiting in this visit, or to everybody in its doctor's line.

    Raises NotWaiting, NotPermitted, InvalidInput, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.TELL_WAITING, consult)
    said = checks.text("text", text, LONGEST)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    places = in_line(await line.of_doctor(tx, consult.doctor_id), tx.now, rules)
    wanted = [place.consult_id for place in places if everybody or place.consult_id == consult_id]
    if not wanted:
        raise NotWaiting()
    return tuple([await _say(tx, await tx.consults.get(each), said, by) for each in wanted])


async def _say(tx: ClinicTransaction, consult: Consult, said: str, by: Actor) -> WaitingMessage:
    message = WaitingMessage(uuid4().hex, consult.institution_id, consult.id, by.id, said, tx.now)
    await tx.waiting_messages.add(message)
    await tx.append(
        AuditEvent(
            EventCode.WAITING_TOLD, consult.institution_id, by.seat_id or by.id, consult.id, message.id,
            public={"length": len(said)},
        )
    )  # fmt: skip
    return message
