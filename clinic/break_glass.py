"""Emergency access to a chart (domain-rules section 7): at once, with a reason, on record, and reviewed afterwards.

An adult's chart opens at once for a short time. A minor's record needs a treatment relation or the approval of a
responsible person (未成年人网络保护条例 art. 36): it is asked for, and an approver decides.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import is_minor, seat_of
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import IllegalMove, NotPermitted
from clinic.glass import BrokenGlass, Finding, GlassState
from clinic.overlays import rules_for
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


async def open_chart(tx: ClinicTransaction, consult_id: str, reason: str, by: Actor) -> BrokenGlass:
    """Break the glass. Raises NotPermitted, MissingRow, InvalidInput, IllegalMove (a seat is there already)."""
    consult = await tx.consults.get(consult_id)
    _at_home(by, Action.BREAK_GLASS, consult.institution_id)
    if await seat_of(tx, by, consult) is not None:
        raise IllegalMove("holds a seat in this consult")
    waits = await is_minor(tx, consult) and not await _treats(tx, consult, by)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    glass = BrokenGlass(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        staff_id=by.id,
        reason=checks.text("reason", reason, 500, rules.value("AC-01", "shortest_reason")),
        state=GlassState.ASKED if waits else GlassState.OPEN,
        asked_at=tx.now,
        expires_at=None if waits else tx.now + rules.minutes("AC-01", "open_minutes"),
    )
    await tx.broken_glasses.add(glass)
    await tx.append(_event(EventCode.GLASS_ASKED if waits else EventCode.GLASS_BROKEN, glass, by))
    return glass


async def decide(tx: ClinicTransaction, glass_id: str, permit: bool, by: Actor) -> BrokenGlass:
    """A responsible person on a minor's record. Raises NotPermitted (also for the asker), MissingRow, IllegalMove."""
    glass = await tx.broken_glasses.get(glass_id)
    _at_home(by, Action.DECIDE_BREAK_GLASS, glass.institution_id)
    if by.id == glass.staff_id:
        raise NotPermitted("who asks does not decide")
    if glass.state is not GlassState.ASKED:
        raise IllegalMove(f"{glass.state} is decided")
    rules = rules_for(await tx.institutions.get(glass.institution_id), tx.now)
    decided = replace(
        glass,
        state=GlassState.OPEN if permit else GlassState.REFUSED,
        expires_at=tx.now + rules.minutes("AC-01", "open_minutes") if permit else None,
        decided_by=by.id,
        decided_at=tx.now,
    )
    await tx.broken_glasses.save(decided)
    await tx.append(_event(EventCode.GLASS_BROKEN if permit else EventCode.GLASS_REFUSED, decided, by))
    return decided


async def review(tx: ClinicTransaction, glass_id: str, finding: Finding, note: str, by: Actor) -> BrokenGlass:
    """The auditor's finding, once. Raises NotPermitted, MissingRow, IllegalMove, InvalidInput."""
    glass = await tx.broken_glasses.get(glass_id)
    _at_home(by, Action.REVIEW_BREAK_GLASS, glass.institution_id)
    if glass.state is not GlassState.OPEN or glass.finding is not None:
        raise IllegalMove("nothing to review")
    reviewed = replace(
        glass,
        reviewed_by=by.id,
        reviewed_at=tx.now,
        finding=finding,
        review_note=checks.text("note", note, 500, 0 if finding is Finding.JUSTIFIED else 2),
    )
    await tx.broken_glasses.save(reviewed)
    await tx.append(replace(_event(EventCode.GLASS_REVIEWED, reviewed, by), public={"finding": finding.value}))
    return reviewed


async def listed(tx: ClinicTransaction, by: Actor) -> Sequence[BrokenGlass]:
    """For those who review and those who decide: newest first. Raises NotPermitted."""
    place = Place(by.institution_id)
    try:
        require(by, Action.REVIEW_BREAK_GLASS, place)
    except NotPermitted:
        require(by, Action.DECIDE_BREAK_GLASS, place)
    return tuple(reversed(await tx.broken_glasses.find(institution_id=by.institution_id)))


async def _treats(tx: ClinicTransaction, consult: Consult, by: Actor) -> bool:
    """A treatment relation: the doctor leads a consult of this patient."""
    return bool(await tx.consults.find(patient_id=consult.patient_id, doctor_id=by.id))


def _at_home(by: Actor, action: Action, institution_id: str) -> None:
    if by.institution_id != institution_id:
        raise MissingRow("consults")
    require(by, action, Place(institution_id))


def _event(code: EventCode, glass: BrokenGlass, by: Actor) -> AuditEvent:
    until = glass.expires_at.isoformat() if glass.expires_at else ""
    return AuditEvent(
        code, glass.institution_id, by.id, glass.consult_id, glass.id, public={"by": glass.staff_id, "until": until}
    )
