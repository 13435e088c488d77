"""Stretches of a consult during which nothing is recorded, folded from the append-only ledger. Pure.

A privacy pause opens with a PAUSED record of the seat that asked and closes with the RESUMED record that names it. An
exam view opens with the confirmation of the patient (or the guardian) for this one exam and closes with its withdrawal
(Civil Code art. 1033: explicit consent; domain-rules section 6, INTIMATE). Both outlive a crash: they are rows.
"""

from dataclasses import dataclass
from datetime import datetime

from consent.records import ConsentAction, ConsentRecord, Purpose
from consent.validity import Ledger


@dataclass(frozen=True, slots=True)
class Interlude:
    """One open stretch: the record that opened it, whose it is, since when."""

    record_id: str
    seat_id: str
    since: datetime


def pauses(records: Ledger) -> tuple[Interlude, ...]:
    """Privacy pauses nobody has ended, oldest first. Several people may each hold one."""
    closed = {record.withdraws for record in records if record.action is ConsentAction.RESUMED}
    return tuple(
        Interlude(record.id, record.seat_id, record.recorded_at)
        for record in records
        if record.action is ConsentAction.PAUSED and record.id not in closed
    )


def exam(records: Ledger) -> Interlude | None:
    """The exam view that is on now. A general answer in a signed text opens none: each exam is confirmed by itself."""
    open_now: Interlude | None = None
    for record in records:
        if _confirms(record):
            open_now = Interlude(record.id, record.seat_id, record.recorded_at)
        elif Purpose.INTIMATE in (*record.permitted, *record.refused):
            open_now = None
    return open_now


def exam_declined(records: Ledger) -> bool:
    """The last word on exam views was no: not asked again within the consult (网络数据条例 art. 22)."""
    spoken = [record for record in records if Purpose.INTIMATE in (*record.permitted, *record.refused)]
    return bool(spoken) and Purpose.INTIMATE in spoken[-1].refused


def _confirms(record: ConsentRecord) -> bool:
    signed = record.action is ConsentAction.SIGNED and record.template_id is None
    return signed and Purpose.INTIMATE in record.permitted
