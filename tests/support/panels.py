"""A panel in the small world of `tests.support.builders`, as far as a test needs it."""

from clinic import visit
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.panels import reporting
from clinic.people import Staff
from tests.support.builders import World


async def meeting(world: World) -> Consult:
    """Both experts accepted and sit with the inviting doctor; the call runs."""
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult):
        seat = await world.answer(invitation)
        assert seat is not None
        await world.enter(seat)
    await world.enter(booked.doctor_seat)
    return await world.consult(booked.consult.id)


async def report(world: World, consult: Consult, chair: Staff | None = None) -> None:
    """The joint report, by the chair who was asked."""
    by = Actor.staff(chair or world.experts[0])
    async with world.db.begin() as tx:
        await reporting.save_report(tx, consult.id, by, "考虑冠心病，不稳定型心绞痛", "尽快行冠脉造影")
        await reporting.sign_report(tx, world.sealer, consult.id, by)


async def panel_over(world: World) -> Consult:
    """A panel with two opinions, one dissenting, a report and a decision; closed."""
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    await world.opinion(consult, world.experts[1], dissent=True)
    await report(world, consult)
    await world.decide(consult)
    by = Actor.staff(world.clinic_doctor)
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, by)
        return await visit.close(tx, consult.id, by)
