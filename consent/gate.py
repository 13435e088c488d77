"""The two gates: nobody gets media before consent, and nothing is recorded without everybody's. Pure, fail closed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from clinic.consult import Consult, ConsultStatus, Seat, SeatState
from clinic.people import CLINICIANS, Role
from consent.effects import Effect, OnWithdrawal, RecordingPolicy
from consent.effects import of as effects_of
from consent.errors import ConsentMissing, RecordingNotPermitted
from consent.grant import GRANT_SECONDS, RecordingGrant
from consent.lifecycle import in_force
from consent.records import Purpose
from consent.standing import Ledger, Standing, decisive, missing, patient_seats, required_purposes, shared_with

__all__ = ["RECORDING_REASONS", "Effect", "OnWithdrawal", "RecordingPolicy", "recording_grant", "require"]
__all__ += ["withdrawal_effect"]


def require(records: Ledger, consult: Consult, seat: Seat, basis: str = "consent") -> None:
    """Raises ConsentMissing. No media token before this passes.

    The patient: TREAT (CN-12), SHARE_PANEL for panels, REC_AV where recording is a legal duty. Staff of another
    institution: the patient's SHARE_PANEL naming it (PIPL art. 23). Guests and own staff: nothing.
    """
    lacking = missing(records, seat, required_purposes(consult.kind, seat.role, basis))
    foreign = seat.role in CLINICIANS and seat.home_institution_id != consult.institution_id
    if foreign and seat.home_institution_id not in shared_with(records):
        lacking = (*lacking, Purpose.SHARE_PANEL)
    if lacking:
        raise ConsentMissing(tuple(purpose.value for purpose in lacking))


def recording_grant(
    consult: Consult,
    recording_id: str,
    present: Sequence[Seat],
    records: Ledger,
    *,
    policy: RecordingPolicy,
    now: datetime,
) -> RecordingGrant:
    """60 seconds for exactly the people present. Raises RecordingNotPermitted: every reason, the seats concerned."""
    records = in_force(records, now)
    reasons: dict[str, None] = {}
    seats: dict[str, None] = {}
    recorded: list[str] = []
    consents: list[str] = []
    for reason in _room_reasons(consult, present):
        reasons[reason] = None
    for seat_id in sorted(patient_seats(records) - {seat.id for seat in present}):
        where, _ = decisive(records, seat_id, Purpose.REC_AV)
        if where is not Standing.PERMITTED:  # the patient's word counts while they are out of the room
            reasons[_patient_reason(where)], seats[seat_id] = None, None
    if not patient_seats(records):
        reasons["rec.patient_unsigned"] = None
    for seat in present:
        where, record = decisive(records, seat.id, Purpose.REC_AV)
        if where is Standing.PERMITTED and record is not None:
            recorded.append(seat.id)
            consents.append(record.id)
        elif not _may_stay_unrecorded(seat, where, policy):
            reasons[_seat_reason(seat, where)], seats[seat.id] = None, None
    if reasons:
        raise RecordingNotPermitted(tuple(reasons), tuple(seats))
    return RecordingGrant(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        recording_id=recording_id,
        seats=frozenset(seat.id for seat in present),
        recorded=frozenset(recorded),
        consent_ids=tuple(consents),
        issued_at=now,
        expires_at=now + timedelta(seconds=GRANT_SECONDS),
    )


def withdrawal_effect(seat: Seat, purpose: Purpose, policy: RecordingPolicy) -> Effect:
    """The first thing to do at once, before anything is committed; `effects.of` has them all."""
    return effects_of(seat, purpose, policy)[0]


def _room_reasons(consult: Consult, present: Sequence[Seat]) -> list[str]:
    reasons = []
    if consult.status is not ConsultStatus.IN_PROGRESS:
        reasons.append("rec.consult_not_open")
    if not present:
        reasons.append("rec.nobody_present")
    if any(seat.consult_id != consult.id or seat.state is not SeatState.ADMITTED for seat in present):
        reasons.append("rec.not_admitted")
    return reasons


def _may_stay_unrecorded(seat: Seat, where: Standing, policy: RecordingPolicy) -> bool:
    return (
        where is Standing.WITHDRAWN
        and seat.role is not Role.PATIENT
        and policy.other_withdraws is OnWithdrawal.PRIVACY_INTERVAL
    )


def _patient_reason(where: Standing) -> str:
    return {
        Standing.UNDECIDED: "rec.patient_unsigned",
        Standing.REFUSED: "rec.patient_refused",
        Standing.WITHDRAWN: "rec.patient_withdrew",
    }[where]


def _seat_reason(seat: Seat, where: Standing) -> str:
    if seat.role is Role.PATIENT:
        return _patient_reason(where)
    if seat.role in CLINICIANS:
        return "rec.notice_missing"
    return {
        Standing.UNDECIDED: "rec.person_unsigned",
        Standing.REFUSED: "rec.person_refused",
        Standing.WITHDRAWN: "rec.person_withdrew",
    }[where]


RECORDING_REASONS = frozenset(
    {
        "rec.consult_not_open",
        "rec.nobody_present",
        "rec.not_admitted",
        "rec.notice_missing",
        *(f"rec.{who}_{what}" for who in ("patient", "person") for what in ("unsigned", "refused", "withdrew")),
    }
)
