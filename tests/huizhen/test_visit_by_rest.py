"""One visit from link to closing, as the two pages talk to the server."""

from clinic.people import Role
from tests.huizhen.world import PATIENT_NAME, Browser, World, operation, sign


async def test_patient_from_link_to_ticket(world: World) -> None:
    booked = await world.book()
    browser = await world.browser()
    opened = await browser.post("/api/links/redeem", secret=booked.secret)
    assert opened.status == 200
    seat = opened.body["seat"]
    assert seat["patient"]["masked_name"] == "患***鹤"
    assert PATIENT_NAME not in opened.raw.decode()
    assert seat["doctor"]["licence_number"] == "L1"
    assert seat["doctor"]["department_label"] == {"zh": "心血管内科", "en": "Cardiology"}
    assert seat["identity_confirmed"] is False
    undecided = {"treat": "undecided", "rec_av": "undecided"}
    assert seat["consent"] == {
        "complete": False,
        "standing": undecided,
        "again": [],
        "offline_visit": False,
        "reads": None,
    }

    refused = await browser.post("/api/seat/ticket")
    assert (refused.status, refused.code, refused.body["reasons"]) == (403, "consent.missing", ["treat"])

    assert (await browser.post("/api/seat/identity", confirmed=True)).body["identity_confirmed"] is True
    checked = await browser.post(
        "/api/seat/device-check",
        camera="missing",
        microphone="ok",
        speaker="ok",
        network="fair",
        rtt_ms=41.5,
        kbps=900,
    )
    assert checked.body["device_checked"] is True

    signed = await sign(browser, rec_av=False)
    decided = {"treat": "permitted", "rec_av": "refused"}
    assert signed.body["consent"] == {
        "complete": True,
        "standing": decided,
        "again": [],
        "offline_visit": False,
        "reads": None,
    }
    ticket = await browser.post("/api/seat/ticket")
    assert ticket.status == 200
    assert ticket.body["expires_in"] == 60
    assert world.parts.tokens.redeem_ticket(ticket.body["ticket"]).seat_id == booked.patient.id
    codes = [event.code for event in await world.events() if event.consult_id == booked.consult.id]
    assert (
        codes
        == [
            "visit.booked",
            "visit.evidence_added",
            "visit.attested",
            "link.issued",
            "link.redeemed",
            "access.denied",
            "identity.confirmed",
            "visit.device_checked",
            "consent.shown",
            "consent.signed",
        ]
        or "access.denied" not in codes
    )


async def test_signing_twice_with_one_operation_id_is_one_signature(world: World) -> None:
    booked = await world.book()
    browser = await world.patient(booked)
    shown = (await browser.get("/api/seat/consent?locale=en")).body
    from tests.huizhen.world import drawn

    body = {
        "op": operation(),
        "template_id": shown["template_id"],
        "shown_sha256": shown["shown_sha256"],
        "locale": "en",
        "decisions": {"treat": True, "rec_av": True},
        "typed_name": PATIENT_NAME,
        "signature": drawn(),
        "reading": {"sections": [], "read_aloud": False, "font_px": 18},
    }
    first = await browser.call("POST", "/api/seat/consent", body)
    again = await browser.call("POST", "/api/seat/consent", body)
    assert (first.status, again.status) == (200, 200)
    async with world.db.read() as tx:
        assert len(await tx.consent_records.find(seat_id=booked.patient.id)) == 1


async def test_withdrawing_recording_keeps_the_ticket_and_treatment_ends_it(world: World) -> None:
    booked = await world.book()
    browser = await world.patient(booked)
    await sign(browser)
    gone = await browser.post("/api/seat/consent/withdraw", purposes=["rec_av"])
    assert gone.body["consent"]["standing"] == {"treat": "permitted", "rec_av": "withdrawn"}
    assert (await browser.post("/api/seat/ticket")).status == 200
    again = await browser.post("/api/seat/consent/withdraw", purposes=["rec_av"])
    assert (again.status, again.code) == (409, "consent.nothing_to_withdraw")
    await browser.post("/api/seat/consent/withdraw", purposes=["treat"], reason="改去医院")
    after = await browser.get("/api/seat/after")
    assert after.body["status"] == "cancelled"
    assert [each["action"] for each in after.body["consents"]] == ["signed", "withdrawn", "withdrawn"]


