"""The gates: nobody gets media, shares, watches, records or transcribes without the consent it stands on.

Pure, fail closed (domain-rules section 6, media gate).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from clinic.consult import Consult, ConsultStatus, Seat, SeatState
from clinic.people import CLINICIANS, Role
from consent import companions, interludes
from consent.companions import Companion
from consent.effects import Effect, ExamViews, GuestRefuses, LateJoiner, OnWithdrawal, RecordingPolicy, ResumeBy
from consent.effects import of as effects_of
from consent.errors import (
    ConsentMissing,
    DecideFirst,
    GuestRefusedRecording,
    OfflineVisit,
    RecordingNotPermitted,
    TranscriptionNotPermitted,
)
from consent.grant import GRANT_SECONDS, RecordingGrant
from consent.records import Purpose
from consent.standing import Ledger, Standing, decisive, missing, patient_seats, required_purposes, shared_with
from consent.validity import in_force

__all__ = ["RECORDING_REASONS", "Effect", "ExamViews", "GuestRefuses", "LateJoiner", "OnWithdrawal", "RecordingPolicy"]
__all__ += ["ResumeBy", "recording_grant", "require", "withdrawal_effect"]


def require(records: Ledger, consult: Consult, seat: Seat, basis: str = "consent", *, now: datetime) -> None:
    """Raises ConsentMissing. No media token before this passes; a yes that has run out at `now` is none.

    The patient: TREAT (CN-12), SHARE_PANEL for panels, REC_AV where recording is a legal duty. Staff of another
    institution: the patient's SHARE_PANEL naming it (PIPL art. 23). An observer: the patient's OBSERVE. Other guests
    and own staff: nothing. Raises OfflineVisit when only the recording that is a legal duty was refused.
    """
    records = in_force(records, now)
    lacking = missing(records, seat, required_purposes(consult.kind, seat.role, basis))
    if lacking == (Purpose.REC_AV,) and decisive(records, seat.id, Purpose.REC_AV)[1] is not None:
        raise OfflineVisit((Purpose.REC_AV.value,))
    if seat.role is Role.OBSERVER and not _patient_permits(records, Purpose.OBSERVE):
        lacking = (*lacking, Purpose.OBSERVE)
    foreign = seat.role in CLINICIANS and seat.home_institution_id != consult.institution_id
    if foreign and seat.home_institution_id not in shared_with(records, now):
        lacking = (*lacking, Purpose.SHARE_PANEL)
    if lacking:
        raise ConsentMissing(tuple(purpose.value for purpose in lacking))


def _patient_permits(records: Ledger, purpose: Purpose) -> bool:
    """The patient said yes and has not taken it back. `records`: those in force."""
    return any(decisive(records, seat_id, purpose)[0] is Standing.PERMITTED for seat_id in patient_seats(records))


def require_decision(records: Ledger, seat: Seat, policy: RecordingPolicy, *, now: datetime) -> None:
    """At the door of a consult that is being recorded. Staff decide by joining (standing notice).

    Raises DecideFirst, GuestRefusedRecording.
    """
    if seat.role in CLINICIANS or seat.role is Role.PATIENT:
        return
    where, _ = decisive(in_force(records, now), seat.id, Purpose.REC_AV)
    if where is Standing.UNDECIDED and policy.late_joiner is LateJoiner.WAIT:
        raise DecideFirst((Purpose.REC_AV.value,))
    if where in (Standing.REFUSED, Standing.WITHDRAWN) and policy.guest_refuses is GuestRefuses.KEEP_OUT:
        raise GuestRefusedRecording((Purpose.REC_AV.value,))


def require_share(records: Ledger, consult: Consult, seat: Seat, *, now: datetime) -> None:
    """Showing a screen or a document of the patient's to the room stands on TREAT, and where the sharer is of another
    institution on SHARE_PANEL naming it. Raises ConsentMissing."""
    require(records, consult, seat, now=now)
    if not _patient_permits(in_force(records, now), Purpose.TREAT):
        raise ConsentMissing((Purpose.TREAT.value,))


def may_transcribe(
    consult: Consult, present: Sequence[Seat], records: Ledger, *, beside: Sequence[Companion], now: datetime
) -> frozenset[str]:
    """Whose voice a transcriber may hear now; everybody present has agreed or nobody is transcribed (voices mix).

    Staff agree by the standing notice; a helper who is seen or heard (`beside`) was never asked.
    Raises TranscriptionNotPermitted: every reason, the seats concerned.
    """
    reasons: dict[str, None] = dict.fromkeys([*_room_reasons(consult, present), *_interlude_reasons(records, None)])
    seats: dict[str, None] = {}
    records = in_force(records, now)
    if not _patient_permits(records, Purpose.AI_TRANSCRIBE):
        reasons["rec.transcription_patient"] = None
    for seat in present:
        asked = Purpose.REC_AV if seat.role in CLINICIANS else Purpose.AI_TRANSCRIBE
        if decisive(records, seat.id, asked)[0] is not Standing.PERMITTED:
            reasons["rec.transcription_person"], seats[seat.id] = None, None
    for seat_id in companions.audible(beside, (seat.id for seat in present)):
        reasons["rec.transcription_person"], seats[seat_id] = None, None
    if reasons:
        raise TranscriptionNotPermitted(tuple(reasons), tuple(seats))
    return frozenset(seat.id for seat in present)


def recording_grant(
    consult: Consult,
    recording_id: str,
    present: Sequence[Seat],
    records: Ledger,
    *,
    policy: RecordingPolicy,
    now: datetime,
    beside: Sequence[Companion],
) -> RecordingGrant:
    """60 seconds for exactly the people present. Raises RecordingNotPermitted: every reason, the seats concerned.

    `present` holds everybody with a seat, people declared in the room included; `beside`: what helpers at the
    patients' devices have said, oldest first.
    """
    reasons = dict.fromkeys((*_interlude_reasons(records, policy), *_room_reasons(consult, present)))
    records = in_force(records, now)  # an open pause or exam view stays open however old it is
    seats: dict[str, None] = {}
    recorded: list[str] = []
    consents: list[str] = []
    for reason, absent in _absent_patients(records, present):
        reasons[reason] = None
        seats |= dict.fromkeys(absent)
    for seat in present:
        where, record = decisive(records, seat.id, Purpose.REC_AV)
        if where is Standing.PERMITTED and record is not None:
            recorded.append(seat.id)
            consents.append(record.id)
        elif not _may_stay_unrecorded(seat, where, policy):
            reasons[_seat_reason(seat, where)], seats[seat.id] = None, None
    for seat_id in companions.barring(beside, (seat.id for seat in present)):
        reasons[companions.REFUSED], seats[seat_id] = None, None
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


def _absent_patients(records: Ledger, present: Sequence[Seat]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What speaks against it while the patient is out of the room, where their word counts too; nobody's is none."""
    if not patient_seats(records):
        yield "rec.patient_unsigned", ()
    for seat_id in sorted(patient_seats(records) - {seat.id for seat in present}):
        where, _ = decisive(records, seat_id, Purpose.REC_AV)
        if where is not Standing.PERMITTED:
            yield _patient_reason(where), (seat_id,)


