"""A panel in writing: asked before anybody comes, begun by the answers, closed with the papers of any panel."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clinic import overlays, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import IN_WRITING, MOVES, Consult, ConsultKind, ConsultStatus, SeatState
from clinic.errors import IllegalMove, InvalidInput, NotPermitted, Unsigned
from clinic.panels import in_writing, written
from clinic.panels.in_writing import InWriting, NobodyTakesPart, NotInWriting, WrittenConsult
from clinic.rulebook import RuleSet, in_force
from clinic.sweeper import forgotten, sweep
from tests.support.builders import World
from tests.support.panels import report


async def asked(world: World, consult: Consult, reason: str = "不需要视频") -> WrittenConsult:
    async with world.db.begin() as tx:
        return await written.ask(tx, consult.id, reason, Actor.staff(world.clinic_doctor))


async def begun(world: World, consult: Consult) -> Consult:
    async with world.db.begin() as tx:
        return await written.begin(tx, consult.id, Actor.staff(world.clinic_doctor))


async def ready(world: World, consult: Consult) -> bool:
    async with world.db.read() as tx:
        return await written.ready(tx, consult.id)


@pytest.fixture
async def booked(world: World) -> Booked:
    return await world.book_panel()


async def test_from_the_request_to_the_close_without_a_call(world: World, booked: Booked) -> None:
    consult = booked.consult
    first, second = await world.ask(consult)
    assert not await ready(world, consult)
    row = await asked(world, consult)
    assert row.due_at == row.asked_at + timedelta(hours=in_force(row.asked_at.date()).value("HZ-45", "opinion_hours"))
    await world.answer(first)
    assert not await ready(world, consult)  # the other is still waited for
    await world.answer(second)
    assert await ready(world, consult)
    moved = await begun(world, consult)
    assert (moved.status, moved.outcome_code, moved.opened_at) == (ConsultStatus.CONCLUDING, IN_WRITING, None)
    assert moved.ended_at == world.clock()
    assert not await ready(world, consult)
    with pytest.raises(Unsigned, match="opinion,report,decision"):
        async with world.db.begin() as tx:
            await visit.close(tx, consult.id, Actor.staff(world.clinic_doctor))
    await world.opinion(consult, world.experts[0])
    with pytest.raises(Unsigned):  # each who takes part owes one, in the room or not
        await world.decide(consult)
    await world.opinion(consult, world.experts[1], dissent=True)
    await report(world, consult)
    await world.decide(consult)
    async with world.db.begin() as tx:
        closed = await visit.close(tx, consult.id, Actor.staff(world.clinic_doctor))
    assert closed.status is ConsultStatus.CLOSED
    assert "panel.in_writing" in world.db.codes()


async def test_who_refused_owes_nothing_and_who_does_not_answer_is_not_waited_for(world: World, booked: Booked) -> None:
    first, second = await world.ask(booked.consult)
    await asked(world, booked.consult)
    with pytest.raises(NobodyTakesPart):
        await begun(world, booked.consult)
    await world.answer(first)
    await begun(world, booked.consult)
    with pytest.raises(IllegalMove):  # complete: a late answer changes nothing
        await world.answer(second)
    async with world.db.read() as tx:
        taking = await in_writing.taking_part(tx, booked.consult)
    assert taking == {world.experts[0].id}
    await world.opinion(booked.consult, world.experts[0])
    await report(world, booked.consult)
    await world.decide(booked.consult)


async def test_a_removed_expert_owes_nothing(world: World, booked: Booked) -> None:
    seats = [await world.answer(each) for each in await world.ask(booked.consult)]
    async with world.db.begin() as tx:
        assert seats[1] is not None
        await visit.remove(tx, booked.consult.id, seats[1].id, Actor.seated(booked.doctor_seat), "not_invited")
        assert await in_writing.taking_part(tx, booked.consult) == {world.experts[0].id}


async def test_nobody_enters_its_room(world: World, booked: Booked) -> None:
    await world.ask(booked.consult)
    await asked(world, booked.consult)
    for seat in (booked.patient_seat, booked.doctor_seat):
        with pytest.raises(InWriting):
            await world.enter(seat)
    assert (await world.seat(booked.doctor_seat)).state is SeatState.EXPECTED


async def test_what_is_refused(world: World, booked: Booked) -> None:
    with pytest.raises(IllegalMove):
        await begun(world, booked.consult)  # never asked
    for reason in ("", "x"):
        with pytest.raises(InvalidInput):
            await asked(world, booked.consult, reason)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await written.ask(tx, booked.consult.id, "不需要视频", Actor.staff(world.doctor))
    with pytest.raises(NotPermitted):
        async with world.db.read() as tx:
            await written.require_asking(tx, booked.consult, Actor.staff(world.nurse))
    await asked(world, booked.consult)
    with pytest.raises(IllegalMove):
        await asked(world, booked.consult)
    follow_up = (await world.book(doctor_id=world.clinic_doctor.id)).consult
    with pytest.raises((IllegalMove, NotPermitted)):
        await asked(world, follow_up)
    met = await world.book_panel()
    for invitation in await world.ask(met.consult):
        seat = await world.answer(invitation)
        assert seat is not None
        await world.enter(seat)
    with pytest.raises(IllegalMove):  # somebody came already
        await asked(world, met.consult)


async def test_a_house_may_forbid_it(world: World, booked: Booked, monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(*_: Any) -> RuleSet:
        national = in_force(world.clock().date())
        rule = national.rules["HZ-45"]
        none = replace(rule, values={**rule.values, "expert_consult": 0})
        return replace(national, rules={**national.rules, "HZ-45": none})

    monkeypatch.setattr(written, "rules_for", strict)
    with pytest.raises(NotInWriting):
        await asked(world, booked.consult)
    assert overlays.rules_for(world.home, world.clock()).value("HZ-45", ConsultKind.EXPERT_CONSULT.value) == 1


async def test_the_move_has_one_reason_only(world: World, booked: Booked) -> None:
    """The doctor's "end" is no way around the call."""
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await visit.conclude(tx, booked.consult.id, Actor.staff(world.clinic_doctor))
    assert ConsultStatus.CONCLUDING in MOVES[ConsultStatus.SCHEDULED]
    with pytest.raises(IllegalMove):
        booked.consult.move(ConsultStatus.CONCLUDING, world.clock(), "swept_left_open")


async def test_nobody_is_expected_at_the_hour_but_an_answer_is(world: World, booked: Booked) -> None:
    await world.ask(booked.consult)
    row = await asked(world, booked.consult)
    world.clock.advance(hours=20)
    async with world.db.begin() as tx:
        assert await sweep(tx, world.home.id) == []
    world.clock.advance(hours=80)
    async with world.db.begin() as tx:
        (ended,) = await sweep(tx, world.home.id)
    assert (ended.status, ended.outcome_code) == (ConsultStatus.CANCELLED, "swept_unanswered")
    rules = in_force(row.asked_at.date())
    assert forgotten([booked.consult], row.due_at, rules, due={booked.consult.id: row.due_at}) == []
