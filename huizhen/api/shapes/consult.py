"""Bodies and answers about consults, panels and the forms around them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from clinic.consult import ConsultKind, ConsultStatus
from clinic.panels.records import Adoption, InvitationState
from clinic.people import Role
from consent.records import ConsentAction, Purpose
from consent.standing import Standing
from huizhen.api.shapes.asking import AdviceView, HoldRequestView
from huizhen.api.shapes.base import (
    Answer,
    Body,
    Code,
    GivenMoment,
    Id,
    Label,
    Line,
    Moment,
    Name,
    Query,
    QueryDate,
    Reason,
    Text,
)
from huizhen.api.shapes.gates import AttestationView
from huizhen.api.shapes.outcome import OutcomeView


class PatientRow(Answer):
    id: str
    masked_name: str
    age: int
    gender: str


class PatientDetail(PatientRow):
    name: str | None = None
    masked_id: str | None = None
    birth_date: str | None = None
    phone_masked: str | None = None
    identity_level: int | None = None


class DoctorRow(Answer):
    id: str
    name: str


class WaitingRow(Answer):
    seat: str
    role: Role
    display_name: str
    since: Moment
    minutes: int


class RecordingBrief(Answer):
    id: str
    state: str


class ConsentSigned(Answer):
    """The patient's last act of consent, for lists."""

    at: Moment
    action: ConsentAction
    capacity: str


class ConsultRow(Answer):
    id: str
    kind: ConsultKind
    status: ConsultStatus
    starts_at: Moment
    ends_at: Moment
    patient: PatientRow
    doctor: DoctorRow
    department: str
    department_label: Label
    reason: str
    waiting: list[WaitingRow]
    consent: dict[Purpose, Standing]
    consent_last: ConsentSigned | None = None
    evidence_count: int
    recording: RecordingBrief | None = None
    needs: list[str]


class InvitationRow(Answer):
    id: str
    consult_id: str
    state: InvitationState
    chair: bool
    expert: DoctorRow
    institution: str
    inviting_institution: str
    inviting_institution_en: str = ""
    inviting_doctor: str
    inviting_doctor_en: str = ""
    reason: str
    aim: str
    summary: str
    wanted_specialty: str
    starts_at: Moment
    ends_at: Moment
    sent_at: Moment
    answered_at: Moment | None = None
    refusal_reason: str | None = None


class Today(Answer):
    items: list[ConsultRow]
    waiting: int
    invitations: list[InvitationRow]


class EvidenceView(Answer):
    id: str
    department: str
    department_label: Label
    visited_on: str
    visited_institution: str
    diagnosis: str
    reference: str
    added_at: Moment


class ConsentView(Answer):
    paper: bool
    id: str
    seat: str
    action: ConsentAction
    permitted: list[Purpose]
    refused: list[Purpose]
    capacity: str
    locale: str
    recorded_at: Moment
    digest: str
    signer: str  # the name typed under it; empty where nothing was typed (a withdrawal, a notice)


class CompanionView(Answer):
    """Who helps at a seat's device, the newest word of each seat; `present` false: nobody any more."""

    seat: str
    present: bool
    name: str
    relation: str
    in_call: bool
    permits_recording: bool | None
    recorded_at: Moment


class ReasonView(Answer):
    code: str
    rule: str
    citation: Label


class AdmissionView(Answer):
    allowed: bool
    reasons: list[ReasonView]
    evidence_read: list[str]
    rules_version: str


class NoteView(Answer):
    complaint: str
    findings: str
    diagnosis: str
    advice: str
    author: str
    updated_at: Moment
    signed_at: Moment | None = None


class CaseView(Answer):
    id: str
    invited_institution: str
    invited_institution_id: str
    reason: str
    aim: str
    summary: str
    wanted_specialty: str
    liability_mode: str
    requested_at: Moment


class OpinionView(Answer):
    """`state`: draft, signed, waiting (for a senior), returned. Title and department as they signed."""

    id: str
    expert: DoctorRow
    institution: str
    title: str
    department_label: Label | None
    chair: bool
    state: str
    text: str
    dissent: bool
    updated_at: Moment
    signed_at: Moment | None = None


