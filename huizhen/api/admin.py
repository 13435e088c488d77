"""Administration: staff and their passwords, patients, the institution."""

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration
from clinic.people import AccountState, IdentityLevel, Institution, Patient, Staff
from clinic.roles import Action
from huizhen import masks
from huizhen.api import policies
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.admin import (
    ChangeInstitutionBody,
    ChangeStaffBody,
    InstitutionView,
    NewPatientBody,
    NewStaffBody,
    PasswordBody,
    PatientView,
    StaffView,
)
from huizhen.api.shapes.base import Accepted, Items, NoBody
from signaling import seen, upkeep


def staff_view(person: Staff) -> StaffView:
    return StaffView(
        id=person.id,
        login=person.login,
        name=person.name,
        name_en=person.name_en,
        title=person.title,
        roles=list(person.roles),
        department=person.department,
        state=person.state,
        licence_number=person.licence_number,
        licence_valid_to=_iso(person.licence_valid_to),
        practice_scope=list(person.practice_scope),
        independent_since=_iso(person.independent_since),
        verified_until=_iso(person.verified_until),
        requires_countersign=bool(person.requires_countersign),
        created_at=person.created_at,
    )


def _iso(day: object) -> str | None:
    return None if day is None else str(day)


def patient_view(patient: Patient) -> PatientView:
    return PatientView(
        id=patient.id,
        name=patient.name,
        name_en=patient.name_en,
        birth_date=patient.birth_date.isoformat(),
        gender=patient.gender,
        masked_id=masks.id_number(patient.id_number),
        phone_masked=masks.phone(patient.phone),
        identity_level=int(patient.identity_level),
        created_at=patient.created_at,
    )


def institution_view(house: Institution) -> InstitutionView:
    return InstitutionView(
        id=house.id,
        name=house.name,
        name_en=house.name_en,
        short_name=house.short_name,
        licence_number=house.licence_number,
        licence_valid_to=house.licence_valid_to.isoformat(),
        departments=list(house.departments),
        time_zone=house.time_zone,
        phone=house.phone,
        recording_basis=house.recording_basis,
        province=house.province,
    )


async def list_staff(call: Call[NoBody]) -> Items[StaffView]:
    people = await call.tx.staff.find(institution_id=call.me.institution_id)
    return Items(items=[staff_view(person) for person in people])


async def create_staff(call: Call[NewStaffBody]) -> StaffView:
    body, door = call.body, call.services.staff_door
    hashed = await door.hash_password(body.password)
    values = body.model_dump(exclude={"op", "password", "roles", "practice_scope"})
    new = registration.NewStaff(
        institution_id=call.me.institution_id,
        roles=tuple(dict.fromkeys(body.roles)),
        practice_scope=tuple(body.practice_scope),
        **values,
    )
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await door.require_free(tx, new.login)
        person = await registration.create_staff(tx, new, call.actor)
        await door.set_password(tx, person, hashed)
    return staff_view(person)


async def change_staff(call: Call[ChangeStaffBody]) -> StaffView:
    """Members left out stay; what is set to null becomes empty. A disabled account is signed out everywhere."""
    body = call.body
    changes = {name: getattr(body, name) for name in body.model_fields_set - {"op"}}
    for name in ("roles", "practice_scope"):
        if name in changes:
            changes[name] = tuple(dict.fromkeys(changes[name] or ()))
    for name in ("name", "name_en", "title", "state"):  # never null
        if changes.get(name, "") is None:
            del changes[name]
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        person = await registration.change_staff(tx, call.path("staff"), changes, call.actor)
        disabled = person.state is not AccountState.ACTIVE
        if disabled or "roles" in changes:
            await call.services.staff_door.end_sessions(tx, person.id)
    if disabled or "roles" in changes:
        await upkeep.signed_out(call.services.live, person.id, disabled=disabled)
    await seen.recheck(call.services.live, person.institution_id)
    return staff_view(person)


