"""Taking consent back, acknowledging the standing notice, and correcting what was entered in error."""

from collections.abc import Sequence
from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, Seat
from clinic.errors import NotPermitted
from clinic.people import CLINICIANS
from clinic.roles import Action, permits
from consent import sharing
from consent.effects import purge_list
from consent.errors import NothingToCorrect, NothingToWithdraw, SeatCannotSign
from consent.evidence import done, event, id_of, record_of, values
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Standing, decisive, standing
from consent.transaction import ConsentTransaction, Sealer

IDENTIFIED = ("called_back", "identity_number", "in_person", "written")  # how staff knew who was speaking


async def withdraw(
    tx: ConsentTransaction,
    sealer: Sealer,
    seat_id: str,
    purposes: Sequence[Purpose],
    *,
    reason: str,
    operation_id: str,
    by: Actor,
    identified: str | None = None,
) -> ConsentRecord:
    """Take back what was permitted: on the page, after the visit, or entered by staff (PIPL art. 15).

    Staff say in a sentence what the person said and how they knew them (`IDENTIFIED`).
    Stop the recorder BEFORE calling this; `effects.of` says what to stop.
    Raises NothingToWithdraw, NotPermitted, InvalidInput.
    """
    seat, consult = await _for_withdrawal(tx, seat_id, by)
    record_id = id_of(seat_id, "withdraw", operation_id)
    if (before := await done(tx, record_id)) is not None:
        return before
    await tx.operation(operation_id, seat_id)
    records = await tx.consent_records.find(consult_id=consult.id)
    held = [purpose for purpose in Purpose if purpose in purposes]
    withdrawn = tuple(purpose for purpose in held if standing(records, seat_id, purpose) is Standing.PERMITTED)
    if not withdrawn:
        raise NothingToWithdraw()
    signed = decisive(records, seat_id, withdrawn[0])[1]
    assert signed is not None  # standing PERMITTED has a record
    evidence = _withdrawal(tx, seat, withdrawn, by) | _said(seat, by, reason, identified)
    record = record_of(
        tx,
        sealer,
        seat,
        evidence,
        record_id=record_id,
        action=ConsentAction.WITHDRAWN,
        capacity=signed.capacity,
        permitted=withdrawn,
        locale=signed.locale,
        about=signed.id,
    )
    await tx.consent_records.add(record)
    await tx.append(_withdrawn(seat, record, by))
    await sharing.settle(tx, consult, withdrawn, by)
    return record


def _withdrawn(seat: Seat, record: ConsentRecord, by: Actor) -> AuditEvent:
    public = {
        "purposes": values(record.permitted),
        "evidence": record.digest,
        "by_staff": by_staff(seat, by),
        "purge": list(purge_list(record.permitted)),
    }
    return event(EventCode.CONSENT_WITHDRAWN, seat, by.seat_id or by.id, record.id, public)


def _withdrawal(tx: ConsentTransaction, seat: Seat, withdrawn: tuple[Purpose, ...], by: Actor) -> dict[str, Any]:
    return {
        "type": "huizhen.consent-withdrawal",
        "v": 2,
        "purposes": withdrawn,
        "purge": purge_list(withdrawn),
        "entered_by": by.seat_id or by.id,
        "consult": seat.consult_id,
        "seat": seat.id,
        "server_time": tx.now,
    }


def by_staff(seat: Seat, by: Actor) -> bool:
    """Somebody else enters what the person said."""
    return by.seat_id != seat.id and by.id not in (seat.id, seat.person_id)


def _said(seat: Seat, by: Actor, reason: str, identified: str | None) -> dict[str, Any]:
    """The person needs no reason (PIPL art. 15); whoever enters it for them gives one, and how they knew the caller."""
    if not by_staff(seat, by):
        return {"reason": checks.text("reason", reason, 500, 0), "caller_identified": None}
    check_entry(reason, identified)
    return {"reason": reason.strip(), "caller_identified": identified}


def check_entry(reason: str | None, identified: str | None) -> None:
    """What staff must say when they enter somebody's withdrawal. Raises InvalidInput."""
    checks.text("reason", reason or "", 500)
    checks.one_of("identified", identified or "", IDENTIFIED)


async def _for_withdrawal(tx: ConsentTransaction, seat_id: str, by: Actor) -> tuple[Seat, Consult]:
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if seat.role in CLINICIANS:
        raise NotPermitted("the standing notice is not withdrawn")
    await authorise(tx, by, Action.WITHDRAW_CONSENT, consult, owners=[seat.id, seat.person_id or seat.id])
    return seat, consult


