"""Bodies and answers of the wording: texts, drafts, what an institution asks for; and what staff do to a consent."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from clinic.consult import ConsultKind, ConsultStatus
from consent.diffing import Sign
from consent.records import CapacityBasis, DraftState, Purpose
from huizhen.api.shapes.base import Answer, Body, Code, Id, Label, Line, Moment, Name, Query, Reason
from huizhen.api.shapes.consult import PatientRow

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Paragraph = Annotated[str, StringConstraints(max_length=4_000)]
Sentence = Annotated[str, StringConstraints(max_length=600)]
LocaleTag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
Purposes = Annotated[list[Purpose], Field(min_length=1, max_length=16)]


class CheckPart(Answer):
    model_config = Body.model_config

    question: Sentence
    options: Annotated[list[Sentence], Field(max_length=6)]
    right: Annotated[int, Field(ge=0, le=5)]
    explanation: Sentence


class SectionPart(Answer):
    model_config = Body.model_config

    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    title: Line
    body: Paragraph
    statements: Annotated[list[Code], Field(max_length=40)] = Field(default_factory=list)
    check: CheckPart | None = None


class QuestionPart(Answer):
    model_config = Body.model_config

    purpose: Purpose
    question: Sentence
    if_refused: Sentence
    blocks_care: bool


class DraftContent(Body):
    key: Code
    locale: LocaleTag
    title: Line
    sections: Annotated[list[SectionPart], Field(max_length=40)]
    questions: Annotated[list[QuestionPart], Field(max_length=16)]
    legal_basis: Annotated[list[Sentence], Field(max_length=20)]
    major: bool = True


class DraftSeen(Body):
    """Exactly this text was read."""

    sha256: Sha256


class TextView(Answer):
    title: str
    sections: list[SectionPart]
    questions: list[QuestionPart]
    legal_basis: list[str]


class LineView(Answer):
    sign: Sign
    text: str


class PartView(Answer):
    kind: str
    key: str
    sign: Sign
    changed: bool
    lines: list[LineView]


class VersionRow(Answer):
    id: str
    version: int
    sha256: str
    published_at: Moment
    published_by: str


class ReviewView(Answer):
    who: str
    at: Moment


class DraftRow(Answer):
    id: str
    key: str
    locale: str
    title: str
    state: DraftState
    major: bool
    sha256: str
    authors: list[str]
    mine: bool
    reviews: list[ReviewView]
    reviewed_by_me: bool
    changed_at: Moment


class TextRow(Answer):
    """One text in one language: what is in force, what was, what is being written."""

    key: str
    locale: str
    title: str
    versions: list[VersionRow]
    drafts: list[DraftRow]


class TextList(Answer):
    items: list[TextRow]
    locales: list[str]
    required: dict[str, list[str]]  # statement tags each text must have
    purposes: dict[str, list[Purpose]]  # questions each text may hold, the first ones always


class TemplateView(Answer):
    id: str
    key: str
    locale: str
    version: int
    sha256: str
    published_at: Moment
    published_by: str
    text: TextView
    preview: TextView
    changed: list[PartView]  # against the version before


class DraftView(Answer):
    draft: DraftRow
    text: TextView
    preview: TextView
    lacking: list[str]
    changed: list[PartView]  # against the version in force


class CompareQuery(Query):
    against: Annotated[int, Field(ge=0, le=100_000)] = 0  # version; 0 = the one before


class SettingsBody(Body):
    locales: Annotated[list[LocaleTag], Field(min_length=1, max_length=12)]
    purposes: Annotated[list[Purpose], Field(max_length=16)]
    ethics_id: Line = ""
    abroad: Annotated[str, StringConstraints(max_length=300)] = ""


class SettingsView(Answer):
    locales: list[str]
    purposes: list[Purpose]
    ethics_id: str
    abroad: str
    choosable: list[Purpose]


class AskBody(Body):
    purposes: Purposes
    reason: Line = ""


class AskedView(Answer):
    purposes: list[Purpose]


class LanguageBody(Body):
    locale: Line


class LanguageView(Answer):
    locale: str


class WitnessBody(Body):
    capacity: Literal["self", "guardian", "proxy", "relative"]
    basis: CapacityBasis
    signer_name: Name
    document: Line
    relation: Line = ""
    typed_name: Name


class StaffWithdrawal(Body):
    purposes: Purposes
    reason: Reason
    identified: Literal["called_back", "identity_number", "in_person", "written"]


class EmergencyBody(Body):
    reason: Reason
    tried: Annotated[Reason, StringConstraints(max_length=500)]


class EmergencyOpening(Answer):
    """What an approval would permit or permits, for whom, on which ground; it ends with the consult at the latest."""

    consult_id: str
    kind: ConsultKind
    status: ConsultStatus
    starts_at: Moment
    department_label: Label
    patient: PatientRow
    doctor: str
    permits: list[Purpose]
    basis: Label
    same_hands: bool
    approved_by: str | None = None
    approved_at: Moment | None = None


class CorrectBody(Body):
    reason: Reason


class LedgerRecord(Answer):
    id: Id
    digest: str
