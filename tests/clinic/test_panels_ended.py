"""A panel that was ended before it could close: who gets a copy, and what is said of it."""

from dataclasses import replace

from clinic import booking, registration, visit
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.overlays import rules_for
from clinic.panels import copying, ending
from clinic.panels.dossier import dossier
from clinic.panels.papers import papers_of
from tests.support.builders import World
from tests.support.panels import meeting, report


async def terminated(world: World, consult: Consult, shared: frozenset[str] | None = None) -> Consult:
    async with world.db.begin() as tx:
        return await visit.terminate(tx, consult.id, Actor.staff(world.clinic_doctor), "emergency", shared)


async def holders(world: World) -> set[str]:
    async with world.db.read() as tx:
        return {copy.institution_id for copy in await copying.due(tx)}


async def test_whoever_took_part_gets_what_exists(world: World) -> None:
    consult = await meeting(world)
    ended = await terminated(world, consult)
    assert world.db.codes()[-2:] == ["copy.ordered", "copy.ordered"]
    assert await holders(world) == {world.home.id, world.partner.id}
    async with world.db.read() as tx:
        told = (await dossier(tx, ended))["ended"]
    assert (told["as"], told["code"], told["at"]) == ("terminated_unsuitable", "emergency", ended.closed_at)
    assert told["said"]["zh"].startswith("会诊提前终止，原因：急症。终止时没有专家签署意见")


async def test_a_panel_nobody_came_to_leaves_none(world: World) -> None:
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult):
        await world.answer(invitation)
    await world.enter(booked.doctor_seat)
    waiting = await world.consult(booked.consult.id)
    assert waiting.status is ConsultStatus.WAITING
    await terminated(world, waiting)
    assert await holders(world) == set()


async def test_a_cancelled_one_leaves_none_either(world: World) -> None:
    booked = await world.book_panel()
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, Actor.staff(world.clinic_doctor), booking.CANCEL_CODES[0])
    assert await holders(world) == set()


async def test_to_whom_the_patient_shares_no_more_nothing_new_is_given(world: World) -> None:
    """PIPL art. 15, 23: with nothing signed it gets no copy."""
    await terminated(world, await meeting(world), frozenset())
    assert await holders(world) == {world.home.id}


async def test_what_was_signed_stays_in_the_copy_of_its_house(world: World) -> None:
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    await terminated(world, consult, frozenset())
    assert await holders(world) == {world.home.id, world.partner.id}


async def test_all_that_was_signed_is_in_it(world: World) -> None:
    """A trainee's opinion that no senior answered, too: the trail knows of it."""
    consult = await meeting(world)
    async with world.db.begin() as tx:
        there = Actor.system(world.partner.id)
        await registration.change_staff(tx, world.experts[1].id, {"requires_countersign": True}, there)
    for expert in world.experts:
        await world.opinion(consult, expert)
    ended = await terminated(world, consult)
    async with world.db.read() as tx:
        papers, document = await papers_of(tx, consult.id), await dossier(tx, ended)
    assert (len(papers.counted), len(papers.to_countersign)) == (1, 1)
    assert len(document["opinions"]) == 2
    assert "只有终止以前签署的文书" in document["ended"]["said"]["zh"]


async def test_with_everything_signed_the_end_is_told_all_the_same(world: World) -> None:
    consult = await meeting(world)
    for expert in world.experts:
        await world.opinion(consult, expert)
    await report(world, consult)
    await world.decide(consult)
    ended = await terminated(world, consult)
    async with world.db.read() as tx:
        document = await dossier(tx, ended)
        papers = await papers_of(tx, consult.id)
    assert document["report"] and document["decision"]
    assert (ending.ended_early(ended), ending.met(ended, papers)) == (True, True)


async def test_a_reason_no_rule_names_is_told_by_its_code(world: World) -> None:
    consult = await meeting(world)
    ended = await terminated(world, consult)
    async with world.db.read() as tx:
        papers = await papers_of(tx, consult.id)
    rules = rules_for(world.home, world.clock())
    for code, wanted in (("of_old", "of_old"), (None, "terminated_unsuitable")):
        told = ending.told(replace(ended, outcome_code=code), papers, rules)
        assert told["said"]["en"].startswith(f"The consult was ended early; reason: {wanted}.")
