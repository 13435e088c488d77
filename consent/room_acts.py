"""Sealed statements made in the room: privacy pause, exam view, and the answer of a person declared at a seat.

Like the desk's acts, each is one ConsentRecord and its audit event in one transaction. They show no text and take no
signature; the evidence says who said what from which seat.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, Seat, SeatState
from clinic.documents import canonical, digest
from clinic.errors import NotPermitted
from clinic.people import Role
from clinic.roles import Action
from clinic.visit import LEADS
from consent import interludes
from consent.errors import AskerDecides, ExamDeclined, NoExam, NothingToResume
from consent.gate import ResumeBy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import decisive
from consent.transaction import ConsentTransaction, Sealer

EXAM_SIGNERS = frozenset({Role.PATIENT, Role.GUARDIAN})


@dataclass(frozen=True, slots=True)
class _Said:
    """What a statement says of the ledger, beside its evidence."""

    action: ConsentAction
    permitted: tuple[Purpose, ...] = ()
    refused: tuple[Purpose, ...] = ()
    capacity: SignerCapacity = SignerCapacity.SELF
    withdraws: str | None = None


async def pause(tx: ConsentTransaction, sealer: Sealer, seat_id: str, *, operation_id: str) -> ConsentRecord:
    """Nobody is recorded from here on, whoever asked. Asking again while one's own pause is open changes nothing.

    The recorder was stopped BEFORE. Raises NotPermitted.
    """
    seat, consult, actor = await _inside(tx, seat_id)
    await authorise(tx, actor, Action.PRIVACY_PAUSE, consult)
    record_id = _record_id(seat_id, "privacy", operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    await tx.operation(operation_id, seat_id)
    records = await tx.consent_records.find(consult_id=consult.id)
    for open_pause in interludes.pauses(records):
        if open_pause.seat_id == seat_id:
            return await tx.consent_records.get(open_pause.record_id)
    evidence = _evidence("privacy-pause", tx, seat, actor)
    said = _Said(ConsentAction.PAUSED)
    return await _record(
        tx, sealer, seat, said, evidence, record_id=record_id, code=EventCode.PRIVACY_PAUSED, actor=actor
    )


async def resume(
    tx: ConsentTransaction, sealer: Sealer, seat_id: str, *, operation_id: str, by: ResumeBy = ResumeBy.ASKER
) -> list[ConsentRecord]:
    """End the pauses this seat may end: its own, and those of people who have left; the leading doctor's act alone
    ends others' only under `ResumeBy.DOCTOR`. Raises AskerDecides, NothingToResume, NotPermitted."""
    seat, consult, actor = await _inside(tx, seat_id)
    await authorise(tx, actor, Action.PRIVACY_RESUME, consult)
    records = await tx.consent_records.find(consult_id=consult.id)
    held = interludes.pauses(records)
    if not held:
        raise NothingToResume()
    seats = {each.id: each for each in await tx.seats.find(consult_id=consult.id)}
    ended = [each for each in held if _may_end(seat, seats.get(each.seat_id), by)]
    if not ended:
        raise AskerDecides()
    await tx.operation(operation_id, seat_id)
    made = []
    for open_pause in ended:
        evidence = _evidence("privacy-resume", tx, seats[open_pause.seat_id], actor)
        record_id = _record_id(open_pause.record_id, "resume", operation_id)
        said = _Said(ConsentAction.RESUMED, withdraws=open_pause.record_id)
        owner = seats[open_pause.seat_id]
        made.append(
            await _record(
                tx, sealer, owner, said, evidence, record_id=record_id, code=EventCode.PRIVACY_RESUMED, actor=actor
            )
        )
    return made


def _may_end(seat: Seat, asker: Seat | None, by: ResumeBy) -> bool:
    if asker is not None and asker.id == seat.id:
        return True
    asker_gone = asker is None or asker.state is not SeatState.ADMITTED
    return seat.role in LEADS and (by is ResumeBy.DOCTOR or asker_gone)


async def request_exam(tx: ConsentTransaction, seat_id: str, *, operation_id: str) -> Consult:
    """The doctor would like to look; only the asking goes on record. Raises ExamDeclined, NotPermitted."""
    seat, consult, actor = await _inside(tx, seat_id)
    await authorise(tx, actor, Action.REQUEST_EXAM, consult)
    if interludes.exam_declined(await tx.consent_records.find(consult_id=consult.id)):
        raise ExamDeclined()
    await tx.operation(operation_id, seat_id)
    await tx.append(_event(EventCode.EXAM_REQUESTED, seat, actor, seat.id, {}))
    return consult


