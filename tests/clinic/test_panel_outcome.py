"""The papers of a panel: the joint report and words on it, trainees and their seniors."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import registration
from clinic.actor import Actor
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import (
    AlreadySigned,
    IllegalMove,
    InvalidInput,
    NoReport,
    NothingToCountersign,
    NotPermitted,
    NotSenior,
    NotTheChair,
    PapersMissing,
)
from clinic.panels import countersigning, opining, reporting
from clinic.panels.counting import PanelPapers, missing, report_needed
from clinic.panels.documents import decision_document, digests, opinion_document
from clinic.panels.outcome import JointReport
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Adoption, DecisionNote, Opinion
from clinic.people import Role, Staff
from clinic.rulebook import in_force
from tests.support.builders import World, staff
from tests.support.clock import START
from tests.support.panels import meeting, panel_over, report


async def hire(world: World, login: str, roles: tuple[Role, ...] = (Role.EXPERT,), **changes: Any) -> Staff:
    """One more at the partner's."""
    async with world.db.begin() as tx:
        there = Actor.system(world.partner.id)
        return await registration.create_staff(tx, staff(world.partner.id, login, roles, **changes), there)


async def trainee(world: World, person: Staff) -> None:
    async with world.db.begin() as tx:
        admin = Actor.system(world.partner.id)
        await registration.change_staff(tx, person.id, {"requires_countersign": True}, admin)


async def lacking(world: World, consult: Consult) -> tuple[str, ...]:
    async with world.db.read() as tx:
        return await missing_of(tx, await tx.consults.get(consult.id))


# -- the joint report


async def test_the_report_is_the_chairs_and_comes_after_the_opinions(world: World) -> None:
    consult = await meeting(world)
    chair, second = (Actor.staff(each) for each in world.experts)
    await world.opinion(consult, world.experts[1], dissent=True)
    async with world.db.begin() as tx:
        with pytest.raises(MissingRow):
            await reporting.sign_report(tx, world.sealer, consult.id, chair)
        with pytest.raises(NotTheChair):
            await reporting.save_report(tx, consult.id, second, "结论", "")
        with pytest.raises(NoReport):
            await reporting.mark_report(tx, world.sealer, consult.id, second, True, "")
        first = await reporting.save_report(tx, consult.id, chair, "一稿", "")
        again = await reporting.save_report(tx, consult.id, chair, "二稿", "造影")
        with pytest.raises(PapersMissing, match="opinion"):
            await reporting.sign_report(tx, world.sealer, consult.id, chair)
        with pytest.raises(NoReport):
            await reporting.mark_report(tx, world.sealer, consult.id, second, True, "")
    assert (first.id, again.conclusion) == (again.id, "二稿")
    await world.opinion(consult, world.experts[0])
    async with world.db.begin() as tx:
        report = await reporting.sign_report(tx, world.sealer, consult.id, chair)
        opinions = (await papers_of(tx, consult.id)).counted
        assert report.author is not None
        assert (report.author.institution, report.author.title) == (world.partner.name, world.experts[0].title)
        assert list(report.opinions) == digests(opinions)
        for act in (
            reporting.save_report(tx, consult.id, chair, "三稿", ""),
            reporting.sign_report(tx, world.sealer, consult.id, chair),
            opining.save_opinion(tx, consult.id, chair, {world.partner.id}, "改"),
        ):
            with pytest.raises(AlreadySigned):
                await act
        with pytest.raises(IllegalMove):
            await reporting.mark_report(tx, world.sealer, consult.id, chair, True, "")
        with pytest.raises(InvalidInput):
            await reporting.mark_report(tx, world.sealer, consult.id, second, False, "")
        mark = await reporting.mark_report(tx, world.sealer, consult.id, second, False, "仍建议先行胃镜")
        with pytest.raises(AlreadySigned):
            await reporting.mark_report(tx, world.sealer, consult.id, second, True, "")
    assert (mark.agrees, mark.signature.startswith(f"seal.{world.home.id}.")) == (False, True)
    assert world.db.codes()[-2:] == ["opinion.report_signed", "opinion.report_marked"]


async def test_without_a_chair_an_expert_whose_opinion_is_signed_writes_it(world: World) -> None:
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult, chair=False):
        seat = await world.answer(invitation)
        assert seat is not None
        await world.enter(seat)
    await world.enter(booked.doctor_seat)
    consult, first = booked.consult, Actor.staff(world.experts[0])
    async with world.db.begin() as tx:
        with pytest.raises(NotTheChair):
            await reporting.save_report(tx, consult.id, first, "结论", "")
    await world.opinion(consult, world.experts[0])
    assert await lacking(world, consult) == ("opinion", "decision")
    await world.opinion(consult, world.experts[1])
    async with world.db.begin() as tx:
        with pytest.raises(AlreadySigned):
            await opining.save_opinion(tx, consult.id, first, {world.partner.id}, "改")
    assert await lacking(world, consult) == ("report", "decision")
    await report(world, consult)
    assert await lacking(world, consult) == ("decision",)


