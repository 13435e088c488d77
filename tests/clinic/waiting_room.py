"""Visits that wait, and the line as it stands: for the tests of waiting."""

from typing import Any

from clinic import booking, filings, line, registration
from clinic.people import Role, Staff
from clinic.queueing import line as in_line
from clinic.rulebook import in_force
from tests.support.builders import World, staff
from tests.support.clock import START
from tests.support.proofs import filing

POLICY = in_force(START.date())


async def second_doctor(world: World, **changes: Any) -> Staff:
    async with world.db.begin() as tx:
        new = staff(world.home.id, "second", (Role.ATTENDING,), **changes)
        doctor = await registration.create_staff(tx, new, world.system)
        await filings.file_practice(tx, doctor.id, filing(), world.system)
    return doctor


async def waiting_visit(world: World) -> booking.Booked:
    booked = await world.book()
    await world.sign(booked.patient_seat)
    await world.enter(booked.patient_seat)
    world.clock.advance(1)
    return booked


async def in_order(world: World, doctor: Staff | None = None) -> list[str]:
    async with world.db.read() as tx:
        places = await line.of_doctor(tx, (doctor or world.doctor).id)
        return [place.id for place in in_line(places, tx.now, POLICY)]
