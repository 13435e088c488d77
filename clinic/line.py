"""Places in the waiting line as rows, kept in step with the seats by the acts of `clinic.visit` (HZ-12)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from audit.errors import MissingRow
from audit.transaction import After
from clinic.consult import Consult, ConsultStatus, Seat
from clinic.people import Role
from clinic.queueing import WaitingPlace, arrived, kept
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


async def arrive(tx: ClinicTransaction, consult: Consult, seat: Seat, rules: RuleSet) -> datetime | None:
    """A patient is in the waiting room; since when their place counts. The caller's event covers the row."""
    if seat.role is not Role.PATIENT:
        return None
    looked = await tx.triage_notes.find(consult_id=consult.id)  # the nurse may have looked before the patient came
    fresh = WaitingPlace(
        id=seat.id,
        institution_id=seat.institution_id,
        consult_id=consult.id,
        doctor_id=consult.doctor_id,
        department=consult.department,
        due_at=consult.starts_at,
        arrived_at=tx.now,
        present=True,
        open=True,
        urgent_at=looked[-1].signed_at if looked and looked[-1].urgent else None,
    )
    former = await of_seat(tx, seat.id)
    place = arrived(former, fresh, rules)
    if former is None:
        await tx.waiting_places.add(place)
    else:
        await tx.waiting_places.save(place)
    return place.arrived_at


async def step_out(tx: ClinicTransaction, seat: Seat) -> None:
    """Left the waiting room, or the call: the place is kept for a while."""
    await _save(tx, seat, present=False, left_at=tx.now)


async def let_in(tx: ClinicTransaction, seat: Seat) -> None:
    """Admitted: nobody waits behind them any more."""
    await _save(tx, seat, open=False, present=True, left_at=None)


async def give_up(tx: ClinicTransaction, seat: Seat) -> None:
    """The place ends: removed, or the visit is over."""
    await _save(tx, seat, open=False, present=False)


async def of_seat(tx: ClinicTransaction, seat_id: str) -> WaitingPlace | None:
    try:
        return await tx.waiting_places.get(seat_id)
    except MissingRow:
        return None


async def of_doctor(tx: ClinicTransaction, doctor_id: str) -> Sequence[WaitingPlace]:
    """Everybody who has, or may still have, a place in this doctor's line: one query."""
    return await tx.waiting_places.find(doctor_id=doctor_id, open=True)


async def running(tx: ClinicTransaction, doctor_id: str) -> list[timedelta]:
    """How long this doctor's open visits already last."""
    found = await tx.consults.find(doctor_id=doctor_id, status=ConsultStatus.IN_PROGRESS)
    return [tx.now - consult.opened_at for consult in found if consult.opened_at is not None]


async def recent_lengths(tx: ClinicTransaction, doctor_id: str, rules: RuleSet) -> list[timedelta]:
    """How long the doctor's latest visits took, oldest first (HZ-13)."""
    since = tx.now - rules.days("HZ-13", "sample_days")
    over = (ConsultStatus.CONCLUDING, ConsultStatus.CLOSED)
    found = [
        consult
        for status in over
        for consult in await tx.consults.find(doctor_id=doctor_id, status=status, ended_at=After(since))
    ]
    ended = [
        (consult.ended_at, consult.ended_at - consult.opened_at)
        for consult in found
        if consult.ended_at is not None and consult.opened_at is not None
    ]
    return [length for _, length in sorted(ended)]


async def still_kept(tx: ClinicTransaction, seat_id: str, rules: RuleSet) -> bool:
    place = await of_seat(tx, seat_id)
    return place is not None and place.open and kept(place, tx.now, rules)


async def _save(tx: ClinicTransaction, seat: Seat, **changes: object) -> None:
    place = await of_seat(tx, seat.id)
    if place is not None:
        await tx.waiting_places.save(replace(place, **changes))  # type: ignore[arg-type]
