"""Every route for every role, in the own and in another institution: answered as the table says."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from clinic import break_glass, filings, guardians, slots
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.notices import Channel, NoticeKind
from clinic.people import Role
from clinic.roles import permits
from huizhen.api.route import Door, Own, Route
from huizhen.api.table import ROUTES
from huizhen.outbox import Addressed
from tests.huizhen.test_uploads import send
from tests.huizhen.world import CARDIOLOGY, ROLES, Booked, Browser, World, operation, sign
from tests.inspection.corpus import png
from tests.support.proofs import filing

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
    paper = await _paper(world, booked)
    record = await _signed(world, booked)  # before the years pass that make a recording due
    kept = await archived(world)
    house = world.houses["city"]
    return {
        "consult": booked.consult.id,
        "seat": booked.patient.id,
        "staff": house.staff[Role.ATTENDING].id,
        "patient": house.patient.id,
        **await _facts(world),
        "institution": house.institution.id,
        "invitation": uuid4().hex,
        "file": paper,
        "glass": await _glass(world, booked.consult.id),
        **await _ledger(world),
        "record": record,
        **await _waiting(world, booked),
        **kept,
    }


async def _facts(world: World) -> dict[str, str]:
    """A filing and a shift of the doctor, a guardian and an agreement of the patient."""
    house = world.houses["city"]
    doctor, system = house.staff[Role.ATTENDING], Actor.system(house.institution.id)
    async with world.db.begin() as tx:
        filed = await filings.file_practice(tx, doctor.id, filing(), system)
        shift = await filings.plan_shift(tx, doctor.id, "03.04", tx.now, tx.now + timedelta(hours=1), system)
        guardian = await guardians.record_guardian(tx, house.patient.id, guardians.NewGuardian("母", "母亲"), system)
        deal = guardians.NewAgreement(doctor.id, "J1", tx.now.date(), tx.now.date())
        agreement = await guardians.record_agreement(tx, house.patient.id, deal, system)
    return {"filing": filed.id, "shift": shift.id, "guardian": guardian.id, "agreement": agreement.id}


async def _paper(world: World, booked: Booked) -> str:
    patient = await world.patient(booked)
    return str((await send(patient, "/api/seat/evidence-files", png(), "image/png", "a.png")).body["id"])


async def _glass(world: World, consult_id: str) -> str:
    house = world.houses["city"]
    async with world.db.begin() as tx:
        return str(
            (
                await break_glass.open_chart(
                    tx, consult_id, "急诊抢救需要查看用药史", Actor.staff(house.staff[Role.INVITING])
                )
            ).id
        )


async def _ledger(world: World) -> dict[str, str]:
    """A published text, a draft of it, and a signature."""
    from consent import desk, drafting, templates
    from tests.support.builders import signing

    house = world.houses["city"]
    booked = await world.book()
    async with world.db.begin() as tx:
        wording = templates.shipped()[0]
        content = drafting.Draft(
            wording.key, wording.locale, "新", wording.sections, wording.questions, wording.legal_basis
        )
        draft = await drafting.begin(tx, Actor.staff(house.staff[Role.ARCHIVIST]), content)
        template = (await tx.consent_templates.find(institution_id=house.institution.id))[0]
        shown = await desk.present(tx, booked.patient.id, "zh")
        given = signing(shown, house.patient.name)
        record = await desk.sign(tx, world.parts.services.sealer, booked.patient.id, given)
    return {"template": template.id, "draft": draft.id, "record": record.id}


async def _signed(world: World, booked: Booked) -> str:
    patient = await world.patient(booked)
    assert (await sign(patient)).status == 200
    return str((await patient.get("/api/seat/after")).body["consents"][0]["id"])


async def _waiting(world: World, booked: Booked) -> dict[str, str]:
    """Opened hours, and a message to a patient."""
    nurse = Actor.staff(world.houses["city"].staff[Role.NURSE])
    doctor = world.houses["city"].staff[Role.ATTENDING].id
    async with world.db.begin() as tx:
        new = slots.NewSlot(doctor, CARDIOLOGY, ConsultKind.FOLLOW_UP, tx.now + timedelta(days=1), 60, 4)
        slot = await slots.open_slot(tx, new, nurse)
        letter = Addressed(NoticeKind.INVITATION, "matrix", Channel.SMS, "zh")
        notice = await world.parts.services.outbox.queue(tx, booked.consult, letter, nurse)
    assert notice is not None
    return {"slot": slot.id, "notice": notice.id}


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
    from huizhen.store import migrate
    from huizhen.wiring import build
    from tests.huizhen.world import settings_for

    settings = settings_for(world.parts.settings.data_dir.parent / "second")
    await migrate.upgrade(settings.database)
    parts = await build(settings)
    try:
        app = create_app(parts)
        for found in app.router.routes():
            assert found.resource is not None
            path = found.resource.canonical
            if path.startswith(("/whip", "/whep", "/socket.io", "/static", "/console")) or path in (
                "/",
                "/p",
                "/favicon.ico",
            ):
                continue
            raw = found.resource.get_info().get("formatter", path)
            assert any(raw == route.path for route in ROUTES), (found.method, path)
    finally:
        await parts.edge.start()
        await parts.close()
