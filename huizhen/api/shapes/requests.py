"""Requests between institutions: bodies and answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from clinic.consult import ConsultKind, ConsultStatus
from clinic.panels.board import Due, Side
from clinic.panels.records import InvitationState
from clinic.panels.requests import Mode, PartyState, ProposalKind, ProposalState, RequestState, Urgency
from huizhen.api.shapes.base import Answer, Body, Code, GivenMoment, Id, Label, Line, Moment, Query, Reason, Short, Text
from huizhen.api.shapes.consult import DoctorRow


class NamedBody(BaseModel):
    """An institution to ask; `expert_ids`: whom of it, or nobody (its coordinator assigns)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    institution_id: Id
    expert_ids: Annotated[list[Id], Field(max_length=20, default_factory=list)]


class RequestBody(Body):
    """A draft may lack anything; what it lacks is told when it is sent."""

    reason: Annotated[Text, Field(max_length=1000)] = ""
    aim: Annotated[Text, Field(max_length=1000)] = ""
    summary: Text = ""
    wanted_department: Short = ""
    wanted_specialty: Line = ""
    wanted_title: Short = ""
    wanted_from: GivenMoment | None = None
    wanted_to: GivenMoment | None = None
    wanted: Annotated[int, Field(ge=0, le=20)] = 0
    urgency: Urgency = Urgency.ROUTINE
    mode: Mode = Mode.DIRECT
    liability_mode: Literal["", "inviting", "shared"] = ""
    chair_id: Id | None = None
    parties: Annotated[list[NamedBody], Field(max_length=20, default_factory=list)]


class MatchBody(Body):
    parties: Annotated[list[NamedBody], Field(max_length=20)]


class WithdrawRequest(Body):
    reason: Reason


class AssignBody(Body):
    expert_ids: Annotated[list[Id], Field(min_length=1, max_length=20)]
    chair_id: Id | None = None


class PartyAnswerBody(Body):
    accept: bool
    reason: Reason | None = None
    reason_code: Code | None = None  # of HZ-19; none is "other"


class ProposeTimeBody(Body):
    starts_at: GivenMoment
    ends_at: GivenMoment
    reason: Reason


class StandInBody(Body):
    expert_id: Id
    stand_in_id: Id
    reason: Reason


class ProposalAnswerBody(Body):
    accept: bool
    reason: Reason | None = None


class BoardQuery(Query):
    side: Side = Side.IN
    state: RequestState | None = None


class SeatView(Answer):
    """One expert asked."""

    invitation: str
    expert: DoctorRow
    chair: bool
    state: InvitationState
    sent_at: Moment
    answered_at: Moment | None
    refusal_reason: str | None


class ProposalView(Answer):
    id: str
    party_id: str
    kind: ProposalKind
    state: ProposalState
    reason: str
    made_at: Moment
    starts_at: Moment | None
    ends_at: Moment | None
    expert: DoctorRow | None
    stand_in: DoctorRow | None
    answered_at: Moment | None
    answer_reason: str | None


class PartyView(Answer):
    id: str
    institution_id: str
    institution: str
    institution_en: str = ""
    rank: int
    state: PartyState
    wished: list[DoctorRow]
    seats: list[SeatView]
    proposals: list[ProposalView]
    answered_at: Moment | None
    reason: str | None
    reason_code: str | None = None


class RequestRow(Answer):
    """One line of the board: nothing of the patient, none of the words."""

    id: str
    consult_id: str
    kind: ConsultKind
    consult_status: ConsultStatus
    state: RequestState
    mode: Mode
    urgency: Urgency
    inviting_institution_id: str
    inviting_institution: str
    inviting_institution_en: str = ""
    inviting_doctor: str
    inviting_doctor_en: str = ""
    wanted_department: str
    department_label: Label
    wanted_specialty: str
    wanted_title: str
    wanted_from: Moment
    wanted_to: Moment
    wanted: int
    starts_at: Moment
    ends_at: Moment
    drafted_at: Moment
    sent_at: Moment | None
    answer_by: Moment | None
    waiting_seconds: int
    parties: list[PartyView]


class MaterialView(Answer):
    kind: str
    id: str
    sha256: str


class RequestView(RequestRow):
    """With its words; reading them is on record. `blocks`: what a draft still lacks before it can be sent."""

    reason: str
    aim: str
    summary: str
    liability_mode: str
    chair_id: str | None
    digest: str | None
    materials: list[MaterialView]
    ended_at: Moment | None
    end_reason: str | None
    blocks: list[str]


class DueRow(Answer):
    what: Due
    request_id: str
    consult_id: str
    subject: str
    urgency: Urgency
    inviting_institution: str
    by: Moment | None
    reminded: bool
    starts_at: Moment
