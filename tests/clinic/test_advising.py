"""A nurse or an expert advises to stop; the doctor decides."""

import pytest

from clinic import advising, visit
from clinic.actor import Actor
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.people import Role
from tests.support.builders import World


async def test_an_expert_advises_and_the_doctor_decides(world: World) -> None:
    booked = await world.book_panel()
    expert = await world.answer((await world.ask(booked.consult))[1])
    assert expert is not None
    await world.sign(booked.patient_seat)
    await world.enter(booked.patient_seat)
    async with world.db.begin() as tx:
        advice = await advising.advise(
            tx, booked.consult.id, "needs_examination", "需要查体和心电图", Actor.staff(world.experts[1])
        )
    assert (advice.seat_id, advice.role) == (expert.id, Role.EXPERT)
    event = world.db.events[-1]
    assert (event.code, event.actor_id) == ("visit.termination_advised", expert.id)
    assert event.public == {"reason": "needs_examination", "role": "expert"}
    assert not (await world.consult(booked.consult.id)).over, "advice ends nothing"
    async with world.db.begin() as tx:
        await visit.terminate(tx, booked.consult.id, Actor.staff(world.clinic_doctor), advice.reason_code)
    with pytest.raises(NotPermitted):  # the seat reaches no further than the consult
        async with world.db.begin() as tx:
            await advising.advise(tx, booked.consult.id, "emergency", "太迟了", Actor.staff(world.experts[1]))


async def test_who_may_not_and_what_is_not_taken(world: World) -> None:
    booked = await world.book()
    for who in (world.doctor, world.nurse, world.archivist):  # a nurse needs a seat in the visit
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await advising.advise(tx, booked.consult.id, "emergency", "胸痛", Actor.staff(who))
    panel = await world.book_panel()
    await world.answer((await world.ask(panel.consult))[1])
    by = Actor.staff(world.experts[1])
    for reason, text in (("boredom", "需要查体"), ("emergency", " "), ("emergency", "x" * 1001)):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await advising.advise(tx, panel.consult.id, reason, text, by)


async def test_when_the_pictures_are_over_there_is_nothing_to_stop(world: World) -> None:
    booked = await world.book_panel()
    expert = await world.answer((await world.ask(booked.consult))[1])
    assert expert is not None
    await world.sign(booked.patient_seat)
    await world.enter(booked.patient_seat)
    await world.enter(booked.doctor_seat)
    await world.admit(booked.patient_seat)
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, Actor.staff(world.clinic_doctor))
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await advising.advise(tx, booked.consult.id, "emergency", "太迟了", Actor.seated(expert))
