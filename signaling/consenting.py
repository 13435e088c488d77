"""Recording and consent while a consult is live. Withdrawal stops the writing first and commits afterwards."""

from collections.abc import Awaitable, Callable, Sequence

from archive import intake
from audit.errors import DuplicateOperation
from clinic import visit
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, Seat
from clinic.people import CLINICIANS, Role
from clinic.roles import Action
from consent import companions, desk, withdrawing
from consent.companions import Declaration
from consent.errors import RecordingNotPermitted
from consent.gate import Effect, withdrawal_effect
from consent.records import Purpose
from consent.standing import Standing, shared_with, standing
from signaling import closing, joining, listening, views
from signaling.live import Live, log
from signaling.outcomes import Ack
from signaling.ports import Line
from signaling.room import LiveRoom

OK: Ack = {"ok": True}


async def start_recording(live: Live, line: Line, op: str) -> Ack:
    """Ask for a recording; it is on only when the `recording` event says so.

    Raises NotPermitted, RecordingNotPermitted (reasons and seats), NoSpace, RecorderUnavailable.
    """
    room = await live.open(line.caller.consult_id)
    by = room.actor(room.require_joined(line).id)
    async with live.db.begin() as tx:
        await authorise(tx, by, Action.START_RECORDING, await tx.consults.get(room.consult.id))
        await tx.operation(op, line.caller.seat_id)
    if not live.records(room.consult.id):
        _require_no_withdrawal(live, room)
        room.recording, room.recording_reason = await live.recorder.start(room.consult.id, line.caller.seat_id), None
        live.tell_recording(room)
        try:
            _require_no_withdrawal(live, room)  # one that came while the recorder was starting had nothing to stop
        except RecordingNotPermitted:
            await live.stop_recording(room.consult, "withdrawn")
            raise
    return OK


def _require_no_withdrawal(live: Live, room: LiveRoom) -> None:
    """The ledger still says yes while a withdrawal waits for its commit: nothing starts on that."""
    leaving = live.withdrawing.get(room.consult.id)
    if leaving:
        roles = {room.seats[seat_id].role for seat_id in leaving if seat_id in room.seats}
        reason = "rec.patient_withdrew" if Role.PATIENT in roles else "rec.person_withdrew"
        raise RecordingNotPermitted((reason,), tuple(dict.fromkeys(leaving)))


async def stop_recording(live: Live, line: Line, reason: str, op: str) -> Ack:
    """Anybody the role table lets may stop it; the recorder stops writing before anything is committed."""
    room = await live.open(line.caller.consult_id)
    room.require_joined(line)
    if live.records(room.consult.id):
        await live.stop_recording(room.consult, reason)
    try:
        async with live.db.begin() as tx:
            await tx.operation(op, line.caller.seat_id)
    except DuplicateOperation:
        pass
    return OK


async def declare_companion(live: Live, seat_id: str, said: Declaration, *, op: str, by: Actor) -> Ack:
    """Who helps at this device from now on. A companion who bars recording stops it before anything is committed.

    Raises CompanionInvalid, SeatCannotSign, MissingRow.
    """
    said = companions.check(said)
    async with live.db.read() as tx:
        consult = await tx.consults.get((await tx.seats.get(seat_id)).consult_id)
    if not said.bars_recording:
        async with live.db.begin() as tx:
            await companions.declare(tx, live.sealer, seat_id, said, operation_id=op, by=by)
        await consent_changed(live, consult.id, seat_id)
        return OK

    async def commit() -> None:
        async with live.db.begin() as tx:
            await companions.declare(tx, live.sealer, seat_id, said, operation_id=op, by=by)

    async def settled() -> None:
        _forget_withdrawal(live, consult.id, seat_id)
        await consent_changed(live, consult.id, seat_id)

    live.withdrawing.setdefault(consult.id, []).append(seat_id)
    committed = True
    try:
        if live.records(consult.id) and seat_id in live.present(consult.id):
            await live.stop_recording(consult, "companion_refused")
        committed = await live.commit_restriction("companion", commit, settled)
    finally:
        if committed:
            _forget_withdrawal(live, consult.id, seat_id)
    if committed:
        await consent_changed(live, consult.id, seat_id)
    return OK if committed else {"ok": True, "pending": True}


async def withdraw(
    live: Live,
    seat_id: str,
    purposes: Sequence[Purpose],
    *,
    reason: str | None,
    op: str,
    by: Actor,
    identified: str | None = None,
) -> Ack:
    """Take consent back, from the room, from any page, or entered by staff (`identified`: how they knew the caller).
    What stands on it stops at once; then the ledger commits.

    Raises NothingToWithdraw, NotPermitted, MissingRow.
    """
    consult, seat, effects = await _effects(live, seat_id, purposes, by)
    if withdrawing.by_staff(seat, by):
        withdrawing.check_entry(reason, identified)  # before anything is stopped on a call nobody vouches for

    async def commit() -> None:
        async with live.db.begin() as tx:
            await desk.withdraw(
                tx, live.sealer, seat_id, purposes, reason=reason or "", operation_id=op, by=by, identified=identified
            )
            if Purpose.REC_AV in purposes and seat.role is Role.PATIENT:
                await intake.restrict(tx, consult.id, by.seat_id or by.id)
            if Effect.END_CONSULT in effects:
                await closing.conclude_withdrawn(tx, consult.id)

    if Effect.END_CONSULT in effects:
        committed = await closing.end_by_withdrawal(live, consult, commit)
        return OK if committed else {"ok": True, "pending": True}

    async def settled() -> None:
        _forget_withdrawal(live, consult.id, seat_id)
        await consent_changed(live, consult.id, seat_id)

    live.withdrawing.setdefault(consult.id, []).append(seat_id)
    committed = True  # also when the ledger refuses: then there is nothing to wait for
    try:
        committed = await _withdraw(live, consult, seat_id, effects, commit=commit, settled=settled)
    finally:
        if committed:
            _forget_withdrawal(live, consult.id, seat_id)
    if committed:
        await consent_changed(live, consult.id, seat_id)
    return OK if committed else {"ok": True, "pending": True}


