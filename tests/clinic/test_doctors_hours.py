"""One doctor, one place at a time (HZ-18): visits, own panels and panels accepted as an expert, whichever way they are
made; on the in-memory database and on SQLite alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.errors import StaleRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking, filings, reassigning, registration, slots
from clinic.actor import Actor
from clinic.booking import Booked, NewConsult
from clinic.consult import Consult, ConsultKind, ConsultStatus
from clinic.errors import AdmissionRefused, DoctorBusy, DoctorInPanel
from clinic.panels import hours, written
from clinic.panels.records import Invitation
from clinic.people import Patient, Role, Staff
from clinic.places import Slot
from clinic.rulebook import in_force
from huizhen.store import migrate
from huizhen.store.database import SqlDatabase
from tests.store.samples import sample
from tests.support.builders import CARDIOLOGY, World, patient, staff
from tests.support.clock import START, FakeClock
from tests.support.proofs import filing

POLICY = in_force(START.date())
WALK_IN = POLICY.minutes("HZ-18", "walk_in_minutes")


@dataclass
class House:
    """The partner's: a doctor who sees patients and advises in panels, a colleague, a patient."""

    world: World
    doctor: Staff
    colleague: Staff
    patient: Patient
    panel: Consult
    invitation: Invitation  # the doctor's, to the county's panel in two hours
    by: Actor

    async def book(self, after: float, minutes: int = 30, **changes: Any) -> Booked:
        """A visit so many minutes after the panel's start (less than nothing: before)."""
        begins = self.panel.starts_at + timedelta(minutes=after)
        new = NewConsult(
            ConsultKind.ADVICE, CARDIOLOGY, self.doctor.id, self.patient.id, "咨询", 0, begins,
            begins + timedelta(minutes=minutes),
        )  # fmt: skip
        async with self.world.db.begin() as tx:
            return await booking.book(tx, replace(new, **changes), self.by)

    async def walk_in(self, minutes: int = 30) -> Booked:
        now = self.world.clock()
        return await self.book(0, starts_at=now, ends_at=now + timedelta(minutes=minutes))

    async def open(self, after: float, minutes: int = 60, capacity: int = 4, doctor: Staff | None = None) -> Slot:
        begins = self.panel.starts_at + timedelta(minutes=after)
        new = slots.NewSlot((doctor or self.doctor).id, CARDIOLOGY, ConsultKind.ADVICE, begins, minutes, capacity)
        async with self.world.db.begin() as tx:
            return await slots.open_slot(tx, new, self.by)

    async def take(self, slot: Slot, number: int | None = None) -> Booked:
        async with self.world.db.begin() as tx:
            return await slots.book(tx, slot.id, slots.NewVisit(self.patient.id, "咨询", 0), self.by, number)

    async def offered(self, *shown: Slot) -> list[list[int]]:
        async with self.world.db.read() as tx:
            found = await slots.on_offer(tx, [await tx.slots.get(slot.id) for slot in shown])
        return [sorted(found.get(slot.id, ())) for slot in shown]

    async def reassign(self, consult: Consult, to: Staff) -> Consult:
        async with self.world.db.begin() as tx:
            return (await reassigning.reassign(tx, consult.id, to.id, self.by)).consult

    async def accept(self) -> None:
        await self.world.answer(self.invitation)


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    if request.param == "memory":
        yield await furnished(await World.create(clock))
        return
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await migrate.upgrade(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    yield await furnished(await World.create(clock, database))
    await database.close()


async def furnished(world: World) -> House:
    there = Actor.system(world.partner.id)
    async with world.db.begin() as tx:
        hired = []
        for login, roles in (("both", (Role.EXPERT, Role.ATTENDING)), ("colleague", (Role.ATTENDING,))):
            hired.append(await registration.create_staff(tx, staff(world.partner.id, login, roles), there))
            await filings.file_practice(tx, hired[-1].id, filing(), there)
        nurse = await registration.create_staff(tx, staff(world.partner.id, "desk", (Role.NURSE,)), there)
        known = await registration.create_patient(tx, patient(world.partner.id), there)
    world.experts[0] = hired[0]
    begins = world.clock() + timedelta(hours=2)
    panel = await world.book(
        kind=ConsultKind.EXPERT_CONSULT, doctor_id=world.clinic_doctor.id, evidence=(), reason="会诊",
        starts_at=begins, ends_at=begins + timedelta(hours=1),
    )  # fmt: skip
    asked = await world.ask(panel.consult)
    own = next(row for row in asked if row.expert_id == hired[0].id)
    return House(world, hired[0], hired[1], known, panel.consult, own, Actor.staff(nurse))


def test_a_walk_in_is_what_is_booked_for_now() -> None:
    seconds = timedelta(seconds=1)
    assert hours.at_once(START + WALK_IN, START, POLICY)
    assert not hours.at_once(START + WALK_IN + seconds, START, POLICY)
    for kind, keeps in ((ConsultKind.ADVICE, False), (ConsultKind.EXPERT_CONSULT, True)):
        assert hours.keeps_hour(sample(Consult, "c1", kind=kind, created_at=START, starts_at=START), POLICY) is keeps
    later = sample(Consult, "c1", kind=ConsultKind.ADVICE, created_at=START, starts_at=START + 2 * WALK_IN)
    assert hours.keeps_hour(later, POLICY)


async def test_two_visits_never_stand_at_one_hour(house: House) -> None:
    first = await house.book(0)
    for after in (-29, 0, 29):
        with pytest.raises(DoctorBusy) as refused:
            await house.book(after)
        assert refused.value.code == "slot.doctor_busy"
    await house.book(0, doctor_id=house.colleague.id)
    assert [(await house.book(after)).consult.id != first.consult.id for after in (-30, 30)] == [True, True]


async def test_no_visit_stands_over_a_panel_the_doctor_accepted(house: House) -> None:
    asked = await house.book(0)  # asked is not accepted: nobody's hours yet
    async with house.world.db.begin() as tx:
        await booking.cancel(tx, asked.consult.id, house.by, "patient_asked")
    await house.accept()
    for after in (-29, 0, 59):
        with pytest.raises(DoctorInPanel) as refused:
            await house.book(after)
        assert refused.value.code == "slot.doctor_in_panel"
    for after in (-30, 60):
        await house.book(after)


async def test_an_own_panel_stands_in_the_way_of_a_visit(house: House) -> None:
    world = house.world
    with pytest.raises(DoctorBusy):
        await world.book(
            kind=ConsultKind.FOLLOW_UP, doctor_id=world.clinic_doctor.id, starts_at=house.panel.starts_at,
            ends_at=house.panel.ends_at,
        )  # fmt: skip


async def test_who_comes_without_an_hour_is_never_refused_and_stands_in_nobodys_way(house: House) -> None:
    first, second = await house.walk_in(), await house.walk_in()
    assert first.consult.starts_at == second.consult.starts_at
    now = house.world.clock()
    await house.book(0, starts_at=now + timedelta(minutes=10), ends_at=now + timedelta(minutes=20))
    await house.accept()
    house.world.clock.advance(minutes=130)
    await house.walk_in()  # the doctor sits in the panel: the patient waits in the line
    slot = await house.open(60, minutes=20, capacity=1)
    await house.take(slot)
    house.world.clock.advance(minutes=50)
    with pytest.raises(DoctorBusy):
        await house.walk_in()  # but not over a booked place


async def test_a_panel_in_writing_takes_no_hour(house: House) -> None:
    async with house.world.db.begin() as tx:
        await written.ask(tx, house.panel.id, "不需要视频", Actor.staff(house.world.clinic_doctor))
    await house.accept()
    await house.book(0)


async def test_hours_are_not_offered_or_opened_where_the_doctor_sits_in_a_panel(house: House) -> None:
    around, beside = await house.open(-30, 120, 4), await house.open(0, doctor=house.colleague)
    assert await house.offered(around, beside) == [[0, 1, 2, 3], [0, 1, 2, 3]]
    await house.accept()
    assert await house.offered(around, beside) == [[0, 3], [0, 1, 2, 3]]
    with pytest.raises(DoctorInPanel):
        await house.take(around, 1)
    assert (await house.take(around)).consult.starts_at == around.starts_at
    assert (await house.take(around)).consult.starts_at == around.time_of(3)[0]
    with pytest.raises(DoctorInPanel):
        await house.take(around)
    assert await house.offered(around) == [[]]
    async with house.world.db.begin() as tx:
        await slots.close_slot(tx, around.id, house.by)
    assert await house.offered(around) == [[]]
    with pytest.raises(DoctorInPanel):
        await house.open(30, 20, 1)
    house.world.clock.advance(minutes=136)
    assert await house.offered(beside) == [[1, 2, 3]]
    house.world.clock.advance(minutes=60)
    assert await house.offered(beside) == [[]]


async def test_another_time_is_refused_where_the_doctor_sits_in_a_panel(house: House) -> None:
    await house.accept()
    before, around = await house.open(-60), await house.open(60, 60, 1)
    booked = await house.take(before)
    async with house.world.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(house.panel.id), ends_at=around.ends_at))
        await tx.append(AuditEvent(EventCode.TIME_CHANGED, house.panel.institution_id, "test", house.panel.id))
    with pytest.raises(DoctorInPanel):
        async with house.world.db.begin() as tx:
            await slots.rebook(tx, booked.consult.id, around.id, house.by)