async def answer_exam(
    tx: ConsentTransaction, sealer: Sealer, seat_id: str, *, agrees: bool, operation_id: str
) -> ConsentRecord:
    """The patient's (or the guardian's) own yes or no to this exam. Guests were cut off BEFORE a yes is committed.

    Raises NotPermitted.
    """
    seat, consult, actor = await _inside(tx, seat_id)
    if seat.role not in EXAM_SIGNERS:
        raise NotPermitted(Action.ANSWER_EXAM.value)
    await authorise(tx, actor, Action.ANSWER_EXAM, consult)
    record_id = _record_id(seat_id, "exam", operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    await tx.operation(operation_id, seat_id)
    records = await tx.consent_records.find(consult_id=consult.id)
    _, treated = decisive(records, seat_id, Purpose.TREAT)
    guardian = seat.role is Role.GUARDIAN or (treated is not None and treated.capacity is SignerCapacity.GUARDIAN)
    capacity = SignerCapacity.GUARDIAN if guardian else SignerCapacity.SELF
    evidence = _evidence("exam-view", tx, seat, actor) | {"agrees": agrees, "capacity": capacity}
    answer = (Purpose.INTIMATE,)
    said = _Said(ConsentAction.SIGNED, answer if agrees else (), () if agrees else answer, capacity)
    code = EventCode.EXAM_CONFIRMED if agrees else EventCode.EXAM_DECLINED
    return await _record(tx, sealer, seat, said, evidence, record_id=record_id, code=code, actor=actor)


async def end_exam(tx: ConsentTransaction, sealer: Sealer, seat_id: str, *, operation_id: str) -> ConsentRecord:
    """The view is over: whoever confirmed it says so when they are covered again; the leading doctor may only when
    that person has left. Raises NoExam, AskerDecides, NotPermitted."""
    seat, consult, actor = await _inside(tx, seat_id)
    await authorise(tx, actor, Action.END_EXAM, consult)
    record_id = _record_id(seat_id, "exam-end", operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    records = await tx.consent_records.find(consult_id=consult.id)
    open_exam = interludes.exam(records)
    if open_exam is None:
        raise NoExam()
    signer = await tx.seats.get(open_exam.seat_id)
    if seat.role not in EXAM_SIGNERS and not (seat.role in LEADS and signer.state is not SeatState.ADMITTED):
        raise AskerDecides()
    await tx.operation(operation_id, seat_id)
    confirmed = await tx.consent_records.get(open_exam.record_id)
    evidence = _evidence("exam-view-end", tx, signer, actor)
    said = _Said(ConsentAction.WITHDRAWN, (Purpose.INTIMATE,), (), confirmed.capacity, confirmed.id)
    return await _record(
        tx, sealer, signer, said, evidence, record_id=record_id, code=EventCode.EXAM_ENDED, actor=actor
    )


async def relay_answer(
    tx: ConsentTransaction, sealer: Sealer, declared_id: str, *, agrees: bool, operation_id: str, by: Actor
) -> ConsentRecord:
    """What a declared person said of being recorded, told and entered by the seat they sit at. Raises NotPermitted."""
    seat = await tx.seats.get(declared_id)
    consult = await tx.consults.get(seat.consult_id)
    await authorise(tx, by, Action.DECLARE_PERSON, consult)
    if seat.role is not Role.DECLARED or seat.created_by != by.seat_id or seat.state is not SeatState.ADMITTED:
        raise NotPermitted("not declared at this seat")
    record_id = _record_id(declared_id, "relay", operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    await tx.operation(operation_id, by.seat_id or by.id)
    evidence = _evidence("declared-person", tx, seat, by) | {
        "agrees": agrees,
        "name": checks.text("name", seat.display_name, 80),
    }
    answer = (Purpose.REC_AV,)
    said = _Said(ConsentAction.SIGNED, answer if agrees else (), () if agrees else answer, SignerCapacity.RELAYED)
    code = EventCode.CONSENT_SIGNED if agrees else EventCode.CONSENT_REFUSED
    return await _record(tx, sealer, seat, said, evidence, record_id=record_id, code=code, actor=by)


async def _inside(tx: ConsentTransaction, seat_id: str) -> tuple[Seat, Consult, Actor]:
    """Somebody in the room. Raises NotPermitted."""
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if seat.state is not SeatState.ADMITTED or not consult.media_open:
        raise NotPermitted("not in the room")
    return seat, consult, Actor.seated(seat)


def _evidence(kind: str, tx: ConsentTransaction, seat: Seat, actor: Actor) -> dict[str, Any]:
    return {
        "type": f"huizhen.{kind}",
        "v": 1,
        "seat": seat.id,
        "role": seat.role,
        "consult": seat.consult_id,
        "entered_by": actor.seat_id or actor.id,
        "server_time": tx.now,
    }


async def _record(
    tx: ConsentTransaction,
    sealer: Sealer,
    seat: Seat,
    said: _Said,
    evidence: dict[str, Any],
    *,
    record_id: str,
    code: EventCode,
    actor: Actor,
) -> ConsentRecord:
    data = canonical(evidence)
    record = ConsentRecord(
        id=record_id,
        institution_id=seat.institution_id,
        consult_id=seat.consult_id,
        seat_id=seat.id,
        action=said.action,
        permitted=said.permitted,
        refused=said.refused,
        shared_with=(),
        capacity=said.capacity,
        template_id=None,
        locale="zh",
        evidence=data.decode(),
        digest=digest(data),
        seal=sealer.seal(seat.institution_id, digest(data), int(tx.now.timestamp())),
        recorded_at=tx.now,
        withdraws=said.withdraws,
    )
    await tx.consent_records.add(record)
    public = {
        "permitted": [purpose.value for purpose in said.permitted],
        "refused": [purpose.value for purpose in said.refused],
        "evidence": record.digest,
    }
    await tx.append(_event(code, seat, actor, record.id, public))
    return record


async def _done(tx: ConsentTransaction, record_id: str) -> ConsentRecord | None:
    try:
        return await tx.consent_records.get(record_id)
    except MissingRow:
        return None


def _record_id(subject: str, act: str, operation_id: str) -> str:
    """Derived from the operation, so that a resend finds the first outcome."""
    return hashlib.sha256(f"statement:{act}:{subject}:{operation_id}".encode()).hexdigest()[:32]


def _event(code: EventCode, seat: Seat, actor: Actor, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    who = actor.seat_id or actor.id
    return AuditEvent(
        code, seat.institution_id, who, seat.consult_id, subject_id, public={"role": seat.role.value, **public}
    )
