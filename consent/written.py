"""Asking for opinions in writing stands on the patient's word: TREAT and SHARE_PANEL, no recording (HZ-45)."""

from audit.errors import MissingRow
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.panels import finding, written
from clinic.panels.in_writing import WrittenConsult
from clinic.people import Role
from consent import desk, gate
from consent.errors import ConsentMissing
from consent.records import Purpose
from consent.standing import shared_with
from consent.transaction import ConsentTransaction


async def ask(tx: ConsentTransaction, consult_id: str, reason: str, by: Actor) -> WrittenConsult:
    """As `clinic.panels.written.ask`. Raises ConsentMissing too."""
    row = await written.ask(tx, consult_id, reason, by)
    await require(tx, await tx.consults.get(consult_id))
    return row


async def begin(tx: ConsentTransaction, consult_id: str, by: Actor) -> Consult:
    """By the inviting doctor, who does not wait for the rest. Raises as `written.begin`, and ConsentMissing."""
    consult = await tx.consults.get(consult_id)
    await written.require_asking(tx, consult, by)
    await require(tx, consult)
    return await written.begin(tx, consult_id, by)


async def advance(tx: ConsentTransaction, consult_id: str, by: Actor) -> Consult | None:
    """After an expert's answer: begins when nobody is waited for any more and the patient's word still holds."""
    if not await written.ready(tx, consult_id):
        return None
    try:
        await require(tx, await tx.consults.get(consult_id))
    except ConsentMissing:
        return None  # the inviting doctor is told when they try; the expert's answer is not refused for it
    return await written.begin(tx, consult_id, by)


async def require(tx: ConsentTransaction, consult: Consult) -> None:
    """The patient's TREAT and SHARE_PANEL hold, naming every institution whose experts were asked.

    Raises ConsentMissing, MissingRow.
    """
    seats = await tx.seats.find(consult_id=consult.id)
    patient = next((seat for seat in seats if seat.role is Role.PATIENT), None)
    if patient is None:
        raise MissingRow("seats")
    records = await desk.records_of(tx, consult.id)
    gate.require(records, consult, patient, now=tx.now)
    asked = await finding.named(tx, consult.id)
    if not shared_with(records, tx.now).issuperset(asked) or not asked:
        raise ConsentMissing((Purpose.SHARE_PANEL.value,))