class DecisionView(Answer):
    adoption: Adoption
    reason: str
    treatment: str
    doctor: str
    updated_at: Moment
    signed_at: Moment | None = None


class TimelineRow(Answer):
    t: Moment
    code: str
    who: str
    outcome: str


class WrittenBody(Body):
    reason: Reason


class WrittenView(Answer):
    """A panel in writing: asked, its opinions due, begun when the experts had answered."""

    asked_at: Moment
    due_at: Moment
    begun_at: Moment | None


class ConsultDetail(ConsultRow):
    patient: PatientDetail
    evidence: list[EvidenceView]
    seats: list[dict[str, Any]]  # SeatView of docs/protocol.md section 3
    consents: list[ConsentView]
    companions: list[CompanionView]
    admission: AdmissionView
    note: NoteView | None = None
    case: CaseView | None = None
    invitations: list[InvitationRow]
    opinions: list[OpinionView]
    decision: DecisionView | None = None
    outcome: OutcomeView | None = None
    timeline: list[TimelineRow]
    fee_cents: int
    institution: str
    my_seat: str | None = None
    attestation: AttestationView | None = None
    whereabouts_told: bool = False
    may: list[str]
    needs_attestation: bool
    termination_advices: list[AdviceView] = Field(default_factory=list)
    hold_requests: list[HoldRequestView] = Field(default_factory=list)  # the caller's own
    written: WrittenView | None = None


class ConsultQuery(Query):
    from_: Annotated[QueryDate | None, Field(alias="from")] = None
    to: QueryDate | None = None
    status: ConsultStatus | None = None
    q: Annotated[str, Field(max_length=100)] = ""


class EvidenceItem(Answer):
    model_config = Body.model_config

    department: Code
    visited_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    visited_institution: Name
    diagnosis: Line
    reference: Line


class AddEvidence(Body):
    department: Code
    visited_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    visited_institution: Name
    diagnosis: Line
    reference: Line
    files: Annotated[list[Id], Field(max_length=12, default_factory=list)]  # uploaded papers it was read from


class BookConsult(Body):
    kind: ConsultKind
    department: Code
    doctor_id: Id
    patient_id: Id
    starts_at: GivenMoment
    ends_at: GivenMoment
    reason: Reason
    fee_cents: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    evidence: Annotated[list[EvidenceItem], Field(max_length=20, default_factory=list)]


class Cancel(Body):
    reason_code: Code


class AddSeat(Body):
    role: Literal["family", "interpreter", "guardian", "observer"]
    display_name: Name
    relation: Line


class LinkView(Answer):
    url: str
    qr_svg: str
    expires_at: Moment
    code: str | None = None


class SeatAdded(Answer):
    seat: str
    link: LinkView


class NoteBody(Body):
    complaint: Text
    findings: Text
    diagnosis: Text
    advice: Text


class CaseBody(Body):
    invited_institution_id: Id
    expert_ids: Annotated[list[Id], Field(min_length=1, max_length=5)]
    chair_id: Id
    reason: Reason
    aim: Reason
    summary: Text
    wanted_specialty: Line


class InvitationAnswer(Body):
    accept: bool
    reason: Reason | None = None
    reason_code: Code | None = None  # of HZ-19; none is "other"


class OpinionBody(Body):
    text: Text
    dissent: bool = False


class DecisionBody(Body):
    adoption: Adoption
    reason: Reason
    treatment: Text


class DeviceTokenBody(Body):
    kind: Literal["whip", "whep"]
    label: Name


class DeviceTokenAnswer(Answer):
    token: str
    url: str
    expires_in: int


class InstitutionRow(Answer):
    id: str
    name: str
    name_en: str
    short_name: str


class DoctorEntry(Answer):
    id: str
    name: str
    name_en: str
    title: str
    department: str | None
    department_label: Label | None
    roles: list[Role]


class DepartmentRow(Answer):
    code: str
    label: Label
