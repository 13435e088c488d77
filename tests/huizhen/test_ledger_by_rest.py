"""The wording and the consent ledger as the two pages talk to the server."""

from typing import Any

from clinic.people import Role
from tests.huizhen.world import PATIENT_NAME, Booked, Browser, World, drawn, sign


async def current(browser: Browser, key: str = "visit.patient", locale: str = "zh") -> Any:
    rows = (await browser.get("/api/templates")).body["items"]
    return next(row for row in rows if (row["key"], row["locale"]) == (key, locale))


async def content(browser: Browser, **changes: Any) -> dict[str, Any]:
    row = await current(browser)
    shown = (await browser.get(f"/api/templates/{row['versions'][0]['id']}")).body
    return {"key": row["key"], "locale": row["locale"], "major": True, **shown["text"], **changes}


async def test_a_text_goes_through_three_hands(world: World) -> None:
    archivist = await world.staff("city", Role.ARCHIVIST)
    first = await world.staff("city", Role.APPROVER)
    second = await world.login("city-approver-2")
    row = await current(archivist)
    assert [version["version"] for version in row["versions"]] == [1]
    assert row["drafts"] == []

    begun = await archivist.post("/api/template-drafts", **await content(archivist, title="新的标题"))
    assert begun.status == 200, begun.body
    draft = begun.body["draft"]
    assert (draft["state"], draft["mine"], begun.body["lacking"]) == ("open", True, [])
    assert [part["key"] for part in begun.body["changed"] if part["changed"]] == [""]  # the title
    assert "city医院" in begun.body["preview"]["sections"][0]["body"]

    path = f"/api/template-drafts/{draft['id']}"
    early = await first.post(f"{path}/publish", sha256=draft["sha256"])
    assert (early.status, early.code) == (409, "consent.not_reviewed")
    reviewed = await first.post(f"{path}/review", sha256=draft["sha256"])
    assert len(reviewed.body["draft"]["reviews"]) == 1
    assert reviewed.body["draft"]["reviewed_by_me"] is True
    same = await first.post(f"{path}/publish", sha256=draft["sha256"])
    assert (same.status, same.code) == (403, "consent.same_hands")

    changed = await archivist.post(path, **await content(archivist, title="又改了标题"))
    assert changed.body["draft"]["reviews"] == []
    stale = await second.post(f"{path}/publish", sha256=draft["sha256"])
    assert stale.code == "consent.draft_changed"
    sha256 = changed.body["draft"]["sha256"]
    assert (await first.post(f"{path}/review", sha256=sha256)).status == 200
    published = await second.post(f"{path}/publish", sha256=sha256)
    assert published.body["version"] == 2
    assert (await archivist.post(f"{path}/discard")).code == "consent.draft_closed"

    patient = await world.patient(await world.book())
    assert (await patient.get("/api/seat/consent?locale=zh")).body["title"] == "又改了标题"
    shown = (await first.get(f"/api/templates/{published.body['id']}")).body
    title = next(part for part in shown["changed"] if part["kind"] == "title")
    assert {line["sign"] for line in title["lines"]} == {"added", "removed"}
    codes = [event.code for event in await world.events()]
    for code in ("template_drafted", "template_reviewed", "template_published", "template_draft_closed"):
        assert f"consent.{code}" in codes


async def test_a_text_that_lacks_something_is_refused_with_the_list(world: World) -> None:
    admin, approver = await world.staff("city", Role.ADMIN), await world.staff("city", Role.APPROVER)
    whole = await content(admin)
    short = [part for part in whole["sections"] if part["key"] not in ("emergency", "ai")]
    begun = await admin.post("/api/template-drafts", **{**whole, "sections": short, "title": "短"})
    draft = begun.body["draft"]
    refused = await approver.post(f"/api/template-drafts/{draft['id']}/review", sha256=draft["sha256"])
    assert (refused.status, refused.code) == (422, "consent.wording_incomplete")
    expected = ["statement:emergency", "statement:ai", "comprehension:missing"]
    assert refused.body["reasons"] == begun.body["lacking"] == expected
    odd = await admin.post(
        f"/api/template-drafts/{draft['id']}", **{**whole, "title": "{price}", "locale": "zh", "major": False}
    )
    assert odd.body["lacking"] == ["placeholder:price"]
    assert odd.body["preview"]["title"] == "{price}"
    assert (await admin.post(f"/api/template-drafts/{draft['id']}/discard")).body["state"] == "discarded"


