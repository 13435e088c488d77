"""The visit as it happens: waiting room, admission, leaving, end. Each act judges, writes and records at once."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, line, places
from clinic.access import authorise, consult_of
from clinic.actor import Actor
from clinic.admission import Admission, Present, Stage, facts_of, judge
from clinic.booking import moved
from clinic.consult import PANELS, ChatMessage, Consult, ConsultStatus, Seat, SeatState
from clinic.errors import (
    AdmissionRefused,
    IllegalMove,
    NotPermitted,
    PapersMissing,
    PrescriptionInText,
    SeatClosed,
    Unsigned,
)
from clinic.overlays import rules_for
from clinic.panels import aside, copying, in_writing, presiding
from clinic.panels.papers import missing_of
from clinic.panels.terms import terms_of
from clinic.people import CLINICIANS, Role
from clinic.prescribing import prescribes
from clinic.roles import Action
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

REMOVAL_CODES = ("not_invited", "disturbing", "asked_to_leave", "no_longer_needed", "withdrew_consent")
LEADS = frozenset({Role.ATTENDING, Role.INVITING})
INSIDE = (SeatState.WAITING, SeatState.ADMITTED)
ROOM_EVENTS = frozenset(
    {
        EventCode.ROOM_JOINED,
        EventCode.ROOM_RESUMED,
        EventCode.ROOM_REPLACED,
        EventCode.DEVICE_CHECKED,
        EventCode.MEDIA_PUBLISHED,
        EventCode.MEDIA_STOPPED,
        EventCode.MEDIA_QUALITY,
        EventCode.ROOM_READY,
    }
)


@dataclass(frozen=True, slots=True)
class Entered:
    """Where the person now is; `admission` is None when nothing was judged (they were already inside)."""

    consult: Consult
    seat: Seat
    admission: Admission | None


async def enter(
    tx: ClinicTransaction, seat_id: str, rules: RuleSet | None = None, present: Present | None = None
) -> Entered:
    """Come to the door: clinicians go in, patient and guests wait, and experts who are late for an open panel (HZ-33).
    Coming back to a seat still held changes nothing.

    Raises AdmissionRefused, SeatClosed, InWriting. Consent is the caller's other gate (`consent.gate.require`).
    """
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if seat.state is SeatState.REMOVED:
        raise SeatClosed()
    if seat.state in INSIDE and consult.media_open:
        return Entered(consult, seat, None)
    if consult.kind in PANELS:
        await in_writing.require_room(tx, consult)
    verdict, judged_by = await _judged(tx, consult, rules, Stage.JOIN, present)
    actor = Actor.seated(seat)
    waits = seat.role not in CLINICIANS or await presiding.late(tx, consult, seat, terms_of(judged_by))
    inside = SeatState.WAITING if waits else SeatState.ADMITTED
    seat = seat.move(inside, tx.now)
    if inside is SeatState.WAITING:
        since = await line.arrive(tx, consult, seat, judged_by)
        seat = replace(seat, waiting_since=since or seat.waiting_since)
    await tx.seats.save(seat)
    await tx.append(_passed(consult, seat, actor, verdict))
    await tx.append(_at_seat(EventCode.ROOM_WAITING if waits else EventCode.ROOM_ADMITTED, seat, actor))
    if consult.status is ConsultStatus.SCHEDULED:
        consult = await _move(tx, consult, ConsultStatus.WAITING, actor)
    if consult.status is ConsultStatus.WAITING and await _meeting(tx, consult):
        consult = await _move(tx, consult, ConsultStatus.IN_PROGRESS, actor)
    return Entered(consult, seat, verdict)


async def admit(  # noqa: PLR0917
    tx: ClinicTransaction,
    consult_id: str,
    seat_id: str,
    by: Actor,
    rules: RuleSet | None = None,
    present: Present | None = None,
) -> Entered:
    """Let a waiting person in, judged once more as the reception it is; the first admission opens the consult.

    Raises AdmissionRefused, NotPermitted, IllegalMove (not waiting), MissingRow.
    """
    consult, seat = await consult_of(tx, consult_id, seat_id)
    await authorise(tx, by, Action.ADMIT, consult)
    if seat.state is SeatState.ADMITTED:
        return Entered(consult, seat, None)
    if seat.state is not SeatState.WAITING:
        raise IllegalMove(f"seat {seat.state}->admitted")
    told = replace(present or Present(), entering=seat.role)
    verdict, _ = await _judged(tx, consult, rules, Stage.RECEPTION, told)
    seat = seat.move(SeatState.ADMITTED, tx.now)
    await tx.seats.save(seat)
    await line.let_in(tx, seat)
    await tx.append(_passed(consult, seat, by, verdict))
    await tx.append(_at_seat(EventCode.ROOM_ADMITTED, seat, by))
    if consult.status is ConsultStatus.WAITING:
        consult = await _move(tx, consult, ConsultStatus.IN_PROGRESS, by)
    return Entered(consult, seat, verdict)


async def leave(tx: ClinicTransaction, seat_id: str, by: Actor) -> Seat:
    """Leave of one's own will (or by the server, for a person long gone). Idempotent. Raises NotPermitted."""
    seat = await tx.seats.get(seat_id)
    if Role.SYSTEM not in by.roles and by.seat_id != seat.id and by.id != seat.person_id:
        raise NotPermitted("leave")
    if seat.state not in INSIDE:
        return seat
    seat = seat.move(SeatState.LEFT, tx.now)
    await tx.seats.save(seat)
    await line.step_out(tx, seat)
    await tx.append(_at_seat(EventCode.ROOM_LEFT, seat, by))
    return seat


