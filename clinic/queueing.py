"""The waiting line as pure arithmetic: who is next, how long it takes, whether the doctor is late (HZ-12, HZ-13).

Fairness. Each person has one moment, fixed when they arrive, and the line is sorted by it:

- who comes by their booked time (or within the grace after it) counts from the booked time: coming early gains nothing;
- who comes later counts from their arrival: the others do not pay for it;
- who a nurse found urgent counts as if due `urgent_advance_minutes` before the finding (never later than their own).

The moment never depends on the clock, so the order does not flap, and nobody is starved: somebody whose moment is m
can be overtaken only by people found urgent before m + advance; everybody who comes after that stands behind them.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clinic.rulebook import RuleSet

_GRID = 5  # minutes: nobody can honestly tell a finer figure


@dataclass(frozen=True, slots=True)
class WaitingPlace:
    """A patient's place in a doctor's line; `id` is the seat's. Kept over leaving and over another doctor."""

    id: str
    institution_id: str
    consult_id: str
    doctor_id: str
    department: str
    due_at: datetime  # the booked start
    arrived_at: datetime
    present: bool  # False: left, and may come back
    open: bool  # False: let in, or the visit is over
    left_at: datetime | None = None
    urgent_at: datetime | None = None


def moment_of(place: WaitingPlace, policy: RuleSet) -> datetime:
    """The one moment the line is sorted by."""
    on_time = place.arrived_at <= place.due_at + policy.minutes("HZ-12", "late_grace_minutes")
    moment = place.due_at if on_time else place.arrived_at
    if place.urgent_at is not None:
        moment = min(moment, place.urgent_at - policy.minutes("HZ-12", "urgent_advance_minutes"))
    return moment


def kept(place: WaitingPlace, now: datetime, policy: RuleSet) -> bool:
    """Whether somebody who left still has their place."""
    return place.left_at is None or now - place.left_at <= policy.minutes("HZ-12", "keep_minutes")


def arrived(place: WaitingPlace | None, fresh: WaitingPlace, policy: RuleSet) -> WaitingPlace:
    """Coming (back): within the time the place is kept nothing is lost, afterwards one arrives anew. `fresh` is now."""
    if place is None or not kept(place, fresh.arrived_at, policy):
        return fresh
    return replace(place, doctor_id=fresh.doctor_id, department=fresh.department, present=True, open=True, left_at=None)


def line(places: Iterable[WaitingPlace], now: datetime, policy: RuleSet) -> list[WaitingPlace]:
    """Everybody with a place, next one first: those who are there, and those who stepped out and keep theirs."""
    here = [place for place in places if place.open and (place.present or kept(place, now, policy))]
    return sorted(here, key=lambda place: (moment_of(place, policy), place.arrived_at, place.id))


@dataclass(frozen=True, slots=True)
class Pace:
    """Minutes one visit takes: the middle half of the doctor's own, or the booked length give or take."""

    low: float
    high: float
    samples: int  # 0: from the booked length


def pace_of(recent: Sequence[timedelta], booked: timedelta, policy: RuleSet) -> Pace:
    """Quartiles of the latest visits: one that took three hours, or was ended at once, changes nothing."""
    sample = [each.total_seconds() / 60 for each in recent[-policy.value("HZ-13", "most_samples") :]]
    if len(sample) < max(2, policy.value("HZ-13", "least_samples")):
        minutes = booked.total_seconds() / 60
        low, high = policy.value("HZ-13", "low_percent"), policy.value("HZ-13", "high_percent")
        return Pace(max(1.0, minutes * low / 100), max(1.0, minutes * high / 100), 0)
    first, _, third = statistics.quantiles(sample, n=4, method="inclusive")
    return Pace(max(1.0, first), max(1.0, third), len(sample))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one waiting person is told. Minutes on a grid of five; `low` is at least 1 and always below `high`."""

    position: int
    ahead: int  # people who are there
    low: int
    high: int
    late: int  # minutes the doctor is behind the booked time of whoever is next; 0 = not worth telling
    near: bool  # time to be ready


def outlook(
    places: Iterable[WaitingPlace],
    seat_id: str,
    pace: Pace,
    *,
    running: Sequence[timedelta],
    now: datetime,
    policy: RuleSet,
) -> Outlook | None:
    """A person's place and honest range; None when they have none. `running`: how long the open visits already last.

    The upper end counts people who stepped out and may come back, and is never before one's own booked time.
    """
    ordered = line(places, now, policy)
    index = next((at for at, place in enumerate(ordered) if place.id == seat_id), None)
    if index is None:
        return None
    before, own = ordered[:index], ordered[index]
    ahead = sum(place.present for place in before)
    low, high = ahead * pace.low, len(before) * pace.high
    for lasted in running:
        minutes = lasted.total_seconds() / 60
        low += max(0.0, pace.low - minutes)
        high += max(pace.low, pace.high - minutes)  # over its usual time: as long again as a short visit
    high = max(high, (own.due_at - now).total_seconds() / 60)
    told_low, told_high = _told(low, high)
    near = ahead <= policy.value("HZ-12", "near_ahead")
    return Outlook(ahead + 1, ahead, told_low, told_high, late_of(ordered, now, policy), near)


def _told(low: float, high: float) -> tuple[int, int]:
    shown_low = max(1, int(low // _GRID) * _GRID)
    shown_high = max(_GRID, int(-(-high // _GRID)) * _GRID)
    return shown_low, shown_high if shown_high > shown_low else shown_low + _GRID


def late_of(ordered: Sequence[WaitingPlace], now: datetime, policy: RuleSet) -> int:
    """Minutes the doctor is behind: whoever is next came and their time is past. 0 below what is worth telling."""
    waiting = [place for place in ordered if place.present]
    if not waiting:
        return 0
    behind = max((now - max(place.due_at, place.arrived_at)).total_seconds() / 60 for place in waiting)
    return int(behind) if behind >= policy.value("HZ-13", "late_shown_minutes") else 0
