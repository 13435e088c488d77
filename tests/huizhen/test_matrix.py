"""Every route for every role, in the own and in another institution: answered as the table says."""

from typing import Any
from uuid import uuid4

from clinic.people import Role
from clinic.roles import permits
from huizhen.api.route import Door, Own, Route
from huizhen.api.table import ROUTES
from tests.huizhen.test_uploads import send
from tests.huizhen.things import (
    asking,
    begun_upload,
    cooperation,
    facts,
    glass,
    his_client,
    hours,
    imaged,
    ledger,
    notice,
    outcome,
    requested,
    signed,
    uploaded,
)
from tests.huizhen.world import ROLES, Browser, World, operation

# what a resource check lets through answers as these; 404 would mean "not yours"
_REACHED = frozenset(range(200, 600)) - {401, 404, 500}


def _path(route: Route[Any], ids: dict[str, str]) -> str:
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", ids[name])
    return path


async def _ids(world: World) -> dict[str, str]:
    """One thing of each kind, all of the city's hospital."""
    from tests.huizhen.shelf import archived

    booked = await world.book()
    patient = await world.patient(booked)
    paper = await uploaded(patient)
    images = await imaged(world, booked)
    record = await signed(patient)  # before the years pass that make a recording due
    kept = await archived(world)
    doctor = await world.staff("city", Role.ATTENDING)  # an upload does not outlive the years that just passed
    images |= {"upload": await begun_upload(doctor, f"/api/consults/{booked.consult.id}")}
    house = world.houses["city"]
    return {
        "consult": booked.consult.id,
        "seat": booked.patient.id,
        "staff": house.staff[Role.ATTENDING].id,
        "patient": house.patient.id,
        **await facts(world),
        "institution": house.institution.id,
        "invitation": uuid4().hex,
        "file": paper,
        **images,
        **await outcome(world, booked.consult.id),
        "glass": await glass(world, booked.consult.id),
        **await ledger(world),
        "record": record,
        "slot": await hours(world),
        "notice": await notice(world, booked),
        "cooperation": await cooperation(world),
        "client": await his_client(world),
        **await asking(world, booked.consult.id),
        **await requested(world, booked.consult.id),
        **kept,
    }


async def _ask(browser: Browser, route: Route[Any], ids: dict[str, str]) -> tuple[int, Any]:
    body = None if route.method == "GET" else {"op": operation()}
    reply = await browser.call(route.method, _path(route, ids), body)
    return reply.status, reply.body


async def test_every_route_for_every_role(world: World) -> None:
    ids = await _ids(world)
    at_home = {role: await world.staff("city", role) for role in ROLES}
    abroad = {role: await world.staff("county", role) for role in ROLES}
    nobody, patient = await world.browser(), await world.patient(await world.book())
    asked = 0
    for route in ROUTES:
        if route.policy.door is not Door.STAFF or route.path in ("/api/logout", "/api/audit/verify"):
            continue
        for outsider in (nobody, patient):
            assert (await _ask(outsider, route, ids))[0] == 401, route.path
        for role in ROLES:
            held = world.houses["city"].staff[role].roles
            wanted = route.policy.actions
            allowed = not wanted or any(permits(each, action) for each in held for action in wanted)
            status, body = await _ask(at_home[role], route, ids)
            where = f"{role} {route.method} {route.path}: {status} {body}"
            asked += 1
            if not allowed:
                assert (status, body["code"]) == (403, "access.denied"), where
                continue
            if route.policy.own is not Own.INVITATION and "certificate" not in route.path:
                assert status in _REACHED, where
            status, body = await _ask(abroad[role], route, ids)
            where = f"abroad {role} {route.method} {route.path}: {status} {body}"
            asked += 1
            if route.parameters and route.policy.own is not Own.DIRECTORY:
                # an empty body may be refused before anybody looks for the thing; neither answer tells of it
                assert status in (404, 422), where
                if status == 404:
                    missing = await _ask(abroad[role], route, {name: uuid4().hex for name in ids})
                    assert missing == (status, body), f"{where} differs from what is not there: {missing}"
    assert asked > 600


async def test_well_formed_requests_about_others_things_are_as_if_they_did_not_exist(world: World) -> None:
    """The same with bodies that pass: not one answer from another house differs from "no such thing"."""
    from tests.huizhen.bodies import sample

    ids = await _ids(world)
    abroad = {role: await world.staff("county", role) for role in ROLES}
    checked = 0
    for route in ROUTES:
        if route.policy.door is not Door.STAFF or not route.parameters or route.policy.own is Own.DIRECTORY:
            continue
        for role in ROLES:
            if not route.policy.admits(world.houses["county"].staff[role].roles):
                continue
            answers = []
            for chosen in (ids, {name: uuid4().hex for name in ids}):
                body = sample(route) if route.mutates else None
                query = f"?view={uuid4().hex}" if route.path.startswith("/api/archive/segments") else ""
                if route.raw:
                    reply = await send(abroad[role], _path(route, chosen), b"not a picture", method=route.method)
                else:
                    reply = await abroad[role].call(route.method, _path(route, chosen) + query, body)
                answers.append((reply.status, reply.body))
            assert answers[0] == answers[1], (role, route.method, route.path, answers)
            assert answers[0][0] == 404, (role, route.method, route.path, answers[0])
            checked += 1
    assert checked > 60


async def test_the_patients_door_opens_for_no_cookie_of_staff(world: World) -> None:
    doctor = await world.staff("city", Role.ATTENDING)
    for route in ROUTES:
        if route.policy.door is Door.SEAT:
            made_up = {name: uuid4().hex for name in route.parameters}
            assert (await _ask(doctor, route, made_up))[0] == 401, route.path


async def test_denied_tries_are_on_record(world: World) -> None:
    admin = await world.staff("city", Role.ADMIN)
    booked = await world.book()
    assert (await admin.get(f"/api/consults/{booked.consult.id}")).code == "access.denied"
    denied = [event for event in await world.events() if event.code == "access.denied"]
    assert denied[-1].actor_id == world.houses["city"].staff[Role.ADMIN].id
    assert denied[-1].public == {"action": "GET /api/consults/{consult}"}


def test_no_route_is_without_a_policy_and_none_is_twice() -> None:
    known = [(route.method, route.path) for route in ROUTES]
    assert len(known) == len(set(known))
    for route in ROUTES:
        assert route.policy.own in Own
        if route.policy.door is Door.STAFF and route.parameters:
            assert route.policy.own not in (Own.NOTHING, Own.HOUSE, Own.SELF), route.path
        if route.mutates and route.policy.door is Door.STAFF and not route.policy.actions:
            assert route.policy.own is Own.SELF, route.path


async def test_the_application_has_only_the_tables_routes_and_its_edges(world: World) -> None:
    from huizhen.app import create_app
    from huizhen.wiring import build
    from tests.huizhen.world import settings_for
    from tests.support import prepared

    settings = settings_for(world.parts.settings.data_dir.parent / "second")
    await prepared.database_at(settings.database)
    parts = await build(settings)
    try:
        app = create_app(parts)
        for found in app.router.routes():
            assert found.resource is not None
            path = found.resource.canonical
            if path.startswith(("/whip", "/whep", "/socket.io", "/static", "/console")) or path in (
                "/",
                "/p",
                "/v",
                "/favicon.ico",
            ):
                continue
            raw = found.resource.get_info().get("formatter", path)
            assert any(raw == route.path for route in ROUTES), (found.method, path)
    finally:
        await parts.edge.start()
        await parts.close()
