"""The parts together: tickets open sockets, jobs do their work, the server ends in order."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import socketio

from clinic.people import Role
from huizhen import chores
from huizhen.jobs import Job, Jobs
from huizhen.metrics import Metrics
from tests.huizhen.shelf import due, played
from tests.huizhen.world import PASSWORD, Browser, World, operation, sign, world_at


async def _join(world: World, ticket: str) -> tuple[socketio.AsyncClient, dict[str, Any]]:
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(world.base, auth={"ticket": ticket}, transports=["websocket"])
    ack = await client.call("join", {"v": 1, "op": operation(), "locale": "zh"}, timeout=10)
    return client, ack


async def _ticket(browser: Browser, path: str) -> str:
    reply = await browser.post(path)
    assert reply.status == 200, reply.body
    return str(reply.body["ticket"])


async def test_doctor_and_patient_meet_and_the_doctor_ends(world: World) -> None:
    booked = await world.book()
    patient, doctor = await world.patient(booked), await world.staff("city", Role.ATTENDING)
    await sign(patient)
    path = f"/api/consults/{booked.consult.id}"
    one, waiting = await _join(world, await _ticket(patient, "/api/seat/ticket"))
    two, inside = await _join(world, await _ticket(doctor, f"{path}/ticket"))
    try:
        assert [seat["state"] for seat in waiting["snapshot"]["seats"]] == ["waiting"]
        assert inside["snapshot"]["me"]["role"] == "attending"
        assert (await doctor.get("/api/today")).body["waiting"] == 1
        assert (await two.call("admit", {"op": operation(), "seat": booked.patient.id}))["ok"] is True
        page = (await doctor.get(path)).body
        assert page["status"] == "in_progress"
        assert {seat["role"]: seat["online"] for seat in page["seats"]} == {"attending": True, "patient": True}
        invited = await two.call(
            "guest.invite", {"op": operation(), "role": "family", "display_name": "张女士", "relation": "女儿"}
        )
        family = await world.browser()
        opened = await family.post("/api/links/redeem", secret=invited["link"]["url"].partition("#")[2])
        assert opened.body["seat"]["seat"]["role"] == "family"
        figures = (await doctor.get("/metrics")).raw.decode()
        assert "huizhen_participants 2.0" in figures
        assert (await two.call("end", {"op": operation()}))["ok"] is True
        assert (await doctor.get(path)).body["status"] == "concluding"
    finally:
        await one.disconnect()
        await two.disconnect()


async def test_a_ticket_opens_one_socket_and_for_a_minute(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    ticket = await _ticket(patient, "/api/seat/ticket")
    client, _ = await _join(world, ticket)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await _join(world, ticket)
    late = await _ticket(patient, "/api/seat/ticket")
    world.clock.advance(61)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await _join(world, late)
    await client.disconnect()


async def test_stopping_tells_the_sockets_and_closes_within_seconds(tmp_path: Path) -> None:
    async with world_at(tmp_path / "data") as world:
        booked = await world.book()
        patient = await world.patient(booked)
        await sign(patient)
        client, _ = await _join(world, await _ticket(patient, "/api/seat/ticket"))
        gone = asyncio.Event()
        client.on("disconnect", lambda *_: gone.set())
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 8
    await asyncio.wait_for(gone.wait(), 5)
    await client.disconnect()


async def test_jobs_of_the_server_run_clean(world: World) -> None:
    await due(world)
    jobs = Jobs(world.parts.services.metrics)
    for job in chores.of(world.parts.services):
        assert await jobs.once(job), job.name


async def test_a_sealed_recording_the_crash_left_out_is_taken_in(world: World) -> None:
    recording = await played(world)
    async with world.db.begin() as tx:
        record = (await tx.retained_records.find(subject_id=recording.id))[0]
        await tx.retained_records.remove(record.id)
        from audit.events import EventCode
        from audit.transaction import AuditEvent

        await tx.append(AuditEvent(EventCode.RETENTION_DUE, recording.institution_id, "system"))
    job = next(job for job in chores.of(world.parts.services) if job.name == "archive-intake")
    await job.run()
    async with world.db.read() as tx:
        assert len(await tx.retained_records.find(subject_id=recording.id)) == 1


async def test_a_purge_the_crash_interrupted_is_finished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await due(world)
    archivist = await world.staff("city", Role.ARCHIVIST)
    proposal = (await archivist.post("/api/archive/disposals", record_ids=[old.record_id], reason="到期")).body
    keyring = world.parts.database.keys
    second = world.houses["city"].second_approver
    assert second is not None

    async def crash(*_: object) -> str:
        raise OSError("power")

    monkeypatch.setattr(keyring, "destroy", crash)
    for login in (world.houses["city"].login(Role.APPROVER), second.login):
        approver = await world.login(login)
        await approver.post("/api/step-up", password=PASSWORD)
        reply = await approver.post(
            f"/api/archive/disposals/{proposal['id']}/approve", list_sha256=proposal["list_sha256"]
        )
    assert reply.status == 500
    monkeypatch.undo()
    job = next(job for job in chores.of(world.parts.services) if job.name == "purge")
    await job.run()
    listed = (await archivist.get("/api/archive/disposals")).body["items"]
    assert listed[0]["state"] == "done"


async def test_a_failing_job_is_counted_and_goes_on() -> None:
    metrics = Metrics()
    jobs = Jobs(metrics)
    runs = []
    twice = asyncio.Event()

    async def fail() -> None:
        runs.append(1)
        if len(runs) == 2:
            twice.set()
        raise OSError

    jobs.start([Job("broken", 0.0, fail, at_once=True)])
    await asyncio.wait_for(twice.wait(), 5)
    await jobs.close()
    await jobs.close()
    assert b'huizhen_job_failures_total{job="broken"}' in metrics.render()


async def test_a_log_that_went_back_in_time_is_not_served(tmp_path: Path) -> None:
    import shutil

    from audit.errors import LogDiverged
    from huizhen.wiring import build
    from tests.huizhen.world import settings_for

    folder = tmp_path / "data"
    async with world_at(folder) as world:
        await world.book()
    shutil.copy(folder / "huizhen.db", tmp_path / "old.db")
    parts = await build(settings_for(folder))
    async with parts.database.begin() as tx:
        from audit.events import EventCode
        from audit.transaction import AuditEvent

        house = (await tx.institutions.find())[0]
        await tx.append(AuditEvent(EventCode.LOG_CHECKED, house.id, "system"))
    await parts.checkpoints.sign(house.id)
    await parts.edge.start()
    await parts.close()
    for path in folder.glob("huizhen.db*"):
        path.unlink()
    shutil.copy(tmp_path / "old.db", folder / "huizhen.db")
    with pytest.raises(LogDiverged):
        await build(settings_for(folder))
