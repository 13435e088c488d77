"""What forms offer: departments, doctors of the house, partner institutions and their experts."""

from clinic.people import AccountState, Role, Staff
from clinic.roles import Action
from huizhen import departments as catalogue
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, staff
from huizhen.api.shapes.base import Items, Label, NoBody
from huizhen.api.shapes.consult import DepartmentRow, DoctorEntry, InstitutionRow

_LEAD = {Role.ATTENDING, Role.INVITING}
_EXPERTS = {Role.EXPERT}


async def institutions(call: Call[NoBody]) -> Items[InstitutionRow]:
    rows = [row for row in await call.tx.institutions.find() if row.id != call.me.institution_id]
    return Items(
        items=[InstitutionRow(id=row.id, name=row.name, name_en=row.name_en, short_name=row.short_name) for row in rows]
    )


async def experts(call: Call[NoBody]) -> Items[DoctorEntry]:
    house = await call.tx.institutions.get(call.path("institution"))
    people = await call.tx.staff.find(institution_id=house.id)
    return Items(items=[_entry(person) for person in people if _EXPERTS & set(person.roles) and _active(person)])


async def doctors(call: Call[NoBody]) -> Items[DoctorEntry]:
    people = await call.tx.staff.find(institution_id=call.me.institution_id)
    return Items(items=[_entry(person) for person in people if _LEAD & set(person.roles) and _active(person)])


async def departments(call: Call[NoBody]) -> Items[DepartmentRow]:
    """Those the house is licensed for; an administrator is offered the whole catalogue."""
    house = await call.tx.institutions.get(call.me.institution_id)
    codes = list(house.departments)
    if Role.ADMIN in call.me.roles:
        codes = list(dict.fromkeys((*codes, *catalogue.LABELS)))
    return Items(items=[DepartmentRow(code=code, label=render.department(code)) for code in codes])


def _active(person: Staff) -> bool:
    return person.state is AccountState.ACTIVE


def _entry(person: Staff) -> DoctorEntry:
    label: Label | None = render.department(person.department) if person.department else None
    return DoctorEntry(
        id=person.id,
        name=person.name,
        name_en=person.name_en,
        title=person.title,
        department=person.department,
        department_label=label,
        roles=list(person.roles),
    )


_FORMS = (Action.BOOK, Action.ADMINISTER, Action.REQUEST_CASE)

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/directory/institutions",
        handler=institutions,
        policy=staff(*_FORMS, own=Own.DIRECTORY),
        answer=Items[InstitutionRow],
        summary="Partner institutions",
    ),
    Route(
        method="GET",
        path="/api/directory/institutions/{institution}/experts",
        handler=experts,
        policy=staff(*_FORMS, own=Own.DIRECTORY),
        answer=Items[DoctorEntry],
        summary="Experts of an institution",
    ),
    Route(
        method="GET",
        path="/api/directory/doctors",
        handler=doctors,
        policy=staff(*_FORMS, own=Own.HOUSE),
        answer=Items[DoctorEntry],
        summary="Doctors of the house who lead consults",
    ),
    Route(
        method="GET",
        path="/api/directory/departments",
        handler=departments,
        policy=staff(*_FORMS, own=Own.HOUSE),
        answer=Items[DepartmentRow],
        summary="Departments",
    ),
)
