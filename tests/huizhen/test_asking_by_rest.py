"""Asking through the doors: a hold, advice to stop, the regulator's case with everything it opens, house policies."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.people import Role
from consent.effects import LateJoiner
from huizhen.cli import app
from recording.records import Recording
from tests.huizhen.shelf import played
from tests.huizhen.world import Browser, World

NUMBER = "沪卫监〔2026〕17号"


async def ask_case(world: World, regulator: Browser, day: str, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "number": NUMBER,
        "authority": "区卫生健康委监督所",
        "reason": "投诉核查，调取就诊资料",
        "scope": ["chart", "recording", "audit"],
        "since": day,
        "until": day,
        "ends_at": (world.clock() + timedelta(hours=6)).isoformat(),
    }
    reply = await regulator.post("/api/regulator/cases", **body | changes)
    assert reply.status == 200, reply.body
    return dict(reply.body)


async def opened(world: World, recording: Recording, **changes: Any) -> tuple[Browser, dict[str, Any]]:
    regulator, approver = await world.staff("city", Role.REGULATOR), await world.staff("city", Role.APPROVER)
    async with world.db.read() as tx:
        day = (await tx.consults.get(recording.consult_id)).starts_at.date().isoformat()
    case = await ask_case(world, regulator, day, **changes)
    listed = (await approver.get("/api/regulator/cases")).body
    assert [row["number"] for row in listed["items"]] == [NUMBER]
    assert listed["limits"]["longest_days"] == 30
    reply = await approver.post(f"/api/regulator/cases/{case['id']}/decide", permit=True)
    assert (reply.body["state"], reply.body["live"]) == ("open", True)
    return regulator, case


async def test_a_patient_asks_for_a_hold_and_sees_the_answer(world: World) -> None:
    booked = await world.book()
    patient, archivist = await world.patient(booked), await world.staff("city", Role.ARCHIVIST)
    assert (await patient.get("/api/seat/after")).body["may_ask_hold"] is True
    asked = await patient.post("/api/seat/hold-requests", reason="对诊疗有异议，要求封存")
    assert (asked.status, asked.body["state"], asked.body["asked_as"]) == (200, "asked", "patient")
    again = await patient.post("/api/seat/hold-requests", reason="再次申请")
    assert (again.status, again.code) == (409, "archive.hold_asked")
    row = (await archivist.get("/api/archive/hold-requests")).body["items"][0]
    assert row["who"] == "患***鹤"
    path = f"/api/archive/hold-requests/{row['id']}/decide"
    assert (await archivist.post(path, grant=False)).body["field"] == "reason"
    assert (await archivist.post(path, grant=True)).body["state"] == "granted"
    assert (await archivist.get("/api/archive/holds")).body["items"][0]["reason"] == "对诊疗有异议，要求封存"
    after = (await patient.get("/api/seat/after")).body["hold_requests"]
    assert [each["state"] for each in after] == ["granted"]


async def test_the_doctor_asks_and_reads_the_refusal(world: World) -> None:
    booked = await world.book()
    doctor, archivist = await world.staff("city", Role.ATTENDING), await world.staff("city", Role.ARCHIVIST)
    path = f"/api/consults/{booked.consult.id}"
    assert (await doctor.post(f"{path}/hold-requests", reason="患者家属投诉")).status == 200
    row = (await archivist.get("/api/archive/hold-requests")).body["items"][0]
    await archivist.post(f"/api/archive/hold-requests/{row['id']}/decide", grant=False, reason="已有同一事由的封存")
    seen = (await doctor.get(path)).body["hold_requests"]
    assert [(each["state"], each["decision_reason"]) for each in seen] == [("refused", "已有同一事由的封存")]


async def test_advice_to_stop_reaches_the_doctors_page(world: World) -> None:
    booked = await world.book()
    nurse = world.houses["city"].staff[Role.NURSE]
    async with world.db.begin() as tx:  # a nurse sits in
        seat = replace(booked.doctor, id=uuid4().hex, role=Role.NURSE, person_id=nurse.id, display_name=nurse.name)
        await tx.seats.add(seat)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, seat.institution_id, "system", seat.consult_id, seat.id))
    page = f"/api/consults/{booked.consult.id}"
    doctor, at_desk = await world.staff("city", Role.ATTENDING), await world.staff("city", Role.NURSE)
    refused = await at_desk.post(f"{page}/termination-advice", reason_code="boredom", text="胸痛加重")
    assert (refused.status, refused.body["field"]) == (422, "reason_code")
    said = await at_desk.post(f"{page}/termination-advice", reason_code="emergency", text="胸痛加重，出冷汗")
    assert said.status == 200, said.body
    seen = (await doctor.get(page)).body["termination_advices"]
    assert [(row["who"], row["role"], row["reason_code"]) for row in seen] == [(nurse.name, "nurse", "emergency")]
    assert (await doctor.get(page)).body["status"] == "scheduled", "the doctor decides"
    assert (
        await doctor.post(f"{page}/termination-advice", reason_code="emergency", text="自己")
    ).code == "access.denied"


async def test_a_regulator_reads_under_the_case_and_no_longer(world: World) -> None:
    recording = await played(world)
    consult = f"/api/consults/{recording.consult_id}"
    regulator = await world.staff("city", Role.REGULATOR)
    for path in (
        consult,
        f"{consult}/triage",
        f"{consult}/evidence-files",
        f"/api/audit?consult_id={recording.consult_id}",
    ):
        reply = await regulator.get(path)
        assert (reply.status, reply.code) == (403, "regulator.no_case"), path
    assert (await regulator.get("/api/archive/recordings")).body["items"] == []
    assert (await regulator.get("/api/audit")).code == "regulator.no_case"
    assert (await regulator.get("/api/audit/checkpoint")).code == "regulator.no_case"
    denied = [event for event in await world.events() if event.outcome == "regulator.no_case"]
    assert len(denied) == 6, "every refused try is on record"

    regulator, case = await opened(world, recording)
    visits = (await regulator.get(f"/api/regulator/cases/{case['id']}/visits")).body["items"]
    assert [(row["consult_id"], row["recordings"]) for row in visits] == [(recording.consult_id, [recording.id])]
    chart = (await regulator.get(consult)).body
    assert chart["patient"]["name"] and chart["note"]["diagnosis"]
    assert (await regulator.get(f"{consult}/triage")).status == 200
    assert (await regulator.get(f"{consult}/consents")).status == 200
    rows = (await regulator.get(f"/api/audit?consult_id={recording.consult_id}&limit=500")).body["items"]
    assert {"regulator.used", "view.chart"} <= {row["code"] for row in rows}
    assert all(row["private"] is None for row in rows)
    assert (await regulator.get("/api/archive/recordings")).body["items"][0]["access"] == "granted"
    entry = (await regulator.get(f"/api/archive/recordings/{recording.id}")).body
    assert (entry["access"], entry["access_requests"]) == ("granted", [])
    view = (await regulator.post(f"/api/archive/recordings/{recording.id}/view")).body
    segment = view["tracks"][0]["segments"][0]["url"]
    assert (await regulator.get(segment)).status == 200
    assert (await regulator.get("/api/audit/checkpoint")).status == 200
    used = [event.public["what"] for event in await world.events() if event.code == "regulator.used"]
    assert used.count("chart") >= 2 and {"list", "recording", "audit"} <= set(used)

    world.clock.advance(hours=6)
    regulator = await world.staff("city", Role.REGULATOR)
    for path in (consult, f"/api/audit?consult_id={recording.consult_id}", f"/api/archive/recordings/{recording.id}"):
        assert (await regulator.get(path)).code == "regulator.case_over", path
    assert (await regulator.post(f"/api/archive/recordings/{recording.id}/view")).code == "regulator.case_over"
    assert (await regulator.get(f"/api/regulator/cases/{case['id']}/visits")).code == "regulator.case_over"
    assert (await regulator.get("/api/regulator/cases")).body["items"][0]["live"] is False


async def test_what_the_scope_leaves_out_stays_shut(world: World) -> None:
    recording = await played(world)
    regulator, case = await opened(world, recording, scope=["chart"])
    assert (await regulator.get(f"/api/consults/{recording.consult_id}")).status == 200
    assert (await regulator.post(f"/api/archive/recordings/{recording.id}/view")).code == "regulator.no_case"
    assert (await regulator.get(f"/api/audit?consult_id={recording.consult_id}")).code == "regulator.no_case"
    assert (await regulator.post("/api/audit/verify")).code == "regulator.no_case"
    assert (await regulator.get(f"/api/audit?consult_id={'0' * 32}")).status == 404
    visits = (await regulator.get(f"/api/regulator/cases/{case['id']}/visits")).body["items"]
    assert visits[0]["recordings"] == []
    asked = await regulator.post(f"/api/consults/{recording.consult_id}/hold-requests", reason="核查期间请勿销毁")
    assert asked.body["asked_as"] == "regulator"
    done = await regulator.post(f"/api/regulator/cases/{case['id']}/close", reason="核查结束")
    assert done.body["state"] == "closed"
    assert (await regulator.get(f"/api/consults/{recording.consult_id}")).code == "regulator.case_over"


async def test_the_house_decides_within_the_rules_and_the_room_judges_by_it(world: World) -> None:
    booked = await world.book()
    admin, live = await world.staff("city", Role.ADMIN), world.parts.live
    assert live.policy_of(booked.consult).late_joiner is LateJoiner.PAUSE
    shown = (await admin.get("/api/admin/policies")).body
    assert (shown["number"], shown["rule"], shown["layer"]) == (0, "HZ-17", "cn-2022.3")
    assert {row["name"]: row["source"] for row in shown["items"]}["late_joiner"] == "installation"
    saved = await admin.put("/api/admin/policies", values={"late_joiner": "wait"}, reason="院务会决定")
    assert saved.status == 200, saved.body
    assert {row["name"]: row["value"] for row in saved.body["items"]}["late_joiner"] == "wait"
    assert saved.body["history"][0]["reason"] == "院务会决定"
    assert live.policy_of(booked.consult).late_joiner is LateJoiner.WAIT
    abroad = await world.book("county")
    assert live.policy_of(abroad.consult).late_joiner is LateJoiner.PAUSE, "another house, its own word"
    back = await admin.put("/api/admin/policies", values={"late_joiner": None}, reason="恢复系统设置")
    assert back.body["number"] == 2
    assert live.policy_of(booked.consult).late_joiner is LateJoiner.PAUSE
    wrong = await admin.put("/api/admin/policies", values={"late_joiner": "never"}, reason="试试")
    assert (wrong.status, wrong.body["field"]) == (422, "late_joiner")
    basis = await admin.put("/api/admin/policies", values={"recording_basis": "legal_duty"}, reason="院务会决定")
    assert {row["name"]: row["value"] for row in basis.body["items"]}["recording_basis"] == "legal_duty"
    assert (await admin.get("/api/admin/institution")).body["recording_basis"] == "legal_duty"
    assert [e.code for e in await world.events() if e.code == "policy.changed"] == ["policy.changed"] * 2


async def test_the_patients_page_is_told_when_the_room_opens(world: World) -> None:
    booked = await world.book()
    shown = (await (await world.patient(booked)).get("/api/seat")).body["consult"]
    hour_before = booked.consult.starts_at - timedelta(hours=1)
    assert shown["opens_at"] == hour_before.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_the_command_shows_every_value_with_its_layer(world: World) -> None:
    runner, folder = CliRunner(), str(world.parts.settings.data_dir)
    name = world.houses["city"].institution.name
    shown = await asyncio.to_thread(runner.invoke, app, ["rules", "show", name, "--data", folder])
    assert shown.exit_code == 0, shown.output
    for text in ("HZ-12", "keep_minutes 15", "AC-04", "cn-2022.3", name):
        assert text in shown.output
    both = await asyncio.to_thread(runner.invoke, app, ["rules", "show", "--locale", "en", "--data", folder])
    assert both.exit_code == 0 and "Civil Code art. 17" in both.output
    unknown = await asyncio.to_thread(runner.invoke, app, ["rules", "show", "nowhere", "--data", folder])
    assert unknown.exit_code == 1
