from datetime import UTC, date, datetime
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import registration
from clinic.actor import Actor
from clinic.checks import text
from clinic.documents import canonical
from clinic.errors import InvalidInput, NotPermitted
from clinic.people import AccountState, IdentityLevel, Role
from tests.support.builders import World, institution, patient, staff


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"licence_number": " "}, "licence_number"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"recording_basis": "because"}, "recording_basis"),
        ({"departments": ()}, "departments"),
        ({"departments": (" ",)}, "departments"),
        ({"phone": "1" * 40}, "phone"),
        ({"short_name": "a\x00b"}, "short_name"),
    ],
)
async def test_a_faulty_institution_is_refused(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        async with world.db.begin() as tx:
            await registration.create_institution(tx, institution("某医院", "Some", **changes))
    assert refused.value.field == field
    assert len(world.db.rows("institutions")) == 2


async def test_an_administrator_changes_the_institution(world: World) -> None:
    admin = Actor.staff(world.admin)
    async with world.db.begin() as tx:
        changed = await registration.change_institution(tx, world.home.id, {"phone": "0571-1"}, admin)
    assert changed.phone == "0571-1"
    assert world.db.events[-1].public == {"fields": ["phone"]}
    for changes in ({"id": "x"}, {"nonsense": 1}):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await registration.change_institution(tx, world.home.id, changes, admin)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await registration.change_institution(tx, world.home.id, {"phone": "1234"}, Actor.staff(world.doctor))
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await registration.change_institution(tx, world.partner.id, {"phone": "1234"}, admin)


@pytest.mark.parametrize(
    ("login", "roles", "changes"),
    [
        ("doctor", (Role.NURSE,), {}),
        ("x", (Role.NURSE,), {}),
        ("new", (), {}),
        ("new", (Role.PATIENT,), {}),
        ("new", (Role.ADMIN, Role.ATTENDING), {}),
        ("new", (Role.ARCHIVIST, Role.APPROVER), {}),
        ("new", (Role.AUDITOR, Role.NURSE), {}),
        ("new", (Role.REGULATOR, Role.AUDITOR), {}),
        ("new", (Role.NURSE,), {"name": ""}),
    ],
)
async def test_a_faulty_account_is_refused(
    world: World, login: str, roles: tuple[Role, ...], changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await registration.create_staff(tx, staff(world.home.id, login, roles, **changes), Actor.staff(world.admin))


async def test_staff_are_changed_by_another_administrator_only(world: World) -> None:
    admin = Actor.staff(world.admin)
    async with world.db.begin() as tx:
        changed = await registration.change_staff(tx, world.doctor.id, {"state": AccountState.DISABLED}, admin)
    assert changed.state is AccountState.DISABLED
    for changes in ({"roles": (Role.ATTENDING,)}, {"state": AccountState.ACTIVE}):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await registration.change_staff(tx, world.admin.id, changes, admin)
    async with world.db.begin() as tx:
        assert (await registration.change_staff(tx, world.admin.id, {"title": "x"}, admin)).title == "x"


async def test_patients_are_registered_by_those_who_treat(world: World) -> None:
    async with world.db.begin() as tx:
        made = await registration.create_patient(tx, patient(world.home.id, name=" 李四 "), Actor.staff(world.nurse))
    assert made.name == "李四"
    assert world.db.events[-1].public == {"identity_level": 3}
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await registration.create_patient(tx, patient(world.home.id), Actor.staff(world.admin))
    for changes in ({"gender": "?"}, {"birth_date": date(2030, 1, 1)}, {"id_number": "1"}):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await registration.create_patient(tx, patient(world.home.id, **changes), world.system)


async def test_identity_only_rises(world: World) -> None:
    nurse = Actor.staff(world.nurse)
    async with world.db.begin() as tx:
        low = await registration.create_patient(tx, patient(world.home.id, identity_level=IdentityLevel.L1), nurse)
        raised = await registration.raise_identity(tx, low.id, IdentityLevel.L2, "id_match", nurse)
    assert raised.identity_level is IdentityLevel.L2
    assert world.db.events[-1].public == {"level": 2, "method": "id_match"}
    for level, method in ((IdentityLevel.L1, "id_match"), (IdentityLevel.L3, "guess")):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await registration.raise_identity(tx, low.id, level, method, nurse)


def test_text_keeps_lines_and_counts() -> None:
    assert text("f", " a\nb ") == "a\nb"
    for value, maximum in (("abc", 2), ("a\x7f", 9)):
        with pytest.raises(InvalidInput):
            text("f", value, maximum)
    with pytest.raises(InvalidInput, match="too short"):
        text("f", "ab", 9, 3)


def test_canonical_bytes() -> None:
    moment = datetime(2026, 3, 2, 9, tzinfo=UTC)
    made = canonical(
        {"b": Role.PATIENT, "a": moment, "c": frozenset({"y", "x"}), "d": (1, None, True), "e": date(2026, 1, 1)}
    )
    assert made == (b'{"a":"2026-03-02T09:00:00+00:00","b":"patient","c":["x","y"],"d":[1,null,true],"e":"2026-01-01"}')
    with pytest.raises(TypeError):
        canonical({"a": b"bytes"})
