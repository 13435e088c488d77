"""Institutions, staff and patients, and the roles a person can hold (domain-rules section 7)."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum


class Role(StrEnum):
    PATIENT = "patient"
    GUARDIAN = "guardian"
    FAMILY = "family"
    INTERPRETER = "interpreter"
    OBSERVER = "observer"  # a student or visitor who only watches, by the patient's OBSERVE consent
    DECLARED = "declared"  # off camera at somebody's side, without a page: named by the seat they sit at
    ATTENDING = "attending"  # the doctor of the visit
    INVITING = "inviting"  # the inviting clinic's doctor
    EXPERT = "expert"
    CHAIR = "chair"
    NURSE = "nurse"
    ARCHIVIST = "archivist"
    APPROVER = "approver"
    REGULATOR = "regulator"
    AUDITOR = "auditor"
    ADMIN = "admin"
    SYSTEM = "system"
    COORDINATOR = "coordinator"  # 会诊协调员: sends and triages requests between institutions


CLINICIANS = frozenset({Role.ATTENDING, Role.INVITING, Role.EXPERT, Role.CHAIR, Role.NURSE})
GUESTS = frozenset({Role.GUARDIAN, Role.FAMILY, Role.INTERPRETER, Role.OBSERVER})


class IdentityLevel(IntEnum):
    """L0 none, L1 phone OTP, L2 real-name ID match + OTP, L3 L2 + face, clinic-side check or CA certificate."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3


class AccountState(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Institution:
    id: str
    name: str
    short_name: str
    licence_number: str
    licence_valid_to: date
    departments: tuple[str, ...]  # licensed 诊疗科目 codes, CN-02
    time_zone: str  # IANA name; retention dates are computed in it
    phone: str  # "call the clinic" on each patient page
    recording_basis: str  # "consent" | "legal_duty"
    created_at: datetime
    name_en: str = ""
    province: str | None = None  # two digits of GB/T 2260: which provincial overlay binds it


@dataclass(frozen=True, slots=True)
class Staff:
    """An account of one institution. Licence fields are None for people who are not doctors."""

    id: str
    institution_id: str
    login: str
    name: str
    title: str  # 主任医师 ...
    roles: tuple[Role, ...]
    department: str | None
    state: AccountState
    created_at: datetime
    licence_number: str | None = None
    licence_valid_to: date | None = None
    practice_scope: tuple[str, ...] = ()  # departments the licence covers
    independent_since: date | None = None  # start of independent clinical work, CN-03
    verified_until: date | None = None  # credential check's expiry, CN-03
    name_en: str = ""
    requires_countersign: bool | None = None  # a trainee's opinions count from a senior's signature on (HZ-27)


@dataclass(frozen=True, slots=True)
class Patient:
    id: str
    institution_id: str
    name: str
    birth_date: date
    gender: str  # "F" | "M" | "X"
    id_number: str  # real-name identity number; never shown whole, never logged
    phone: str
    identity_level: IdentityLevel
    created_at: datetime
    name_en: str = ""
