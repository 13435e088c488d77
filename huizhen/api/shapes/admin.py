"""Bodies and answers of the administration pages."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from clinic.people import AccountState, Role
from huizhen.api.shapes.base import Answer, Body, Code, GivenDate, Line, Moment, Name, Password

LoginName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,63}$")]


class StaffView(Answer):
    id: str
    login: str
    name: str
    name_en: str
    title: str
    roles: list[Role]
    department: str | None
    state: AccountState
    licence_number: str | None
    licence_valid_to: str | None
    practice_scope: list[str]
    independent_since: str | None
    verified_until: str | None
    requires_countersign: bool
    created_at: Moment


class NewStaffBody(Body):
    login: LoginName
    name: Name
    name_en: Line = ""
    title: Line = ""
    roles: Annotated[list[Role], Field(min_length=1, max_length=8)]
    department: Code | None = None
    licence_number: Line | None = None
    licence_valid_to: GivenDate | None = None
    practice_scope: Annotated[list[Code], Field(max_length=50, default_factory=list)]
    independent_since: GivenDate | None = None
    verified_until: GivenDate | None = None
    requires_countersign: bool = False
    password: Password


class ChangeStaffBody(Body):
    """Members left out stay as they are."""

    name: Name | None = None
    name_en: Line | None = None
    title: Line | None = None
    roles: Annotated[list[Role], Field(min_length=1, max_length=8)] | None = None
    department: Code | None = None
    state: AccountState | None = None
    licence_number: Line | None = None
    licence_valid_to: GivenDate | None = None
    practice_scope: Annotated[list[Code], Field(max_length=50)] | None = None
    independent_since: GivenDate | None = None
    verified_until: GivenDate | None = None
    requires_countersign: bool | None = None


class PasswordBody(Body):
    password: Password


class PatientView(Answer):
    id: str
    name: str
    name_en: str
    birth_date: str
    gender: str
    masked_id: str
    phone_masked: str
    identity_level: int
    created_at: Moment


class NewPatientBody(Body):
    name: Name
    name_en: Line = ""
    birth_date: GivenDate
    gender: Literal["F", "M", "X"]
    id_number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{4,32}$")]
    phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,32}$")]
    identity_level: Literal[0, 1, 2, 3]


class InstitutionView(Answer):
    id: str
    name: str
    name_en: str
    short_name: str
    licence_number: str
    licence_valid_to: str
    departments: list[str]
    time_zone: str
    phone: str
    recording_basis: str
    province: str | None


class ChangeInstitutionBody(Body):
    name: Name | None = None
    name_en: Line | None = None
    short_name: Name | None = None
    licence_number: Line | None = None
    licence_valid_to: GivenDate | None = None
    departments: Annotated[list[Code], Field(min_length=1, max_length=100)] | None = None
    time_zone: Line | None = None
    phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,32}$")] | None = None
    recording_basis: Literal["consent", "legal_duty"] | None = None
    province: Annotated[str, StringConstraints(pattern=r"^\d{2}$")] | None = None
