"""Consults everybody forgot: found by a pure function, ended by a job."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.actor import Actor
from clinic.consult import PANELS, Consult, ConsultStatus
from clinic.overlays import rules_for
from clinic.panels import in_writing
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction
from clinic.visit import end

NOT_BEGUN = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING)


@dataclass(frozen=True, slots=True)
class Forgotten:
    consult: Consult
    to: ConsultStatus
    code: str


def forgotten(
    consults: Iterable[Consult],
    now: datetime,
    rules: RuleSet,
    occupied: frozenset[str] = frozenset(),
    due: Mapping[str, datetime] | None = None,
) -> list[Forgotten]:
    """Which consults to end at `now` and how. `occupied` are consults with people in the room: they are left alone.

    `due`: of those asked in writing, when the opinions are; nobody is expected at the booked hour (HZ-45).
    """
    answers_by = due or {}
    late = timedelta(minutes=rules.value("HZ-01", "late_minutes"))
    idle = timedelta(minutes=rules.value("HZ-01", "idle_minutes"))
    found: list[Forgotten] = []
    for consult in consults:
        if consult.id in occupied:
            continue
        if consult.id in answers_by:
            if now > answers_by[consult.id]:
                found.append(Forgotten(consult, ConsultStatus.CANCELLED, "swept_unanswered"))
            continue
        if consult.status in NOT_BEGUN and now > consult.ends_at + late:
            came = consult.status is ConsultStatus.WAITING
            code = "swept_waited_in_vain" if came else "swept_nobody_came"
            found.append(Forgotten(consult, ConsultStatus.NO_SHOW, code))
        elif consult.status is ConsultStatus.IN_PROGRESS:
            quiet_since = max(consult.ends_at, consult.last_active_at or consult.ends_at)
            if now > quiet_since + idle:
                found.append(Forgotten(consult, ConsultStatus.CONCLUDING, "swept_left_open"))
    return found


async def sweep(tx: ClinicTransaction, institution_id: str, occupied: frozenset[str] = frozenset()) -> list[Consult]:
    """End an institution's forgotten consults; the ended ones. Stop their recorders before."""
    institution = await tx.institutions.get(institution_id)
    rules = rules_for(institution, tx.now)
    candidates: list[Consult] = []
    for status in (*NOT_BEGUN, ConsultStatus.IN_PROGRESS):
        candidates += await tx.consults.find(institution_id=institution_id, status=status)
    system = Actor.system(institution_id)
    return [
        await end(tx, item.consult, item.to, system, item.code)
        for item in forgotten(candidates, tx.now, rules, occupied, await _asked_in_writing(tx, candidates))
    ]


async def _asked_in_writing(tx: ClinicTransaction, consults: Iterable[Consult]) -> dict[str, datetime]:
    rows = [await in_writing.of(tx, row.id) for row in consults if row.kind in PANELS and row.status in NOT_BEGUN]
    return {row.id: row.due_at for row in rows if row is not None}
