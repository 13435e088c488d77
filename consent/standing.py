"""Where a person stands on a purpose, folded from the append-only ledger. Pure."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from clinic.consult import PANELS, ConsultKind, Seat
from clinic.people import Role
from consent.records import ConsentAction, ConsentRecord, Purpose
from consent.validity import Ledger, in_force

__all__ = ["Ledger", "Standing", "decisive", "in_force", "missing", "overview", "patient_seats", "required_purposes"]
__all__ += ["shared_with", "standing"]


class Standing(StrEnum):
    PERMITTED = "permitted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    UNDECIDED = "undecided"


_SPOKEN = {  # an assent or a witness permits nothing and is never reached
    ConsentAction.SIGNED: Standing.PERMITTED,
    ConsentAction.WITHDRAWN: Standing.WITHDRAWN,
    ConsentAction.ENTERED_IN_ERROR: Standing.UNDECIDED,  # never back to an earlier yes: it is asked again
}


def decisive(records: Ledger, seat_id: str, purpose: Purpose) -> tuple[Standing, ConsentRecord | None]:
    """The standing and the record that decided it: the last one that speaks of the purpose."""
    for record in reversed(records):
        if record.seat_id != seat_id:
            continue
        if purpose in record.permitted:
            return _SPOKEN[record.action], record
        if purpose in record.refused:
            return Standing.REFUSED, record
    return Standing.UNDECIDED, None


def standing(records: Ledger, seat_id: str, purpose: Purpose) -> Standing:
    """Where the person of this seat stands now."""
    return decisive(records, seat_id, purpose)[0]


def overview(records: Ledger, seat_id: str) -> dict[Purpose, Standing]:
    """Every purpose the person ever decided."""
    known = {purpose: standing(records, seat_id, purpose) for purpose in Purpose}
    return {purpose: where for purpose, where in known.items() if where is not Standing.UNDECIDED}


def shared_with(records: Ledger, now: datetime) -> frozenset[str]:
    """Institutions the patient lets see their data at a moment (PIPL art. 23: each one named)."""
    records = in_force(records, now)
    named: set[str] = set()
    for seat_id in {record.seat_id for record in records}:
        where, record = decisive(records, seat_id, Purpose.SHARE_PANEL)
        if record is not None and where is Standing.PERMITTED:
            named |= set(record.shared_with)
    return frozenset(named)


def patient_seats(records: Iterable[ConsentRecord]) -> frozenset[str]:
    """The patient's seat: only the patient's text asks about treatment."""
    return frozenset(
        record.seat_id for record in records if Purpose.TREAT in record.permitted or Purpose.TREAT in record.refused
    )


def required_purposes(kind: ConsultKind, role: Role, basis: str = "consent") -> tuple[Purpose, ...]:
    """What must be permitted before media. `basis`: the institution's for recording; "legal_duty" adds it."""
    if role is not Role.PATIENT:
        return ()
    panel = (Purpose.SHARE_PANEL,) if kind in PANELS else ()
    duty = (Purpose.REC_AV,) if basis == "legal_duty" else ()
    return (Purpose.TREAT, *panel, *duty)


def missing(records: Ledger, seat: Seat, purposes: Iterable[Purpose]) -> tuple[Purpose, ...]:
    """Those of the purposes the seat's person does not permit now."""
    return tuple(purpose for purpose in purposes if standing(records, seat.id, purpose) is not Standing.PERMITTED)
