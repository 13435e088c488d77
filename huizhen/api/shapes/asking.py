"""Bodies and answers of asking for a hold, advising to stop, and the regulator's cases."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from archive.records import HoldAskState
from clinic.consult import ConsultKind, ConsultStatus
from clinic.people import Role
from clinic.regulation import CaseState
from huizhen.api.shapes.base import Answer, Body, Code, GivenDate, GivenMoment, Id, Label, Line, Moment, Name, Reason

Scope = Literal["chart", "recording", "audit"]
CaseNumber = Annotated[Line, StringConstraints(min_length=3, max_length=64)]


class AskHold(Body):
    reason: Reason


class AnswerHold(Body):
    grant: bool
    reason: Line = ""


class HoldRequestView(Answer):
    id: str
    consult_id: str
    asked_as: str
    who: str
    reason: str
    state: HoldAskState
    asked_at: Moment
    decided_by: str | None = None
    decided_at: Moment | None = None
    decision_reason: str = ""
    hold_id: str | None = None


class AdviseBody(Body):
    reason_code: Code
    text: Reason


class AdviceView(Answer):
    id: str
    seat: str
    role: Role
    who: str
    reason_code: str
    text: str
    advised_at: Moment


class AskCase(Body):
    number: CaseNumber
    authority: Name
    reason: Reason
    scope: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    since: GivenDate
    until: GivenDate
    ends_at: GivenMoment
    consult_ids: Annotated[list[Id], Field(max_length=50, default_factory=list)]


class DecideCase(Body):
    permit: bool
    reason: Line = ""
    ends_at: GivenMoment | None = None


class CloseCase(Body):
    reason: Reason


class CaseView(Answer):
    """`live`: may be used now."""

    id: str
    number: str
    authority: str
    regulator: str
    reason: str
    scope: list[str]
    since: str
    until: str
    consult_ids: list[str]
    state: CaseState
    live: bool
    asked_at: Moment
    ends_at: Moment
    decided_by: str | None = None
    decided_at: Moment | None = None
    decision_reason: str = ""
    closed_by: str | None = None
    closed_at: Moment | None = None


class CaseLimits(Answer):
    longest_days: int
    shortest_reason: int


class CasesAnswer(Answer):
    items: list[CaseView]
    limits: CaseLimits


class CaseVisit(Answer):
    consult_id: str
    kind: ConsultKind
    status: ConsultStatus
    starts_at: Moment
    doctor: str
    patient_masked: str
    department_label: Label
    recordings: list[str]


class CaseVisits(Answer):
    case: CaseView
    items: list[CaseVisit]