async def remove(tx: ClinicTransaction, consult_id: str, seat_id: str, by: Actor, reason_code: str) -> Seat:
    """Put a person out for good (turning away somebody who waits is the same act). Raises NotPermitted, IllegalMove."""
    consult, seat = await consult_of(tx, consult_id, seat_id)
    own = await authorise(tx, by, Action.REMOVE, consult)
    checks.one_of("reason_code", reason_code, REMOVAL_CODES)
    if seat.role in LEADS or (own is not None and own.id == seat.id):
        raise NotPermitted("the leading doctor ends the visit instead")
    denied = seat.state is not SeatState.ADMITTED
    seat = seat.move(SeatState.REMOVED, tx.now)
    await tx.seats.save(seat)
    await line.give_up(tx, seat)
    code = EventCode.ROOM_DENIED if denied else EventCode.ROOM_REMOVED
    await tx.append(_at_seat(code, seat, by, {"reason": reason_code}))
    return seat


async def conclude(tx: ClinicTransaction, consult_id: str, by: Actor) -> Consult:
    """Media over, papers still due. The recorder was stopped before. Idempotent. Raises NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.END, consult)
    if consult.status is ConsultStatus.CONCLUDING:
        return consult
    return await end(tx, consult, ConsultStatus.CONCLUDING, by, None)


async def terminate(
    tx: ClinicTransaction, consult_id: str, by: Actor, outcome_code: str, shared: Container[str] | None = None
) -> Consult:
    """Stop at once and send the patient to a physical hospital (CN-09). A panel that met leaves its copies, ordered in
    this very transaction; `shared` as `copying.order` has it. Raises InvalidInput, IllegalMove.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.TERMINATE, consult)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    checks.one_of("outcome_code", outcome_code, rules.rules["CN-09"].codes)
    return await end(tx, consult, ConsultStatus.TERMINATED_UNSUITABLE, by, outcome_code, shared)


def require_advice(advice: str) -> str:
    """What the patient is told when a visit stops (CN-09) sends them to a hospital, it prescribes nothing (CN-11).

    Raises PrescriptionInText.
    """
    if prescribes(advice):
        raise PrescriptionInText("advice")
    return advice.strip()


