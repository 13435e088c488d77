"""Clinic-side staff see who signs, on which documents, and put their own name under it, before the signing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.people import CLINICIANS
from clinic.roles import Action
from consent import policy
from consent.errors import SeatCannotSign, SignatureInvalid
from consent.evidence import done, event, id_of, record_of
from consent.parties import parties_of
from consent.policy import Policy
from consent.records import CapacityBasis, ConsentAction, ConsentRecord, SignerCapacity
from consent.signing import is_one_of
from consent.transaction import ConsentTransaction, Sealer

WITNESSABLE = (SignerCapacity.SELF, SignerCapacity.GUARDIAN, SignerCapacity.PROXY, SignerCapacity.RELATIVE)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the witness saw. `document`: what was looked at, with its number."""

    operation_id: str
    capacity: SignerCapacity
    basis: CapacityBasis
    signer_name: str
    document: str
    relation: str
    typed_name: str  # the witness's own name, as signature


async def witness(tx: ConsentTransaction, sealer: Sealer, seat_id: str, seen: Sighting, *, by: Actor) -> ConsentRecord:
    """On record for `witness_minutes`; it decides nothing by itself.

    Raises SignatureInvalid (not the witness's own name), SeatCannotSign, InvalidInput, NotPermitted.
    """
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    await authorise(tx, by, Action.WITNESS_CONSENT, consult)
    if seat.role in CLINICIANS or not consult.media_open:
        raise SeatCannotSign()
    record_id = id_of(seat_id, "witness", seen.operation_id)
    if (before := await done(tx, record_id)) is not None:
        return before
    staff = await tx.staff.get(by.id)
    if not is_one_of(seen.typed_name, (staff.name, staff.name_en)):
        raise SignatureInvalid("name")
    evidence = {
        "type": "huizhen.consent-witness",
        "v": 2,
        "capacity": checks.one_of("capacity", seen.capacity.value, [each.value for each in WITNESSABLE]),
        "basis": seen.basis,
        "signer_name": checks.text("signer_name", seen.signer_name, checks.NAME),
        "document": checks.text("document", seen.document),
        "relation": checks.text("relation", seen.relation, 40, 0),
        "witness": {"staff": staff.id, "typed_name": seen.typed_name.strip(), "roles": staff.roles},
        "parties": await parties_of(tx, consult, seat.role),
        "seat": seat_id,
        "consult": consult.id,
        "server_time": tx.now,
    }
    record = record_of(
        tx, sealer, seat, evidence, record_id=record_id, action=ConsentAction.WITNESSED, capacity=seen.capacity
    )
    await tx.consent_records.add(record)
    public = {"capacity": seen.capacity.value, "basis": seen.basis.value, "evidence": record.digest}
    await tx.append(event(EventCode.CONSENT_WITNESSED, seat, by.seat_id or by.id, record.id, public))
    return record


def standing_witness(
    records: Sequence[ConsentRecord], seat_id: str, rules: Policy, now: datetime
) -> ConsentRecord | None:
    """The newest sighting of this seat that still counts: recent, and not entered in error. Pure."""
    since = now - timedelta(minutes=rules.witness_minutes)
    voided = {record.withdraws for record in records if record.action is ConsentAction.ENTERED_IN_ERROR}
    for record in reversed(records):
        if record.seat_id == seat_id and record.action is ConsentAction.WITNESSED and record.id not in voided:
            return record if record.recorded_at >= since else None
    return None


async def rules_for(tx: ConsentTransaction, institution_id: str) -> Policy:
    """The consent policy in force today where the institution is."""
    institution = await tx.institutions.get(institution_id)
    return policy.in_force(local_date(tx.now, institution.time_zone))
