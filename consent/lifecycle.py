"""The life of a record, derived, no row ever edited: active, withdrawn, expired, superseded, entered in error. Pure."""

from datetime import datetime
from enum import StrEnum

from consent.records import ConsentAction, ConsentRecord, Purpose
from consent.validity import Ledger, expired


class RecordState(StrEnum):
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ENTERED_IN_ERROR = "entered_in_error"


_BY: dict[ConsentAction, RecordState] = {
    ConsentAction.SIGNED: RecordState.SUPERSEDED,
    ConsentAction.WITHDRAWN: RecordState.WITHDRAWN,
    ConsentAction.ENTERED_IN_ERROR: RecordState.ENTERED_IN_ERROR,
}


def state_of(records: Ledger, record: ConsentRecord, purpose: Purpose, now: datetime) -> RecordState:
    """What became of a record's word on one purpose. `records`: the ledger, oldest first."""
    after = [
        later
        for later in records[list(records).index(record) + 1 :]
        if later.seat_id == record.seat_id and purpose in (*later.permitted, *later.refused)
    ]
    if after:
        if any(later.withdraws == record.id and later.action is ConsentAction.ENTERED_IN_ERROR for later in after):
            return RecordState.ENTERED_IN_ERROR
        return _BY[after[0].action]
    return RecordState.EXPIRED if expired(record, purpose, now) else RecordState.ACTIVE


def overall(records: Ledger, record: ConsentRecord, now: datetime) -> RecordState:
    """The record as a whole: active while any of its purposes is, else what became of the last one to go."""
    spoken = (*record.permitted, *record.refused)
    if not spoken:  # an assent or a witness: valid unless corrected
        wrong = any(each.withdraws == record.id and each.action is ConsentAction.ENTERED_IN_ERROR for each in records)
        return RecordState.ENTERED_IN_ERROR if wrong else RecordState.ACTIVE
    states = [state_of(records, record, purpose, now) for purpose in spoken]
    return RecordState.ACTIVE if RecordState.ACTIVE in states else states[-1]
