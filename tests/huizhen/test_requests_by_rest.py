"""Requests between institutions through the API: draft to seat, refusals on record, both trails, calendar files."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from icalendar import Calendar

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import ConsultKind
from clinic.people import Role
from huizhen import chores
from tests.huizhen.world import CARDIOLOGY, PATIENT_NAME, Booked, Browser, World, sign
from tests.support.agreements import agree


async def _later(world: World) -> Booked:
    """A panel of the county that begins in two days."""
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    async with world.db.begin() as tx:
        consult = await tx.consults.get(booked.consult.id)
        starts = tx.now + timedelta(days=2)
        await tx.consults.save(replace(consult, starts_at=starts, ends_at=starts + timedelta(hours=1)))
        await tx.append(AuditEvent(EventCode.TIME_CHANGED, consult.institution_id, "system", consult.id))
    return booked


async def _draft(world: World, clinic: Browser, booked: Booked, **changes: Any) -> Any:
    city = world.houses["city"]
    values: dict[str, Any] = {
        "reason": "胸痛待查",
        "aim": "明确治疗方案",
        "summary": "冠脉造影示前降支狭窄",
        "wanted_department": CARDIOLOGY,
        "wanted_title": "主任医师",
        "parties": [{"institution_id": city.institution.id, "expert_ids": [city.staff[Role.EXPERT].id]}],
    }
    return await clinic.put(f"/api/consults/{booked.consult.id}/request", **(values | changes))


async def _agreed(world: World) -> None:
    county, city = world.houses["county"].institution.id, world.houses["city"].institution.id
    async with world.db.begin() as tx:
        await agree(tx, world.parts.services.sealer, county, city)


async def _witnessed(world: World, clinic: Browser, booked: Booked) -> None:
    seen = {"capacity": "self", "basis": "own", "signer_name": PATIENT_NAME, "document": "身份证"}
    seen["typed_name"] = world.houses["county"].staff[Role.INVITING].name
    path = f"/api/consults/{booked.consult.id}/seats/{booked.patient.id}/consent/witness"
    assert (await clinic.post(path, **seen)).status == 200


async def test_from_a_draft_to_a_seat_and_a_calendar(world: World) -> None:
    booked = await _later(world)
    clinic, patient = await world.staff("county", Role.INVITING), await world.patient(booked)
    path = f"/api/consults/{booked.consult.id}"
    drafted = await _draft(world, clinic, booked)
    assert drafted.status == 200, drafted.raw
    assert drafted.body["blocks"] == ["panel.no_agreement", "panel.consent_missing"]
    refused = await clinic.post(f"{path}/request/send")
    assert (refused.status, refused.body["reasons"]) == (409, drafted.body["blocks"])
    await _agreed(world)
    await sign(patient)
    assert (await clinic.post(f"{path}/request/send")).body["reasons"] == ["panel.consent_unwitnessed"]
    await _witnessed(world, clinic, booked)
    await sign(patient, again=True)
    sent = await clinic.post(f"{path}/request/send")
    assert (sent.status, sent.body["state"]) == (200, "sent"), sent.raw
    request = sent.body["id"]
    gates = [row for row in await world.events("county") if row.code == "visit.gate_fail"]
    assert [row.public["reasons"] for row in gates][-1] == ["panel.consent_unwitnessed"]

    coordinator, expert = await world.staff("city", Role.COORDINATOR), await world.staff("city", Role.EXPERT)
    (line,) = (await coordinator.get("/api/requests?side=in&state=sent")).body["items"]
    assert (line["inviting_institution"], line["inviting_institution_en"]) == ("county医院", "county hospital")
    assert [(each["institution"], each["institution_en"]) for each in line["parties"]] == [
        ("city医院", "city hospital")
    ]
    assert (line["id"], line["inviting_institution"], line["wanted_title"]) == (request, "county医院", "主任医师")
    assert PATIENT_NAME not in str(line) and "冠脉" not in str(line)
    assert [row["what"] for row in (await coordinator.get("/api/requests/due")).body["items"]] == ["accept"]
    read = await coordinator.get(f"/api/requests/{request}")
    assert read.body["summary"].startswith("冠脉") and read.body["digest"]
    (invitation,) = (await expert.get("/api/invitations")).body["items"]
    tentative = await _calendar(expert, f"/api/invitations/{invitation['id']}/calendar")
    assert (tentative["STATUS"], tentative["SEQUENCE"], tentative["METHOD"]) == ("TENTATIVE", 0, "PUBLISH")

    starts = world.clock() + timedelta(days=3)
    times = {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=1)).isoformat()}
    offered = await coordinator.post(f"/api/requests/{request}/proposals/time", **times, reason="当日门诊")
    assert offered.status == 200, offered.raw
    (proposal,) = offered.body["parties"][0]["proposals"]
    assert (await clinic.post(f"{path}/proposals/{proposal['id']}/answer", accept=True)).status == 200
    chair = world.houses["city"].staff[Role.CHAIR].id
    assigned = await coordinator.post(f"/api/requests/{request}/experts", expert_ids=[chair], chair_id=chair)
    assert assigned.body["state"] == "triaged", assigned.raw
    done = await coordinator.post(f"/api/requests/{request}/answer", accept=True)
    assert done.body["state"] == "convened", done.raw
    stand_in = world.houses["city"].staff[Role.EXPERT].id
    offer = await coordinator.post(
        f"/api/requests/{request}/proposals/stand-in", expert_id=chair, stand_in_id=stand_in, reason="出差"
    )
    assert offer.status == 200, offer.raw
    gone = await _calendar(expert, f"/api/invitations/{invitation['id']}/calendar")
    assert (gone["STATUS"], gone["METHOD"], gone["UID"]) == ("CANCELLED", "CANCEL", tentative["UID"])
    assert gone["SEQUENCE"] > tentative["SEQUENCE"]
    ours = await _calendar(clinic, f"{path}/calendar")
    assert (ours["STATUS"], ours["SEQUENCE"]) == ("CONFIRMED", 1)
    assert (await clinic.get(f"{path}/requests")).body["items"][0]["state"] == "convened"

    await patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])
    assert (await coordinator.get(f"/api/requests/{request}")).code == "access.denied"
    assert (await clinic.post(f"{path}/request/withdraw", reason="患者转院")).body["state"] == "withdrawn"
    both = {house: {row.public.get("act") for row in await world.events(house)} for house in ("county", "city")}
    assert len((both["county"] & both["city"]) - {None}) >= 8


async def _calendar(browser: Browser, path: str) -> dict[str, Any]:
    reply = await browser.get(path)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/calendar"), reply.raw
    assert b"\r\n" in reply.raw and PATIENT_NAME.encode() not in reply.raw
    calendar = Calendar.from_ical(reply.raw)
    (event,) = calendar.walk("VEVENT")
    return {
        "METHOD": str(calendar["METHOD"]),
        "UID": str(event["UID"]),
        "STATUS": str(event["STATUS"]),
        "SEQUENCE": int(str(event["SEQUENCE"])),
    }


async def test_matched_by_a_coordinator_and_ended_by_the_clock(world: World) -> None:
    booked = await _later(world)
    clinic, ours = await world.staff("county", Role.INVITING), await world.staff("county", Role.COORDINATOR)
    city, path = world.houses["city"], f"/api/consults/{booked.consult.id}"
    drafted = await _draft(world, clinic, booked, mode="matched", urgency="urgent", parties=[])
    assert drafted.body["blocks"] == ["panel.no_institution"]
    assert [row["what"] for row in (await ours.get("/api/requests/due")).body["items"]] == ["match"]
    named = [{"institution_id": city.institution.id, "expert_ids": []}]
    assert (await ours.put(f"{path}/request/parties", parties=named)).status == 200
    await _agreed(world)
    await _witnessed(world, clinic, booked)
    await sign(await world.patient(booked))
    sent = (await clinic.post(f"{path}/request/send")).body
    assert sent["state"] == "sent"
    coordinator = await world.staff("city", Role.COORDINATOR)
    early = await coordinator.post(f"/api/requests/{sent['id']}/answer", accept=True)
    assert (early.status, early.body["reasons"]) == (409, ["panel.no_expert_assigned"])
    world.clock.advance(minutes=11)
    assert await chores.follow_requests(world.parts.services) == 1
    (line,) = (await coordinator.get("/api/requests/due")).body["items"]
    assert (line["what"], line["reminded"]) == ("triage", True)
    world.clock.advance(minutes=5)
    assert await chores.follow_requests(world.parts.services) == 1
    assert await chores.follow_requests(world.parts.services) == 0
    assert [row["state"] for row in (await ours.get("/api/requests?side=out")).body["items"]] == ["expired"]
    assert (await coordinator.post(f"/api/requests/{sent['id']}/answer", accept=False, reason="x")).status == 409
    for house in ("county", "city"):
        assert "request.reminded" in {row.code for row in await world.events(house)}
