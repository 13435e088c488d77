"""The FHIR door: who comes in, what they read, what is refused in which words, and that each reading is on record."""

from typing import Any
from uuid import uuid4

from clinic.consult import ConsultKind
from clinic.people import Role
from huizhen.api.fhir import PREFIX
from huizhen.api.route import Door
from huizhen.api.table import ROUTES
from tests.huizhen.panel import accept, asked
from tests.huizhen.world import PATIENT_NAME, ROLES, Browser, Reply, World

FHIR = [route for route in ROUTES if route.policy.door is Door.RECORDS]


async def system(world: World, *patients: str, house: str = "city") -> tuple[str, dict[str, Any]]:
    """A hospital system of the house to which these patients are open: its id, and its header."""
    admin, nurse = await world.staff(house, Role.ADMIN), await world.staff(house, Role.NURSE)
    issued = await admin.post("/api/his-clients", name="HIS", days=30)
    assert issued.status == 200, issued.raw
    if patients:
        path = f"/api/his-clients/{issued.body['id']}/patients"
        assert (await nurse.post(path, patient_ids=list(patients), open=True)).body == {"patient_ids": list(patients)}
    return issued.body["id"], {"Authorization": f"Bearer {issued.body['token']}"}


async def ask(browser: Browser, path: str, headers: dict[str, Any] | None = None) -> Reply:
    return await browser.get(f"{PREFIX}/{path}", headers=headers or {})


def code_of(reply: Reply) -> str:
    assert reply.headers["Content-Type"].startswith("application/fhir+json"), reply.headers
    assert reply.body["resourceType"] == "OperationOutcome"
    return str(reply.body["issue"][0]["details"]["coding"][0]["code"])


async def test_a_system_reads_a_panel_and_every_reading_is_on_record(world: World) -> None:
    booked = (await asked(world)).booked
    patient_id, consult = world.houses["county"].patient.id, booked.consult.id
    client, headers = await system(world, patient_id, house="county")
    door = await world.browser()
    found: dict[str, int] = {}
    for name in ("ServiceRequest", "Task", "Appointment", "DiagnosticReport", "DocumentReference", "ImagingStudy"):
        reply = await ask(door, f"{name}?encounter=Encounter/{consult}", headers)
        assert (reply.status, reply.body["resourceType"], reply.body["type"]) == (200, "Bundle", "searchset")
        found[name] = reply.body["total"]
        for entry in reply.body.get("entry", ()):
            single = await ask(door, f"{name}/{entry['resource']['id']}", headers)
            assert (single.status, single.body) == (200, entry["resource"])
    assert found == {
        "ServiceRequest": 1, "Task": 1, "Appointment": 1, "DiagnosticReport": 0, "DocumentReference": 0,
        "ImagingStudy": 0,
    }  # fmt: skip
    encounter = await ask(door, f"Encounter/{consult}", headers)
    based_on = encounter.body["basedOn"][0]["reference"]
    assert (await ask(door, f"Encounter?based-on={based_on}", headers)).body["total"] == 1
    assert (await ask(door, f"Task?based-on={based_on}&_format=json", headers)).body["total"] == 1
    person = await ask(door, f"Patient/{patient_id}", headers)
    assert person.body["name"][0]["text"] == PATIENT_NAME
    viewed = [event for event in await world.events("county") if event.public.get("part") == "fhir"]
    assert {(event.code, event.actor_id) for event in viewed} == {("view.chart", client)}
    assert {event.public["resource"] for event in viewed} == {*found, "Encounter", "Patient"}
    for path in (f"Practitioner/{booked.consult.doctor_id}", f"Organization/{world.houses['city'].institution.id}"):
        assert (await ask(door, path, headers)).status == 200, path


async def test_a_system_reads_nobody_elses_patient_and_no_other_house(world: World) -> None:
    booked = await world.book("city", ConsultKind.EXPERT_CONSULT)
    door = await world.browser()
    _, closed = await system(world)
    denied = await ask(door, f"Encounter/{booked.consult.id}", closed)
    assert (denied.status, code_of(denied)) == (403, "access.denied")
    assert [event.code for event in await world.events()][-1] == "access.denied"
    patient_id = world.houses["city"].patient.id
    assert code_of(await ask(door, f"Patient/{patient_id}", closed)) == "access.denied"
    _, abroad = await system(world, world.houses["county"].patient.id, house="county")
    for path in (f"Encounter/{booked.consult.id}", f"Patient/{patient_id}", f"Encounter/{uuid4().hex}"):
        missing = await ask(door, path, abroad)
        assert (missing.status, code_of(missing)) == (404, "not_found"), path
    for path in (f"Task?encounter={booked.consult.id}", f"Task?encounter={uuid4().hex}"):
        assert (await ask(door, path, abroad)).body["total"] == 0, path