def withdrawal_effect(seat: Seat, purpose: Purpose, policy: RecordingPolicy, basis: str = "consent") -> Effect:
    """The first thing to do at once, before anything is committed; `effects.of` has them all."""
    return effects_of(seat, purpose, policy, basis)[0]


def _room_reasons(consult: Consult, present: Sequence[Seat]) -> list[str]:
    reasons = []
    if consult.status is not ConsultStatus.IN_PROGRESS:
        reasons.append("rec.consult_not_open")
    if not present:
        reasons.append("rec.nobody_present")
    if any(seat.consult_id != consult.id or seat.state is not SeatState.ADMITTED for seat in present):
        reasons.append("rec.not_admitted")
    return reasons


def _interlude_reasons(records: Ledger, policy: RecordingPolicy | None) -> list[str]:
    """`policy` None: exam views are never taken."""
    reasons = ["rec.privacy_pause"] if interludes.pauses(records) else []
    if interludes.exam(records) is not None and (policy is None or policy.exam_views is ExamViews.NEVER):
        reasons.append("rec.exam_view")
    return reasons


def _may_stay_unrecorded(seat: Seat, where: Standing, policy: RecordingPolicy) -> bool:
    return (
        where is Standing.WITHDRAWN
        and seat.role not in (Role.PATIENT, Role.DECLARED)  # a declared person speaks into somebody else's track
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
        "rec.privacy_pause",
        "rec.exam_view",
        companions.REFUSED,
        "rec.transcription_patient",
        "rec.transcription_person",
        *(f"rec.{who}_{what}" for who in ("patient", "person") for what in ("unsigned", "refused", "withdrew")),
    }
)
