"""Bodies and answers of a consult's outcome: report, countersignatures, late opinions, what follows, what is kept."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from clinic.panels.outcome import CopyState, Direction, ReferralState, TaskState
from huizhen.api.shapes.archive import HoldView, RetainedView
from huizhen.api.shapes.base import Answer, Body, GivenDate, Id, Label, Moment, Reason, Text

Remark = Annotated[str, Field(max_length=1_000)]


class ReportBody(Body):
    conclusion: Text
    advice: Text = ""


class MarkBody(Body):
    agrees: bool
    remark: Text = ""


class CountersignBody(Body):
    agrees: bool
    remark: Text = ""


class LateStandInBody(Body):
    expert_id: Id
    stand_in_id: Id


class ReferBody(Body):
    to_institution_id: Id
    reason: Reason


class MoveReferralBody(Body):
    state: Literal["accepted", "declined", "arrived", "withdrawn"]
    remark: Remark = ""


class ReferBackBody(Body):
    reason: Reason


class TaskBody(Body):
    what: Reason
    due_on: GivenDate


class EndTaskBody(Body):
    done: bool
    remark: Remark = ""


class SignerView(Answer):
    name: str
    title: str
    department: str
    institution: str


class ReportView(Answer):
    conclusion: str
    advice: str
    chair: str
    updated_at: Moment
    signed_at: Moment | None = None
    author: SignerView | None = None


class MarkView(Answer):
    expert: SignerView
    agrees: bool
    remark: str
    signed_at: Moment


class CountersignView(Answer):
    opinion: str
    senior: SignerView
    agrees: bool
    remark: str
    signed_at: Moment


class OwedView(Answer):
    """An opinion somebody owes. `late`: past its time, and nobody took it over."""

    expert: str
    expert_id: str
    institution: str
    due_at: Moment | None
    late: bool
    reminders: int
    stand_in: str
    handed_at: Moment | None = None


class ReferralView(Answer):
    id: str
    consult_id: str
    number: str
    direction: Direction
    from_institution: str
    to_institution: str
    incoming: bool
    reason: str
    state: ReferralState
    issued_at: Moment
    remark: str
    answered: bool  # a way back was issued


class TaskView(Answer):
    id: str
    consult_id: str
    what: str
    due_on: date
    overdue: bool
    state: TaskState
    set_by: str
    done_by: str
    done_at: Moment | None = None
    remark: str


class PaperView(Answer):
    code: str
    sha256: str
    made_at: Moment


class CopyView(Answer):
    id: str
    consult_id: str
    institution: str
    inviting_institution: str
    state: CopyState
    ordered_at: Moment
    sealed_at: Moment | None = None
    size: int
    sha256: str


class KeptCopyView(CopyView):
    """As the archive of its institution sees it. `retained` is None until it is sealed."""

    retained: RetainedView | None = None
    holds: list[HoldView]


class EndedView(Answer):
    """A panel that met and was ended early: when and why in words, and whether there is anything to print."""

    at: Moment
    said: Label
    paper: bool


class OutcomeView(Answer):
    """`missing`: papers without which the consult does not close (opinion, countersign, report, decision).

    `may`: write_report, mark_report, name_stand_in.
    """

    missing: list[str]
    report: ReportView | None = None
    marks: list[MarkView]
    countersignatures: list[CountersignView]
    owed: list[OwedView]
    released: list[str]  # institutions the patient does not share with any more
    referrals: list[ReferralView]
    tasks: list[TaskView]
    paper: PaperView | None = None
    copies: list[CopyView]
    ended: EndedView | None = None
    may: list[str]


class CountersignRow(Answer):
    """A trainee's opinion that waits for a senior of this institution."""

    opinion: str
    consult_id: str
    author: SignerView
    inviting_institution: str
    reason: str
    summary: str
    text: str
    dissent: bool
    signed_at: Moment


class PaperCheck(Answer):
    """What the public page says of a code: who issued the paper and its digests; nothing of the patient."""

    known: bool
    code: str
    institution: str = ""
    institution_en: str = ""
    kind: str = ""
    made_at: Moment | None = None
    document_sha256: str = ""
    pdf_sha256: str = ""
    sealed: bool = False
