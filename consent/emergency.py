"""Nobody can be asked and care cannot wait: the head of the institution approves (Civil Code art. 1220)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.people import Role
from clinic.roles import Action
from consent.errors import EmergencyNotOpen, SeatCannotSign
from consent.evidence import done, event, id_of, record_of, values
from consent.parties import parties_of
from consent.policy import Policy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Standing, overview
from consent.transaction import ConsentTransaction, Sealer
from consent.validity import in_force
from consent.witnessing import rules_for


@dataclass(frozen=True, slots=True)
class Emergency:
    """Why it cannot wait, and whom one tried to reach in vain."""

    operation_id: str
    reason: str
    tried: str


async def approve(
    tx: ConsentTransaction, sealer: Sealer, consult_id: str, found: Emergency, *, by: Actor
) -> ConsentRecord:
    """Care purposes only; recording and everything else stays undecided and therefore off.

    Not where the patient has said no to care, and not by a doctor of the consult.
    Raises EmergencyNotOpen, SeatCannotSign, InvalidInput, NotPermitted.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.APPROVE_EMERGENCY, consult)
    seats = await tx.seats.find(consult_id=consult.id)
    seat = next((each for each in seats if each.role is Role.PATIENT), None)
    if seat is None or not consult.media_open:
        raise SeatCannotSign()
    record_id = id_of(seat.id, "emergency", found.operation_id)
    if (before := await done(tx, record_id)) is not None:
        return before
    await tx.operation(found.operation_id, by.id)
    rules = await rules_for(tx, consult.institution_id)
    care = rules.purposes_where("care")
    await _require_open(tx, seats, seat, care, by)
    partners = tuple(case.invited_institution_id for case in await tx.cases.find(consult_id=consult.id))
    permitted = tuple(each for each in Purpose if each in care and (partners or each is not Purpose.SHARE_PANEL))
    said = {"purposes": permitted, "shared_with": partners}
    evidence = said | await _evidence(tx, consult, seat, found, rules, by=by)
    record = record_of(
        tx,
        sealer,
        seat,
        evidence,
        record_id=record_id,
        action=ConsentAction.SIGNED,
        capacity=SignerCapacity.EMERGENCY,
        permitted=permitted,
        shared_with=partners,
    )
    await tx.consent_records.add(record)
    public = {"permitted": values(permitted), "evidence": record.digest, "code": "EMERGENCY"}
    await tx.append(event(EventCode.CONSENT_EMERGENCY, seat, by.id, record.id, public))
    return record


async def _require_open(
    tx: ConsentTransaction, seats: Sequence[Seat], seat: Seat, care: frozenset[Purpose], by: Actor
) -> None:
    """Nobody has decided about care, and the approver takes no part in the visit. Raises EmergencyNotOpen."""
    said = overview(in_force(await tx.consent_records.find(consult_id=seat.consult_id), tx.now), seat.id)
    if any(said.get(purpose, Standing.UNDECIDED) is not Standing.UNDECIDED for purpose in care):
        raise EmergencyNotOpen("decided")
    if by.id in {each.person_id for each in seats}:
        raise EmergencyNotOpen("same hands")


async def _evidence(
    tx: ConsentTransaction, consult: Consult, seat: Seat, found: Emergency, rules: Policy, *, by: Actor
) -> dict[str, Any]:
    """Why, whom one tried to reach, and who answers for it. Raises InvalidInput."""
    return {
        "type": "huizhen.consent-emergency",
        "v": 2,
        "code": "EMERGENCY",
        "reason": checks.text("reason", found.reason, 1000),
        "tried": checks.text("tried", found.tried, 500),
        "approved_by": by.id,
        "approver": {"name": (await tx.staff.get(by.id)).name},
        "doctor": consult.doctor_id,
        "basis": {"zh": rules.emergency.zh, "en": rules.emergency.en},
        "policy": rules.version,
        "parties": await parties_of(tx, consult, seat.role),
        "seat": seat.id,
        "consult": consult.id,
        "server_time": tx.now,
    }
