"""The rules of a consult through the doors: verdict gate by gate, attestation, step-up, whereabouts, facts, command."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.people import Role
from huizhen.cli import app
from tests.huizhen.world import CARDIOLOGY, PASSWORD, Browser, World, sign

WHERE = {"location": "云州市某路 1 号 302", "contact_name": "张丽丽", "contact_phone": "139 1234 5678"}


async def gates(browser: Browser, consult_id: str, stage: str = "reception") -> dict[str, Any]:
    reply = await browser.get(f"/api/consults/{consult_id}/admission?stage={stage}")
    assert reply.status == 200, reply.body
    return {"allowed": reply.body["allowed"], **{gate["rule"]: gate for gate in reply.body["gates"]}}


async def test_what_stands_between_a_booking_and_the_reception(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    doctor = await world.staff("city", Role.ATTENDING)
    found = await gates(doctor, booked.consult.id)
    assert found["allowed"] is False
    assert found["CN-12"]["codes"] == ["gate.consent_missing"]
    assert found["CN-04"]["state"] == found["CN-07"]["state"] == "passed"
    assert found["CN-07"]["values"][0] == {"name": "window_days", "value": 90, "layer": "cn-2022.3"}
    assert found["CN-07"]["citation"]["zh"].startswith("《互联网诊疗管理办法")
    await sign(patient)
    assert (await gates(doctor, booked.consult.id))["allowed"] is True
    world.clock.advance(minutes=10, seconds=1)
    found = await gates(doctor, booked.consult.id)
    assert found["CN-04"]["codes"] == ["gate.doctor_authentication"]
    assert (await gates(doctor, booked.consult.id, "join"))["allowed"] is True
    assert (await doctor.post("/api/step-up", password=PASSWORD)).status == 200
    assert (await gates(doctor, booked.consult.id))["allowed"] is True


async def test_the_verdict_is_told_to_those_who_may_open_the_consult(world: World) -> None:
    booked = await world.book()
    path = f"/api/consults/{booked.consult.id}/admission"
    for role, status in ((Role.ATTENDING, 200), (Role.NURSE, 200), (Role.EXPERT, 403), (Role.REGULATOR, 403)):
        assert (await (await world.staff("city", role)).get(path)).status == status, role
    assert (await (await world.staff("county", Role.NURSE)).get(path)).code == "not_found"


async def test_who_only_watches_has_a_page_and_does_not_say_where_the_patient_is(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    seats = f"/api/consults/{booked.consult.id}/seats"
    reply = await doctor.post(seats, role="observer", display_name="李同学", relation="学生")
    assert reply.status == 200, reply.body
    observer = await world.browser()
    secret = reply.body["link"]["url"].partition("#")[2]
    assert (await observer.post("/api/links/redeem", secret=secret)).status == 200
    assert (await observer.get("/api/seat")).body["seat"]["role"] == "observer"
    assert (await observer.post("/api/seat/whereabouts", **WHERE)).code == "access.denied"


async def test_a_declared_person_gets_no_link(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    async with world.db.begin() as tx:
        beside = replace(
            booked.patient, id=uuid4().hex, role=Role.DECLARED, person_id=None, created_by=booked.doctor.id
        )
        await tx.seats.add(beside)
        await tx.append(
            AuditEvent(EventCode.PERSON_DECLARED, beside.institution_id, booked.doctor.id, beside.consult_id, beside.id)
        )
    reply = await doctor.post(f"/api/consults/{booked.consult.id}/seats/{beside.id}/link")
    assert reply.code == "access.denied"


async def test_the_doctor_attests_in_the_page(world: World) -> None:
    booked = await world.book()
    doctor, nurse = await world.staff("city", Role.ATTENDING), await world.staff("city", Role.NURSE)
    path = f"/api/consults/{booked.consult.id}"
    added = await doctor.post(
        f"{path}/evidence",
        department=CARDIOLOGY,
        visited_on="2026-02-20",
        visited_institution="某医院",
        diagnosis="高血压 2 级",
        reference="MZ2",
    )
    proof = added.body["evidence"][1]["id"]
    attested = await doctor.post(f"{path}/attestation", evidence_id=proof, diagnosis="高血压 2 级")
    assert attested.status == 200, attested.body
    assert attested.body["attestation"]["evidence"] == proof
    assert attested.body["attestation"]["visited_on"] == "2026-02-20"
    assert "attestation" not in attested.body["needs"]
    assert (await nurse.post(f"{path}/attestation", evidence_id=proof, diagnosis="x")).code == "access.denied"
    foreign = (await world.book()).consult.id
    assert (await doctor.post(f"/api/consults/{foreign}/attestation", evidence_id=proof, diagnosis="x")).status == 404


async def test_where_the_patient_is_stays_encrypted(world: World) -> None:
    booked = await world.book()
    patient, doctor = await world.patient(booked), await world.staff("city", Role.ATTENDING)
    path = f"/api/consults/{booked.consult.id}/whereabouts"
    assert (await doctor.get(path)).body == {"location": None, "contact_name": None, "contact_phone": None}
    assert (await patient.post("/api/seat/whereabouts", **WHERE)).status == 200
    assert (await doctor.get(path)).body == WHERE
    async with world.db.read() as tx:
        rows = await tx.whereabouts.find(consult_id=booked.consult.id)
    assert len(rows) == 1
    file = (world.parts.settings.data_dir / "huizhen.db").read_bytes()
    file += (world.parts.settings.data_dir / "huizhen.db-wal").read_bytes()
    assert WHERE["location"].encode() not in file
    assert WHERE["contact_phone"].encode() not in file
    assert (await doctor.post(path, **(WHERE | {"contact_phone": "120"}))).status == 200
    assert (await doctor.get(path)).body["contact_phone"] == "120"
    nurse = await world.staff("city", Role.NURSE)
    assert (await nurse.get(path)).code == "access.denied"
    assert (await patient.post("/api/seat/whereabouts", location="x")).status == 422
    codes = [event.code for event in await world.events() if event.consult_id == booked.consult.id]
    assert codes.count("view.whereabouts") == 2
    detail = (await doctor.get(f"/api/consults/{booked.consult.id}")).body
    assert detail["whereabouts_told"] is True


async def test_facts_are_kept_by_the_house(world: World) -> None:
    admin, nurse = await world.staff("city", Role.ADMIN), await world.staff("city", Role.NURSE)
    house = world.houses["city"]
    doctor_id, patient_id = house.staff[Role.ATTENDING].id, house.patient.id
    staff_path, patient_path = f"/api/admin/staff/{doctor_id}", f"/api/admin/patients/{patient_id}"
    first = (await admin.get(f"{staff_path}/filings")).body["items"]
    added = await admin.post(
        f"{staff_path}/filings", kind="filed", number="BA-9", valid_from="2026-01-01", valid_to="2026-12-31"
    )
    assert [row["number"] for row in added.body["items"]] == [first[0]["number"], "BA-9"]
    shift = await admin.post(
        f"{staff_path}/shifts", department=CARDIOLOGY, starts_at="2026-03-02T08:00:00Z", ends_at="2026-03-02T18:00:00Z"
    )
    assert shift.body["items"][0]["department_label"]["en"] == "Cardiology"
    cancelled = await admin.post(f"{staff_path}/shifts/{shift.body['items'][0]['id']}/cancel")
    assert cancelled.body["items"][0]["cancelled_at"] is not None
    other = f"/api/admin/staff/{house.staff[Role.NURSE].id}"
    assert (await admin.post(f"{other}/shifts/{shift.body['items'][0]['id']}/cancel")).status == 404
    assert (await admin.post(f"{other}/filings/{first[0]['id']}/revoke")).status == 404
    guardian = await nurse.post(
        f"{patient_path}/guardians", name="张母", relation="母亲", proof="household_register", reference="H1"
    )
    ended = await nurse.post(f"{patient_path}/guardians/{guardian.body['items'][0]['id']}/end")
    assert ended.body["items"][0]["ended_at"] is not None
    deal = await nurse.post(
        f"{patient_path}/agreements", doctor_id=doctor_id, number="JY1", signed_on="2026-01-01", valid_to="2026-12-31"
    )
    assert deal.body["items"][0]["valid_to"] == "2026-12-31"
    over = await nurse.post(f"{patient_path}/agreements/{deal.body['items'][0]['id']}/end")
    assert over.body["items"][0]["ended_at"] is not None
    assert (await nurse.post(f"{staff_path}/filings", kind="filed", number="x", valid_from="2026-01-01")).code == (
        "access.denied"
    )
    revoked = [await admin.post(f"{staff_path}/filings/{row['id']}/revoke") for row in added.body["items"]]
    assert all(row["revoked_at"] for row in revoked[-1].body["items"])
    booked = await _refused_booking(world, nurse)
    assert booked == ["gate.practice_unfiled"]


async def _refused_booking(world: World, nurse: Browser) -> list[str]:
    house = world.houses["city"]
    reply = await nurse.post(
        "/api/consults",
        kind="advice",
        department=CARDIOLOGY,
        doctor_id=house.staff[Role.ATTENDING].id,
        patient_id=house.patient.id,
        starts_at="2026-03-02T12:00:00Z",
        ends_at="2026-03-02T13:00:00Z",
        reason="咨询",
    )
    assert reply.code == "visit.not_admitted"
    return list(reply.body["reasons"])


async def test_the_province_of_the_house_tightens_its_rules(world: World) -> None:
    booked = await world.book()
    admin, doctor = await world.staff("city", Role.ADMIN), await world.staff("city", Role.ATTENDING)
    assert (await admin.put("/api/admin/institution", province="99")).body["province"] == "99"
    reply = await doctor.get(f"/api/consults/{booked.consult.id}/admission")
    assert [layer["kind"] for layer in reply.body["layers"]] == ["province"]
    found = {gate["rule"]: gate for gate in reply.body["gates"]}
    assert found["HZ-03"]["codes"] == ["gate.doctor_off_duty"]
    assert found["CN-07"]["values"][0] == {"name": "window_days", "value": 60, "layer": "cn-99-2026.1"}
    assert (await admin.put("/api/admin/institution", province=None)).body["province"] is None
    reply = await doctor.get(f"/api/consults/{booked.consult.id}/admission")
    assert reply.body["rules_version"] == "cn-2022.3"


async def test_rules_explain_on_the_command_line(world: World) -> None:
    booked = await world.book()
    await sign(await world.patient(booked))
    data = ["--data", str(world.parts.settings.data_dir)]
    now = f"{world.clock():%Y-%m-%dT%H:%M}"

    async def run(*words: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, [*words, *data])

    refused = await run("rules", "explain", booked.consult.id, "--at", now, "--json")
    assert refused.exit_code == 1, refused.output
    told = json.loads(refused.output)
    assert {gate["rule"]: gate["codes"] for gate in told["gates"] if gate["codes"]} == {
        "CN-04": ["gate.doctor_authentication"]
    }
    assert told["gates"][0]["evidence"] == [world.houses["city"].institution.id]
    await world.staff("city", Role.ATTENDING)
    opened = await run("rules", "explain", booked.consult.id, "--at", now, "--locale", "en")
    assert opened.exit_code == 0, opened.output
    assert "may open" in opened.output and "window_days 90" in opened.output
    late = await run("rules", "explain", booked.consult.id, "--at", "2026-03-09T09:00", "--stage", "join")
    assert late.exit_code == 1
    assert "gate.too_late" in late.output
    assert (await run("rules", "explain", "0" * 32)).exit_code == 1
    assert (await run("rules", "explain", booked.consult.id, "--stage", "never")).exit_code == 2
    listed = await run("rules", "list")
    assert "cn-99-2026.1" in listed.output and "CN-07 suspended" in listed.output
    folder = world.parts.settings.data_dir / "rules"
    folder.mkdir()
    (folder / "broken.json").write_text("{}")
    for words in (("rules", "list"), ("rules", "explain", booked.consult.id)):
        assert (await run(*words)).exit_code == 1
