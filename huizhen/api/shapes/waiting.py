"""Bodies and answers about opened hours, the waiting line, messages to patients, triage and absences."""

from typing import Annotated, Literal

from pydantic import Field

from clinic.absence import Who
from clinic.consult import ConsultKind
from clinic.notices import Channel, NoticeKind, NoticeState
from clinic.places import SlotState
from huizhen.api.shapes.base import (
    Answer,
    Body,
    Code,
    GivenMoment,
    Id,
    Label,
    Line,
    LocaleName,
    Moment,
    Query,
    QueryDate,
    Reason,
)
from huizhen.api.shapes.consult import DoctorRow, EvidenceItem, PatientRow

Number = Annotated[int, Field(ge=0, le=1000)]


class PlaceView(Answer):
    number: int
    starts_at: Moment
    ends_at: Moment
    free: bool
    consult_id: str | None = None
    patient: str | None = None  # masked


class SlotView(Answer):
    id: str
    doctor: DoctorRow
    department: str
    department_label: Label
    kind: ConsultKind
    day: str
    starts_at: Moment
    ends_at: Moment
    capacity: int
    taken: int
    state: SlotState
    places: list[PlaceView]


class SlotQuery(Query):
    from_: Annotated[QueryDate | None, Field(alias="from")] = None
    days: Annotated[int, Field(ge=1, le=31)] = 7
    doctor_id: Id | None = None


class OpenSlot(Body):
    doctor_id: Id
    department: Code
    kind: ConsultKind
    starts_at: GivenMoment
    minutes: Annotated[int, Field(ge=1, le=1440)]
    capacity: Annotated[int, Field(ge=1, le=1000)]


class BookPlace(Body):
    patient_id: Id
    reason: Reason
    fee_cents: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    number: Number | None = None
    evidence: Annotated[list[EvidenceItem], Field(max_length=20, default_factory=list)]


class ChangeTime(Body):
    slot_id: Id
    number: Number | None = None


class QueueRow(Answer):
    consult_id: str
    seat: str
    patient: PatientRow
    position: int
    due_at: Moment
    arrived_at: Moment
    waited_minutes: int
    present: bool
    online: bool
    ready: bool
    urgent: bool
    triaged: bool
    low_minutes: int
    high_minutes: int


class DoctorLine(Answer):
    doctor: DoctorRow
    department: str
    department_label: Label
    here: bool
    late_minutes: int
    open_visits: int
    low_minutes: int
    high_minutes: int
    samples: int
    items: list[QueueRow]


class Board(Answer):
    lines: list[DoctorLine]
    waiting: int
    ready: int


class TellBody(Body):
    text: Line
    everybody: bool = False


class Told(Answer):
    told: int


class VitalsBody(Answer):
    model_config = Body.model_config

    temperature: int | None = None
    pulse: int | None = None
    breaths: int | None = None
    systolic: int | None = None
    diastolic: int | None = None
    oxygen: int | None = None
    glucose: int | None = None


class TriageBody(Body):
    complaint: Reason
    vitals: VitalsBody
    red_flags: Annotated[list[Code], Field(max_length=20, default_factory=list)]
    advice: Code
    handover: Reason
    urgent: bool = False
    urgent_reason: Line = ""


class TriageView(Answer):
    id: str
    nurse: str
    complaint: str
    vitals: VitalsBody
    red_flags: list[str]
    advice: str
    handover: str
    urgent_reason: str
    signed_at: Moment


class ReassignBody(Body):
    doctor_id: Id


class AbsenceBody(Body):
    who: Who


class Span(Answer):
    since: Moment
    until: Moment


class AbsenceEvidence(Answer):
    booked_from: Moment
    invited_at: Moment | None = None
    notice_state: str
    reminders: int
    link_opened_at: Moment | None = None
    device_checked_at: Moment | None = None
    waited: list[Span]
    waits: bool
    doctor_inside: list[Span]
    refused: dict[Literal["patient", "doctor"], str | None]  # why it may not be recorded; null = it may
    recorded: Who | None = None
    recorded_at: Moment | None = None


class InviteBody(Body):
    channel: Channel
    locale: LocaleName = "zh"
    address: Line = ""


class NoticeRow(Answer):
    id: str
    consult_id: str
    patient: str  # masked; empty in a message to staff
    staff: str | None = None  # the name of whom a message to staff is for
    staff_en: str = ""
    kind: NoticeKind
    channel: Channel
    locale: str
    address_hint: str
    state: NoticeState
    attempts: int
    queued_at: Moment
    next_try_at: Moment | None = None
    settled_at: Moment | None = None
    last_code: str | None = None
    revealed_at: Moment | None = None
    held: bool


class OutboxQuery(Query):
    state: NoticeState | None = None
    consult_id: Id | None = None


class LetterView(Answer):
    subject: str
    text: str
    address: str
    url: str
    qr_svg: str
