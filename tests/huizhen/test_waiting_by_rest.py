"""Hours, invitations, reminders, the line, triage, another doctor and absences, over HTTP on SQLite."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from audit.verify import verify
from clinic import filings, registration
from clinic.actor import Actor
from clinic.notices import (
    Bound,
    Channel,
    DeliveryFailed,
    Letter,
    NewNotice,
    NoticeKind,
    NoticeState,
    compose_for_staff,
    put,
)
from clinic.people import Role
from huizhen.outbox import Outbox, SealedEnvelope, masked
from huizhen.store.seals import verifier_keys
from signaling.live import Live
from tests.huizhen.world import CARDIOLOGY, PHONE, Browser, World, sign
from tests.support.builders import staff
from tests.support.proofs import filing
from tests.support.session_client import SessionClient


async def hours(world: World, nurse: Browser, after: timedelta = timedelta(days=2), **changes: Any) -> Any:
    starts = (world.clock() + after).isoformat()
    body = {
        "doctor_id": world.houses["city"].staff[Role.ATTENDING].id, "department": CARDIOLOGY, "kind": "follow_up",
        "starts_at": starts, "minutes": 60, "capacity": 3,
    }  # fmt: skip
    return await nurse.post("/api/slots", **(body | changes))


async def booked_place(world: World, nurse: Browser, slot: str) -> Any:
    visited = (world.clock() - timedelta(days=5)).date().isoformat()
    proof = {
        "department": CARDIOLOGY, "visited_on": visited, "visited_institution": "某医院", "diagnosis": "高血压",
        "reference": "MZ1",
    }  # fmt: skip
    reply = await nurse.post(
        f"/api/slots/{slot}/book", patient_id=world.houses["city"].patient.id, reason="复诊", evidence=[proof]
    )
    assert reply.status == 200, reply.body
    return reply.body


async def test_hours_are_opened_booked_moved_and_given_back(world: World) -> None:
    nurse = await world.staff("city", Role.NURSE)
    slot = (await hours(world, nurse)).body
    assert (await hours(world, nurse)).code == "slot.doctor_busy"
    first = await booked_place(world, nurse, slot["id"])
    later = (await hours(world, nurse, timedelta(days=3), capacity=1)).body
    moved = await nurse.post(f"/api/consults/{first['id']}/time", slot_id=later["id"])
    assert moved.body["starts_at"] == later["starts_at"]
    second = await booked_place(world, nurse, slot["id"])
    assert (await nurse.post(f"/api/slots/{later['id']}/book", patient_id=first["patient"]["id"], reason="x")).code == (
        "slot.full"
    )
    listed = (await nurse.get(f"/api/slots?from={slot['day']}")).body["items"]
    assert [each["taken"] for each in listed] == [1, 1]
    assert listed[0]["places"][0]["consult_id"] == second["id"]
    assert "欧阳" not in str(listed)
    doctor = await world.staff("city", Role.ATTENDING)
    await doctor.post(f"/api/consults/{first['id']}/cancel", reason_code="patient_asked")
    assert [each["taken"] for each in (await nurse.get("/api/slots")).body["items"]] == [1, 0]
    closed = await nurse.post(f"/api/slots/{later['id']}/close")
    assert closed.body["state"] == "closed"
    taken_twice = await nurse.post(
        "/api/consults", kind="follow_up", department=CARDIOLOGY, doctor_id=slot["doctor"]["id"], reason="x",
        patient_id=first["patient"]["id"], starts_at=second["starts_at"], ends_at=second["ends_at"],
    )  # fmt: skip
    assert taken_twice.code == "slot.doctor_busy"


async def test_an_invitation_waits_in_the_outbox_and_reading_it_is_on_record(world: World) -> None:
    nurse = await world.staff("city", Role.NURSE)
    booked = await world.book()
    old = await world.patient(booked)
    row = (await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="sms")).body
    assert (row["state"], row["address_hint"]) == ("queued", "100****7766")
    assert (await old.get("/api/seat")).status == 401, "a new link ends the earlier one"
    outbox = world.parts.services.outbox
    assert await outbox.deliver_due(world.clock()) == 1
    assert await outbox.deliver_due(world.clock()) == 0
    listed = (await nurse.get("/api/outbox?state=for_staff")).body["items"]
    assert [each["id"] for each in listed] == [row["id"]]
    letter = (await nurse.post(f"/api/outbox/{row['id']}/reveal")).body
    assert letter["address"] == PHONE
    assert letter["url"] in letter["text"]
    assert letter["qr_svg"].startswith("<svg")
    secret = letter["url"].partition("#")[2]
    events = [event for event in await world.events() if event.code.startswith("notice.")]
    assert [event.code for event in events] == ["notice.queued", "notice.sent", "notice.revealed"]
    assert secret not in str(events)
    async with world.db.read() as tx:
        assert secret not in str(await tx.notices.find())
    patient = await world.browser()
    assert (await patient.post("/api/links/redeem", secret=secret)).status == 200
    stranger = await world.staff("city", Role.INVITING)
    assert (await stranger.get("/api/outbox")).body["items"] == []
    assert (await stranger.post(f"/api/outbox/{row['id']}/reveal")).code == "access.denied"
    assert (await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="email")).code == "notice.no_address"
    assert (await nurse.post(f"/api/outbox/{row['id']}/retry")).code == "notice.closed"


class Gateway:
    """Refuses so many times, then takes everything."""

    def __init__(self, failures: int, *, final: bool = False, defect: bool = False) -> None:
        self.failures, self.final, self.defect = failures, final, defect
        self.taken: list[Letter] = []

    async def deliver(self, letter: Letter) -> NoticeState:
        if self.failures:
            self.failures -= 1
            if self.defect:
                raise RuntimeError("a bug")
            raise DeliveryFailed("notice.gateway_failed", final=self.final)
        self.taken.append(letter)
        return NoticeState.SENT


async def notice_of(world: World) -> Any:
    async with world.db.read() as tx:
        return (await tx.notices.find())[-1]


async def test_failures_are_tried_again_then_dead_and_can_be_revived(world: World) -> None:
    nurse, booked = await world.staff("city", Role.NURSE), await world.book()
    gateway = Gateway(6, defect=True)
    outbox = Outbox(world.db, gateway, world.parts.services.outbox.envelope)
    row = (await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="sms", locale="en")).body
    for attempt, wait in enumerate((0, 60, 120, 240, 480), start=1):
        if wait:
            world.clock.advance(wait - 1)
            assert await outbox.deliver_due(world.clock()) == 0
            world.clock.advance(1)
        assert await outbox.deliver_due(world.clock()) == 1
        assert (await notice_of(world)).attempts == attempt
    dead = await notice_of(world)
    assert (dead.state, dead.last_code, dead.next_try_at) == (NoticeState.DEAD, "notice.gateway_failed", None)
    assert (await nurse.get("/api/outbox?state=dead")).body["items"][0]["id"] == row["id"]
    again = await nurse.post(f"/api/outbox/{row['id']}/retry")
    assert (again.body["state"], again.body["attempts"]) == ("queued", 0)
    gateway.failures = 0
    await outbox.deliver_due(world.clock())
    assert [letter.id for letter in gateway.taken] == [row["id"]]
    assert "online visit" in gateway.taken[0].text
    codes = [event.code for event in await world.events() if event.code.startswith("notice.")]
    assert codes == ["notice.queued", *["notice.failed"] * 4, "notice.dead", "notice.queued", "notice.sent"]


async def test_a_final_failure_is_not_tried_again(world: World) -> None:
    nurse, booked = await world.staff("city", Role.NURSE), await world.book()
    outbox = Outbox(world.db, Gateway(1, final=True), world.parts.services.outbox.envelope)
    await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="wechat", address="openid-1")
    await outbox.deliver_due(world.clock())
    assert (await notice_of(world)).state is NoticeState.DEAD


async def test_content_under_another_key_is_a_dead_letter(world: World) -> None:
    nurse, booked = await world.staff("city", Role.NURSE), await world.book()
    outbox = Outbox(world.db, Gateway(0), SealedEnvelope(bytes(32)))
    await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="email", address="z@example.org")
    await outbox.deliver_due(world.clock())
    lost = await notice_of(world)
    assert (lost.state, lost.last_code, lost.address_hint) == (NoticeState.DEAD, "notice.closed", "z***@example.org")
    assert masked("x") == "*"


async def test_reminders_come_once_each_over_restarts_and_not_for_the_cancelled(world: World) -> None:
    nurse = await world.staff("city", Role.NURSE)
    slot = (await hours(world, nurse)).body
    going, cancelled = [await booked_place(world, nurse, slot["id"]) for _ in range(2)]
    await nurse.post(f"/api/consults/{going['id']}/invite", channel="sms")
    outbox, house = world.parts.services.outbox, world.houses["city"].institution.id
    doctor_login = world.houses["city"].login(Role.ATTENDING)
    queued = []
    for minutes in (0, 1440, 0, 1380, 0, 50):  # until a day, an hour, ten minutes before; each time asked twice
        world.clock.advance(minutes=minutes)
        if minutes == 1380:
            doctor = await world.login(doctor_login)
            reply = await doctor.post(f"/api/consults/{cancelled['id']}/cancel", reason_code="patient_asked")
            assert reply.status == 200
        fresh = Outbox(world.db, Gateway(0), outbox.envelope)  # as after a restart
        queued.append(await fresh.remind(house, world.clock()))
        await outbox.deliver_due(world.clock())
    assert queued == [0, 1, 0, 1, 0, 1]  # the other place is twenty minutes later, and cancelled by then
    async with world.db.read() as tx:
        letters = {each.key.partition(":")[0]: each for each in await tx.notices.find(consult_id=going["id"])}
    assert {"first", "second", "third"} <= set(letters)
    nurse = await world.staff("city", Role.NURSE)
    told = (await nurse.post(f"/api/outbox/{letters['second'].id}/reveal")).body
    assert told["url"], "the reminder repeats the invitation's link"


async def test_what_is_not_true_any_more_is_dropped_and_contents_end_with_the_visit(world: World) -> None:
    nurse, booked = await world.staff("city", Role.NURSE), await world.book()
    outbox = world.parts.services.outbox
    await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="sms")
    await outbox.deliver_due(world.clock())
    await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="sms")
    doctor = await world.staff("city", Role.ATTENDING)
    await doctor.post(f"/api/consults/{booked.consult.id}/cancel", reason_code="other")
    assert await outbox.deliver_due(world.clock()) == 2
    async with world.db.read() as tx:
        states = [(each.kind.value, each.state.value, each.held) for each in await tx.notices.find()]
    assert states == [
        ("invitation", "for_staff", True), ("invitation", "dropped", False), ("cancelled", "for_staff", True),
    ]  # fmt: skip
    assert await outbox.erase_over() == 2
    async with world.db.read() as tx:
        assert [each.content for each in await tx.notices.find()] == ["", "", ""]
    row = (await nurse.get("/api/outbox")).body["items"][0]
    assert (await nurse.post(f"/api/outbox/{row['id']}/reveal")).code == "notice.closed"


async def in_waiting_room(world: World, live: Live) -> tuple[Any, SessionClient]:
    booked = await world.book()
    await sign(await world.patient(booked))
    page = SessionClient(live, booked.patient)
    assert (await page.join())["ok"]
    return booked, page


async def until(holds: Callable[[], bool]) -> None:
    """The live edge tells queues by a task of its own."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def test_the_line_over_http_and_on_the_waiting_page(world: World) -> None:
    live, nurse = world.parts.live, await world.staff("city", Role.NURSE)
    first, page = await in_waiting_room(world, live)
    world.clock.advance(minutes=7)
    second, other = await in_waiting_room(world, live)
    await until(lambda: page.told("queue") != [] and other.told("queue") != [])
    assert (page.told("queue")[0]["position"], other.told("queue")[-1]["position"]) == (1, 2)
    last = other.told("queue")[-1]
    assert 1 <= last["low_minutes"] < last["high_minutes"] == last["estimate_minutes"]
    assert (await page.act("ready", ready=True))["ok"]
    board = (await nurse.get("/api/queue")).body
    rows = board["lines"][0]["items"]
    assert [row["consult_id"] for row in rows] == [first.consult.id, second.consult.id]
    assert [row["ready"] for row in rows] == [True, False]
    assert (board["waiting"], board["ready"], board["lines"][0]["late_minutes"]) == (2, 1, 7)
    triage = await nurse.post(
        f"/api/consults/{second.consult.id}/triage", complaint="胸痛", vitals={"oxygen": 88}, red_flags=["chest_pain"],
        advice="emergency_120", handover="已建议拨打120", urgent=True, urgent_reason="胸痛伴低氧",
    )  # fmt: skip
    assert triage.body["red_flags"] == ["chest_pain", "vital_oxygen_low"]
    await until(lambda: other.told("queue")[-1]["position"] == 1)
    told = await nurse.post(f"/api/consults/{first.consult.id}/tell", text="医生还需约15分钟", everybody=True)
    assert told.body == {"told": 2}
    assert page.told("waiting_words")[0]["text"] == "医生还需约15分钟"
    page.reload()
    assert (await page.join())["snapshot"]["words"][0]["text"] == "医生还需约15分钟"
    doctor = await world.staff("city", Role.ATTENDING)
    notes = (await doctor.get(f"/api/consults/{second.consult.id}/triage")).body["items"]
    assert [note["handover"] for note in notes] == ["已建议拨打120"]
    assert len((await nurse.get(f"/api/consults/{second.consult.id}/triage")).body["items"]) == 1
    assert (await doctor.get("/api/queue")).body["lines"][0]["items"][0]["urgent"]
    await live.chores.drain()
    codes = [event.code for event in await world.events()]
    for code in ("room.ready", "triage.signed", "triage.urgent", "room.waiting_told"):
        assert code in codes