async def test_a_visit_is_not_handed_to_a_doctor_who_has_something_else(house: House) -> None:
    await house.accept()
    to_panel = await house.book(0, doctor_id=house.colleague.id)
    with pytest.raises(DoctorInPanel):
        await house.reassign(to_panel.consult, house.doctor)
    own, other = await house.book(-60), await house.book(-60, doctor_id=house.colleague.id)
    with pytest.raises(DoctorBusy):
        await house.reassign(other.consult, house.doctor)
    async with house.world.db.begin() as tx:
        await booking.cancel(tx, own.consult.id, house.by, "patient_asked")
    assert (await house.reassign(other.consult, house.doctor)).doctor_id == house.doctor.id


async def test_who_waits_is_handed_to_a_busy_colleague_but_not_into_a_panel(house: House) -> None:
    await house.accept()
    late = await house.book(-40, 20, doctor_id=house.colleague.id)
    soon = await house.book(-100, 20, doctor_id=house.colleague.id)
    await house.book(-100, 20)
    for booked in (late, soon):
        async with house.world.db.begin() as tx:
            consult = await tx.consults.get(booked.consult.id)
            await tx.consults.save(consult.move(ConsultStatus.WAITING, tx.now))
            await tx.append(booking.moved(consult, consult, house.by))
    assert (await house.reassign(soon.consult, house.doctor)).doctor_id == house.doctor.id
    house.world.clock.advance(minutes=110)  # the panel begins before the visit could be over
    with pytest.raises(DoctorInPanel):
        await house.reassign(late.consult, house.doctor)
    walked = await house.walk_in()
    assert (await house.reassign(walked.consult, house.colleague)).doctor_id == house.colleague.id


async def test_of_two_bookings_at_one_moment_one_is_refused(house: House) -> None:
    results = await asyncio.gather(*(house.book(0) for _ in range(6)), return_exceptions=True)
    won = [each for each in results if isinstance(each, Booked)]
    assert len(won) == 1
    assert all(isinstance(each, (DoctorBusy, StaleRow)) for each in results if each is not won[0])


async def test_of_a_booking_and_an_answer_at_one_moment_one_is_refused(house: House) -> None:
    booked, answered = await asyncio.gather(house.book(0), house.accept(), return_exceptions=True)
    refused = [each for each in (booked, answered) if isinstance(each, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], (DoctorInPanel, AdmissionRefused, StaleRow))
