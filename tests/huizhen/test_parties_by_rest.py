"""The directory and agreements through the API: drafted by one house, sealed by both, found by the form, verified."""

import asyncio
from typing import Any

from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.panels import requesting, sending
from clinic.panels.statistics import figures, from_trail
from clinic.people import Role
from huizhen.verification import verify
from tests.huizhen.world import CARDIOLOGY, PASSWORD, Browser, World


def terms(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "inviting_id": world.houses["county"].institution.id,
        "invited_id": world.houses["city"].institution.id,
        "number": "协〔2026〕1号",
        "purpose": "远程会诊",
        "content": "流程与权利义务",
        "kinds": ["expert_consult"],
        "liability": "by_kind",
        "liability_text": "按规定",
        "fee_split": "七三分成",
        "valid_from": "2026-03-01",
        "valid_to": "2026-04-20",
    } | changes


ENTRY = {
    "tier": "city",
    "region": "330100",
    "departments": [CARDIOLOGY],
    "accepts": True,
    "contact_name": "会诊中心",
    "contact_phone": "0571-1",
}


async def seal(browser: Browser, view: dict[str, Any]) -> Any:
    assert (await browser.post("/api/step-up", password=PASSWORD)).status == 200
    return await browser.post(f"/api/cooperations/{view['row']['id']}/seal", sha256=view["sha256"])


async def agreed(world: World, county: Browser, city: Browser, **changes: Any) -> Any:
    drafted = await county.post("/api/cooperations", **terms(world, **changes))
    assert drafted.status == 200, drafted.body
    offered = await seal(county, drafted.body)
    return (await seal(city, offered.body)).body


async def test_drafted_by_one_sealed_by_both_and_ended(world: World) -> None:
    county, city = await world.staff("county", Role.COORDINATOR), await world.staff("city", Role.ADMIN)
    drafted = (await county.post("/api/cooperations", **terms(world))).body
    path = f"/api/cooperations/{drafted['row']['id']}"
    assert (await city.get(path)).status == 404
    assert (await county.post(f"{path}/seal", sha256=drafted["sha256"])).code == "step_up.required"
    offered = (await seal(county, drafted)).body
    assert (offered["row"]["state"], offered["row"]["may_seal"], offered["row"]["may_drop"]) == ("offered", False, True)
    seen = (await city.get(path)).body
    assert (seen["row"]["may_seal"], seen["row"]["ours"], seen["sha256"]) == (True, False, offered["sha256"])
    assert (await seal(county, offered)).code == "party.not_your_turn"
    assert (await city.post("/api/step-up", password=PASSWORD)).status == 200
    assert (await city.post(f"{path}/seal", sha256="0" * 64)).code == "party.words_changed"
    complete = (await seal(city, seen)).body
    assert (complete["row"]["in_force"], complete["row"]["days_left"], complete["row"]["ending_soon"]) == (
        True,
        49,
        True,
    )
    assert [each["institution"]["id"] for each in complete["seals"]] == [
        world.houses[key].institution.id for key in ("county", "city")
    ]
    changed = await county.post(path, **terms(world, valid_to="2026-12-31"))
    assert (changed.body["row"]["version"], changed.body["row"]["state"]) == (2, "draft")
    dropped = await county.post(f"/api/cooperations/{changed.body['row']['id']}/decline", reason="先不改")
    assert dropped.body["end_reason"] == "先不改"
    await city.post("/api/step-up", password=PASSWORD)
    ended = (await city.post(f"{path}/end", reason="不再合作")).body
    assert (ended["row"]["state"], ended["row"]["in_force"], ended["end_reason"]) == ("ended", False, "不再合作")
    assert ended["ended_by"] == world.houses["city"].staff[Role.ADMIN].name
    listed = (await county.get("/api/cooperations")).body
    assert {row["state"] for row in listed["items"]} == {"ended", "declined"}
    for house in ("county", "city"):
        codes = [event.code for event in await world.events(house)]
        assert [code for code in codes if code == "party.agreement_ended"] == ["party.agreement_ended"], house


async def test_the_verifier_checks_both_seals(world: World) -> None:
    county, city = await world.staff("county", Role.COORDINATOR), await world.staff("city", Role.COORDINATOR)
    await agreed(world, county, city)
    await world.parts.services.checkpoints.sign(world.houses["city"].institution.id)
    report = await asyncio.to_thread(verify, world.parts.settings)
    assert report.findings == []
    assert report.seals == 2