async def test_what_the_institution_asks_for_reaches_the_patient(world: World) -> None:
    admin = await world.staff("city", Role.ADMIN)
    assert (await admin.get("/api/consent-settings")).body["purposes"] == []
    lacking = await admin.post("/api/consent-settings", locales=["zh", "en"], purposes=["research"])
    assert (lacking.status, lacking.body["field"]) == (422, "ethics_id")
    asked = await admin.post("/api/consent-settings", locales=["zh", "en"], purposes=["teach", "ai_transcribe"])
    assert asked.status == 200, asked.body
    browser = await world.patient(await world.book())
    overview = (await browser.get("/api/seat")).body
    assert set(overview["consent"]["standing"]) == {"treat", "rec_av", "teach", "ai_transcribe"}
    signed = await sign(browser, teach=False)
    assert signed.body["consent"]["complete"] is True
    assert signed.body["consent"]["standing"]["teach"] == "refused"
    shown = (await browser.get("/api/seat/consent?locale=en")).body
    assert "teach" not in [question["purpose"] for question in shown["questions"]]
    again = (await browser.get("/api/seat/consent?locale=en&again=true")).body
    assert "teach" in [question["purpose"] for question in again["questions"]]
    assert again["again"] is True
    check = next(section["check"] for section in shown["sections"] if section["check"])
    answer = await sign_with(browser, again, answers=[0, check["right"]])
    assert answer.body["consent"]["standing"]["teach"] == "permitted"


async def sign_with(browser: Browser, shown: Any, **reading: Any) -> Any:
    return await browser.post(
        "/api/seat/consent",
        template_id=shown["template_id"],
        shown_sha256=shown["shown_sha256"],
        locale=shown["locale"],
        again=shown["again"],
        decisions={question["purpose"]: True for question in shown["questions"]},
        typed_name=PATIENT_NAME,
        signature=drawn(),
        reading={
            "sections": [{"key": "fee", "shown_ms": 5, "dwell_ms": 900, "scrolled_percent": 100, "font_px": 22.5}],
            "read_aloud": True,
            "font_px": 22,
            "locale_switches": [{"at_ms": 10, "locale": "en"}],
            "decided_ms": {"treat": 4000},
            **reading,
        },
    )


async def _signed(world: World) -> tuple[Booked, Browser, str]:
    booked = await world.book()
    browser = await world.patient(booked)
    assert (await sign(browser)).status == 200
    return booked, browser, f"/api/consults/{booked.consult.id}/seats/{booked.patient.id}/consent"


async def test_staff_enter_what_was_said_by_telephone(world: World) -> None:
    _, browser, path = await _signed(world)
    nurse, doctor = await world.staff("city", Role.NURSE), await world.staff("city", Role.ATTENDING)
    body = {"purposes": ["rec_av"], "reason": "患者来电要求停止保存录像的同意"}
    assert (await nurse.post(f"{path}/withdraw", **body)).status == 422
    entered = await nurse.post(f"{path}/withdraw", **body, identified="called_back")
    assert entered.body == {"ok": True}
    assert (await browser.get("/api/seat")).body["consent"]["standing"]["rec_av"] == "withdrawn"
    assert (await doctor.post(f"{path}/withdraw", **body, identified="called_back")).code == "access.denied"
    again = await nurse.post(f"{path}/withdraw", **body, identified="called_back")
    assert again.code == "consent.nothing_to_withdraw"
    event = [event for event in await world.events() if event.code == "consent.withdrawn"][-1]
    assert event.public["by_staff"] is True