async def test_a_token_counts_until_it_is_renewed_ended_or_old(world: World) -> None:
    booked = await world.book("city", ConsultKind.EXPERT_CONSULT)
    client, first = await system(world, world.houses["city"].patient.id)
    door, admin = await world.browser(), await world.staff("city", Role.ADMIN)
    path = f"Encounter/{booked.consult.id}"
    assert (await ask(door, path, first)).status == 200
    renewed = (await admin.post(f"/api/his-clients/{client}/token", days=1)).body["token"]
    second = {"Authorization": f"Bearer {renewed}"}
    assert code_of(await ask(door, path, first)) == "session.required"
    assert (await ask(door, path, second)).status == 200
    for header in ("Bearer x", f"Basic {renewed}", f"Bearer {'x' * 22}", ""):
        assert (await ask(door, path, {"Authorization": header})).status == 401, header
    world.clock.advance(days=2)
    assert code_of(await ask(door, path, second)) == "session.required"
    admin = await world.staff("city", Role.ADMIN)
    third = (await admin.post(f"/api/his-clients/{client}/token", days=30)).body["token"]
    assert (await admin.post(f"/api/his-clients/{client}/end")).body["ended_at"] is not None
    assert code_of(await ask(door, path, {"Authorization": f"Bearer {third}"})) == "session.required"
    rows = (await admin.get("/api/his-clients")).body["items"]
    assert [(row["id"], row["patients"]) for row in rows] == [(client, 1)]
    nurse = await world.staff("city", Role.NURSE)
    patients = f"/api/his-clients/{client}/patients"
    assert (await nurse.get(patients)).body == {"patient_ids": [world.houses["city"].patient.id]}
    assert (await nurse.post(patients, patient_ids=[uuid4().hex], open=True)).status in (404, 409)


async def test_a_token_changes_nothing_anywhere(world: World) -> None:
    _, headers = await system(world, world.houses["city"].patient.id)
    door = await world.browser()
    for path in ("/api/today", "/api/me", "/api/consults", "/api/archive/records"):
        assert (await door.get(path, headers=headers)).status in (401, 404), path


async def test_every_fhir_route_for_every_role(world: World) -> None:
    """The row `read_fhir`; a stranger's consult is as if it did not exist."""
    from clinic.roles import Action, permits

    booked = await world.book("city")
    ids = {"Patient": world.houses["city"].patient.id, "Practitioner": booked.consult.doctor_id}
    ids |= {"Organization": world.houses["city"].institution.id}
    nobody, patient = await world.browser(), await world.patient(booked)
    at_home = {role: await world.staff("city", role) for role in ROLES}
    abroad = {role: await world.staff("county", role) for role in ROLES}
    for route in FHIR:
        name = route.path.split("/")[3]
        row_id = ids.get(name, booked.consult.id)
        named = "_id" if name == "Encounter" else "encounter"
        path = route.path.replace("{resource}", row_id) + ("" if route.parameters else f"?{named}={row_id}")
        for outsider in (nobody, patient):
            assert code_of(await outsider.get(path)) == "session.required", path
        for role in ROLES:
            allowed = any(permits(each, Action.READ_FHIR) for each in world.houses["city"].staff[role].roles)
            reply = await at_home[role].get(path)
            if not allowed:
                assert (reply.status, code_of(reply)) == (403, "access.denied"), (role, path)
                continue
            assert reply.status in (200, 403, 404), (role, path, reply.body)
            if name not in ("Practitioner", "Organization") and role is not Role.ATTENDING:
                assert reply.status != 200, (role, path)  # no seat, no case
            if name in ("Practitioner", "Organization"):
                continue
            away = await abroad[role].get(path)
            missing = await abroad[role].get(path.replace(row_id, uuid4().hex))
            strip = [reply.body if reply.status == 404 else reply.body["total"] for reply in (away, missing)]
            assert (away.status, strip[0]) == (missing.status, strip[1]), (role, path)


async def test_an_expert_reads_it_once_asked_and_seated_and_while_the_patient_shares(world: World) -> None:
    panel = await asked(world)
    expert = await world.staff("city", Role.CHAIR)
    path = f"Encounter/{panel.booked.consult.id}"
    assert code_of(await ask(expert, path)) == "not_found"  # asked, and without a seat
    await accept(expert)
    assert (await ask(expert, path)).body["status"] == "planned"
    withdrawn = await panel.patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])
    assert withdrawn.status == 200, withdrawn.body
    assert code_of(await ask(expert, path)) == "access.denied"


async def test_refusals_speak_fhir(world: World) -> None:
    door = await world.browser()
    assert (await ask(door, "metadata")).body["resourceType"] == "CapabilityStatement"
    doctor = await world.staff("city", Role.ATTENDING)
    booked = await world.book("city")
    for path, code in (
        ("Task", "request.query"),
        ("Encounter?encounter=1", "request.query"),
        (f"Encounter?encounter={booked.consult.id}", "request.query"),  # not a parameter of Encounter
        ("Task?name=x", "request.query"),
        ("Task/not-an-id", "not_found"),
        ("Nothing", "not_found"),
    ):
        assert code_of(await ask(doctor, path)) == code, path
    posted = await doctor.post(f"{PREFIX}/Task")
    assert (posted.status, code_of(posted)) == (405, "request.method")
    mine = await ask(doctor, f"Encounter?identifier=urn:huizhen:consult|{booked.consult.id}")
    assert mine.body["total"] == 1
    other = await ask(doctor, f"Encounter?identifier=urn:huizhen:case|{booked.consult.id}")
    assert other.body["total"] == 0
