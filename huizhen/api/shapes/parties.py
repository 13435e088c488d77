"""Shapes of the parties: the directory, cooperation agreements, matching."""

from typing import Annotated

from pydantic import Field

from clinic.consult import ConsultKind
from clinic.parties.matching import Obstacle
from clinic.parties.records import AgreementState, Liability, Tier
from huizhen.api.shapes.base import (
    Answer,
    Body,
    Code,
    GivenDate,
    GivenMoment,
    Id,
    JsonObject,
    Label,
    Line,
    Moment,
    Name,
    Query,
    Reason,
    Short,
    Text,
)
from huizhen.api.shapes.consult import DepartmentRow

Terms2k = Annotated[Text, Field(max_length=2_000)]


class EntryBody(Body):
    tier: Code
    region: Short
    departments: Annotated[list[Code], Field(max_length=60)]
    accepts: bool
    contact_name: Name
    contact_phone: Short
    note: Annotated[Text, Field(max_length=500)] = ""


class PartyRow(Answer):
    """An institution of the directory. `we_may_ask`, `may_ask_us`: an agreement in force today, for any kind."""

    id: str
    name: str
    name_en: str
    short_name: str
    own: bool
    entered: bool
    we_may_ask: bool
    may_ask_us: bool
    tier: Tier | None = None
    region: str = ""
    province: Label | None = None
    departments: list[DepartmentRow]
    accepts: bool = False
    contact_name: str = ""
    contact_phone: str = ""
    note: str = ""
    changed_at: Moment | None = None


class DirectoryAnswer(Answer):
    """`offered`: what the own house is licensed for and may offer; `may_edit`: the caller keeps the own entry."""

    items: list[PartyRow]
    offered: list[DepartmentRow]
    may_edit: bool


class TermsBody(Body):
    inviting_id: Id
    invited_id: Id
    number: Line
    purpose: Reason
    content: Text
    kinds: Annotated[list[Code], Field(max_length=10)]
    liability: Code
    liability_text: Terms2k
    fee_split: Terms2k
    valid_from: GivenDate
    valid_to: GivenDate


class SealBody(Body):
    """`sha256`: the digest of the words that were read."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StopBody(Body):
    reason: Reason


class PartyName(Answer):
    id: str
    name: str
    name_en: str


class SealRow(Answer):
    institution: PartyName
    who: str
    at: Moment
    digest: str


class CooperationRow(Answer):
    """One version. `in_force`: today, in the inviting house's zone; `days_left` then, else None."""

    id: str
    series_id: str
    version: int
    number: str
    inviting: PartyName
    invited: PartyName
    ours: bool
    kinds: list[ConsultKind]
    valid_from: str
    valid_to: str
    state: AgreementState
    in_force: bool
    days_left: int | None = None
    ending_soon: bool = False
    replaced_on: str | None = None
    ended_on: str | None = None
    changed_at: Moment
    may_seal: bool
    may_edit: bool
    may_drop: bool
    may_end: bool


class CooperationsAnswer(Answer):
    items: list[CooperationRow]
    longest_years: int
    may_draft: bool


class CooperationView(Answer):
    row: CooperationRow
    purpose: str
    content: str
    liability: Liability
    liability_text: str
    fee_split: str
    seals: list[SealRow]
    sha256: str
    document: JsonObject
    ended_by: str | None = None
    end_reason: str = ""


class MatchQuery(Query):
    kind: ConsultKind
    department: Code
    title: Short = ""
    starts_at: GivenMoment
    ends_at: GivenMoment


class Suggested(Answer):
    """`obstacle`: why not, for those left out."""

    expert_id: str
    name: str
    name_en: str
    title: str
    department_label: Label | None = None
    institution: PartyName
    tier: Tier | None = None
    open_cases: int
    obstacle: Obstacle | None = None
    unfit: list[str]


class MatchAnswer(Answer):
    """`unagreed`: houses that offer the department, without an agreement with ours."""

    items: list[Suggested]
    left_out: list[Suggested]
    unagreed: list[PartyName]
    titles: list[str]
