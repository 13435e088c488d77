"""Another doctor takes over somebody who waits; the place in the line is kept (HZ-12)."""

from datetime import timedelta

import pytest

from audit.errors import MissingRow
from clinic import booking, filings, line, reassigning, registration, visit
from clinic.actor import Actor
from clinic.consult import ConsultStatus, SeatState
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput, NotPermitted
from clinic.people import Role, Staff
from tests.clinic.waiting_room import in_order, second_doctor, waiting_visit
from tests.support.builders import World, staff
from tests.support.proofs import filing


async def reassign(world: World, booked: booking.Booked, to: Staff, by: Staff | None = None) -> reassigning.Reassigned:
    async with world.db.begin() as tx:
        return await reassigning.reassign(tx, booked.consult.id, to.id, Actor.staff(by or world.nurse))


async def test_another_doctor_takes_over_and_the_place_is_kept(world: World) -> None:
    other = await second_doctor(world)
    booked = await waiting_visit(world)
    await world.enter(booked.doctor_seat)
    world.clock.advance(minutes=10)
    done = await reassign(world, booked, other)
    assert (done.consult.doctor_id, done.former_doctor) == (other.id, world.doctor.id)
    assert [seat.state for seat in done.former] == [SeatState.REMOVED]
    assert await in_order(world) == []
    assert await in_order(world, other) == [booked.patient_seat.id]
    async with world.db.read() as tx:
        place = await line.of_seat(tx, booked.patient_seat.id)
    assert place is not None
    assert place.arrived_at == world.clock() - timedelta(minutes=10, seconds=1)
    await world.enter(done.doctor_seat)
    await world.ready(done.consult)  # the former doctor's word on the re-visit is not the new one's
    async with world.db.begin() as tx:
        entered = await visit.admit(tx, booked.consult.id, booked.patient_seat.id, Actor.staff(other))
    assert entered.consult.status is ConsultStatus.IN_PROGRESS
    with pytest.raises(IllegalMove):
        await reassign(world, booked, world.doctor)


async def test_handing_back_gives_the_first_doctor_a_seat_that_opens(world: World) -> None:
    other = await second_doctor(world)
    booked = await waiting_visit(world)
    await reassign(world, booked, other)
    back = await reassign(world, booked, world.doctor)
    await world.enter(back.doctor_seat)
    await world.ready(back.consult)
    async with world.db.begin() as tx:
        await visit.admit(tx, booked.consult.id, booked.patient_seat.id, Actor.staff(world.doctor))


async def test_handed_on_three_times_each_seat_closes_once(world: World) -> None:
    other = await second_doctor(world)
    booked = await waiting_visit(world)
    await reassign(world, booked, other)
    back = await reassign(world, booked, world.doctor)
    again = await reassign(world, booked, other)
    assert [seat.id for seat in again.former] == [back.doctor_seat.id], "the seat closed before stays as it was"
    assert await in_order(world, other) == [booked.patient_seat.id]


async def test_a_visit_nobody_waits_for_yet_is_taken_over_too(world: World) -> None:
    other = await second_doctor(world)
    booked = await world.book()
    done = await reassign(world, booked, other)
    assert done.consult.doctor_id == other.id
    assert await in_order(world, other) == []
    await world.enter(booked.patient_seat)
    assert await in_order(world, other) == [booked.patient_seat.id]


async def test_who_may_not_take_over(world: World) -> None:
    booked = await waiting_visit(world)
    elsewhere = await second_doctor(world, department="03.01")
    for to, error in (
        (world.experts[0], MissingRow),
        (world.doctor, InvalidInput),
        (world.nurse, InvalidInput),
        (elsewhere, InvalidInput),
    ):
        with pytest.raises(error):
            await reassign(world, booked, to)
    with pytest.raises(NotPermitted):
        await reassign(world, booked, elsewhere, by=world.doctor)
    async with world.db.begin() as tx:
        narrow = staff(world.home.id, "narrow", (Role.ATTENDING,), practice_scope=("03.01",))
        outside = await registration.create_staff(tx, narrow, world.system)
        await filings.file_practice(tx, outside.id, filing(), world.system)
    with pytest.raises(AdmissionRefused) as refused:
        await reassign(world, booked, outside)
    assert refused.value.reasons == ("gate.doctor_scope",)
    assert await in_order(world) == [booked.patient_seat.id]
