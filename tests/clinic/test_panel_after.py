"""After the call of a panel: late opinions, referrals, tasks, copies."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import registration, visit
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind
from clinic.errors import (
    AlreadySigned,
    CopyNotReady,
    HandedOver,
    IllegalMove,
    InvalidInput,
    NotPermitted,
    StandInUnfit,
)
from clinic.panels import copying, following, lateness, opining, referring
from clinic.panels.outcome import CopyState, Direction, OpinionPaper, ReferralState, TaskState
from clinic.panels.papers import missing_of
from clinic.people import Role, Staff
from tests.support.builders import World, staff
from tests.support.clock import START
from tests.support.panels import meeting, panel_over


async def hire(world: World, login: str, roles: tuple[Role, ...] = (Role.EXPERT,), **changes: Any) -> Staff:
    """One more at the partner's."""
    async with world.db.begin() as tx:
        there = Actor.system(world.partner.id)
        return await registration.create_staff(tx, staff(world.partner.id, login, roles, **changes), there)


async def concluded(world: World, consult: Consult) -> None:
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, Actor.staff(world.clinic_doctor))


async def lacking(world: World, consult: Consult) -> tuple[str, ...]:
    async with world.db.read() as tx:
        return await missing_of(tx, await tx.consults.get(consult.id))


# -- late opinions


async def test_late_opinions_are_reminded_of_and_then_handed_over(world: World) -> None:
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    stand_in, late = await hire(world, "standin"), Actor.staff(world.experts[1])
    await concluded(world, consult)
    plain = await world.call(await world.book())
    async with world.db.begin() as tx:
        await visit.conclude(tx, plain.id, Actor.staff(world.doctor))  # no panel: nobody owes an opinion
        assert await lateness.chase(tx, world.home.id) == 1
        assert await lateness.chase(tx, world.home.id) == 0
        (owed,) = await tx.opinions_due.find(consult_id=consult.id)
        assert owed.due_at == tx.now + timedelta(hours=24)
    world.clock.advance(hours=13)
    async with world.db.begin() as tx:
        assert await lateness.chase(tx, world.home.id) == 1
        named = await lateness.name_stand_in(tx, consult.id, world.experts[1].id, stand_in.id, late)
        assert (named.handed_at, named.reminders, named.id) == (None, 1, owed.id)
    world.clock.advance(hours=12)
    async with world.db.begin() as tx:
        assert await lateness.chase(tx, world.home.id) == 2
        (owed,) = await tx.opinions_due.find(expert_id=world.experts[1].id)
        with pytest.raises(HandedOver):
            await opining.save_opinion(tx, consult.id, late, {world.partner.id}, "迟到的意见")
        with pytest.raises(StandInUnfit):
            other = await registration.create_staff(
                tx, staff(world.partner.id, "third", (Role.EXPERT,)), Actor.system(world.partner.id)
            )
            await lateness.name_stand_in(tx, consult.id, world.experts[1].id, other.id, late)
    assert (owed.reminders, owed.handed_at) == (2, world.clock())
    assert await lacking(world, consult) == ("opinion", "report", "decision")
    async with world.db.begin() as tx:
        assert await lateness.chase(tx, world.home.id) == 1, "the stand-in owes it now, and is not reminded at once"
        assert await lateness.chase(tx, world.home.id) == 0
    await world.opinion(consult, stand_in)
    assert await lacking(world, consult) == ("report", "decision")
    assert world.db.codes().count("opinion.reminded") == 2
    assert "opinion.handed_over_to" in world.db.codes()


async def test_a_stand_in_named_after_the_deadline_takes_over_at_once(world: World) -> None:
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    stand_in, coordinator = await hire(world, "standin"), await hire(world, "coo", (Role.COORDINATOR,))
    await concluded(world, consult)
    world.clock.advance(hours=25)
    async with world.db.begin() as tx:
        await lateness.chase(tx, world.home.id)
        by = Actor.staff(coordinator)
        handed = await lateness.name_stand_in(tx, consult.id, world.experts[1].id, stand_in.id, by)
        seats = await tx.seats.find(consult_id=consult.id, person_id=stand_in.id)
    assert handed.handed_at == world.clock()
    assert [seat.role for seat in seats] == [Role.EXPERT]


