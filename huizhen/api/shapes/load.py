"""Shapes of statistics, the week and the load of experts."""

from pydantic import ConfigDict, Field

from clinic.panels.board import Side
from clinic.panels.requests import RequestState
from clinic.panels.statistics import Outcome
from huizhen.api.shapes.base import Answer, GivenMoment, Label, Query
from huizhen.api.shapes.consult import DoctorRow
from huizhen.api.shapes.parties import PartyName
from huizhen.api.shapes.requests import RequestRow


class SideQuery(Query):
    side: Side = Side.OUT


class SpanQuery(Query):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    since: GivenMoment = Field(alias="from")
    until: GivenMoment = Field(alias="to")


class TallyRow(Answer):
    """`key`: a month, or empty. `answers`: how many the times are of."""

    key: str
    requests: int
    urgent: int
    outcomes: dict[Outcome, int]
    answers: int
    median_seconds: int | None
    p90_seconds: int | None


class PairRow(TallyRow):
    inviting: PartyName
    invited: PartyName


class WordsCount(Answer):
    reason: str
    count: int


class ReasonCount(Answer):
    """`code` of HZ-19 with its words; empty, without any, for answers given before there were codes."""

    code: str
    label: Label | None
    count: int
    said: list[WordsCount]


class StatisticsAnswer(Answer):
    side: Side
    states: dict[RequestState, int]
    whole: TallyRow
    months: list[TallyRow]
    pairs: list[PairRow]
    reasons: list[ReasonCount]


class WeekRow(Answer):
    ours: bool
    row: RequestRow


class LoadRow(Answer):
    expert: DoctorRow
    asked: int
    accepted: int
    minutes: int
    chaired: int