async def test_the_directory_says_whom_we_may_ask(world: World) -> None:
    county, city = await world.staff("county", Role.COORDINATOR), await world.staff("city", Role.COORDINATOR)
    before = (await county.get("/api/parties")).body
    assert [(row["entered"], row["accepts"]) for row in before["items"]] == [(False, False)] * 2
    assert before["offered"][0]["code"] == CARDIOLOGY
    kept = await city.put("/api/parties/own", **ENTRY)
    assert (kept.body["province"]["zh"], kept.body["own"]) == ("浙江", True)
    assert (await city.put("/api/parties/own", **ENTRY | {"departments": ["99"]})).body["field"] == "departments"
    await agreed(world, county, city)
    doctor = await world.staff("county", Role.INVITING)
    rows = (await doctor.get("/api/parties")).body
    assert [(row["own"], row["we_may_ask"], row["may_ask_us"]) for row in rows["items"]] == [
        (False, True, False),
        (True, False, False),
    ]
    assert rows["may_edit"] is False
    assert [row["may_ask_us"] for row in (await city.get("/api/parties")).body["items"]] == [False, True]


async def test_matching_names_who_fits_who_does_not_and_where_an_agreement_is_missing(world: World) -> None:
    county, city = await world.staff("county", Role.COORDINATOR), await world.staff("city", Role.COORDINATOR)
    doctor = await world.staff("county", Role.INVITING)
    await city.put("/api/parties/own", **ENTRY)
    time = "&starts_at=2026-03-03T01:00:00Z&ends_at=2026-03-03T02:00:00Z"
    query = f"/api/parties/match?kind=expert_consult&department={CARDIOLOGY}{time}"
    bare = (await doctor.get(query)).body
    assert (bare["items"], [house["name"] for house in bare["unagreed"]]) == ([], ["city医院"])
    await agreed(world, county, city)
    found = (await doctor.get(query)).body
    experts = {world.houses["city"].staff[role].id for role in (Role.EXPERT, Role.CHAIR)}
    assert {each["expert_id"] for each in found["items"]} == experts
    assert found["unagreed"] == []
    strict = (await doctor.get(f"{query}&title=主任医师")).body
    assert [each["obstacle"] for each in strict["left_out"]] == ["title", "title"]
    assert strict["titles"][-1] == "主任医师"


async def test_statistics_the_week_and_the_load_of_a_house(world: World) -> None:
    """A request is sent by the use case (the patient's consent has tests of its own), answered through the API."""
    county, city = await world.staff("county", Role.COORDINATOR), await world.staff("city", Role.COORDINATOR)
    await agreed(world, county, city)
    consult = (await world.book("county", ConsultKind.EXPERT_CONSULT)).consult
    houses = world.houses["county"], world.houses["city"]
    by, expert = Actor.staff(houses[0].staff[Role.INVITING]), houses[1].staff[Role.EXPERT]
    async with world.db.begin() as tx:
        invited = houses[1].institution.id
        draft = requesting.NewRequest("诊断不明", "明确", "胸闷", CARDIOLOGY, parties=(requesting.Named(invited),))
        await requesting.draft(tx, consult.id, draft, by)
        word = sending.Shared(invited, "c" * 32, frozenset({consult.doctor_id}))
        sent, _ = await sending.send(tx, world.parts.services.sealer, consult.id, sending.Supplied((word,)), by)
    world.clock.advance(90)
    assert (await city.post(f"/api/requests/{sent.id}/experts", expert_ids=[expert.id])).status == 200
    assert (await city.post(f"/api/requests/{sent.id}/answer", accept=True)).status == 200
    ours = (await county.get("/api/requests/statistics")).body
    assert (ours["side"], ours["states"], ours["whole"]["median_seconds"]) == ("out", {"convened": 1}, 90)
    assert [(line["key"], line["outcomes"]["accepted"]) for line in ours["months"]] == [("2026-03", 1)]
    assert (ours["pairs"][0]["inviting"]["name"], ours["pairs"][0]["invited"]["name"]) == ("county医院", "city医院")
    theirs = (await city.get("/api/requests/statistics?side=in")).body
    assert (theirs["states"], theirs["whole"]) == ({}, ours["whole"])
    told = from_trail(await world.events("county"), houses[0].institution.id)
    assert figures(*told, "Asia/Shanghai").whole.times.median == 90
    span = "from=2026-03-02T00:00:00Z&to=2026-03-09T00:00:00Z"
    for coordinator, own in ((county, True), (city, False)):
        (line,) = (await coordinator.get(f"/api/requests/week?{span}")).body["items"]
        assert (line["ours"], line["row"]["id"]) == (own, sent.id)
    busy = (await city.get(f"/api/requests/load?{span}")).body["items"][0]
    assert (busy["expert"]["id"], busy["accepted"], busy["minutes"]) == (expert.id, 1, 121)
    long = await city.get("/api/requests/load?from=2026-03-02T00:00:00Z&to=2026-09-09T00:00:00Z")
    assert (long.status, long.body["field"]) == (422, "to")
