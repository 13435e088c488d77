"""A doctor's papers at an institution: where they may practise (CN-05), and when they are on duty (HZ-03)."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.errors import IllegalMove, InvalidInput
from clinic.facts import DutyShift, FilingKind, PracticeFiling
from clinic.overlays import rules_for
from clinic.people import Staff
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class NewFiling:
    kind: FilingKind
    number: str
    valid_from: date
    valid_to: date | None = None


async def file_practice(tx: ClinicTransaction, staff_id: str, new: NewFiling, by: Actor) -> PracticeFiling:
    """Record a registration or filing at the doctor's institution. Raises InvalidInput, NotPermitted, MissingRow."""
    staff = await _staff(tx, staff_id, by)
    if new.valid_to is not None and new.valid_to < new.valid_from:
        raise InvalidInput("valid_to", "before the first day")
    filing = PracticeFiling(
        id=uuid4().hex,
        institution_id=staff.institution_id,
        staff_id=staff.id,
        kind=FilingKind(new.kind),
        number=checks.text("number", new.number, checks.NAME),
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        recorded_by=by.id,
        recorded_at=tx.now,
    )
    await tx.practice_filings.add(filing)
    await tx.append(_event(EventCode.PRACTICE_FILED, staff, by, filing.id))
    return filing


async def revoke_filing(tx: ClinicTransaction, filing_id: str, by: Actor) -> PracticeFiling:
    """It no longer counts. Raises IllegalMove (revoked before), NotPermitted, MissingRow."""
    filing = await tx.practice_filings.get(filing_id)
    staff = await _staff(tx, filing.staff_id, by)
    if filing.revoked_at is not None:
        raise IllegalMove("revoked before")
    revoked = replace(filing, revoked_at=tx.now)
    await tx.practice_filings.save(revoked)
    await tx.append(_event(EventCode.PRACTICE_REVOKED, staff, by, filing.id))
    return revoked


async def plan_shift(  # noqa: PLR0917
    tx: ClinicTransaction, staff_id: str, department: str, starts_at: datetime, ends_at: datetime, by: Actor
) -> DutyShift:
    """Put a doctor on the roster. Raises InvalidInput (also for somebody not verified, CN-03), NotPermitted."""
    staff = await _staff(tx, staff_id, by)
    if starts_at.tzinfo is None or ends_at.tzinfo is None:
        raise InvalidInput("starts_at", "without a time zone")
    rules = rules_for(await tx.institutions.get(staff.institution_id), tx.now)
    if not timedelta(0) < ends_at - starts_at <= rules.hours("HZ-03", "longest_shift_hours"):
        raise InvalidInput("ends_at", "not after the start, or too far from it")
    if staff.verified_until is None or staff.verified_until < starts_at.date():
        raise InvalidInput("staff_id", "not verified")  # CN-03: unverified doctors cannot be rostered
    shift = DutyShift(
        id=uuid4().hex,
        institution_id=staff.institution_id,
        staff_id=staff.id,
        department=checks.text("department", department, 64),
        starts_at=starts_at,
        ends_at=ends_at,
        recorded_by=by.id,
        recorded_at=tx.now,
    )
    await tx.duty_shifts.add(shift)
    await tx.append(_event(EventCode.SHIFT_PLANNED, staff, by, shift.id))
    return shift


async def cancel_shift(tx: ClinicTransaction, shift_id: str, by: Actor) -> DutyShift:
    """Take a shift off the roster. Raises IllegalMove (cancelled before), NotPermitted, MissingRow."""
    shift = await tx.duty_shifts.get(shift_id)
    staff = await _staff(tx, shift.staff_id, by)
    if shift.cancelled_at is not None:
        raise IllegalMove("cancelled before")
    cancelled = replace(shift, cancelled_at=tx.now)
    await tx.duty_shifts.save(cancelled)
    await tx.append(_event(EventCode.SHIFT_CANCELLED, staff, by, shift.id))
    return cancelled


async def _staff(tx: ClinicTransaction, staff_id: str, by: Actor) -> Staff:
    staff = await tx.staff.get(staff_id)
    if staff.institution_id != by.institution_id:
        raise MissingRow("staff")
    require(by, Action.ADMINISTER, Place(staff.institution_id))
    return staff


def _event(code: EventCode, staff: Staff, by: Actor, row_id: str) -> AuditEvent:
    return AuditEvent(code, staff.institution_id, by.id, subject_id=staff.id, public={"row": row_id})
