"""The regulator: asked under a case number, opened by another person, read within scope, visits and time, on record."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import access, evidence_files, regulation
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.errors import CaseOver, IllegalMove, InvalidInput, NoCase, NotPermitted
from clinic.people import Role
from clinic.regulation import CaseScope, CaseState, NewCase, RegulatorCase
from tests.support.builders import World

TODAY = date(2026, 3, 2)
NUMBER = "沪卫监〔2026〕17号"


def inspector(world: World, name: str = "reg") -> Actor:
    return Actor(name, world.home.id, (Role.REGULATOR,))


def new(world: World, **changes: Any) -> NewCase:
    values: dict[str, Any] = {
        "number": NUMBER,
        "authority": "区卫生健康委监督所",
        "reason": "投诉核查，调取就诊资料",
        "scope": ("chart", "audit"),
        "since": TODAY,
        "until": TODAY,
        "ends_at": world.clock() + timedelta(days=7),
    }
    return NewCase(**values | changes)


async def asked(world: World, by: Actor | None = None, **changes: Any) -> RegulatorCase:
    async with world.db.begin() as tx:
        return await regulation.ask(tx, new(world, **changes), by or inspector(world))


async def opened(world: World, **changes: Any) -> RegulatorCase:
    case = await asked(world, **changes)
    async with world.db.begin() as tx:
        return await regulation.decide(tx, case.id, True, "", Actor.staff(world.approver))


async def look(world: World, booked: Booked, by: Actor | None = None) -> access.Chart:
    async with world.db.begin() as tx:
        return await access.view_chart(tx, by or inspector(world), booked.consult.id)


@pytest.fixture
async def booked(world: World) -> Booked:
    return await world.book()


async def test_nothing_without_a_case_and_nothing_before_it_is_opened(world: World, booked: Booked) -> None:
    with pytest.raises(NoCase):
        await look(world, booked)
    case = await asked(world)
    assert case.state is CaseState.ASKED and not case.live(world.clock())
    with pytest.raises(NoCase):
        await look(world, booked)
    assert world.db.codes()[-1] == "regulator.asked"
    assert world.db.events[-1].private["number"] == NUMBER


async def test_read_within_the_time_each_use_with_the_case_and_refused_afterwards(world: World, booked: Booked) -> None:
    case = await opened(world)
    assert (case.decided_by, case.live(world.clock())) == (world.approver.id, True)
    assert (await look(world, booked)).patient.id == booked.consult.patient_id
    assert world.db.codes()[-3:] == ["regulator.opened", "regulator.used", "view.chart"]
    used, viewed = world.db.events[-2:]
    assert used.public == {"case": case.id, "what": "chart"}
    assert used.private == {"number": NUMBER}
    assert (used.consult_id, viewed.public) == (booked.consult.id, {"case": case.id})
    async with world.db.read() as tx:
        assert await evidence_files.listed(tx, inspector(world), booked.consult.id) == ()
        assert await access.chart_access(tx, inspector(world), booked.consult) == case
    world.clock.advance(days=7)
    with pytest.raises(CaseOver):
        await look(world, booked)


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": ("recording",)},
        {"since": TODAY - timedelta(days=9), "until": TODAY - timedelta(days=1)},
        {"since": TODAY + timedelta(days=1), "until": TODAY + timedelta(days=1)},
    ],
)
async def test_outside_scope_and_days_there_is_no_case(world: World, booked: Booked, changes: dict[str, Any]) -> None:
    await opened(world, **changes)
    with pytest.raises(NoCase):
        await look(world, booked)


async def test_only_the_visits_that_were_named(world: World, booked: Booked) -> None:
    other = await world.book()
    case = await opened(world, consult_ids=(other.consult.id,))
    with pytest.raises(NoCase):
        await look(world, booked)
    assert (await look(world, other)).consult.id == other.consult.id
    async with world.db.begin() as tx:
        found = await regulation.visits(tx, case.id, inspector(world))
    assert [each.id for each in found[1]] == [other.consult.id]
    assert world.db.events[-1].public == {"case": case.id, "what": "list"}


async def test_another_regulator_and_other_houses_have_no_part_in_it(world: World, booked: Booked) -> None:
    case = await opened(world)
    with pytest.raises(NoCase):
        await look(world, booked, inspector(world, "somebody else"))
    abroad = replace(inspector(world), institution_id=world.partner.id)
    with pytest.raises(NotPermitted):
        await look(world, booked, abroad)
    with pytest.raises(NotPermitted):
        async with world.db.read() as tx:
            await regulation.covered(tx, CaseScope.CHART, booked.consult, Actor.staff(world.doctor))
    for act in (
        lambda tx: regulation.visits(tx, case.id, inspector(world, "somebody else")),
        lambda tx: regulation.decide(tx, case.id, True, "", Actor.staff(world.experts[0])),
    ):
        with pytest.raises(MissingRow):
            async with world.db.begin() as tx:
                await act(tx)
    with pytest.raises(MissingRow):
        await asked(world, by=abroad, consult_ids=(booked.consult.id,))
    elsewhere = replace(case, institution_id=world.partner.id)
    assert not regulation._names(elsewhere, booked.consult, "Asia/Shanghai")


async def test_an_approver_may_shorten_never_lengthen(world: World) -> None:
    case = await asked(world)
    async with world.db.begin() as tx:
        longer = await regulation.decide(
            tx, case.id, True, "", Actor.staff(world.approver), ends_at=case.ends_at + timedelta(days=1)
        )
    assert longer.ends_at == case.ends_at
    case = await asked(world)
    async with world.db.begin() as tx:
        sooner = world.clock() + timedelta(hours=1)
        assert (await regulation.decide(tx, case.id, True, "", Actor.staff(world.approver), sooner)).ends_at == sooner
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await regulation.decide(tx, case.id, True, "", Actor.staff(world.approver2))
    late = await asked(world)
    world.clock.advance(days=8)
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await regulation.decide(tx, late.id, True, "", Actor.staff(world.approver))


async def test_a_refusal_says_why_and_opens_nothing(world: World, booked: Booked) -> None:
    case = await asked(world)
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await regulation.decide(tx, case.id, False, " ", Actor.staff(world.approver))
    async with world.db.begin() as tx:
        refused = await regulation.decide(tx, case.id, False, "案号与函件不符", Actor.staff(world.approver))
    assert refused.state is CaseState.REFUSED
    assert world.db.codes()[-1] == "regulator.refused"
    assert world.db.events[-1].private["reason"] == "案号与函件不符"
    with pytest.raises(NoCase):
        await look(world, booked)


@pytest.mark.parametrize("by_regulator", [True, False])
async def test_it_ends_before_its_time_by_either_side(world: World, booked: Booked, by_regulator: bool) -> None:
    case = await opened(world)
    who = inspector(world) if by_regulator else Actor.staff(world.approver2)
    async with world.db.begin() as tx:
        closed = await regulation.close(tx, case.id, "核查结束", who)
    assert (closed.state, closed.closed_by) == (CaseState.CLOSED, who.id)
    assert world.db.codes()[-1] == "regulator.closed"
    with pytest.raises(CaseOver):
        await look(world, booked)
    with pytest.raises(CaseOver):
        async with world.db.begin() as tx:
            await regulation.visits(tx, case.id, inspector(world))
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await regulation.close(tx, case.id, "again", who)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await regulation.close(tx, case.id, "mine?", Actor.staff(world.archivist))


async def test_what_belongs_to_no_visit_needs_a_live_case_of_that_scope(world: World) -> None:
    await opened(world, scope=("chart",))
    with pytest.raises(NoCase):
        async with world.db.begin() as tx:
            await regulation.inspecting(tx, CaseScope.AUDIT, inspector(world))
    case = await opened(world)
    async with world.db.begin() as tx:
        assert await regulation.inspecting(tx, CaseScope.AUDIT, inspector(world)) == case
    assert (world.db.codes()[-1], world.db.events[-1].consult_id) == ("regulator.used", None)


async def test_lists_are_the_regulators_own_or_the_houses(world: World) -> None:
    mine, other = await asked(world), await asked(world, by=inspector(world, "second"))
    async with world.db.read() as tx:
        assert await regulation.listed(tx, inspector(world)) == (mine,)
        assert await regulation.listed(tx, Actor.staff(world.approver)) == (other, mine)
        with pytest.raises(NotPermitted):
            await regulation.listed(tx, Actor.staff(world.doctor))


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "7"},
        {"reason": "看看"},
        {"scope": ()},
        {"scope": ("everything",)},
        {"until": TODAY - timedelta(days=1)},
        {"consult_ids": tuple(str(n) for n in range(51))},
    ],
)
async def test_an_incomplete_request_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await asked(world, **changes)


@pytest.mark.parametrize(("hours", "taken"), [(0, False), (1, True), (30 * 24, True), (30 * 24 + 1, False)])
async def test_a_case_is_never_longer_than_the_rules_allow(world: World, hours: int, taken: bool) -> None:
    ends_at = world.clock() + timedelta(hours=hours)
    if taken:
        assert (await asked(world, ends_at=ends_at)).ends_at == ends_at
        return
    with pytest.raises(InvalidInput):
        await asked(world, ends_at=ends_at)


async def test_only_regulators_ask_and_only_approvers_decide(world: World) -> None:
    with pytest.raises(NotPermitted):
        await asked(world, by=Actor.staff(world.approver))
    case = await asked(world)
    for who in (inspector(world), Actor.staff(world.archivist), Actor.staff(world.admin)):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await regulation.decide(tx, case.id, True, "", who)