def test_when_a_report_is_needed_is_data() -> None:
    rules = in_force(START.date())
    seat = Seat("s", "i", "c", Role.CHAIR, "n", "i", "p", SeatState.ADMITTED, START, "x", admitted_at=START)
    opinions = tuple(
        Opinion(str(n), "i", "c", f"e{n}", "i", "t", False, START, signed_at=START, signature="s") for n in range(2)
    )
    assert report_needed(PanelPapers(seats=(seat,)), rules)
    assert not report_needed(PanelPapers(opinions=opinions[:1]), rules)
    assert report_needed(PanelPapers(opinions=opinions), rules)
    lenient = replace(rules.rules["HZ-26"], values={"experts": 3, "chair": 0})
    assert not report_needed(
        PanelPapers(opinions=opinions, seats=(seat,)), replace(rules, rules={**rules.rules, "HZ-26": lenient})
    )
    assert missing(PanelPapers(), ("note",), rules) == ()


def test_papers_of_before_keep_their_form() -> None:
    """Version 1 names nobody: what was sealed then is recomputed as it was."""
    opinion = Opinion("o", "i", "c", "e", "h", "t", False, START, signed_at=START)
    decision = DecisionNote("d", "i", "c", "s", Adoption.ADOPT, "r", "t", START, signed_at=START)
    report = JointReport("r", "i", "c", "e", "k", "", START)
    assert opinion_document(opinion)["v"] == decision_document(decision, [opinion], report)["v"] == 1
    assert "author" not in opinion_document(opinion)


# -- trainees


async def test_a_trainees_opinion_counts_from_a_seniors_signature_on(world: World) -> None:
    consult = await meeting(world)
    await trainee(world, world.experts[1])
    await world.opinion(consult, world.experts[0])
    await world.opinion(consult, world.experts[1])
    assert await lacking(world, consult) == ("countersign", "report", "decision")
    async with world.db.begin() as tx:
        (opinion,) = (await papers_of(tx, consult.id)).to_countersign
    junior, senior = Actor.staff(world.experts[1]), await hire(world, "senior")
    async with world.db.begin() as tx:
        (waiting,) = await countersigning.waiting(tx, senior)
        assert (waiting.opinion.id, waiting.case is not None) == (opinion.id, True)
        assert await countersigning.waiting(tx, world.experts[1]) == ()
        young = await registration.create_staff(
            tx,
            staff(world.partner.id, "young", (Role.EXPERT,), independent_since=date(2025, 1, 1)),
            Actor.system(world.partner.id),
        )
        for unfit in (junior, Actor.staff(young)):
            with pytest.raises(NotSenior):
                await countersigning.countersign(tx, world.sealer, opinion.id, unfit, True, "")
        with pytest.raises(MissingRow):
            await countersigning.countersign(tx, world.sealer, opinion.id, Actor.staff(world.doctor), True, "")
        with pytest.raises(NotPermitted):
            nurse = replace(Actor.staff(senior), roles=(Role.NURSE,))
            await countersigning.countersign(tx, world.sealer, opinion.id, nurse, True, "")
        with pytest.raises(InvalidInput):
            await countersigning.countersign(tx, world.sealer, opinion.id, Actor.staff(senior), False, "")
        word = await countersigning.countersign(tx, world.sealer, opinion.id, Actor.staff(senior), True, "同意")
        with pytest.raises(NothingToCountersign):
            await countersigning.countersign(tx, world.sealer, opinion.id, Actor.staff(senior), True, "")
    assert word.author.name == senior.name
    assert await lacking(world, consult) == ("report", "decision")


async def test_an_opinion_a_senior_returns_is_kept_and_written_anew(world: World) -> None:
    consult = await meeting(world)
    await trainee(world, world.experts[1])
    await world.opinion(consult, world.experts[0])
    await world.opinion(consult, world.experts[1])
    senior, junior = Actor.staff(await hire(world, "senior")), Actor.staff(world.experts[1])
    async with world.db.begin() as tx:
        (first,) = (await papers_of(tx, consult.id)).to_countersign
        await countersigning.countersign(tx, world.sealer, first.id, senior, False, "请补充用药史")
    assert await lacking(world, consult) == ("opinion", "report", "decision")
    async with world.db.begin() as tx:
        await opining.save_opinion(tx, consult.id, junior, {world.partner.id}, "补充用药史后：建议造影")
        second = await opining.sign_opinion(tx, world.sealer, consult.id, junior, {world.partner.id})
        await countersigning.countersign(tx, world.sealer, second.id, senior, True, "")
        papers = await papers_of(tx, consult.id)
    assert (
        {row.id for row in papers.opinions} > {row.id for row in papers.counted} == {row.id for row in papers.standing}
    )
    assert first.id not in {row.id for row in papers.counted}


async def test_closed_consults_wait_for_no_senior(world: World) -> None:
    senior = await hire(world, "senior")
    consult = await panel_over(world)
    async with world.db.begin() as tx:
        (own, _) = await tx.opinions.find(consult_id=consult.id)
        await tx.opinions.save(replace(own, countersign=True))
        await tx.append(_moved(world))
        assert await countersigning.waiting(tx, senior) == ()


def _moved(world: World) -> Any:
    from audit.events import EventCode
    from audit.transaction import AuditEvent

    return AuditEvent(EventCode.CONSULT_MOVED, world.home.id, "system")
