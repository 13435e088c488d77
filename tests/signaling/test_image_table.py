"""The shared view in the room: who is told, who may not, and eight pages that see the same after a bad line."""

import random
from dataclasses import replace
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Seat, SeatState
from clinic.people import Role
from consent.records import ConsentAction, Purpose
from imaging import form
from imaging.replica import Replica
from imaging.table import Missed, Stamped
from imaging.viewer import Op, Person, Put, Scroll, Show, Window
from signaling import consenting
from tests.imaging.test_viewer import mark
from tests.signaling.ward import Ward
from tests.support.session_client import SessionClient, new_op

SERIES = "5" * 32


async def expert(house: Ward, name: str, role: Role = Role.EXPERT) -> SessionClient:
    """A doctor of the hospital elsewhere, admitted."""
    seat: Seat = replace(
        house.seats["daughter"],
        id=uuid4().hex,
        role=role,
        person_id=None,
        home_institution_id="elsewhere",
        state=SeatState.EXPECTED,
    )
    async with house.db.begin() as tx:
        if not await tx.institutions.find(id="elsewhere"):
            home = await tx.institutions.get(house.consult.institution_id)
            await tx.institutions.add(replace(home, id="elsewhere"))
            await tx.append(AuditEvent(EventCode.INSTITUTION_CREATED, "elsewhere", "system"))
        await tx.seats.add(seat)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, seat.institution_id, "system", seat.consult_id, seat.id))
    house.seats[name] = seat
    page = house.page(name)
    assert (await page.join())["ok"]
    doctor = house.live.rooms[house.consult.id].line_of(house.seats["doctor"].id)
    assert doctor is not None
    return page


async def share(house: Ward, action: ConsentAction = ConsentAction.SIGNED) -> None:
    """The patient lets the hospital elsewhere see, or takes it back."""
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))
    async with house.db.begin() as tx:
        last = (await tx.consent_records.find(consult_id=house.consult.id))[-1]
        word = replace(
            last, id=uuid4().hex, action=action, permitted=(Purpose.SHARE_PANEL,), shared_with=("elsewhere",)
        )
        await tx.consent_records.add(word)
        event = AuditEvent(EventCode.CONSENT_SIGNED, word.institution_id, word.seat_id, word.consult_id, word.id)
        await tx.append(event)
    await consenting.consent_changed(house.live, house.consult.id, house.seats["patient"].id)


async def panel(house: Ward, *names: str) -> tuple[SessionClient, ...]:
    """Doctor, patient, and these experts in the call."""
    doctor, patient = await house.in_call()
    await share(house)
    pages = []
    for name in names:
        page = await expert(house, name)
        assert (await doctor.act("admit", seat=page.seat.id))["ok"]
        pages.append(page)
    return (doctor, patient, *pages)


async def do(page: SessionClient, op: Op, op_id: str = "") -> dict[str, Any]:
    raw = form.said(op)
    return await page.emit("table.act", op=op_id or new_op(), kind=raw.pop("op"), **raw)


async def test_an_act_is_told_to_who_may_see_and_to_nobody_else(house: Ward) -> None:
    doctor, patient, one = await panel(house, "one")
    assert await do(one, Show(SERIES, 3)) == {"ok": True, "version": 1}
    for page in (doctor, one):
        (told,) = page.told("table")
        assert (told["version"], told["seat"]) == (1, one.seat.id)
        assert told["act"] == {"kind": "show", "series": SERIES, "at": 3}
    assert patient.told("table") == []
    refused = await do(patient, Scroll(4))
    assert refused["code"] == "access.denied"
    assert (await do(one, Scroll(-1)))["code"] == "images.bad_operation"
    assert (await one.emit("table.act", op=new_op(), kind="scroll"))["code"] == "images.bad_operation"
    assert (await one.emit("table.act", op=new_op(), kind="explode"))["code"] == "input.invalid"


async def test_an_act_sent_again_is_one(house: Ward) -> None:
    doctor, _, one = await panel(house, "one")
    op_id = new_op()
    first = await do(one, Scroll(4), op_id)
    assert await do(one, Scroll(4), op_id) == first
    assert len(doctor.told("table")) == 1


async def test_who_leads_is_followed_and_a_lead_is_free_when_its_holder_has_gone(house: Ward) -> None:
    doctor, _, one, two = await panel(house, "one", "two")
    assert (await one.emit("table.act", op=new_op(), kind="lead", to=one.seat.id))["ok"]
    assert (await do(two, Scroll(4)))["code"] == "images.not_leading"
    await one.act("leave")
    assert await do(two, Scroll(4)) == {"ok": True, "version": 3}
    assert [told["act"]["kind"] for told in doctor.told("table")] == ["lead", "lead", "scroll"]


async def test_a_measurement_is_its_makers(house: Ward) -> None:
    doctor, _, one = await panel(house, "one")
    drawn = replace(mark("7" * 32, Person(one.seat.id)), instance="8" * 32, label="结节")
    assert (await do(one, Put(drawn)))["ok"]
    assert doctor.told("table")[0]["act"]["measurement"]["label"] == "结节"
    assert (await do(doctor, Put(drawn)))["code"] == "images.not_yours"


