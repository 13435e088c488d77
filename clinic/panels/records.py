"""Expert consults between institutions: case, invitations, opinions, decision (domain-rules 1.3)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clinic.panels.signers import Signer


class InvitationState(StrEnum):
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    RELEASED = "released"  # not needed any more: others were quicker, a stand-in comes, or the request ended


class Adoption(StrEnum):
    ADOPT = "adopt"
    PARTLY = "partly"
    NOT_ADOPTED = "not"
    NOTHING = "none"  # there is no opinion: the patient stopped sharing before one was signed


@dataclass(frozen=True, slots=True)
class Case:
    """The inviting side's request; one per expert consult."""

    id: str
    institution_id: str  # inviting
    consult_id: str
    invited_institution_id: str
    reason: str
    aim: str
    summary: str
    wanted_specialty: str
    liability_mode: str  # fixed at request time: "inviting" (远程会诊) | "shared" (远程诊断)
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """To one expert of the invited institution."""

    id: str
    institution_id: str  # inviting (the row's tenant)
    consult_id: str
    case_id: str
    invited_institution_id: str
    expert_id: str  # staff id at the invited institution
    state: InvitationState
    chair: bool
    sent_at: datetime
    answered_at: datetime | None = None
    refusal_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """One expert's opinion; immutable once signed. `dissent` keeps a differing view in the joint report."""

    id: str
    institution_id: str
    consult_id: str
    expert_id: str
    expert_institution_id: str
    text: str
    dissent: bool
    updated_at: datetime
    signed_at: datetime | None = None
    signature: str | None = None
    author: Signer | None = None  # as they signed; None in papers of before
    countersign: bool | None = None  # a trainee's: counts from a senior's signature on (rules 1.5)


@dataclass(frozen=True, slots=True)
class DecisionNote:
    """The inviting doctor decides with reference to the opinions; without it the consult cannot close."""

    id: str
    institution_id: str
    consult_id: str
    doctor_id: str
    adoption: Adoption
    reason: str
    treatment: str
    updated_at: datetime
    signed_at: datetime | None = None
    signature: str | None = None
    author: Signer | None = None  # as they signed; None in papers of before