async def test_who_may_stand_in_and_who_may_name_them(world: World) -> None:
    consult = await meeting(world)
    stand_in = await hire(world, "standin")
    nurse, off = await hire(world, "nurse3", (Role.NURSE,)), await hire(world, "off")
    async with world.db.begin() as tx:
        from clinic.people import AccountState

        await registration.change_staff(tx, off.id, {"state": AccountState.DISABLED}, Actor.system(world.partner.id))
    second, expert = Actor.staff(world.experts[1]), world.experts[1].id
    naming: list[tuple[str, str, Actor, type[Exception]]] = [
        (expert, stand_in.id, Actor.staff(world.experts[0]), NotPermitted),
        (expert, stand_in.id, Actor.staff(world.clinic_doctor), MissingRow),
        (stand_in.id, stand_in.id, second, MissingRow),
        (expert, world.experts[0].id, second, StandInUnfit),
        (expert, nurse.id, second, StandInUnfit),
        (expert, off.id, second, StandInUnfit),
        (expert, world.doctor.id, second, MissingRow),
    ]
    for whose, who, by, refusal in naming:
        with pytest.raises(refusal):
            async with world.db.begin() as tx:
                await lateness.name_stand_in(tx, consult.id, whose, who, by)
    async with world.db.begin() as tx:
        young = await registration.create_staff(
            tx,
            staff(world.partner.id, "young", (Role.EXPERT,), independent_since=date(2025, 1, 1)),
            Actor.system(world.partner.id),
        )
        with pytest.raises(StandInUnfit):
            await lateness.name_stand_in(tx, consult.id, expert, young.id, second)
        named = await lateness.name_stand_in(tx, consult.id, expert, stand_in.id, second)
    assert named.named_by == expert
    await world.opinion(consult, world.experts[1])
    with pytest.raises(AlreadySigned):
        async with world.db.begin() as tx:
            await lateness.name_stand_in(tx, consult.id, expert, stand_in.id, second)


# -- referral and tasks


async def test_a_referral_goes_out_and_comes_back(world: World) -> None:
    consult = await meeting(world)
    inviting, there = Actor.staff(world.clinic_doctor), Actor.staff(world.experts[0])
    async with world.db.begin() as tx:
        with pytest.raises(InvalidInput):
            await referring.refer(tx, consult.id, world.home.id, "造影", inviting)
        out = await referring.refer(tx, consult.id, world.partner.id, "行冠脉造影", inviting)
        with pytest.raises(MissingRow):
            await referring.move_referral(tx, out.id, ReferralState.ACCEPTED, "", inviting)
        with pytest.raises(MissingRow):
            await referring.move_referral(tx, out.id, ReferralState.WITHDRAWN, "改期", there)
        with pytest.raises(IllegalMove):
            await referring.refer_back(tx, out.id, "治疗结束", there)
        await referring.move_referral(tx, out.id, ReferralState.ACCEPTED, "", there)
        with pytest.raises(IllegalMove):
            await referring.move_referral(tx, out.id, ReferralState.DECLINED, "无床位", there)
        arrived = await referring.move_referral(tx, out.id, ReferralState.ARRIVED, "", there)
        back = await referring.refer_back(tx, out.id, "支架术后，回当地随访", there)
        with pytest.raises(IllegalMove):
            await referring.refer_back(tx, out.id, "再回", there)
        with pytest.raises(IllegalMove):
            await referring.refer_back(tx, back.id, "循环", inviting)
        await referring.move_referral(tx, back.id, ReferralState.ACCEPTED, "", inviting)
        gone = await referring.move_referral(tx, back.id, ReferralState.WITHDRAWN, "病情变化", there)
    assert arrived.state is ReferralState.ARRIVED
    assert (back.direction, back.answers, back.to_institution_id) == (Direction.BACK, out.id, world.home.id)
    assert gone.state is ReferralState.WITHDRAWN
    assert out.number.startswith("ZZ20260302-O")