async def notice(tx: ConsentTransaction, sealer: Sealer, seat_id: str) -> ConsentRecord:
    """Staff acknowledge the standing notice on recording by joining. Idempotent. Raises SeatCannotSign for others."""
    seat = await tx.seats.get(seat_id)
    if not permits(seat.role, Action.ACKNOWLEDGE_NOTICE):
        raise SeatCannotSign()
    records = await tx.consent_records.find(consult_id=seat.consult_id)
    where, known = decisive(records, seat_id, Purpose.REC_AV)
    if known is not None and where is Standing.PERMITTED:
        return known
    evidence = {
        "type": "huizhen.staff-notice",
        "v": 1,
        "notice": "recording-by-consent-of-all-present",
        "seat": seat_id,
        "person": seat.person_id,
        "role": seat.role,
        "consult": seat.consult_id,
        "server_time": tx.now,
    }
    record = record_of(
        tx,
        sealer,
        seat,
        evidence,
        record_id=id_of(seat_id, "notice", ""),
        action=ConsentAction.SIGNED,
        capacity=SignerCapacity.STAFF_NOTICE,
        permitted=(Purpose.REC_AV,),
    )
    await tx.consent_records.add(record)
    public = {"permitted": [Purpose.REC_AV.value], "notice": True, "evidence": record.digest}
    await tx.append(event(EventCode.CONSENT_SIGNED, seat, seat_id, record.id, public))
    return record


async def correct(
    tx: ConsentTransaction, sealer: Sealer, record_id: str, *, reason: str, operation_id: str, by: Actor
) -> ConsentRecord:
    """A record entered in error (the wrong patient, the wrong call): what it decided is open again, never a yes.

    Stop what stands on it BEFORE calling this. Raises NothingToCorrect, InvalidInput, NotPermitted.
    """
    wrong = await tx.consent_records.get(record_id)
    seat = await tx.seats.get(wrong.seat_id)
    consult = await tx.consults.get(wrong.consult_id)
    await authorise(tx, by, Action.CORRECT_CONSENT, consult)
    made = id_of(seat.id, "correct", operation_id)
    if (before := await done(tx, made)) is not None:
        return before
    await tx.operation(operation_id, by.seat_id or by.id)
    open_again = await _correctable(tx, consult, wrong)
    evidence = _correction(tx, wrong, open_again, by) | {"reason": checks.text("reason", reason, 500)}
    record = record_of(
        tx,
        sealer,
        seat,
        evidence,
        record_id=made,
        action=ConsentAction.ENTERED_IN_ERROR,
        capacity=wrong.capacity,
        permitted=open_again,
        locale=wrong.locale,
        about=wrong.id,
    )
    await tx.consent_records.add(record)
    public = {"record": wrong.id, "purposes": values(open_again), "evidence": record.digest}
    await tx.append(event(EventCode.CONSENT_CORRECTED, seat, by.seat_id or by.id, record.id, public))
    await sharing.settle(tx, consult, open_again, by)
    return record


def _correction(
    tx: ConsentTransaction, wrong: ConsentRecord, open_again: tuple[Purpose, ...], by: Actor
) -> dict[str, Any]:
    return {
        "type": "huizhen.consent-correction",
        "v": 1,
        "record": wrong.id,
        "record_digest": wrong.digest,
        "purposes": open_again,
        "entered_by": by.seat_id or by.id,
        "consult": wrong.consult_id,
        "server_time": tx.now,
    }


async def _correctable(tx: ConsentTransaction, consult: Consult, wrong: ConsentRecord) -> tuple[Purpose, ...]:
    """The purposes this record still decides, which a correction opens again. Raises NothingToCorrect."""
    if wrong.action is ConsentAction.ENTERED_IN_ERROR or wrong.capacity is SignerCapacity.STAFF_NOTICE:
        raise NothingToCorrect()
    records = await tx.consent_records.find(consult_id=consult.id)
    if consult.status is ConsultStatus.IN_PROGRESS and wrong.action is ConsentAction.SIGNED and wrong.permitted:
        raise NothingToCorrect("a call rests on it: enter a withdrawal, which stops it first")
    concerned = (*wrong.permitted, *wrong.refused)
    later = [decisive(records, wrong.seat_id, purpose)[1] for purpose in concerned]
    voided = {record.withdraws for record in records if record.action is ConsentAction.ENTERED_IN_ERROR}
    if wrong.id in voided or (concerned and wrong.id not in {record.id for record in later if record}):
        raise NothingToCorrect()
    return tuple(
        purpose
        for purpose, record in zip(concerned, later, strict=True)
        if record is not None and record.id == wrong.id
    )
