"""Messages to staff about panels: to whom, when, once; nothing of the patient in them (HZ-21, HZ-22, HZ-25, HZ-28)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from audit.errors import StaleRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking, notices, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.notices import Channel, DeliveryFailed, Letter, NoticeKind, NoticeState
from clinic.panels import following, lateness, reminding, settling, triaging, written
from huizhen.outbox import Outbox, OutboxNotifier, SealedEnvelope
from huizhen.store import migrate
from huizhen.store.database import SqlDatabase
from tests.clinic.houses import Region, region, triage
from tests.clinic.test_panel_after import hire
from tests.support.builders import World
from tests.support.clock import FakeClock
from tests.support.panels import meeting

BASE = "https://hospital.example"


class Gateway:
    """Takes every letter, or none."""

    def __init__(self, *, down: bool = False) -> None:
        self.letters: list[Letter] = []
        self.down = down

    async def deliver(self, letter: Letter) -> NoticeState:
        if self.down:
            raise DeliveryFailed("gateway.down")
        self.letters.append(letter)
        return NoticeState.SENT


def outbox(world: World, gateway: Gateway | None = None) -> Outbox:
    return Outbox(world.db, gateway or OutboxNotifier(), SealedEnvelope(bytes(32)))


async def sent(world: World) -> list[Letter]:
    """What leaves now, from every house."""
    gateway = Gateway()
    box = outbox(world, gateway)
    async with world.db.read() as tx:
        houses = [house.id for house in await tx.institutions.find()]
    for house in houses:
        await box.remind_staff(house, BASE)
    await box.deliver_due(world.clock())
    return gateway.letters


def people(letters: list[Letter]) -> list[str]:
    return sorted(letter.address for letter in letters)


@pytest.fixture(params=["memory", "sqlite"])
async def at(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Region]:
    clock = FakeClock()
    if request.param == "memory":
        yield await region(clock)
        return
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await migrate.upgrade(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    yield await region(clock, database)
    await database.close()


async def _asked(at: Region, *houses: int) -> tuple[Booked, str]:
    booked, request = await at.asked(*houses)
    return booked, request.id


async def reminded(at: Region, request: str) -> None:
    """Eleven hours before its time is over."""
    async with at.db.read() as tx:
        until = (await tx.panel_requests.get(request)).answer_by
    assert until is not None
    at.world.clock.advance((until - timedelta(hours=11) - at.world.clock()).total_seconds())
    async with at.db.begin() as tx:
        await settling.remind(tx, request)


async def test_who_has_not_answered_is_told_once_over_restarts(at: Region) -> None:
    _, request = await _asked(at, 0, 1)
    assert await sent(at.world) == [], "not before the reminder's time"
    await triage(at, triaging.accept, request, house=1)
    await reminded(at, request)
    letters = [letter for letter in await sent(at.world) if letter.subject == "会诊申请待答复"]
    assert people(letters) == ["expert1", "expert2", "h1coo"], "who answered is not told"
    assert {letter.channel for letter in letters} == {Channel.ACCOUNT}
    assert {letter.url for letter in letters} == {f"{BASE}/console/requests"}
    assert await sent(at.world) == [], "another server, or this one after a restart"
    async with at.db.read() as tx:
        rows = await tx.notices.find(kind=NoticeKind.REQUEST_UNANSWERED)
        patient = await tx.patients.get(at.world.patient.id)
    assert {(row.institution_id, row.state, row.held) for row in rows} == {(at.houses[0].id, NoticeState.SENT, False)}
    for letter in letters:
        for word in (patient.name, patient.phone, "胸闷三月", "诊断不明", "心内科"):
            assert word not in letter.text + letter.url + letter.subject
        assert letter.text.startswith("【县人民医院】") and "月" in letter.text


async def test_a_panel_that_begins_soon_is_told_and_told_anew_when_it_moves(at: Region) -> None:
    booked, request = await _asked(at, 0)
    await triage(at, triaging.accept, request)
    assert await sent(at.world) == []
    at.world.clock.advance(hours=25)
    letters = await sent(at.world)
    assert people(letters) == ["clinic_doctor", "expert1", "expert2"]
    assert {letter.url for letter in letters} == {f"{BASE}/console/consults/{booked.consult.id}"}
    assert await sent(at.world) == []
    later = booked.consult.starts_at + timedelta(minutes=30)
    async with at.db.begin() as tx:
        consult = await tx.consults.get(booked.consult.id)
        await tx.consults.save(replace(consult, starts_at=later, ends_at=later + timedelta(hours=1)))
        await tx.append(AuditEvent(EventCode.TIME_CHANGED, consult.institution_id, "test", consult.id))
    assert len(await sent(at.world)) == 3
    at.world.clock.advance(hours=24)
    assert await sent(at.world) == [], "it has begun"


async def test_what_is_not_true_any_more_is_dropped_before_it_leaves(at: Region) -> None:
    booked, request = await _asked(at, 0)
    await triage(at, triaging.accept, request)
    at.world.clock.advance(hours=25)
    box = outbox(at.world, Gateway(down=True))
    assert await box.remind_staff(at.world.home.id, BASE) == 3
    await box.deliver_due(at.world.clock())
    async with at.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, at.doctor, "patient_asked")
    at.world.clock.advance(minutes=2)
    gateway = Gateway()
    await outbox(at.world, gateway).deliver_due(at.world.clock())
    assert gateway.letters == []
    async with at.db.read() as tx:
        rows = await tx.notices.find(consult_id=booked.consult.id)
    assert {(row.state, row.held) for row in rows} == {(NoticeState.DROPPED, False)}
    assert await sent(at.world) == []


async def test_nobody_is_told_of_a_panel_without_an_hour_or_without_anybody_in_it(at: Region) -> None:
    written_one, request = await _asked(at, 0)
    async with at.db.begin() as tx:
        await written.ask(tx, written_one.consult.id, "不需要视频", at.doctor)
    await triage(at, triaging.accept, request)
    await at.book(1)
    at.world.clock.advance(hours=25)
    assert await sent(at.world) == []


async def test_the_embedded_outbox_keeps_it_for_a_person_while_it_is_true(at: Region) -> None:
    """In the recipient's own house, long after the consult itself needs no message."""
    _, request = await _asked(at, 0)
    await reminded(at, request)
    box = outbox(at.world)
    assert await box.remind_staff(at.world.home.id, BASE) == 3
    await box.deliver_due(at.world.clock())
    assert await box.erase_over() == 0
    async with at.db.read() as tx:
        rows = await tx.notices.find(institution_id=at.houses[0].id, state=NoticeState.FOR_STAFF)
        assert notices.letter_of(rows[0], box.envelope).url == f"{BASE}/console/requests"
    assert [row.held for row in rows] == [True] * 3
    await triage(at, triaging.accept, request)
    assert await box.erase_over() == 3