async def test_a_referral_is_declined_with_a_reason_and_belongs_to_a_panel(world: World) -> None:
    booked = await world.book_panel()
    inviting, there = Actor.staff(world.clinic_doctor), Actor.staff(world.experts[0])
    async with world.db.begin() as tx:
        with pytest.raises(IllegalMove):
            await referring.refer(tx, booked.consult.id, world.partner.id, "造影", inviting)
    consult = await meeting(world)
    async with world.db.begin() as tx:
        out = await referring.refer(tx, consult.id, world.partner.id, "行冠脉造影", inviting)
        with pytest.raises(InvalidInput):
            await referring.move_referral(tx, out.id, ReferralState.DECLINED, "", there)
        declined = await referring.move_referral(tx, out.id, ReferralState.DECLINED, "暂无床位", there)
    assert declined.remark == "暂无床位"


async def test_tasks_for_the_clinic(world: World) -> None:
    consult = await meeting(world)
    chair, nurse = Actor.staff(world.experts[0]), Actor.staff(world.nurse)
    async with world.db.begin() as tx:
        today = tx.now.date()
        for day in (today - timedelta(days=1), today + timedelta(days=400)):
            with pytest.raises(InvalidInput):
                await following.set_task(tx, consult.id, "复查肾功能", day, chair)
        first = await following.set_task(tx, consult.id, "复查肾功能", today, chair)
        second = await following.set_task(tx, consult.id, "电话随访", today + timedelta(days=9), chair)
        with pytest.raises(NotPermitted):
            await following.end_task(tx, first.id, True, "", chair)
        done = await following.end_task(tx, first.id, True, "肌酐正常", nurse)
        with pytest.raises(IllegalMove):
            await following.end_task(tx, first.id, True, "", nurse)
        with pytest.raises(InvalidInput):
            await following.end_task(tx, second.id, False, "", nurse)
        dropped = await following.end_task(tx, second.id, False, "患者已转院", nurse)
    assert (done.state, done.done_by, dropped.state) == (TaskState.DONE, world.nurse.id, TaskState.DROPPED)
    assert following.overdue(first, first.due_on + timedelta(days=1))
    assert not following.overdue(done, first.due_on + timedelta(days=1))


# -- copies


async def test_copies_are_ordered_when_the_consult_closes(world: World) -> None:
    consult = await panel_over(world)
    archivist = Actor.staff(world.archivist)
    async with world.db.begin() as tx:
        ordered = await copying.due(tx)
        assert {copy.institution_id for copy in ordered} == {world.home.id, world.partner.id}
        (mine,) = await copying.listed(tx, archivist)
        with pytest.raises(CopyNotReady):
            await copying.take(tx, mine.id, archivist)
        theirs = next(copy for copy in ordered if copy.institution_id == world.partner.id)
        with pytest.raises(MissingRow):
            await copying.take(tx, theirs.id, archivist)
        done = await copying.sealed(tx, replace(mine, package_sha256="ab", size=3))
        assert (await copying.sealed(tx, mine)).package_sha256 == "ab"
        taken = await copying.take(tx, mine.id, archivist)
        with pytest.raises(NotPermitted):
            await copying.take(tx, mine.id, Actor.staff(world.approver))
    assert (done.state, taken.state) == (CopyState.SEALED, CopyState.SEALED)
    assert world.db.codes()[-2:] == ["copy.sealed", "copy.taken"]
    assert consult.closed_at is not None


async def test_a_paper_is_filed_once(world: World) -> None:
    consult = await panel_over(world)
    paper = OpinionPaper("p", world.home.id, consult.id, "C", "d", "s", "f", 1, "k", "b", "x", START)
    async with world.db.begin() as tx:
        assert await copying.file_paper(tx, paper) == paper
        assert (await copying.file_paper(tx, replace(paper, id="q"))).id == "p"


@pytest.mark.parametrize(
    "act",
    [
        lambda tx, consult, by: referring.refer(tx, consult, "x", "造影", by),
        lambda tx, consult, by: following.set_task(tx, consult, "复查", START.date(), by),
    ],
)
async def test_only_panels_have_an_outcome(world: World, act: Callable[..., Any]) -> None:
    booked = await world.book()
    await world.call(booked)
    assert booked.consult.kind is ConsultKind.FOLLOW_UP
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await act(tx, booked.consult.id, Actor.staff(world.doctor))
