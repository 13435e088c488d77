"""Hours, places and times: nothing is given out twice, on the in-memory database and on SQLite alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from audit.errors import MissingRow, StaleRow
from clinic import booking, slots
from clinic.actor import Actor
from clinic.booking import NewConsult
from clinic.consult import ConsultKind
from clinic.errors import ClinicError, DoctorBusy, IllegalMove, InvalidInput, NotPermitted, SlotClosed, SlotFull
from clinic.people import IdentityLevel
from clinic.places import Slot, SlotState
from huizhen.store.database import SqlDatabase
from tests.support import prepared
from tests.support.builders import CARDIOLOGY, World
from tests.support.builders import evidence as proof
from tests.support.clock import FakeClock


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = FakeClock()
    if request.param == "memory":
        yield await World.create(clock)
        return
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    yield await World.create(clock, database)
    await database.close()


async def hours(world: World, after: float = 60, minutes: int = 60, capacity: int = 4, **changes: Any) -> Slot:
    values = {
        "doctor_id": world.doctor.id, "department": CARDIOLOGY, "kind": ConsultKind.FOLLOW_UP,
        "starts_at": world.clock() + timedelta(minutes=after), "minutes": minutes, "capacity": capacity,
    }  # fmt: skip
    async with world.db.begin() as tx:
        return await slots.open_slot(tx, slots.NewSlot(**{**values, **changes}), Actor.staff(world.nurse))


async def take(world: World, slot: Slot, number: int | None = None) -> booking.Booked:
    visited = world.clock().date() - timedelta(days=20)
    new = slots.NewVisit(world.patient.id, "复诊", 0, (proof(visited),))
    async with world.db.begin() as tx:
        return await slots.book(tx, slot.id, new, Actor.staff(world.nurse), number)


async def taken(world: World, slot: Slot) -> dict[int, str]:
    async with world.db.read() as tx:
        return await slots.taken(tx, slot)


async def test_places_are_given_out_in_order_each_with_its_own_time(world: World) -> None:
    slot = await hours(world)
    booked = [await take(world, slot) for _ in range(4)]
    starts = [each.consult.starts_at - slot.starts_at for each in booked]
    assert starts == [timedelta(minutes=m) for m in (0, 15, 30, 45)]
    assert booked[3].consult.ends_at == slot.ends_at
    with pytest.raises(SlotFull):
        await take(world, slot)
    assert await taken(world, slot) == {number: each.consult.id for number, each in enumerate(booked)}


async def test_a_named_place_is_given_once(world: World) -> None:
    slot = await hours(world)
    await take(world, slot, 2)
    with pytest.raises(SlotFull):
        await take(world, slot, 2)
    with pytest.raises(InvalidInput):
        await take(world, slot, 4)


async def test_one_place_wanted_by_many_at_once_goes_to_one(world: World) -> None:
    slot = await hours(world, capacity=1)
    results = await asyncio.gather(*(take(world, slot) for _ in range(8)), return_exceptions=True)
    won = [each for each in results if isinstance(each, booking.Booked)]
    assert len(won) == 1
    assert all(isinstance(each, (SlotFull, StaleRow)) for each in results if each is not won[0])
    async with world.db.read() as tx:
        assert len(await tx.consults.find()) == 1


async def test_hours_of_one_doctor_never_overlap(world: World) -> None:
    first = await hours(world)
    with pytest.raises(DoctorBusy):
        await hours(world, after=119)
    await hours(world, after=120)
    await hours(world, doctor_id=world.clinic_doctor.id)
    async with world.db.begin() as tx:
        await slots.close_slot(tx, first.id, Actor.staff(world.nurse))
        again = await slots.close_slot(tx, first.id, Actor.staff(world.nurse))
    assert again.state is SlotState.CLOSED
    await hours(world)


async def test_a_visit_at_a_free_time_stands_in_the_way(world: World) -> None:
    start = world.clock() + timedelta(minutes=70)
    await world.book(starts_at=start, ends_at=start + timedelta(minutes=20))
    with pytest.raises(DoctorBusy):
        await hours(world)
    slot = await hours(world, after=200)
    at = slot.time_of(1)[0]
    await world.book(starts_at=at, ends_at=at + timedelta(minutes=5))
    assert (await take(world, slot)).consult.starts_at == slot.starts_at
    assert (await take(world, slot)).consult.starts_at == slot.time_of(2)[0]
    with pytest.raises(DoctorBusy):
        await take(world, slot, 1)


async def test_a_free_booking_may_not_stand_on_a_booked_place(world: World) -> None:
    slot = await hours(world)
    booked = await take(world, slot)
    new = NewConsult(
        ConsultKind.FOLLOW_UP, CARDIOLOGY, world.doctor.id, world.patient.id, "复诊", 0,
        booked.consult.starts_at, booked.consult.ends_at,
    )  # fmt: skip
    async with world.db.begin() as tx:
        with pytest.raises(DoctorBusy):
            await booking.book(tx, new, Actor.staff(world.nurse))
    async with world.db.begin() as tx:
        moved = NewConsult(
            new.kind, new.department, new.doctor_id, new.patient_id, new.reason, 0,
            slot.ends_at, slot.ends_at + timedelta(minutes=10),
        )  # fmt: skip
        assert (await booking.book(tx, moved, Actor.staff(world.nurse))).consult.starts_at == slot.ends_at


async def test_cancelling_gives_the_place_back(world: World) -> None:
    slot = await hours(world, capacity=1)
    booked = await take(world, slot)
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, Actor.staff(world.nurse), "patient_asked")
    assert await taken(world, slot) == {}
    again = await take(world, slot)
    assert await taken(world, slot) == {0: again.consult.id}


async def test_another_time_frees_the_former_one(world: World) -> None:
    slot = await hours(world, capacity=2)
    first, second = await take(world, slot), await take(world, slot)
    later = await hours(world, after=300, capacity=1)
    async with world.db.begin() as tx:
        changed = await slots.rebook(tx, first.consult.id, later.id, Actor.staff(world.nurse))
    assert (changed.starts_at, changed.ends_at) == (later.starts_at, later.ends_at)
    assert await taken(world, slot) == {1: second.consult.id}
    with pytest.raises(SlotFull):
        async with world.db.begin() as tx:
            await slots.rebook(tx, second.consult.id, later.id, Actor.staff(world.nurse))
    assert await taken(world, slot) == {1: second.consult.id}, "a refused change leaves everything as it was"
    async with world.db.begin() as tx:
        await slots.rebook(tx, second.consult.id, slot.id, Actor.staff(world.nurse), 0)
    assert await taken(world, slot) == {0: second.consult.id}


async def test_the_time_changes_only_before_the_patient_came_and_with_the_same_doctor(world: World) -> None:
    slot = await hours(world, after=30)
    booked = await take(world, slot)
    other = await hours(world, doctor_id=world.clinic_doctor.id)
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await slots.rebook(tx, booked.consult.id, other.id, Actor.staff(world.nurse))
    await world.sign(booked.patient_seat)
    await world.enter(booked.patient_seat)
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await slots.rebook(tx, booked.consult.id, slot.id, Actor.staff(world.nurse))


async def test_closed_and_past_hours_take_nobody(world: World) -> None:
    slot, past = await hours(world), await hours(world, after=1, minutes=10, capacity=2)
    async with world.db.begin() as tx:
        await slots.close_slot(tx, slot.id, Actor.staff(world.doctor))
    with pytest.raises(SlotClosed):
        await take(world, slot)
    world.clock.advance(minutes=7)
    assert (await take(world, past)).consult.starts_at == past.time_of(1)[0]
    world.clock.advance(minutes=10)
    with pytest.raises(SlotFull):
        await take(world, past, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"capacity": 0}, "capacity"),
        ({"capacity": 49}, "capacity"),
        ({"minutes": 19}, "minutes"),
        ({"minutes": 62}, "minutes"),
        ({"minutes": 241, "capacity": 1}, "minutes"),
        ({"after": -1}, "starts_at"),
        ({"after": 91 * 1440}, "starts_at"),
        ({"after": 6 * 60 + 30, "minutes": 60}, "minutes"),  # 15:30 UTC is half past eleven at night there
        ({"department": "03.01"}, "department"),
        ({"kind": ConsultKind.EXPERT_CONSULT}, "doctor_id"),
    ],
)
async def test_hours_that_make_no_sense_are_refused(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await hours(world, **changes)
    assert refused.value.field == field


async def test_a_start_needs_a_time_zone(world: World) -> None:
    with pytest.raises(InvalidInput):
        await hours(world, starts_at=world.clock().replace(tzinfo=None))


async def test_who_may_open_hours(world: World) -> None:
    new = slots.NewSlot(world.doctor.id, CARDIOLOGY, ConsultKind.FOLLOW_UP, world.clock() + timedelta(hours=5), 20, 1)
    for refused, error in ((world.archivist, NotPermitted), (world.experts[0], MissingRow)):
        with pytest.raises(error):
            async with world.db.begin() as tx:
                await slots.open_slot(tx, new, Actor.staff(refused))
    async with world.db.begin() as tx:
        slot = await slots.open_slot(tx, new, Actor.staff(world.admin))
    async with world.db.begin() as tx:
        with pytest.raises(MissingRow):
            await slots.close_slot(tx, slot.id, Actor.staff(world.experts[0]))
        with pytest.raises(MissingRow):
            await slots.close_slot(tx, uuid4().hex, Actor.staff(world.admin))
    async with world.db.read() as tx:
        assert await slots.of_day(tx, world.home.id, slot.day) == [slot]


async def test_a_refused_booking_takes_no_place(world: World) -> None:
    from clinic import registration
    from tests.support.builders import patient

    slot = await hours(world, capacity=1)
    async with world.db.begin() as tx:
        unknown = await registration.create_patient(
            tx, patient(world.home.id, id_number="110101195105060099", identity_level=IdentityLevel.L0), world.system
        )
    with pytest.raises(ClinicError):
        async with world.db.begin() as tx:
            await slots.book(tx, slot.id, slots.NewVisit(unknown.id, "复诊", 0), Actor.staff(world.nurse))
    assert await taken(world, slot) == {}
    assert (await take(world, slot)).consult.starts_at == slot.starts_at