async def test_a_faster_server_is_not_an_error(at: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    _, request = await _asked(at, 0)
    await reminded(at, request)

    async def stale(*_given: object, **_named: object) -> None:
        raise StaleRow("notices exists")

    with monkeypatch.context() as patched:
        patched.setattr(notices, "put", stale)
        assert await outbox(at.world).remind_staff(at.world.home.id, BASE) == 0
    assert await outbox(at.world).remind_staff(at.world.home.id, BASE) == 3


async def test_opinions_and_follow_ups_that_are_due() -> None:
    world = await World.create()
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    async with world.db.begin() as tx:
        today = tx.now.date()
        task = await following.set_task(
            tx, consult.id, "复查心电图", today + timedelta(days=1), Actor.staff(world.clinic_doctor)
        )
        await visit.conclude(tx, consult.id, Actor.staff(world.clinic_doctor))

    async def chased() -> list[Letter]:
        async with world.db.begin() as tx:
            await lateness.chase(tx, world.home.id)
        return await sent(world)

    assert await chased() == []
    world.clock.advance(hours=13)
    told = await chased()
    assert people(told) == ["expert2"]
    assert told[0].url == f"{BASE}/console/consults/{consult.id}"
    world.clock.advance(hours=1)  # 7 in the morning of the task's day, there
    assert await chased() == []
    world.clock.advance(hours=1)
    (letter,) = await chased()
    assert (letter.address, letter.url) == ("clinic_doctor", f"{BASE}/console/follow-ups")
    assert "复查" not in letter.text and "08:00" in letter.text
    world.clock.advance(hours=8)
    assert people(await chased()) == ["expert2"], "the second reminder"
    await world.opinion(consult, world.experts[1])
    async with world.db.begin() as tx:
        await following.end_task(tx, task.id, True, "", Actor.staff(world.clinic_doctor))
    world.clock.advance(days=1)
    assert await chased() == []
    codes = [event.public["kind"] for event in world.db.events if event.code is EventCode.NOTICE_SENT]
    assert codes == ["opinion_due", "task_due", "opinion_due"]


async def test_the_stand_in_is_told_and_a_visit_has_no_messages_to_staff() -> None:
    world = await World.create()
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    stand_in = await hire(world, "standin")
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, Actor.staff(world.clinic_doctor))
        await lateness.chase(tx, world.home.id)
        late = Actor.staff(world.experts[1])
        await lateness.name_stand_in(tx, consult.id, world.experts[1].id, stand_in.id, late)
    world.clock.advance(hours=25)
    async with world.db.begin() as tx:
        await lateness.chase(tx, world.home.id)
    assert people(await sent(world)) == ["standin"]
    plain = await world.book()
    async with world.db.read() as tx:
        assert await reminding.of_consult(tx, plain.consult) == []
