"""Bodies and answers of the patient page."""

from typing import Annotated, Literal

from pydantic import Field, RootModel, StringConstraints

from clinic.consult import ConsultKind, ConsultStatus, SeatState
from clinic.people import Role
from consent.lifecycle import RecordState
from consent.reconsent import Change
from consent.records import CapacityBasis, ConsentAction, Purpose
from consent.standing import Standing
from huizhen.api.shapes.asking import HoldRequestView
from huizhen.api.shapes.base import (
    Answer,
    Body,
    Code,
    Id,
    Label,
    Line,
    LooseBody,
    Moment,
    Name,
    Natural,
    Query,
    Short,
)
from huizhen.api.shapes.template import CheckPart, LocaleTag

DeviceState = Literal["ok", "missing", "denied", "busy"]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=64)]
# Strokes are bounded by the body limit; coordinates may be fractions of a pixel.
Coordinate = Annotated[float, Field(ge=-1e6, le=1e9, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate, Coordinate]  # x, y, milliseconds


class Redeem(LooseBody):
    secret: Secret
    second_factor: Annotated[str, StringConstraints(min_length=1, max_length=16)] | None = None


class SeatCard(Answer):
    id: str
    role: Role
    display_name: str
    state: SeatState
    relation: str | None = None


class PatientCard(Answer):
    masked_name: str


class ConsultCard(Answer):
    id: str
    kind: ConsultKind
    status: ConsultStatus
    starts_at: Moment
    ends_at: Moment
    opens_at: Moment  # from when the room lets people in (HZ-01)
    in_writing: bool = False  # there is no room: the experts answer in writing (HZ-45)
    reason: str | None = None


class DoctorCard(Answer):
    name: str
    name_en: str
    title: str
    licence_number: str | None
    department: str
    department_label: Label


class InstitutionCard(Answer):
    id: str
    name: str
    name_en: str
    phone: str
    time_zone: str


class ConsentCard(Answer):
    complete: bool
    standing: dict[Purpose, Standing]
    again: list[Change] = Field(default_factory=list)  # what changed since the signing, so that it is asked anew
    offline_visit: bool = False  # recording is a legal duty here and the patient said no
    reads: str | None = None  # the language staff noted; the text is shown in it first


class HelperCard(Answer):
    """Who helps at this device."""

    name: str
    relation: str
    in_call: bool
    permits_recording: bool | None


class SeatOverview(Answer):
    seat: SeatCard
    patient: PatientCard
    consult: ConsultCard
    doctor: DoctorCard
    institution: InstitutionCard
    fee_cents: int
    identity_confirmed: bool
    device_checked: bool
    consent: ConsentCard
    helper: HelperCard | None = None
    csrf: str
    server_time: Moment


class Opened(Answer):
    csrf: str
    seat: SeatOverview


class Confirm(Body):
    confirmed: Literal[True]


class DeviceCheck(Body):
    camera: DeviceState
    microphone: DeviceState
    speaker: Literal["ok", "unknown"]
    network: Literal["good", "fair", "poor"]
    rtt_ms: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]
    kbps: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]


class ProbeQuery(Query):
    size: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000


class ConsentQuery(Query):
    """`again`: the person themself wishes to decide anew what they refused."""

    locale: LocaleTag = "zh"
    again: bool = False


class Section(Answer):
    key: str
    title: str
    body: str
    check: CheckPart | None = None


class Question(Answer):
    purpose: Purpose
    question: str
    if_refused: str
    blocks_care: bool


class Signer(Answer):
    expected_name_masked: str
    capacity: str
    child_must_assent: bool
    may_be_self_supporting: bool


class PresentedConsent(Answer):
    template_id: str
    key: str
    version: int
    locale: str
    title: str
    sections: list[Section]
    questions: list[Question]
    shown_sha256: str
    signer: Signer
    shared_with: list[str]
    again: bool
    locales: list[str]
    speech: dict[str, str]  # section key or "question.<purpose>" -> id of its sound; empty without a voice


class Signature(Answer):
    model_config = Body.model_config

    png: Annotated[str, StringConstraints(max_length=180_000, pattern=r"^data:image/png;base64,[A-Za-z0-9+/]+={0,2}$")]
    strokes: Annotated[list[Annotated[list[Point], Field(max_length=5_000)]], Field(max_length=500)]
    method: Literal["drawn", "typed"] = "drawn"


class SectionReading(Answer):
    model_config = Body.model_config

    key: Code
    shown_ms: Natural = 0
    dwell_ms: Natural
    scrolled_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    font_px: Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)] = 0
    read_aloud: bool = False
    heard_ms: Natural = 0


class Switch(Answer):
    model_config = Body.model_config

    at_ms: Natural
    locale: LocaleTag


class Reading(Answer):
    model_config = Body.model_config

    sections: Annotated[list[SectionReading], Field(max_length=50)]
    read_aloud: bool
    font_px: Annotated[float, Field(ge=4, le=200, allow_inf_nan=False)]
    locale_switches: Annotated[list[Switch], Field(max_length=50)] = Field(default_factory=list)
    decided_ms: Annotated[dict[Purpose, Natural], Field(max_length=16)] = Field(default_factory=dict)
    answers: Annotated[list[Annotated[int, Field(ge=0, le=5)]], Field(max_length=6)] = Field(default_factory=list)


class SignConsent(Body):
    template_id: Id
    shown_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    locale: LocaleTag
    decisions: Annotated[dict[Purpose, bool], Field(max_length=16)]
    typed_name: Name
    signature: Signature
    reading: Reading
    capacity: Literal["self", "guardian", "proxy", "relative"] = "self"
    relation: Line | None = None
    child_assents: bool = False
    child_name: Name | None = None
    basis: CapacityBasis | None = None
    proof: Line | None = None
    authorisation: Line | None = None
    again: bool = False


class DeclareHelper(Body):
    present: bool
    name: Short = ""
    relation: Short = ""
    in_call: bool = False
    permits_recording: bool | None = None


class Prompt(Answer):
    text: str
    clip: str | None = None


class Prompts(RootModel[dict[str, Prompt]]):
    """Screen of the patient page -> what is said there."""


class WithdrawConsent(Body):
    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=11)]
    reason: Line | None = None


class TicketAnswer(Answer):
    ticket: str
    expires_in: int


class SignedNote(Answer):
    complaint: str
    findings: str
    diagnosis: str
    advice: str
    signed_at: Moment
    author: str


class PanelResult(Answer):
    """What came of an expert consult: the joint report, and what one's own doctor decided with it."""

    conclusion: str = ""
    advice: str = ""
    treatment: str
    signed_at: Moment
    author: str


class ConsentReceipt(Answer):
    id: str
    action: ConsentAction
    permitted: list[Purpose]
    refused: list[Purpose]
    recorded_at: Moment
    digest: str
    title: str
    state: RecordState
    paper: bool


class Viewer(Answer):
    when: Moment
    who_role: str
    institution: str
    what: str


class RecordingFate(Answer):
    exists: bool
    state: str | None = None
    kept_until: str | None = None
    disposed_at: Moment | None = None


class AfterVisit(Answer):
    status: ConsultStatus
    ended_at: Moment | None
    note: SignedNote | None = None
    panel: PanelResult | None = None
    consents: list[ConsentReceipt]
    viewers: list[Viewer]
    institution: InstitutionCard
    recording: RecordingFate
    may_ask_hold: bool = False
    hold_requests: list[HoldRequestView] = Field(default_factory=list)  # one's own
