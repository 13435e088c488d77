"""Institutions, staff and patients enter the system."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, TypeVar
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.errors import InvalidInput, NotPermitted
from clinic.overlays import rules_for
from clinic.people import AccountState, IdentityLevel, Institution, Patient, Role, Staff
from clinic.roles import READERS, VISIT_ROLES, Action, Place, require, unseparated
from clinic.transaction import ClinicTransaction

RECORDING_BASES = ("consent", "legal_duty")
GENDERS = ("F", "M", "X")
PROVINCES = tuple(f"{number:02}" for number in range(11, 100))  # the first two digits of GB/T 2260
STAFF_ROLES = frozenset(Role) - {Role.PATIENT, Role.GUARDIAN, Role.FAMILY, Role.INTERPRETER, Role.SYSTEM}
IDENTITY_METHODS = ("booking", "phone_otp", "id_match", "video_check", "clinic_check", "certificate")

R = TypeVar("R", Institution, Staff)


@dataclass(frozen=True, slots=True)
class NewInstitution:
    name: str
    short_name: str
    licence_number: str
    licence_valid_to: date
    departments: tuple[str, ...]
    phone: str
    time_zone: str = "Asia/Shanghai"
    recording_basis: str = "consent"
    name_en: str = ""
    province: str | None = None


@dataclass(frozen=True, slots=True)
class NewStaff:
    """Licence fields are for doctors; `login` is unique within the server."""

    institution_id: str
    login: str
    name: str
    roles: tuple[Role, ...]
    title: str = ""
    department: str | None = None
    licence_number: str | None = None
    licence_valid_to: date | None = None
    practice_scope: tuple[str, ...] = ()
    independent_since: date | None = None
    verified_until: date | None = None
    name_en: str = ""
    requires_countersign: bool | None = None


@dataclass(frozen=True, slots=True)
class NewPatient:
    institution_id: str
    name: str
    birth_date: date
    gender: str
    id_number: str
    phone: str
    identity_level: IdentityLevel
    name_en: str = ""


async def create_institution(tx: ClinicTransaction, new: NewInstitution, actor_id: str = "system") -> Institution:
    """A new tenant. Raises InvalidInput. Only the operator's command line calls this."""
    institution = Institution(
        id=uuid4().hex,
        name=new.name,
        short_name=new.short_name,
        licence_number=new.licence_number,
        licence_valid_to=new.licence_valid_to,
        departments=new.departments,
        time_zone=new.time_zone,
        phone=new.phone,
        recording_basis=new.recording_basis,
        created_at=tx.now,
        name_en=new.name_en,
        province=new.province,
    )
    _check_institution(institution)
    await tx.institutions.add(institution)
    await tx.append(AuditEvent(EventCode.INSTITUTION_CREATED, institution.id, actor_id, subject_id=institution.id))
    return institution


async def change_institution(
    tx: ClinicTransaction, institution_id: str, changes: Mapping[str, Any], actor: Actor
) -> Institution:
    """Change named fields (all but id and created_at). Raises InvalidInput, NotPermitted."""
    institution = await tx.institutions.get(institution_id)
    _at_home(actor, Action.ADMINISTER, institution_id, "institutions")
    changed = _changed(institution, changes, ("id", "created_at"))
    _check_institution(changed)
    basis = changed.recording_basis
    if basis != institution.recording_basis and not rules_for(changed, tx.now).value(
        "HZ-17", f"recording_basis_{basis}"
    ):
        raise InvalidInput("recording_basis", "the rules do not allow it")
    await tx.institutions.save(changed)
    await tx.append(
        AuditEvent(
            EventCode.INSTITUTION_CHANGED,
            institution_id,
            actor.id,
            subject_id=institution_id,
            public={"fields": sorted(changes)},
        )
    )
    return changed


async def create_staff(tx: ClinicTransaction, new: NewStaff, actor: Actor) -> Staff:
    """An account. Raises InvalidInput (also for a login in use), NotPermitted."""
    await tx.institutions.get(new.institution_id)
    _at_home(actor, Action.ADMINISTER, new.institution_id, "institutions")
    if await tx.staff.find(login=new.login):
        raise InvalidInput("login", "in use")
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    staff = Staff(id=uuid4().hex, state=AccountState.ACTIVE, created_at=tx.now, **values)
    _check_staff(staff)
    await tx.staff.add(staff)
    await tx.append(
        AuditEvent(
            EventCode.STAFF_CREATED,
            staff.institution_id,
            actor.id,
            subject_id=staff.id,
            public={"roles": [role.value for role in staff.roles]},
        )
    )
    return staff


