"""What a request between institutions is told of the ledger: who is named, who witnessed, whether anybody could."""

from datetime import timedelta

import pytest

from clinic.actor import Actor
from clinic.booking import Booked
from clinic.panels.sending import Shared
from consent import desk, emergency, witnessing
from consent.emergency import Emergency
from consent.records import CapacityBasis, ConsentRecord, Purpose, SignerCapacity
from consent.sharing import shared_words
from consent.witnessing import Sighting
from tests.support.builders import World


@pytest.fixture
async def world() -> World:
    return await World.create()


async def witnessed(world: World, booked: Booked) -> ConsentRecord:
    seen = Sighting(
        "w" * 32,
        SignerCapacity.SELF,
        CapacityBasis.OWN,
        booked.patient_seat.display_name,
        "身份证",
        "",
        world.clinic_doctor.name,
    )
    async with world.db.begin() as tx:
        by = Actor.staff(world.clinic_doctor)
        return await witnessing.witness(tx, world.sealer, booked.patient_seat.id, seen, by=by)


async def words(world: World, booked: Booked) -> tuple[Shared, ...]:
    return shared_words(await world.records(booked.consult), world.clock())


async def test_each_institution_with_its_record_and_witness(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    assert await words(world, booked) == ()
    signed = await world.sign(booked.patient_seat)
    assert await words(world, booked) == (Shared(world.partner.id, signed.id, frozenset()),)
    sighting = await witnessed(world, booked)
    signed = await world.sign(booked.patient_seat)
    seen = frozenset({world.clinic_doctor.id})
    assert await words(world, booked) == (Shared(world.partner.id, signed.id, seen),)
    async with world.db.begin() as tx:
        by = Actor.staff(world.clinic_doctor)
        await desk.correct(tx, world.sealer, sighting.id, reason="看错了人", operation_id="c" * 32, by=by)
    assert await words(world, booked) == (Shared(world.partner.id, signed.id, frozenset()),)
    await world.withdraw(booked.patient_seat, Purpose.SHARE_PANEL)
    assert await words(world, booked) == ()


async def test_a_yes_that_ran_out_is_none(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    await world.sign(booked.patient_seat)
    later = world.clock() + timedelta(days=366)
    assert shared_words(await world.records(booked.consult), later) == ()


async def test_where_nobody_could_be_asked_nobody_witnessed(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    async with world.db.begin() as tx:
        found = Emergency("e" * 32, "昏迷，家属未到", "电话三次未接")
        await emergency.approve(tx, world.sealer, booked.consult.id, found, by=Actor.staff(world.approver))
    (word,) = await words(world, booked)
    assert (word.institution_id, word.emergency, word.witnesses) == (world.partner.id, True, frozenset())