def _forget_withdrawal(live: Live, consult_id: str, seat_id: str) -> None:
    live.withdrawing[consult_id].remove(seat_id)
    if not live.withdrawing[consult_id]:
        del live.withdrawing[consult_id]


async def _withdraw(
    live: Live,
    consult: Consult,
    seat_id: str,
    effects: frozenset[Effect],
    *,
    commit: Callable[[], Awaitable[None]],
    settled: Callable[[], Awaitable[None]],
) -> bool:
    """Stop what stood on the consent, then commit; False while the commit is being retried."""
    room = live.rooms.get(consult.id)
    for effect in (Effect.STOP_RECORDING, Effect.DROP_PERSON):
        if effect in effects:
            await _stop_writing(live, consult, seat_id, effect)
    if room is not None:
        listening.shut(room)
    experts = cut_off(live, room, effects, "consent_withdrawn") if room is not None else []
    committed = await live.commit_restriction("withdraw", commit, settled)
    if not committed and Effect.DROP_PERSON in effects:
        await live.stop_recording(consult, "withdrawn")  # the ledger still says yes: nothing may resume on it
    for expert in experts:
        await joining.depart(live, room, expert, Actor.system(consult.institution_id)) if room is not None else None
    return committed


async def _effects(
    live: Live, seat_id: str, purposes: Sequence[Purpose], by: Actor
) -> tuple[Consult, Seat, frozenset[Effect]]:
    """Judged before acting: only what is permitted now and by whom it may be withdrawn has an effect."""
    async with live.db.read() as tx:
        seat = await tx.seats.get(seat_id)
        consult = await tx.consults.get(seat.consult_id)
        records = await tx.consent_records.find(consult_id=consult.id)
        basis = (await tx.institutions.get(consult.institution_id)).recording_basis
        if seat.role in CLINICIANS:
            return consult, seat, frozenset()  # the ledger will refuse it
        owners = [seat.id, seat.person_id or seat.id]
        await authorise(tx, by, Action.WITHDRAW_CONSENT, consult, owners=owners)
    held = [purpose for purpose in purposes if standing(records, seat_id, purpose) is Standing.PERMITTED]
    effects = frozenset(withdrawal_effect(seat, purpose, live.policy_of(consult), basis) for purpose in held)
    if Effect.END_CONSULT in effects and not consult.media_open:
        effects -= {Effect.END_CONSULT}
    if Purpose.TREAT not in held and consult.status is not ConsultStatus.IN_PROGRESS:
        effects -= {Effect.END_CONSULT}  # a duty to record, not begun: the door stays shut, the booking may be kept
    return consult, seat, effects


async def _stop_writing(live: Live, consult: Consult, seat_id: str, effect: Effect) -> None:
    """The recorder first: told, it writes nothing more. When it does not obey it is stopped altogether."""
    if not live.records(consult.id):
        return
    try:
        await live.bounded(live.recorder.withdraw(consult.id, seat_id, effect), live.limits.recorder_answer)
    except TimeoutError:
        log.info("recording is still being sealed", extra={"consult": consult.id})
    except Exception as error:
        log.warning("recorder did not take a withdrawal", extra={"consult": consult.id, "error": type(error).__name__})
        await live.stop_recording(consult, "withdrawn")


def cut_off(live: Live, room: LiveRoom, effects: frozenset[Effect], reason: str) -> list[str]:
    """People of other institutions, or observers, lose media at once: no legal basis to be here is left to them."""
    home = room.consult.institution_id
    experts = [
        seat.id
        for seat in room.seats.values()
        if seat.state in visit.INSIDE
        and (
            (Effect.REMOVE_EXPERTS in effects and seat.role in CLINICIANS and seat.home_institution_id != home)
            or (Effect.REMOVE_OBSERVERS in effects and seat.role is Role.OBSERVER)
        )
    ]
    _put_out(live, room, experts, reason)
    return experts


def _put_out(live: Live, room: LiveRoom, seat_ids: Sequence[str], reason: str) -> None:
    for seat_id in seat_ids:
        joining.cut(live, room, seat_id, reason)
        room.whisper(seat_id, "removed", reason=reason)
        room.hang_up(seat_id, reason)


def _no_longer_named(live: Live, room: LiveRoom) -> list[str]:
    """People inside whose house the patient's last word on sharing does not name (PIPL art. 23: each one by itself)."""
    shared = shared_with(room.records, live.clock()) | {room.consult.institution_id}
    inside = (seat for seat in room.seats.values() if seat.state in visit.INSIDE and seat.role in CLINICIANS)
    return [seat.id for seat in inside if seat.home_institution_id not in shared]


async def consent_changed(live: Live, consult_id: str, seat_id: str) -> None:
    """After a signing or withdrawal was committed: the recorder looks again, the room is told."""
    room = live.rooms.get(consult_id)
    if room is None:
        return
    async with room.lock:
        await live.settle(room)
        if seat_id in room.seats:
            room.tell("consent", seat=seat_id, standing=views.plain(views.standing_view(room, seat_id)))
        gone = _no_longer_named(live, room)
        _put_out(live, room, gone, "consent_withdrawn")
        await live.people_changed(room)
        listening.judge(live, room)
        live.sync(room)
    for left in gone:
        await joining.depart(live, room, left, Actor.system(room.consult.institution_id))