async def test_knocking_is_for_those_who_wait(world: World) -> None:
    live = world.parts.live
    booked, page = await in_waiting_room(world, live)
    assert (await page.act("ready", ready=True))["ok"]
    page.lose()
    assert not live.rooms[booked.consult.id].person(booked.patient.id).ready
    doctor = SessionClient(live, booked.doctor)
    await doctor.join()
    assert (await doctor.act("ready", ready=True))["code"] == "waiting.nobody"


async def test_another_doctor_takes_over_and_the_former_one_is_out(world: World) -> None:
    live, nurse = world.parts.live, await world.staff("city", Role.NURSE)
    booked, page = await in_waiting_room(world, live)
    former = SessionClient(live, booked.doctor)
    await former.join()
    house = world.houses["city"].institution.id
    async with world.db.begin() as tx:
        new = staff(house, "city-second", (Role.ATTENDING,))
        other = await registration.create_staff(tx, new, Actor.system(house))
        await filings.file_practice(tx, other.id, filing(), Actor.system(house))
    reply = await nurse.post(f"/api/consults/{booked.consult.id}/reassign", doctor_id=other.id)
    assert reply.body["doctor"]["id"] == other.id
    assert former.told("removed")[0]["reason"] == "no_longer_needed"
    assert (await former.join())["code"] == "visit.removed"
    assert page.told("notice")[0]["code"] == "waiting.doctor_changed"
    board = (await nurse.get("/api/queue")).body
    assert [(line["doctor"]["id"], len(line["items"])) for line in board["lines"]] == [(other.id, 1)]


