"""The consent ledger's rows: versioned wording, and who agreed to exactly what. Append-only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Purpose(StrEnum):
    TREAT = "treat"
    SHARE_PANEL = "share_panel"  # with named institutions
    REC_AV = "rec_av"
    INTIMATE = "intimate"
    TEACH = "teach"
    OBSERVE = "observe"
    RESEARCH = "research"
    AI_TRANSCRIBE = "ai_transcribe"
    AI_ASSIST = "ai_assist"
    BIOMETRIC = "biometric"
    XBORDER = "xborder"


class SignerCapacity(StrEnum):
    SELF = "self"
    GUARDIAN = "guardian"
    STAFF_NOTICE = "staff_notice"  # staff acknowledge the standing notice on recording by joining
    RELAYED = "relayed"  # somebody without a page of their own, told and answered at the seat that declared them


class ConsentAction(StrEnum):
    SIGNED = "signed"
    WITHDRAWN = "withdrawn"
    PAUSED = "paused"  # a privacy pause was asked for: nobody is recorded until the matching RESUMED
    RESUMED = "resumed"  # `withdraws` names the PAUSED record


@dataclass(frozen=True, slots=True)
class TemplateSection:
    key: str  # "provider", "scope", "risks", ...; required statements are checked by key
    title: str
    body: str


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
    key: str  # "visit.patient", "visit.guest", "panel.patient"
    version: int
    locale: str  # "zh" | "en"
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
    permitted: tuple[Purpose, ...]  # SIGNED: said yes. WITHDRAWN: the purposes withdrawn
    refused: tuple[Purpose, ...]  # SIGNED: said no
    shared_with: tuple[str, ...]  # institution ids named in SHARE_PANEL
    capacity: SignerCapacity
    template_id: str | None
    locale: str
    evidence: str  # canonical JSON (RFC 8785): exactly what was shown, decided, how identified; signature image inside
    digest: str  # sha256 hex of `evidence`
    seal: str  # compact JWS of the server over `evidence`' digest
    recorded_at: datetime
    withdraws: str | None = None