async def change_staff(tx: ClinicTransaction, staff_id: str, changes: Mapping[str, Any], actor: Actor) -> Staff:
    """Change named fields; nobody changes their own roles or state. Raises InvalidInput, NotPermitted."""
    staff = await tx.staff.get(staff_id)
    _at_home(actor, Action.ADMINISTER, staff.institution_id, "staff")
    if actor.id == staff_id and {"roles", "state"} & set(changes):
        raise NotPermitted("own roles")
    changed = _changed(staff, changes, ("id", "institution_id", "created_at", "login"))
    _check_staff(changed)
    await tx.staff.save(changed)
    public = {"fields": sorted(changes), "roles": [role.value for role in changed.roles], "state": changed.state.value}
    await tx.append(
        AuditEvent(EventCode.STAFF_CHANGED, staff.institution_id, actor.id, subject_id=staff_id, public=public)
    )
    return changed


async def create_patient(tx: ClinicTransaction, new: NewPatient, actor: Actor) -> Patient:
    """A patient under their real name (CN-06). Raises InvalidInput, NotPermitted."""
    await tx.institutions.get(new.institution_id)
    _at_home(actor, Action.REGISTER_PATIENT, new.institution_id, "institutions")
    if new.birth_date > tx.now.date():
        raise InvalidInput("birth_date", "in the future")
    patient = Patient(
        id=uuid4().hex,
        institution_id=new.institution_id,
        name=checks.text("name", new.name, checks.NAME),
        birth_date=new.birth_date,
        gender=checks.one_of("gender", new.gender, GENDERS),
        id_number=checks.text("id_number", new.id_number, 32, 4),
        phone=checks.text("phone", new.phone, 32, 3),
        identity_level=IdentityLevel(new.identity_level),
        created_at=tx.now,
        name_en=checks.text("name_en", new.name_en, checks.NAME, 0),
    )
    await tx.patients.add(patient)
    await tx.append(
        AuditEvent(
            EventCode.PATIENT_CREATED,
            patient.institution_id,
            actor.id,
            subject_id=patient.id,
            public={"identity_level": int(patient.identity_level)},
        )
    )
    return patient


async def raise_identity(
    tx: ClinicTransaction, patient_id: str, level: IdentityLevel, method: str, actor: Actor
) -> Patient:
    """The identity level after a check (its result is kept, no image). Raises InvalidInput when it would sink."""
    patient = await tx.patients.get(patient_id)
    _at_home(actor, Action.REGISTER_PATIENT, patient.institution_id, "patients")
    if level < patient.identity_level:
        raise InvalidInput("level", "lower than before")
    changed = replace(patient, identity_level=IdentityLevel(level))
    await tx.patients.save(changed)
    await tx.append(
        AuditEvent(
            EventCode.IDENTITY_CONFIRMED,
            patient.institution_id,
            actor.seat_id or actor.id,
            subject_id=patient_id,
            public={"level": int(level), "method": checks.one_of("method", method, IDENTITY_METHODS)},
        )
    )
    return changed


def _at_home(actor: Actor, action: Action, institution_id: str, what: str) -> None:
    if actor.institution_id != institution_id:
        raise MissingRow(what)
    require(actor, action, Place(institution_id))


def _changed(row: R, changes: Mapping[str, Any], fixed: tuple[str, ...]) -> R:
    known = {field.name for field in fields(row)}
    for name in changes:
        if name not in known or name in fixed:
            raise InvalidInput(name, "cannot be changed")
    return replace(row, **changes)


def _check_institution(institution: Institution) -> None:
    checks.text("name", institution.name, checks.NAME)
    checks.text("short_name", institution.short_name, checks.NAME)
    checks.text("name_en", institution.name_en, checks.LINE, 0)
    checks.text("licence_number", institution.licence_number, checks.NAME)
    checks.text("phone", institution.phone, 32, 3)
    checks.not_empty("departments", institution.departments)
    checks.time_zone("time_zone", institution.time_zone)
    checks.one_of("recording_basis", institution.recording_basis, RECORDING_BASES)
    if institution.province is not None:
        checks.one_of("province", institution.province, PROVINCES)


def _check_staff(staff: Staff) -> None:
    checks.text("login", staff.login, 64, 2)
    checks.text("name", staff.name, checks.NAME)
    checks.text("name_en", staff.name_en, checks.NAME, 0)
    checks.text("title", staff.title, checks.NAME, 0)
    if not staff.roles or not STAFF_ROLES.issuperset(staff.roles):
        raise InvalidInput("roles", "not roles of staff")
    if Role.ADMIN in staff.roles and set(staff.roles) & VISIT_ROLES:
        raise InvalidInput("roles", "an administrator holds no clinical role")
    if unseparated(staff.roles) is not None:
        raise InvalidInput("roles", "who proposes never approves or reviews it")
    if set(staff.roles) & READERS and len(set(staff.roles)) > 1:
        raise InvalidInput("roles", "auditors and regulators change nothing: they hold no other role")
