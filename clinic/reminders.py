"""Which reminder is due, as a pure function of the booking and the time (HZ-11)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.consult import Consult, ConsultStatus
from clinic.rulebook import RuleSet

NAMES = ("first", "second", "third")  # a day, an hour, ten minutes before, unless the policy says otherwise


@dataclass(frozen=True, slots=True)
class Reminder:
    """`key` is unique for one booked time: a visit that moves is reminded of anew."""

    name: str
    at: datetime
    key: str


def schedule(starts_at: datetime, policy: RuleSet) -> tuple[Reminder, ...]:
    """Every reminder of a start, earliest first."""
    stamp = int(starts_at.timestamp())
    found = [
        Reminder(name, starts_at - policy.minutes("HZ-11", f"{name}_minutes"), f"{name}:{stamp}") for name in NAMES
    ]
    return tuple(sorted(found, key=lambda reminder: reminder.at))


def due(consult: Consult, booked_at: datetime, now: datetime, policy: RuleSet) -> Reminder | None:
    """The one reminder to send now, if any: the latest whose time has come.

    Earlier ones that were missed (server down, booked late) are not sent after the fact. Nothing goes out for a visit
    that is cancelled, over, begun, or whose patient is in the waiting room already.
    """
    if consult.status is not ConsultStatus.SCHEDULED or now >= consult.starts_at:
        return None
    come = [each for each in schedule(consult.starts_at, policy) if booked_at < each.at <= now]
    return come[-1] if come else None


def horizon(policy: RuleSet) -> timedelta:
    """How far ahead a visit may start and have a reminder due."""
    return max(policy.minutes("HZ-11", f"{name}_minutes") for name in NAMES)