async def set_password(call: Call[PasswordBody]) -> Accepted:
    door = call.services.staff_door
    hashed = await door.hash_password(call.body.password)
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        person = await tx.staff.get(call.path("staff"))
        await door.set_password(tx, person, hashed)
        await tx.append(
            AuditEvent(
                EventCode.STAFF_CHANGED,
                person.institution_id,
                call.actor.id,
                subject_id=person.id,
                public={"fields": ["password"]},
            )
        )
    await upkeep.signed_out(call.services.live, person.id, disabled=False)
    return Accepted()


async def list_patients(call: Call[NoBody]) -> Items[PatientView]:
    people = await call.tx.patients.find(institution_id=call.me.institution_id)
    return Items(items=[patient_view(person) for person in people])


async def create_patient(call: Call[NewPatientBody]) -> PatientView:
    body = call.body
    new = registration.NewPatient(
        institution_id=call.me.institution_id,
        name=body.name,
        name_en=body.name_en,
        birth_date=body.birth_date,
        gender=body.gender,
        id_number=body.id_number,
        phone=body.phone,
        identity_level=IdentityLevel(body.identity_level),
    )
    return patient_view(await registration.create_patient(call.tx, new, call.actor))


async def show_institution(call: Call[NoBody]) -> InstitutionView:
    return institution_view(await call.tx.institutions.get(call.me.institution_id))


async def change_institution(call: Call[ChangeInstitutionBody]) -> InstitutionView:
    body = call.body
    given = {name: getattr(body, name) for name in body.model_fields_set - {"op"}}
    changes = {name: value for name, value in given.items() if value is not None}
    if "departments" in changes:
        changes["departments"] = tuple(dict.fromkeys(changes["departments"]))
    if "province" in given:
        changes["province"] = given["province"]
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        house = await registration.change_institution(tx, call.me.institution_id, changes, call.actor)
    await policies.reread(call.services, house.id)
    await seen.recheck(call.services.live, house.id)
    return institution_view(house)


_ADMIN = Action.ADMINISTER

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/admin/staff",
        handler=list_staff,
        policy=staff(_ADMIN, own=Own.HOUSE),
        answer=Items[StaffView],
        summary="Accounts of the house",
    ),
    Route(
        method="POST",
        path="/api/admin/staff",
        handler=create_staff,
        policy=staff(_ADMIN, own=Own.HOUSE),
        body=NewStaffBody,
        answer=StaffView,
        unit=Unit.NONE,
        summary="A new account",
    ),
    Route(
        method="PUT",
        path="/api/admin/staff/{staff}",
        handler=change_staff,
        policy=staff(_ADMIN, own=Own.STAFF),
        body=ChangeStaffBody,
        answer=StaffView,
        unit=Unit.NONE,
        summary="Change an account",
    ),
    Route(
        method="POST",
        path="/api/admin/staff/{staff}/password",
        handler=set_password,
        policy=staff(_ADMIN, own=Own.STAFF),
        body=PasswordBody,
        answer=Accepted,
        unit=Unit.NONE,
        summary="Set a password; all logins of the account end",
    ),
    Route(
        method="GET",
        path="/api/admin/patients",
        handler=list_patients,
        policy=staff(Action.REGISTER_PATIENT, own=Own.HOUSE),
        answer=Items[PatientView],
        summary="Patients of the house",
    ),
    Route(
        method="POST",
        path="/api/admin/patients",
        handler=create_patient,
        policy=staff(Action.REGISTER_PATIENT, own=Own.HOUSE),
        body=NewPatientBody,
        answer=PatientView,
        unit=Unit.WRITE,
        summary="A new patient, under their real name",
    ),
    Route(
        method="GET",
        path="/api/admin/institution",
        handler=show_institution,
        policy=staff(_ADMIN, own=Own.HOUSE),
        answer=InstitutionView,
        summary="The house",
    ),
    Route(
        method="PUT",
        path="/api/admin/institution",
        handler=change_institution,
        policy=staff(_ADMIN, own=Own.HOUSE),
        body=ChangeInstitutionBody,
        answer=InstitutionView,
        unit=Unit.NONE,
        summary="Change the house",
    ),
)
