"""The consent ledger's rows: versioned wording, and who agreed to exactly what. Append-only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Purpose(StrEnum):
    """Each decided on its own; what each needs is in `consent/policies`."""

    TREAT = "treat"
    SHARE_PANEL = "share_panel"  # with named institutions
    REC_AV = "rec_av"
    INTIMATE = "intimate"  # examining private parts on video, Civil Code art. 1033
    TEACH = "teach"
    OBSERVE = "observe"  # students or visiting staff look on
    RESEARCH = "research"
    AI_TRANSCRIBE = "ai_transcribe"
    AI_ASSIST = "ai_assist"
    BIOMETRIC = "biometric"
    XBORDER = "xborder"  # data leaves the country, to a named recipient


class SignerCapacity(StrEnum):
    SELF = "self"
    GUARDIAN = "guardian"
    PROXY = "proxy"  # by a written authorisation of the patient
    RELATIVE = "relative"  # close relative, where the patient should not be told
    EMERGENCY = "emergency"  # nobody can be asked: the head of the institution approves
    STAFF_NOTICE = "staff_notice"  # staff acknowledge the standing notice on recording by joining
    RELAYED = "relayed"  # somebody without a page of their own, told and answered at the seat that declared them


class CapacityBasis(StrEnum):
    """Why somebody signs in that capacity; recorded with the proof that was shown."""

    OWN = "own"
    MINOR = "minor"  # the patient is under age
    SELF_SUPPORTING = "self_supporting"  # 16 or 17 and living on own work: an adult, Civil Code art. 18
    INCAPACITY = "incapacity"  # an adult without full capacity, Civil Code art. 21-22, 28
    AUTHORISED = "authorised"  # by the patient's written authorisation, Civil Code art. 165
    NOT_TOLD = "not_told"  # not suitable to tell the patient, Civil Code art. 1219


class ConsentAction(StrEnum):
    SIGNED = "signed"
    WITHDRAWN = "withdrawn"
    ASSENTED = "assented"  # the child's own word beside the guardian's signature; decides nothing by itself
    WITNESSED = "witnessed"  # clinic-side staff saw who signs, in which capacity; decides nothing by itself
    ENTERED_IN_ERROR = "entered_in_error"  # what the voided record decided is open again
    PAUSED = "paused"  # a privacy pause was asked for: nobody is recorded until the matching RESUMED
    RESUMED = "resumed"  # `withdraws` names the PAUSED record


@dataclass(frozen=True, slots=True)
class Comprehension:
    """One question that shows whether a section was understood. A wrong answer is explained and never blocks."""

    question: str
    options: tuple[str, ...]
    right: int  # index into `options`
    explanation: str


@dataclass(frozen=True, slots=True)
class TemplateSection:
    key: str
    title: str
    body: str
    statements: tuple[str, ...] = ()  # coded tags of what it says; required ones are checked before publication
    check: Comprehension | None = None


@dataclass(frozen=True, slots=True)
class PurposeQuestion:
    """One question, decided separately, never pre-ticked."""

    purpose: Purpose
    question: str
    if_refused: str  # what happens if you say no, in plain words
    blocks_care: bool


@dataclass(frozen=True, slots=True)
class ConsentTemplate:
    """Published wording: immutable. zh and en are separate rows; the signed locale governs."""

    id: str
    institution_id: str
    key: str  # one of consent.statements.STATEMENTS: "visit.patient", "visit.guest", ...
    version: int
    locale: str  # "zh", "en" or another the institution set
    title: str
    sections: tuple[TemplateSection, ...]
    questions: tuple[PurposeQuestion, ...]
    legal_basis: tuple[str, ...]
    sha256: str  # of the canonical bytes of everything above
    published_at: datetime
    published_by: str


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One act of one person: a signing (all questions of a text decided) or a withdrawal. Never edited."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    action: ConsentAction
    permitted: tuple[Purpose, ...]  # SIGNED: said yes. WITHDRAWN, ENTERED_IN_ERROR: the purposes concerned. Else none
    refused: tuple[Purpose, ...]  # SIGNED: said no
    shared_with: tuple[str, ...]  # institution ids named in SHARE_PANEL
    capacity: SignerCapacity
    template_id: str | None
    locale: str
    evidence: str  # canonical JSON (RFC 8785): exactly what was shown, decided, how identified; signature image inside
    digest: str  # sha256 hex of `evidence`
    seal: str  # compact JWS of the server over `evidence`' digest
    recorded_at: datetime
    withdraws: str | None = None  # the record a withdrawal or correction speaks of


class DraftState(StrEnum):
    OPEN = "open"
    PUBLISHED = "published"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Review:
    by: str
    at: datetime
    sha256: str  # of exactly what was reviewed


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """Wording being written. A change voids the reviews; reviewer and publisher are two people who wrote none of it."""

    id: str
    institution_id: str
    key: str
    locale: str
    title: str
    sections: tuple[TemplateSection, ...]
    questions: tuple[PurposeQuestion, ...]
    legal_basis: tuple[str, ...]
    major: bool  # changes what people agreed to: everybody is asked again
    sha256: str
    state: DraftState
    authors: tuple[str, ...]
    reviews: tuple[Review, ...]
    created_at: datetime
    changed_at: datetime
    template_id: str | None = None  # what it became


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    """What an institution asks for beyond care and recording, and in which languages. `id` is the institution's."""

    id: str
    institution_id: str
    locales: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    ethics_id: str  # of the research project, named in the question
    abroad: str  # who receives data abroad, named in the question (PIPL art. 39)
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Staff ask one person for further purposes during the consult (an intimate examination, AI switched on)."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    purposes: tuple[Purpose, ...]
    reason: str
    asked_by: str
    asked_at: datetime