async def close(tx: ClinicTransaction, consult_id: str, by: Actor) -> Consult:
    """Everything signed, nothing more to come. Raises Unsigned, NotPermitted, IllegalMove.

    Which papers a kind needs is data: the doctor's signed note, or the opinion of every expert who was there, the
    chair's joint report and the inviting doctor's decision (rules 1.3). A panel's copies are ordered in this very
    transaction. The caller hands the records to `archive.intake` in it too.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.END, consult)
    missing = await unsigned(tx, consult)
    if missing and consult.status is ConsultStatus.CONCLUDING:
        raise Unsigned(",".join(missing)) if missing == ("note",) else PapersMissing(missing)
    closed = await _move(tx, consult, ConsultStatus.CLOSED, by)
    await copying.order(tx, closed, by)
    return closed


async def unsigned(tx: ClinicTransaction, consult: Consult) -> tuple[str, ...]:
    """The papers this kind closes with that nobody has signed yet."""
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    closing = rules.kinds[consult.kind].closing
    missing: list[str] = []
    if "note" in closing:
        notes = await tx.visit_notes.find(consult_id=consult.id)
        missing += () if any(note.signed_at for note in notes) else ("note",)
    return (*missing, *await missing_of(tx, consult)) if consult.kind in PANELS else tuple(missing)


async def end(  # noqa: PLR0917
    tx: ClinicTransaction,
    consult: Consult,
    to: ConsultStatus,
    by: Actor,
    outcome_code: str | None,
    shared: Container[str] | None = None,
) -> Consult:
    """Move the consult to a state without media; whoever is inside has left. What is over then, and met, is copied."""
    changed = consult.move(to, tx.now, outcome_code)
    await aside.close(tx, consult, by)
    for seat in await tx.seats.find(consult_id=consult.id):
        if seat.state in INSIDE:
            await tx.seats.save(seat.move(SeatState.LEFT, tx.now))
        if seat.role is Role.PATIENT:
            await line.give_up(tx, seat)
    await tx.consults.save(changed)
    await tx.append(moved(consult, changed, by))
    if to is ConsultStatus.CANCELLED:
        await places.release(tx, consult.id, by)
    if changed.over:
        await copying.order(tx, changed, by, shared)
    return changed


async def say(tx: ClinicTransaction, seat_id: str, text: str, operation_id: str | None = None) -> ChatMessage:
    """A chat line by somebody in the room. Raises NotPermitted, InvalidInput, DuplicateOperation."""
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    actor = Actor.seated(seat)
    await authorise(tx, actor, Action.CHAT, consult)
    if seat.state is not SeatState.ADMITTED or not consult.media_open:
        raise NotPermitted("not in the room")
    if operation_id is not None:
        await tx.operation(operation_id, seat_id)
    line = checks.text("text", text, 2000)
    message = ChatMessage(uuid4().hex, consult.institution_id, consult.id, seat.id, line, tx.now)
    await tx.chat_messages.add(message)
    event = AuditEvent(
        EventCode.CHAT_SENT, consult.institution_id, seat.id, consult.id, message.id, public={"length": len(line)}
    )
    await tx.append(event)
    return message


async def record_room_event(
    tx: ClinicTransaction, seat_id: str, code: EventCode, public: Mapping[str, Any] | None = None
) -> None:
    """Put on record what happened to a person's presence or media. Raises ValueError for other codes."""
    if code not in ROOM_EVENTS:
        raise ValueError(f"{code} is not an event of the room")
    seat = await tx.seats.get(seat_id)
    await tx.append(_at_seat(code, seat, Actor.seated(seat), public))


async def _judged(
    tx: ClinicTransaction, consult: Consult, rules: RuleSet | None, stage: Stage, present: Present | None
) -> tuple[Admission, RuleSet]:
    """The verdict and the rules it was given by. Raises AdmissionRefused."""
    facts = await facts_of(tx, consult, present, rules)
    applied = rules or rules_for(facts.institution, tx.now)
    verdict = judge(facts, applied, tx.now, stage)
    if not verdict.allowed:
        raise AdmissionRefused(verdict.codes)
    return verdict, applied


async def _meeting(tx: ClinicTransaction, consult: Consult) -> bool:
    """The leading doctor and at least one other person are inside."""
    inside = await tx.seats.find(consult_id=consult.id, state=SeatState.ADMITTED)
    people = [seat for seat in inside if seat.role is not Role.DECLARED]  # who sits at a colleague's side is no party
    return len(people) > 1 and any(seat.role in LEADS for seat in people)


async def _move(tx: ClinicTransaction, consult: Consult, to: ConsultStatus, by: Actor) -> Consult:
    changed = consult.move(to, tx.now)
    await tx.consults.save(changed)
    await tx.append(moved(consult, changed, by))
    return changed


def _at_seat(code: EventCode, seat: Seat, by: Actor, public: Mapping[str, Any] | None = None) -> AuditEvent:
    known = {"role": seat.role.value, **(public or {})}
    return AuditEvent(code, seat.institution_id, by.seat_id or by.id, seat.consult_id, seat.id, public=known)


def _passed(consult: Consult, seat: Seat, by: Actor, verdict: Admission) -> AuditEvent:
    public = {"rules": verdict.rules_version, "read": list(verdict.evidence_read)}
    return AuditEvent(
        EventCode.GATE_PASSED, consult.institution_id, by.seat_id or by.id, consult.id, seat.id, public=public
    )