async def test_a_witness_an_emergency_and_a_correction(world: World) -> None:
    booked = await world.book()
    path = f"/api/consults/{booked.consult.id}"
    nurse, approver = await world.staff("city", Role.NURSE), await world.staff("city", Role.APPROVER)
    seen = {
        "capacity": "proxy",
        "basis": "authorised",
        "signer_name": "某某",
        "document": "授权委托书 7",
        "relation": "",
    }
    foreign = await nurse.post(f"{path}/seats/{booked.patient.id}/consent/witness", **seen, typed_name="别人")
    assert foreign.code == "consent.signature_invalid"
    own = world.houses["city"].staff[Role.NURSE].name
    witnessed = await nurse.post(f"{path}/seats/{booked.patient.id}/consent/witness", **seen, typed_name=own)
    assert witnessed.status == 200, witnessed.body
    assert (await nurse.get("/api/consent-emergencies")).code == "access.denied"
    [opening] = (await approver.get("/api/consent-emergencies")).body["items"]
    assert (opening["consult_id"], opening["permits"], opening["approved_by"]) == (booked.consult.id, ["treat"], None)
    assert PATIENT_NAME not in str(opening)
    assert "1220" in opening["basis"]["en"]
    approved = await approver.post(f"{path}/consent/emergency", reason="昏迷，须立即会诊", tried="电话三次未接")
    assert approved.status == 200, approved.body
    [standing] = (await approver.get("/api/consent-emergencies")).body["items"]
    assert standing["approved_by"] == world.houses["city"].staff[Role.APPROVER].name
    assert standing["approved_at"]
    twice = await approver.post(f"{path}/consent/emergency", reason="昏迷，须立即会诊", tried="电话三次未接")
    assert twice.code == "consent.emergency_not_open"
    browser = await world.patient(booked)
    assert (await browser.get("/api/seat")).body["consent"]["standing"] == {
        "treat": "permitted",
        "rec_av": "undecided",
    }
    wrong = await nurse.post(f"/api/consents/{approved.body['id']}/correct", reason="不是这位患者")
    assert wrong.status == 200, wrong.body
    assert (await browser.get("/api/seat")).body["consent"]["standing"]["treat"] == "undecided"
    after = (await browser.get("/api/seat/after")).body["consents"]
    assert {(each["action"], each["state"]) for each in after} == {
        ("witnessed", "active"),
        ("signed", "entered_in_error"),
        ("entered_in_error", "active"),
    }


async def test_a_doctor_asks_for_more_and_not_after_a_no(world: World) -> None:
    booked, browser, path = await _signed(world)
    doctor = await world.staff("city", Role.ATTENDING)
    asked = await doctor.post(f"{path}/ask", purposes=["intimate"], reason="查看皮疹")
    assert asked.body == {"purposes": ["intimate"]}
    overview = (await browser.get("/api/seat")).body["consent"]
    assert (overview["complete"], overview["standing"]["intimate"]) == (False, "undecided")
    assert (await sign(browser, intimate=False)).body["consent"]["complete"] is True
    refused = await doctor.post(f"{path}/ask", purposes=["intimate"])
    assert (refused.status, refused.code, refused.body["reasons"]) == (409, "consent.already_refused", ["intimate"])
    assert booked.patient.id in path


async def test_staff_note_the_language_a_person_reads_and_the_page_asks_again(world: World) -> None:
    _booked, browser, path = await _signed(world)
    nurse = await world.staff("city", Role.NURSE)
    assert (await browser.get("/api/seat")).body["consent"]["again"] == []
    assert (await nurse.post(f"{path}/language", locale="fr")).status == 422
    noted = await nurse.post(f"{path}/language", locale="en")
    assert noted.body == {"locale": "en"}, noted.body
    card = (await browser.get("/api/seat")).body["consent"]
    assert (card["complete"], card["again"], card["reads"]) == (False, ["language"], "en")
