"""The encounter, its seats and its one transition table."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from clinic.errors import IllegalMove
from clinic.people import Role


class ConsultKind(StrEnum):
    """Which gates apply to a kind, who leads it and what closes it is data (clinic/rules)."""

    FOLLOW_UP = "follow_up"  # 复诊
    EXPERT_CONSULT = "expert_consult"  # 远程会诊
    ADVICE = "advice"  # 咨询: no diagnosis, no prescription
    REMOTE_DIAGNOSIS = "remote_diagnosis"  # 远程诊断 (images, ECG, pathology)
    FAMILY_DOCTOR = "family_doctor"  # 家庭医生签约服务


# Kinds with experts of another institution; the rule set says the same of them (`panel`), a test compares.
PANELS = frozenset({ConsultKind.EXPERT_CONSULT, ConsultKind.REMOTE_DIAGNOSIS})


class ConsultStatus(StrEnum):
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    CONCLUDING = "concluding"  # media ended, recording sealed; notes and opinions still due
    CLOSED = "closed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    TERMINATED_UNSUITABLE = "terminated_unsuitable"


MOVES: dict[ConsultStatus, frozenset[ConsultStatus]] = {
    ConsultStatus.SCHEDULED: frozenset(
        {ConsultStatus.WAITING, ConsultStatus.CANCELLED, ConsultStatus.NO_SHOW, ConsultStatus.CONCLUDING}
    ),
    ConsultStatus.WAITING: frozenset(
        {ConsultStatus.IN_PROGRESS, ConsultStatus.CANCELLED, ConsultStatus.NO_SHOW, ConsultStatus.TERMINATED_UNSUITABLE}
    ),
    ConsultStatus.IN_PROGRESS: frozenset({ConsultStatus.CONCLUDING, ConsultStatus.TERMINATED_UNSUITABLE}),
    ConsultStatus.CONCLUDING: frozenset({ConsultStatus.CLOSED}),
    ConsultStatus.CLOSED: frozenset(),
    ConsultStatus.CANCELLED: frozenset(),
    ConsultStatus.NO_SHOW: frozenset(),
    ConsultStatus.TERMINATED_UNSUITABLE: frozenset(),
}


IN_WRITING = "in_writing"
# Moves that are made for one reason only: without it they are as illegal as any other (HZ-45).
ONLY_BY = {(ConsultStatus.SCHEDULED, ConsultStatus.CONCLUDING): IN_WRITING}


@dataclass(frozen=True, slots=True)
class Consult:
    id: str
    institution_id: str
    kind: ConsultKind
    department: str  # 诊疗科目 code
    doctor_id: str  # attending (follow_up) or inviting doctor (expert_consult)
    patient_id: str
    reason: str  # visit reason, shown to the doctor
    fee_cents: int
    starts_at: datetime
    ends_at: datetime
    status: ConsultStatus
    created_at: datetime
    created_by: str
    opened_at: datetime | None = None  # first time in progress
    ended_at: datetime | None = None  # media ended
    closed_at: datetime | None = None
    outcome_code: str | None = None  # why cancelled / terminated / swept; "in_writing" for a panel without a call
    last_active_at: datetime | None = None

    def move(self, to: ConsultStatus, now: datetime, outcome_code: str | None = None) -> "Consult":
        """The consult in its new state. Raises IllegalMove."""
        if to not in MOVES[self.status] or ONLY_BY.get((self.status, to), outcome_code) != outcome_code:
            raise IllegalMove(f"{self.status}->{to}")
        return replace(
            self,
            status=to,
            outcome_code=outcome_code or self.outcome_code,
            opened_at=now if to is ConsultStatus.IN_PROGRESS and self.opened_at is None else self.opened_at,
            ended_at=now if to in _MEDIA_OVER and self.ended_at is None else self.ended_at,
            closed_at=now if not MOVES[to] else self.closed_at,
            last_active_at=now,
        )

    @property
    def over(self) -> bool:
        return not MOVES[self.status]

    @property
    def media_open(self) -> bool:
        """Waiting room or call may be entered."""
        return self.status in (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)


_MEDIA_OVER = frozenset(s for s in ConsultStatus if s is ConsultStatus.CONCLUDING or not MOVES[s])


class SeatState(StrEnum):
    EXPECTED = "expected"
    WAITING = "waiting"  # in the waiting room
    ADMITTED = "admitted"  # may hold media; stays admitted while reconnecting
    LEFT = "left"  # left by themselves; may come back through the waiting room
    REMOVED = "removed"  # by the doctor; the seat never opens again


SEAT_MOVES: dict[SeatState, frozenset[SeatState]] = {
    SeatState.EXPECTED: frozenset({SeatState.WAITING, SeatState.ADMITTED, SeatState.REMOVED}),
    SeatState.WAITING: frozenset({SeatState.ADMITTED, SeatState.LEFT, SeatState.REMOVED}),
    SeatState.ADMITTED: frozenset({SeatState.LEFT, SeatState.REMOVED, SeatState.WAITING}),
    SeatState.LEFT: frozenset({SeatState.WAITING, SeatState.ADMITTED, SeatState.REMOVED}),
    SeatState.REMOVED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Seat:
    """One person's place in one consult; its id is the participant id in the room."""

    id: str
    institution_id: str  # of the consult (the row's tenant)
    consult_id: str
    role: Role
    display_name: str
    home_institution_id: str  # whose staff the person is; the consult's own for patient and family
    person_id: str | None  # staff or patient id; None for a guest
    state: SeatState
    created_at: datetime
    created_by: str
    relation: str | None = None  # a guest's relation to the patient: "daughter", ...
    waiting_since: datetime | None = None  # place in the queue; kept over re-entry
    admitted_at: datetime | None = None
    left_at: datetime | None = None

    def move(self, to: SeatState, now: datetime) -> "Seat":
        """The seat in its new state. Raises IllegalMove."""
        if to not in SEAT_MOVES[self.state]:
            raise IllegalMove(f"seat {self.state}->{to}")
        return replace(
            self,
            state=to,
            waiting_since=(self.waiting_since or now) if to is SeatState.WAITING else self.waiting_since,
            admitted_at=(self.admitted_at or now) if to is SeatState.ADMITTED else self.admitted_at,
            left_at=now if to in (SeatState.LEFT, SeatState.REMOVED) else self.left_at,
        )


@dataclass(frozen=True, slots=True)
class FollowUpEvidence:
    """Proof of an earlier physical visit (CN-07): a visit reference from the hospital system or an uploaded paper."""

    id: str
    institution_id: str
    consult_id: str
    department: str
    visited_on: str  # ISO date
    visited_institution: str
    diagnosis: str
    reference: str  # outpatient number
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class VisitNote:
    """The attending doctor's short note; immutable once signed."""

    id: str
    institution_id: str
    consult_id: str
    author_id: str
    complaint: str
    findings: str
    diagnosis: str
    advice: str
    updated_at: datetime
    signed_at: datetime | None = None
    signature: str | None = None  # server seal (JWS) over the canonical bytes


@dataclass(frozen=True, slots=True)
class ChatMessage:
    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    text: str
    sent_at: datetime
