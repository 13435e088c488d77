"""What the gates read besides the people and the consult itself. Rows are ended, never deleted: they were true once."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class FilingKind(StrEnum):
    REGISTERED = "registered"  # 主要执业机构注册
    FILED = "filed"  # 多机构执业备案


@dataclass(frozen=True, slots=True)
class PracticeFiling:
    """That a doctor may practise at this institution (CN-05): one per doctor and institution, with its days."""

    id: str
    institution_id: str
    staff_id: str
    kind: FilingKind
    number: str
    valid_from: date
    valid_to: date | None  # the last day; None = until revoked
    recorded_by: str
    recorded_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DutyShift:
    """A doctor on duty in a department, from `starts_at` until before `ends_at` (HZ-03)."""

    id: str
    institution_id: str
    staff_id: str
    department: str
    starts_at: datetime
    ends_at: datetime
    recorded_by: str
    recorded_at: datetime
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Guardianship:
    """Who answers for a minor, and what proved it; `proof` is "" while nothing was shown (CN-10)."""

    id: str
    institution_id: str
    patient_id: str
    name: str
    relation: str
    proof: str  # "household_register" | "birth_certificate" | "court_order" | "other", "" = unproven
    reference: str
    recorded_by: str
    recorded_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceAgreement:
    """A signed family-doctor agreement between a patient and a doctor (CN-08)."""

    id: str
    institution_id: str
    patient_id: str
    doctor_id: str
    number: str
    signed_on: date
    valid_to: date  # the last day
    recorded_by: str
    recorded_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attestation:
    """The doctor's sealed word that this is a re-visit: which diagnosis, when and where it was made (CN-07)."""

    id: str
    institution_id: str
    consult_id: str
    doctor_id: str
    evidence_id: str  # the proof it rests on
    diagnosis: str
    visited_on: date
    visited_institution: str
    signed_at: datetime
    signature: str  # the server's seal (JWS) over the canonical bytes


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the patient is during the visit and whom to call (HZ-02). `sealed` is encrypted: see `clinic.safety`."""

    id: str
    institution_id: str
    consult_id: str
    sealed: str
    recorded_by: str  # seat or staff
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Authentication:
    """When a member of staff last proved who they are (CN-04); `id` is the staff id, `method` how."""

    id: str
    institution_id: str
    method: str  # "login" | "step_up"
    at: datetime
