"""The regulator's way in (诊疗办法 art. 24, domain-rules section 7): read-only, under a case number, for a time.

The regulator asks, stating their own reference, what they want to read and of which visits; an approver of the house
opens the case or refuses. Every use is on record with the case; outside its visits, scope or time nothing is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.errors import CaseOver, IllegalMove, InvalidInput, NoCase, NotPermitted
from clinic.overlays import rules_for
from clinic.people import Role
from clinic.roles import Action, Place, require
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

LARGEST = 50  # consults named one by one


class CaseState(StrEnum):
    ASKED = "asked"
    OPEN = "open"
    REFUSED = "refused"
    CLOSED = "closed"


class CaseScope(StrEnum):
    CHART = "chart"  # chart, evidence papers, why a consult may (not) open
    RECORDING = "recording"
    AUDIT = "audit"  # the trail of the visits


@dataclass(frozen=True, slots=True)
class RegulatorCase:
    """One inspection. `since`, `until`: days of the visits, both included; `consult_ids` empty: all of those days."""

    id: str
    institution_id: str
    regulator_id: str  # the account that may read
    number: str  # the regulator's own reference
    authority: str
    reason: str
    scope: tuple[str, ...]
    since: date
    until: date
    consult_ids: tuple[str, ...]
    state: CaseState
    asked_at: datetime
    ends_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    closed_by: str | None = None
    closed_at: datetime | None = None

    def live(self, now: datetime) -> bool:
        return self.state is CaseState.OPEN and now < self.ends_at


@dataclass(frozen=True, slots=True)
class NewCase:
    number: str
    authority: str
    reason: str
    scope: tuple[str, ...]
    since: date
    until: date
    ends_at: datetime
    consult_ids: tuple[str, ...] = ()


async def ask(tx: ClinicTransaction, new: NewCase, by: Actor) -> RegulatorCase:
    """The regulator's request. Raises NotPermitted, InvalidInput, MissingRow (a consult of another house)."""
    require(by, Action.ASK_CASE, Place(by.institution_id))
    rules = rules_for(await tx.institutions.get(by.institution_id), tx.now)
    _check_span(new.ends_at, tx.now, rules)
    if new.until < new.since:
        raise InvalidInput("until", "before since")
    if len(new.consult_ids) > LARGEST:
        raise InvalidInput("consult_ids", "too many")
    for consult_id in new.consult_ids:
        if (await tx.consults.get(consult_id)).institution_id != by.institution_id:
            raise MissingRow("consults")
    case = RegulatorCase(
        id=uuid4().hex,
        institution_id=by.institution_id,
        regulator_id=by.id,
        number=checks.text("number", new.number, 64, 3),
        authority=checks.text("authority", new.authority, checks.NAME, 2),
        reason=checks.text("reason", new.reason, 1000, rules.value("AC-04", "shortest_reason")),
        scope=_scope(new.scope),
        since=new.since,
        until=new.until,
        consult_ids=tuple(dict.fromkeys(new.consult_ids)),
        state=CaseState.ASKED,
        asked_at=tx.now,
        ends_at=new.ends_at,
    )
    await tx.regulator_cases.add(case)
    await tx.append(_event(EventCode.CASE_ASKED, case, by))
    return case


async def decide(  # noqa: PLR0917
    tx: ClinicTransaction, case_id: str, permit: bool, reason: str, by: Actor, ends_at: datetime | None = None
) -> RegulatorCase:
    """Open it, for the time asked or a shorter one, or refuse with a reason.

    Raises NotPermitted, MissingRow, IllegalMove (decided already), InvalidInput.
    """
    case = await _at_home(tx, case_id, Action.DECIDE_CASE, by)
    if case.state is not CaseState.ASKED:
        raise IllegalMove(f"{case.state} is decided")
    until = min(ends_at, case.ends_at) if ends_at is not None else case.ends_at
    if permit:
        _check_span(until, tx.now, rules_for(await tx.institutions.get(case.institution_id), tx.now))
    decided = replace(
        case,
        state=CaseState.OPEN if permit else CaseState.REFUSED,
        ends_at=until,
        decided_by=by.id,
        decided_at=tx.now,
        decision_reason=checks.text("reason", reason, 1000, 0 if permit else 2),
    )
    await tx.regulator_cases.save(decided)
    await tx.append(_event(EventCode.CASE_OPENED if permit else EventCode.CASE_REFUSED, decided, by))
    return decided


async def close(tx: ClinicTransaction, case_id: str, reason: str, by: Actor) -> RegulatorCase:
    """End it before its time: by an approver, or by the regulator who is done. Raises IllegalMove, NotPermitted."""
    case = await tx.regulator_cases.get(case_id)
    if case.regulator_id != by.id:
        case = await _at_home(tx, case_id, Action.DECIDE_CASE, by)
    if case.state is not CaseState.OPEN:
        raise IllegalMove(f"{case.state} cannot be closed")
    said = checks.text("reason", reason, 1000, 2)
    closed = replace(case, state=CaseState.CLOSED, closed_by=by.id, closed_at=tx.now)
    await tx.regulator_cases.save(closed)
    await tx.append(_event(EventCode.CASE_CLOSED, closed, by, said))
    return closed