async def test_pointers_come_to_the_others_each_in_a_colour(house: Ward) -> None:
    doctor, patient, one, two = await panel(house, "one", "two")
    body = {"instance": "8" * 32, "frame": 2, "x": 10.5, "y": 20}
    for page, count in ((one, 1), (two, 1), (one, 1)):
        assert await page.emit("table.point", **body, count=count) == {"ok": True}
    seen = doctor.told("pointer")
    assert [told["seat"] for told in seen] == [one.seat.id, two.seat.id], "an older one is no news"
    assert seen[0]["colour"] != seen[1]["colour"]
    assert one.told("pointer")[0]["colour"] == seen[1]["colour"], "the same on every page"
    assert [told["seat"] for told in one.told("pointer")] == [two.seat.id]
    assert patient.told("pointer") == []


async def test_who_was_away_is_told_what_they_missed_and_a_new_life_the_whole(house: Ward) -> None:
    _, _, one = await panel(house, "one")
    for number in range(5):
        await do(one, Scroll(number))
    known = await one.emit("table.since", epoch=one.epoch, version=3)
    assert [told["version"] for told in known["acts"]] == [4, 5]
    assert "document" not in known
    fresh = await one.emit("table.since", epoch="another", version=3)
    assert (fresh["acts"], fresh["document"]["version"], fresh["document"]["view"]["at"]) == ([], 5, 4)


async def test_the_withdrawn_word_ends_it_at_once(house: Ward) -> None:
    doctor, _, one = await panel(house, "one")
    assert (await do(one, Scroll(1)))["ok"]
    heard = len(one.told("table"))
    await share(house, ConsentAction.WITHDRAWN)
    if one.connected:
        assert not (await do(one, Scroll(2)))["ok"]
        assert not (await one.emit("table.since", epoch="", version=0))["ok"]
    assert (await do(doctor, Scroll(3)))["ok"]
    assert len(one.told("table")) == heard


async def test_who_left_is_not_at_the_table(house: Ward) -> None:
    _, _, one = await panel(house, "one")
    await one.act("leave")
    since = await one.emit("table.since", epoch="", version=0)
    assert since["code"] == "session.not_joined"
    assert not (await one.emit("table.act", op=new_op(), kind="lead", to=""))["ok"]
    assert not (await one.emit("table.point", instance="8" * 32, frame=0, x=1, y=1, count=1))["ok"]


async def test_an_expert_whose_word_ran_out_in_the_call_is_told_why(house: Ward) -> None:
    """The yes grew too old while they sat there: nothing of the table is told on."""
    doctor, _, one = await panel(house, "one")
    room = house.live.rooms[house.consult.id]
    room.records = [record for record in room.records if not record.shared_with]
    refused = await do(one, Scroll(2))
    assert (refused["code"], refused["reasons"]) == ("consent.missing", ["share_panel"])
    await do(doctor, Scroll(3))
    assert one.told("table") == []


class Page:
    """A page with its replica: hears what its socket tells, loses some of it, catches up by `table.since`."""

    def __init__(self, client: SessionClient) -> None:
        self.client = client
        self.replica = Replica(Person(client.seat.id, presides=client.seat.role is Role.ATTENDING))
        self.read = 0

    def hear(self, chance: random.Random, loss: float) -> None:
        news = self.client.told("table")[self.read :]
        self.read += len(news)
        chance.shuffle(news)
        for each in news:
            if chance.random() >= loss:
                self.replica.hear(stamped(each))

    async def catch_up(self) -> None:
        ack = await self.client.emit("table.since", epoch=self.client.epoch, version=self.replica.confirmed.version)
        document = form.document_of(ack["document"]) if "document" in ack else None
        self.replica.catch_up(Missed(tuple(map(stamped, ack["acts"])), document))


def stamped(told: dict[str, Any]) -> Stamped:
    act = dict(told["act"])
    if "measurement" in act:
        act["measurement"] = {"label": ""} | act["measurement"]
    kind = act.pop("kind")
    return Stamped(told["version"], told["op"], Person(told["seat"], presides=True), form.heard({**act, "op": kind}))


async def test_eight_pages_see_the_same_after_a_bad_line(house: Ward) -> None:
    doctor, _, *experts = await panel(house, *(f"e{number}" for number in range(7)))
    pages = [Page(client) for client in (doctor, *experts)]
    chance = random.Random(4)
    for number in range(200):
        page = chance.choice(pages)
        by = Person(page.client.seat.id)
        drawn = replace(mark(f"{number:032x}", by), instance="8" * 32)
        choices: list[Op] = [Show(SERIES, number), Scroll(number), Window(number, 400), Put(drawn)]
        op = chance.choice(choices)
        op_id = new_op()
        page.replica.do(op_id, op)
        if chance.random() > 0.2:
            await do(page.client, op, op_id)
        for each in pages:
            each.hear(chance, 0.3)
        if number % 20 == 0:
            await chance.choice(pages).catch_up()
    for page in pages:
        for op_id, op in page.replica.pending:
            await do(page.client, op, op_id)
    for page in pages:
        await page.catch_up()
    table = house.live.rooms[house.consult.id].images
    for page in pages:
        assert page.replica.confirmed == table.document
        assert page.replica.pending == ()
    assert table.document.version == 200
