"""What another institution, the uninvited and the merely curious get to see."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clinic.consult import ConsultKind
from clinic.people import Role
from huizhen.api import detail
from tests.huizhen.shelf import played
from tests.huizhen.world import PATIENT_NAME, Booked, Browser, World, ask_experts, sign, world_at


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Runs beside other tests: a request has its usual time."""
    async with world_at(tmp_path / "data") as made:
        yield made


async def _asked(world: World) -> tuple[Booked, Browser, Browser, str]:
    """A panel of the county with an expert of the city asked: the booking, patient, expert, invitation."""
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    clinic, city = await world.staff("county", Role.INVITING), world.houses["city"]
    patient = await world.patient(booked)
    expert_id = city.staff[Role.EXPERT].id
    case: dict[str, Any] = {
        "expert_ids": [expert_id],
        "chair_id": expert_id,
        "reason": "胸痛待查",
        "aim": "明确治疗方案",
        "summary": "冠脉造影示前降支狭窄",
    }
    await ask_experts(world, booked, clinic, patient, sharing=False, **case)
    expert = await world.staff("city", Role.EXPERT)
    (invitation,) = (await expert.get("/api/invitations")).body["items"]
    return booked, patient, expert, invitation["id"]


async def test_an_expert_sees_no_name_and_no_chart_before_the_patient_shares(world: World) -> None:
    """PIPL art. 23: accepting an invitation is the expert's word, not the patient's."""
    booked, patient, expert, invitation = await _asked(world)  # link.redeemed: the patient is on the timeline
    path = f"/api/consults/{booked.consult.id}"
    before = await expert.get(path)
    assert (await expert.post(f"/api/invitations/{invitation}/answer", accept=True)).status == 200
    accepted = await expert.get(path)
    for page in (before, accepted):
        assert page.status == 200
        assert PATIENT_NAME not in page.raw.decode()
        assert page.body["reason"] == ""
        assert page.body["case"] is None
        assert page.body["patient"].get("birth_date") is None
    assert (await sign(patient, again=True)).body["consent"]["standing"]["share_panel"] == "permitted"
    shared = (await expert.get(path)).body
    assert shared["patient"]["name"] == PATIENT_NAME
    assert shared["case"] is not None
    await patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])
    after = await expert.get(path)
    assert after.body["case"] is None
    assert PATIENT_NAME not in after.raw.decode()


async def test_who_refused_has_no_further_business_there(world: World) -> None:
    booked, _, expert, invitation = await _asked(world)
    path = f"/api/consults/{booked.consult.id}"
    assert (await expert.get(path)).status == 200
    assert (await expert.post(f"/api/invitations/{invitation}/answer", accept=False, reason="不在")).status == 200
    gone = await expert.get(path)
    assert (gone.status, gone.code) == (404, "not_found")


async def test_the_trail_shows_patients_masked(world: World) -> None:
    booked = await world.book()
    await world.patient(booked)
    for role in (Role.ADMIN, Role.AUDITOR):
        page = await (await world.staff("city", role)).get("/api/audit?limit=500")
        assert page.status == 200
        assert PATIENT_NAME not in page.raw.decode(), role
    async with world.db.read() as tx:
        assert await detail.who(tx, booked.patient.id) == "患***鹤"
        assert await detail.who(tx, booked.doctor.id) == booked.doctor.display_name


async def test_who_asked_to_see_a_recording_and_why_stays_in_the_archive(world: World) -> None:
    recording = await played(world)
    path = f"/api/archive/recordings/{recording.id}"
    archivist, doctor = await world.staff("city", Role.ARCHIVIST), await world.staff("city", Role.ATTENDING)
    assert (await archivist.post(f"{path}/access", reason="投诉调查需要查看录像")).status == 200
    await archivist.post("/api/archive/holds", consult_id=recording.consult_id, reason="投诉")
    whole, own = (await archivist.get(path)).body, (await doctor.get(path)).body
    assert (len(whole["access_requests"]), len(whole["holds"])) == (1, 1)
    assert (own["access_requests"], own["holds"], own["disposal"]) == ([], [], None)