async def listed(tx: ClinicTransaction, by: Actor) -> Sequence[RegulatorCase]:
    """A regulator's own; all of the house for those who decide. Newest first."""
    if Role.REGULATOR in by.roles:
        found = await tx.regulator_cases.find(regulator_id=by.id)
    else:
        require(by, Action.DECIDE_CASE, Place(by.institution_id))
        found = await tx.regulator_cases.find(institution_id=by.institution_id)
    return tuple(reversed(found))


async def visits(tx: ClinicTransaction, case_id: str, by: Actor) -> tuple[RegulatorCase, tuple[Consult, ...]]:
    """The visits a live case covers; looking is a use. Raises NoCase, CaseOver, MissingRow."""
    case = await tx.regulator_cases.get(case_id)
    if case.regulator_id != by.id:
        raise MissingRow("regulator_cases")
    _require_live([case], tx.now)
    house = await tx.institutions.get(case.institution_id)
    found = await tx.consults.find(institution_id=case.institution_id)
    covered = tuple(each for each in found if _names(case, each, house.time_zone))
    await _used(tx, case, "list", by, None)
    return case, tuple(sorted(covered, key=lambda each: (each.starts_at, each.id)))


async def covered(tx: ClinicTransaction, scope: CaseScope, consult: Consult, by: Actor) -> RegulatorCase:
    """The live case under which a regulator may read this of a visit. Raises NoCase, CaseOver, NotPermitted."""
    if Role.REGULATOR not in by.roles or by.institution_id != consult.institution_id:
        raise NotPermitted(Action.READ_CASE.value)
    house = await tx.institutions.get(consult.institution_id)
    found = [
        case
        for case in await tx.regulator_cases.find(regulator_id=by.id)
        if scope.value in case.scope and _names(case, consult, house.time_zone)
    ]
    case = _require_live(found, tx.now)
    place = Place(consult.institution_id, consult.id, open=not consult.over, approved=True)
    require(by, Action.READ_CASE, place)
    return case


async def use(tx: ClinicTransaction, scope: CaseScope, consult: Consult, by: Actor) -> RegulatorCase:
    """As `covered`, and the use is on record."""
    case = await covered(tx, scope, consult, by)
    await _used(tx, case, scope.value, by, consult.id)
    return case


async def inspecting(tx: ClinicTransaction, scope: CaseScope, by: Actor) -> RegulatorCase:
    """For what belongs to no single visit (proving the trail): any live case of that scope, on record.

    Raises NoCase, CaseOver.
    """
    found = [case for case in await tx.regulator_cases.find(regulator_id=by.id) if scope.value in case.scope]
    case = _require_live(found, tx.now)
    await _used(tx, case, scope.value, by, None)
    return case


def _require_live(cases: Sequence[RegulatorCase], now: datetime) -> RegulatorCase:
    """The first live one. Raises CaseOver when one was open and is not any more, NoCase."""
    for case in cases:
        if case.live(now):
            return case
    if any(case.state in (CaseState.OPEN, CaseState.CLOSED) for case in cases):
        raise CaseOver()
    raise NoCase()


def _names(case: RegulatorCase, consult: Consult, time_zone: str) -> bool:
    if case.institution_id != consult.institution_id:
        return False
    if case.consult_ids and consult.id not in case.consult_ids:
        return False
    return case.since <= local_date(consult.starts_at, time_zone) <= case.until


def _scope(wanted: Sequence[str]) -> tuple[str, ...]:
    for name in wanted:
        checks.one_of("scope", name, CaseScope)
    checks.not_empty("scope", wanted)
    return tuple(scope.value for scope in CaseScope if scope.value in wanted)


def _check_span(ends_at: datetime, now: datetime, rules: RuleSet) -> None:
    if not now < ends_at <= now + timedelta(days=rules.value("AC-04", "longest_days")):
        raise InvalidInput("ends_at", "in the past, or longer than the rules allow")


async def _at_home(tx: ClinicTransaction, case_id: str, action: Action, by: Actor) -> RegulatorCase:
    case = await tx.regulator_cases.get(case_id)
    if case.institution_id != by.institution_id:
        raise MissingRow("regulator_cases")
    require(by, action, Place(case.institution_id))
    return case


async def _used(tx: ClinicTransaction, case: RegulatorCase, what: str, by: Actor, consult_id: str | None) -> None:
    event = AuditEvent(
        EventCode.CASE_USED,
        case.institution_id,
        by.id,
        consult_id,
        case.id,
        public={"case": case.id, "what": what},
        private={"number": case.number},
    )
    await tx.append(event)


def _event(code: EventCode, case: RegulatorCase, by: Actor, said: str = "") -> AuditEvent:
    private = {"number": case.number, "authority": case.authority}
    public = {"scope": list(case.scope), "until": case.ends_at.isoformat(), "consults": len(case.consult_ids)}
    if said or case.decision_reason:
        private["reason"] = said or case.decision_reason
    return AuditEvent(code, case.institution_id, by.id, subject_id=case.id, public=public, private=private)