async def test_absences_with_evidence(world: World) -> None:
    live, nurse = world.parts.live, await world.staff("city", Role.NURSE)
    booked, page = await in_waiting_room(world, live)
    nobody = await world.book()
    path = f"/api/consults/{booked.consult.id}/absence"
    assert (await nurse.get(path)).body["refused"] == {"patient": "absence.too_early", "doctor": "absence.too_early"}
    world.clock.advance(minutes=20)
    await page.act("ready", ready=True)
    assert (await nurse.post(path, who="patient")).code == "absence.patient_waited"
    found = (await nurse.get(path)).body
    assert found["refused"] == {"patient": "absence.patient_waited", "doctor": None}
    assert found["link_opened_at"] is not None
    assert (await nurse.post(path, who="doctor")).body["status"] == "no_show"
    assert page.told("removed")
    assert (await nurse.get(path)).body["recorded"] == "doctor"
    missed = f"/api/consults/{nobody.consult.id}/absence"
    assert (await nurse.post(missed, who="doctor")).code == "absence.nobody_waited"
    assert (await nurse.post(missed, who="patient")).body["status"] == "no_show"
    data = world.parts.settings
    report = verify(
        data.data_dir / "huizhen.db", data.blobs_path, verifier_keys(world.db.keys, data.deployment, {}), []
    )
    assert [str(each) for each in report.findings] == []


