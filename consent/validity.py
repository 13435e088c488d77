"""How long a yes lasts: to the same time of day, so many calendar months later (`consent/policies`). Pure.

Whoever permits something on a consent reads the ledger through `in_force`; only what restricts may read it whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clinic.calendar import add_months
from consent import policy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity

Ledger = Sequence[ConsentRecord]  # all records of one consult, oldest first


@dataclass(frozen=True, slots=True)
class Lapse:
    """A yes that stood and has run out."""

    seat_id: str
    purpose: Purpose
    record_id: str
    at: datetime


def expires_at(record: ConsentRecord, purpose: Purpose) -> datetime | None:
    """The first moment at which a yes no longer counts; None for what never runs out: a no, the standing notice."""
    if record.action is not ConsentAction.SIGNED or record.capacity is SignerCapacity.STAFF_NOTICE:
        return None
    if purpose not in record.permitted:
        return None
    signed = record.recorded_at
    day = add_months(signed.date(), policy.in_force(signed.date()).purposes[purpose].months)
    return signed.replace(year=day.year, month=day.month, day=day.day)


def expired(record: ConsentRecord, purpose: Purpose, now: datetime) -> bool:
    """Whether a yes has run out at a moment."""
    until = expires_at(record, purpose)
    return until is not None and now >= until


def in_force(records: Ledger, now: datetime) -> Ledger:
    """The ledger as a gate reads it. What has run out is open again: neither that yes counts, nor what it replaced."""
    last: dict[tuple[str, Purpose], int] = {}
    for number, record in enumerate(records):
        for purpose in record.permitted:
            if expired(record, purpose, now):
                last[record.seat_id, purpose] = number
    if not last:
        return records

    def left(number: int, seat_id: str, said: tuple[Purpose, ...]) -> tuple[Purpose, ...]:
        return tuple(each for each in said if number > last.get((seat_id, each), -1))

    return [
        replace(
            record,
            permitted=left(number, record.seat_id, record.permitted),
            refused=left(number, record.seat_id, record.refused),
        )
        for number, record in enumerate(records)
    ]


def lapsed(records: Ledger, since: datetime, now: datetime) -> tuple[Lapse, ...]:
    """Yeses that decided at `since` and have run out by `now`, in the order they ran out."""
    found = []
    for number, record in enumerate(records):
        for purpose in record.permitted:
            until = expires_at(record, purpose)
            if until is not None and since < until <= now and not _answered(records[number + 1 :], record, purpose):
                found.append(Lapse(record.seat_id, purpose, record.id, until))
    return tuple(sorted(found, key=lambda lapse: lapse.at))


def next_lapse(records: Ledger, after: datetime) -> datetime | None:
    """When the next yes runs out that is good after a moment; None when none will."""
    ends = [expires_at(record, purpose) for record in records for purpose in record.permitted]
    return min((end for end in ends if end is not None and end > after), default=None)


def _answered(later: Ledger, record: ConsentRecord, purpose: Purpose) -> bool:
    """A later word of the same person on the same purpose took its place."""
    return any(each.seat_id == record.seat_id and purpose in (*each.permitted, *each.refused) for each in later)