async def _through_the_call(world: World) -> tuple[str, Browser, Browser]:
    """A consult whose call is over and whose note is due."""
    from clinic import visit
    from clinic.actor import Actor

    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    doctor = await world.staff("city", Role.ATTENDING)
    me = Actor.staff(world.houses["city"].staff[Role.ATTENDING])
    async with world.db.begin() as tx:
        await visit.enter(tx, booked.doctor.id)
        await visit.enter(tx, booked.patient.id)
        await visit.admit(tx, booked.consult.id, booked.patient.id, me)
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, me)
    return booked.consult.id, doctor, patient


async def test_note_close_and_what_the_patient_sees_after(world: World) -> None:
    consult_id, doctor, patient = await _through_the_call(world)
    page = (await doctor.get(f"/api/consults/{consult_id}")).body
    assert page["status"] == "concluding"
    assert page["needs"] == ["note"]
    assert page["patient"]["name"] == PATIENT_NAME
    assert page["patient"]["masked_id"].count("*") == 11
    assert [row["code"] for row in page["timeline"]][:2] == ["visit.booked", "visit.evidence_added"]

    early = await doctor.post(f"/api/consults/{consult_id}/close")
    assert (early.status, early.code) == (409, "visit.unsigned")
    text = {"complaint": "胸闷", "findings": "血压 150/90", "diagnosis": "高血压", "advice": "按时服药"}
    assert (await doctor.put(f"/api/consults/{consult_id}/note", **text)).body["note"]["signed_at"] is None
    assert (await doctor.post(f"/api/consults/{consult_id}/note/sign")).body["note"]["signed_at"] is not None
    late = await doctor.put(f"/api/consults/{consult_id}/note", **text)
    assert (late.status, late.code) == (409, "doc.already_signed")
    closed = await doctor.post(f"/api/consults/{consult_id}/close")
    assert (closed.status, closed.body["status"], closed.body["needs"]) == (200, "closed", [])

    after = (await patient.get("/api/seat/after")).body
    assert after["status"] == "closed"
    assert after["note"]["diagnosis"] == "高血压"
    assert {row["what"] for row in after["viewers"]} == {"chart"}
    assert after["viewers"][0]["who_role"] == "attending"
    assert after["recording"] == {"exists": False, "state": None, "kept_until": None, "disposed_at": None}


async def test_a_guest_gets_a_link_and_a_code_for_another_device(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    added = await doctor.post(
        f"/api/consults/{booked.consult.id}/seats", role="family", display_name="张女士", relation="女儿"
    )
    assert added.status == 200
    link = added.body["link"]
    assert link["qr_svg"].startswith("<svg")
    assert "style=" not in link["qr_svg"]
    secret = link["url"].partition("#")[2]
    phone, other = await world.browser(), await world.browser()
    assert (await phone.post("/api/links/redeem", secret=secret)).status == 200
    asked = await other.post("/api/links/redeem", secret=secret)
    assert (asked.status, asked.code, asked.body["ask"]) == (401, "link.second_factor", "code")
    assert (await other.post("/api/links/redeem", secret=secret, second_factor=link["code"])).status == 200
    assert (await sign(phone, name="张女士")).status == 200
    after = (await phone.get("/api/seat/after")).body
    assert after["viewers"] == []
    assert after["note"] is None

    renewed = await doctor.post(f"/api/consults/{booked.consult.id}/seats/{added.body['seat']}/link")
    assert renewed.status == 200
    assert (await phone.get("/api/seat")).code == "session.required"
    assert (await phone.post("/api/links/redeem", secret=secret)).code == "link.unknown"


async def test_the_day_shows_who_waits(world: World) -> None:
    from clinic import visit

    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    async with world.db.begin() as tx:
        await visit.enter(tx, booked.patient.id)
    world.clock.advance(180)
    doctor = await world.staff("city", Role.ATTENDING)
    day = (await doctor.get("/api/today")).body
    assert day["waiting"] == 1
    row = day["items"][0]
    assert row["waiting"][0]["minutes"] == 3
    assert row["consent"] == {"treat": "permitted", "rec_av": "permitted"}
    assert row["patient"]["masked_name"] == "患***鹤"
    assert (await (await world.staff("county", Role.ATTENDING)).get("/api/today")).body["items"] == []