async def test_a_message_to_staff_lies_in_their_houses_outbox_without_the_patient(world: World) -> None:
    """Of another house's consult; the nurse of the recipient's passes it on, and only they and the recipient see it."""
    nurse, booked, box = await world.staff("city", Role.NURSE), await world.book(), world.parts.services.outbox
    home, other = world.houses["city"], world.houses["county"]
    to, house_id = home.staff[Role.EXPERT], home.institution.id
    new = NewNotice(NoticeKind.PANEL_NEAR, "1", Channel.ACCOUNT, to.login, "e***", "zh", "https://x/console/requests")
    async with world.db.begin() as tx:
        asking, bound = (
            await tx.institutions.get(other.institution.id),
            Bound(house_id, booked.consult.id, to.id),
        )
        said = compose_for_staff(new.kind, asking, tx.now, "Asia/Shanghai", new.url, "en")
        by = Actor.system(house_id)
        assert await put(tx, box.envelope, new, bound, said, by) is not None
        assert await put(tx, box.envelope, new, bound, said, by) is None
    (row,) = (await nurse.get("/api/outbox")).body["items"]
    assert (row["patient"], row["staff"], row["kind"], row["channel"]) == ("", to.name, "panel_near", "account")
    letter = (await nurse.post(f"/api/outbox/{row['id']}/reveal")).body
    assert (letter["address"], letter["url"]) == (to.login, new.url)
    assert (asking.name_en or asking.name) in letter["text"] and "begins on" in letter["text"]
    colleague = await world.staff("city", Role.ATTENDING)
    assert (await colleague.get("/api/outbox")).body["items"] == []
    refused = await nurse.post(f"/api/consults/{booked.consult.id}/invite", channel="account")
    assert (refused.status, refused.code) == (422, "input.invalid")
