"""Nobody can be asked and care cannot wait: the head of the institution approves (Civil Code art. 1220)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, Seat
from clinic.panels.finding import named
from clinic.people import Role
from clinic.roles import Action
from consent import sharing
from consent.errors import EmergencyNotOpen, SeatCannotSign
from consent.evidence import done, event, id_of, record_of, values
from consent.parties import parties_of
from consent.policy import Policy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Ledger, Standing, decisive, overview
from consent.transaction import ConsentTransaction, Sealer
from consent.validity import in_force
from consent.witnessing import rules_for

AHEAD = timedelta(hours=24)  # what begins later can still be asked about
_OPEN = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Emergency:
    """Why it cannot wait, and whom one tried to reach in vain."""

    operation_id: str
    reason: str
    tried: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A consult about which an approval could be given, or whose care rests on one now."""

    consult: Consult
    permits: tuple[Purpose, ...]
    approved: ConsentRecord | None
    same_hands: bool  # the reader takes part in it: somebody else must approve


async def openings(tx: ConsentTransaction, *, by: Actor) -> list[Opening]:
    """Those of the approver's house, the earliest first: nothing said about care yet, or an approval stands."""
    rules = await rules_for(tx, by.institution_id)
    care = rules.purposes_where("care")
    found = []
    for status in _OPEN:
        for consult in await tx.consults.find(institution_id=by.institution_id, status=status):
            if consult.status is ConsultStatus.SCHEDULED and consult.starts_at > tx.now + AHEAD:
                continue
            seats = await tx.seats.find(consult_id=consult.id)
            records = in_force(await tx.consent_records.find(consult_id=consult.id), tx.now)
            seat = next((each for each in seats if each.role is Role.PATIENT), None)
            if seat is None or not _open_to(records, seat, care):
                continue
            partners = await named(tx, consult.id)
            found.append(
                Opening(
                    consult,
                    permitted_by(rules, partners),
                    approval(records, seat),
                    by.id in {each.person_id for each in seats},
                )
            )
    return sorted(found, key=lambda each: (each.consult.starts_at, each.consult.id))


def _open_to(records: Ledger, seat: Seat, care: Collection[Purpose]) -> bool:
    """Whether the seat's person has decided nothing about care, or an approval decided for them."""
    return approval(records, seat) is not None or not any(each in care for each in overview(records, seat.id))


def approval(records: Ledger, seat: Seat) -> ConsentRecord | None:
    """The emergency approval that care rests on now; gone as soon as somebody decides. Pure."""
    where, record = decisive(records, seat.id, Purpose.TREAT)
    if where is not Standing.PERMITTED or record is None or record.capacity is not SignerCapacity.EMERGENCY:
        return None
    return record


def permitted_by(rules: Policy, partners: Collection[str]) -> tuple[Purpose, ...]:
    """What an approval permits: care, and sharing where other institutions take part. Pure."""
    care = rules.purposes_where("care")
    return tuple(each for each in Purpose if each in care and (partners or each is not Purpose.SHARE_PANEL))


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
    partners = await named(tx, consult.id)
    permitted = permitted_by(rules, partners)
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
    await sharing.settle(tx, consult, permitted, by)
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
