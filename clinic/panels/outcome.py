"""Rows of the outcome of an expert consult: report, countersignatures, late opinions, what follows, what is kept."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from clinic.panels.signers import Signer


@dataclass(frozen=True, slots=True)
class JointReport:
    """会诊共同意见: the chair's, over the signed opinions; immutable once signed. One per consult."""

    id: str
    institution_id: str  # inviting
    consult_id: str
    chair_id: str
    conclusion: str
    advice: str
    updated_at: datetime
    opinions: tuple[str, ...] = ()  # digests of the opinions the chair's seal covers
    author: Signer | None = None
    signed_at: datetime | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ReportMark:
    """One expert's word on the signed report: agrees, or dissents and says why."""

    id: str
    institution_id: str
    consult_id: str
    report_id: str
    expert_id: str
    agrees: bool
    remark: str
    author: Signer
    signed_at: datetime
    signature: str


@dataclass(frozen=True, slots=True)
class Countersignature:
    """A senior of the same institution on a trainee's opinion (rules 1.5): agrees, or returns it with the reason."""

    id: str
    institution_id: str
    consult_id: str
    opinion_id: str
    senior_id: str
    agrees: bool
    remark: str
    author: Signer
    signed_at: datetime
    signature: str


@dataclass(frozen=True, slots=True)
class OpinionDue:
    """An opinion owed after the call: when, how often reminded, and who gives it if the expert does not (HZ-25)."""

    id: str  # computed from consult and expert: exists once
    institution_id: str
    consult_id: str
    expert_id: str
    expert_institution_id: str
    due_at: datetime
    reminders: int
    reminded_at: datetime | None = None
    stand_in_id: str | None = None
    named_by: str | None = None
    named_at: datetime | None = None
    handed_at: datetime | None = None  # from then on the stand-in owes it


@dataclass(frozen=True, slots=True)
class HouseRelease:
    """An invited institution the patient stopped sharing with: its experts owe no opinion until it is shared again."""

    id: str  # computed from consult and institution: exists once
    institution_id: str  # inviting
    consult_id: str
    released_id: str  # the invited institution
    released_at: datetime
    restored_at: datetime | None = None

    @property
    def standing(self) -> bool:
        return self.restored_at is None


class Direction(StrEnum):
    OUT = "out"  # 上转: to the hospital that is to treat
    BACK = "back"  # 下转: back to the clinic


class ReferralState(StrEnum):
    ISSUED = "issued"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ARRIVED = "arrived"
    WITHDRAWN = "withdrawn"


REFERRAL_MOVES: dict[ReferralState, frozenset[ReferralState]] = {
    ReferralState.ISSUED: frozenset({ReferralState.ACCEPTED, ReferralState.DECLINED, ReferralState.WITHDRAWN}),
    ReferralState.ACCEPTED: frozenset({ReferralState.ARRIVED, ReferralState.WITHDRAWN}),
    ReferralState.DECLINED: frozenset(),
    ReferralState.ARRIVED: frozenset(),
    ReferralState.WITHDRAWN: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Referral:
    """转诊单, one direction of it. `answers`: the referral out that this one leads back from."""

    id: str
    institution_id: str  # of the consult
    consult_id: str
    number: str
    direction: Direction
    from_institution_id: str
    to_institution_id: str
    reason: str
    state: ReferralState
    issued_by: str
    issued_at: datetime
    answers: str | None = None
    moved_by: str | None = None
    moved_at: datetime | None = None
    remark: str = ""


class TaskState(StrEnum):
    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class FollowUpTask:
    """What the clinic is to do after the consult, by when; then who did it."""

    id: str
    institution_id: str
    consult_id: str
    what: str
    due_on: date
    state: TaskState
    set_by: str
    set_at: datetime
    done_by: str | None = None
    done_at: datetime | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class OpinionPaper:
    """会诊意见书 as filed: made once when everything is signed; the object is encrypted, the row says what it is."""

    id: str
    institution_id: str  # inviting
    consult_id: str
    code: str  # 80 bits of `document_sha256`, for people to compare
    document_sha256: str  # of the canonical document in the paper
    seal: str  # the inviting institution's, over that digest
    pdf_sha256: str
    size: int
    key_id: str
    blob_key: str
    blob_sha256: str
    made_at: datetime


class CopyState(StrEnum):
    DUE = "due"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class SealedCopy:
    """One institution's copy of a closed consult, under its own key and its own clock. Ordered when it closes."""

    id: str
    institution_id: str  # whose copy it is
    consult_id: str
    inviting_institution_id: str
    patient_id: str
    state: CopyState
    ordered_at: datetime
    key_id: str
    blob_key: str
    blob_sha256: str = ""
    package_sha256: str = ""  # of the package in clear
    manifest_sha256: str = ""
    seal: str = ""  # this institution's, over the manifest
    size: int = 0
    sealed_at: datetime | None = None
