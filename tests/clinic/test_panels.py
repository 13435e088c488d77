from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from audit.errors import MissingRow
from clinic import access, visit
from clinic.actor import Actor
from clinic.consult import ConsultStatus
from clinic.documents import canonical, digest
from clinic.errors import (
    AlreadySigned,
    IllegalMove,
    InvalidInput,
    NotPermitted,
    PapersMissing,
    SharingWithdrawn,
    Unsigned,
)
from clinic.panels import answering, copying, deciding, dossier, opining, requesting
from clinic.panels.papers import papers_of
from clinic.panels.records import Adoption, InvitationState
from clinic.panels.requests import Mode
from clinic.people import Role
from tests.support.builders import CARDIOLOGY, World
from tests.support.panels import meeting, report


def request(world: World, *experts: str, house: str = "", **changes: Any) -> requesting.NewRequest:
    """One institution asked, with its first expert unless others are named."""
    named = requesting.Named(house or world.partner.id, experts or (world.experts[0].id,))
    values: dict[str, Any] = {
        "reason": "诊断不明",
        "aim": "明确诊断",
        "summary": "胸闷三月",
        "wanted_department": CARDIOLOGY,
        "wanted_specialty": "心内科",
        "parties": (named,),
    }
    return requesting.NewRequest(**{**values, **changes})


async def test_the_straight_life_of_a_panel(world: World) -> None:
    consult = await meeting(world)
    assert consult.status is ConsultStatus.IN_PROGRESS
    inviting = Actor.staff(world.clinic_doctor)
    await world.opinion(consult, world.experts[1], dissent=True)
    async with world.db.begin() as tx:
        await deciding.save_decision(tx, consult.id, inviting, Adoption.PARTLY, "部分采纳", "继续观察")
    with pytest.raises(Unsigned):
        async with world.db.begin() as tx:
            await deciding.sign_decision(tx, world.sealer, consult.id, inviting)
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, inviting)
    with pytest.raises(PapersMissing, match=r"^opinion,report,decision$") as refused:
        async with world.db.begin() as tx:
            await visit.close(tx, consult.id, inviting)
    assert refused.value.reasons == ("closing.opinion", "closing.report", "closing.decision")
    await world.opinion(consult, world.experts[0])
    with pytest.raises(PapersMissing, match=r"^report$"):
        await world.decide(consult)
    await report(world, consult)
    with pytest.raises(Unsigned, match=r"^decision$"):
        async with world.db.begin() as tx:
            await dossier.dossier(tx, consult)
    await world.decide(consult)
    async with world.db.begin() as tx:
        closed = await visit.close(tx, consult.id, inviting)
        whole = await dossier.dossier(tx, closed)
    assert closed.status is ConsultStatus.CLOSED
    assert [row["chair"] for row in whole["opinions"]] == [True, False]
    assert [row["document"]["dissent"] for row in whole["opinions"]] == [False, True]
    digests = sorted(digest(canonical(row["document"])) for row in whole["opinions"])
    assert digests == whole["decision"]["document"]["opinions"] == whole["report"]["document"]["opinions"]
    assert whole["decision"]["document"]["report"] == digest(canonical(whole["report"]["document"]))


async def test_an_absent_expert_need_not_sign(world: World) -> None:
    booked = await world.book_panel()
    first, second = await world.ask(booked.consult, chair=False)
    seat = await world.answer(first)
    assert seat is not None
    assert seat.role is Role.EXPERT
    assert await world.answer(second, accept=False) is None
    await world.enter(seat)
    await world.enter(booked.doctor_seat)
    await world.opinion(booked.consult, world.experts[0])
    await world.decide(booked.consult)
    inviting = Actor.staff(world.clinic_doctor)
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, inviting)
        assert (await visit.close(tx, booked.consult.id, inviting)).over


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda w: request(w, w.experts[0].id, w.experts[0].id), InvalidInput),
        (lambda w: request(w, liability_mode="nobody"), InvalidInput),
        (lambda w: request(w, wanted=-1), InvalidInput),
        (lambda w: request(w, parties=(requesting.Named("nowhere"),)), MissingRow),
        (lambda w: request(w, parties=(requesting.Named(w.partner.id),) * 2), InvalidInput),
        (lambda w: request(w, parties=(requesting.Named(w.partner.id),) * 7), InvalidInput),
        (lambda w: request(w, mode=Mode.MATCHED), InvalidInput),
        (lambda w: request(w, wanted_from=w.clock(), wanted_to=w.clock()), InvalidInput),
        (lambda w: request(w, wanted_from=w.clock().replace(tzinfo=None)), InvalidInput),
    ],
)
async def test_a_faulty_draft_is_refused(
    world: World, make: Callable[[World], requesting.NewRequest], refusal: type[Exception]
) -> None:
    booked = await world.book_panel()
    with pytest.raises(refusal):
        async with world.db.begin() as tx:
            await requesting.draft(tx, booked.consult.id, make(world), Actor.staff(world.clinic_doctor))
    assert world.db.rows("panel_requests") == []


async def test_only_the_inviting_doctor_asks_and_only_once(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    with pytest.raises(IllegalMove):
        await world.ask(booked.consult)
    plain = await world.book(doctor_id=world.clinic_doctor.id)
    with pytest.raises(NotPermitted):
        await world.ask(plain.consult)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await requesting.draft(tx, booked.consult.id, request(world), Actor.seated(booked.patient_seat))


async def test_a_follow_up_has_no_panel(world: World) -> None:
    """Even where the inviting doctor leads: the kind decides."""
    booked = await world.book_panel()
    async with world.db.begin() as tx:
        from clinic.consult import ConsultKind

        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), kind=ConsultKind.FOLLOW_UP))
        await tx.append(_event(world))
    with pytest.raises(IllegalMove):
        await world.ask(booked.consult)
    async with world.db.begin() as tx:
        assert await copying.order(tx, await tx.consults.get(booked.consult.id), world.system) == ()


def _event(world: World) -> Any:
    from audit.events import EventCode
    from audit.transaction import AuditEvent

    return AuditEvent(EventCode.CONSULT_MOVED, world.home.id, "system")


async def test_invitations_are_answered_once_by_the_invited(world: World) -> None:
    booked = await world.book_panel()
    first, second = await world.ask(booked.consult)
    expert = Actor.staff(world.experts[0])
    async with world.db.begin() as tx:
        read, invitation, consult = await answering.read_case(tx, first.id, expert)
    assert (read.summary, invitation.id, consult.id) == ("男，62岁，胸闷三月", first.id, booked.consult.id)
    assert world.db.codes()[-1] == "view.chart"
    for by in (Actor.staff(world.experts[1]), Actor.staff(world.clinic_doctor)):
        with pytest.raises(MissingRow):
            async with world.db.begin() as tx:
                await answering.answer_invitation(tx, first.id, by, accept=True)
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await answering.answer_invitation(tx, first.id, expert, accept=False)
    seat = await world.answer(first)
    assert seat is not None
    assert (seat.role, seat.home_institution_id, seat.institution_id) == (Role.CHAIR, world.partner.id, world.home.id)
    with pytest.raises(IllegalMove):
        await world.answer(first)
    await world.answer(second, accept=False)
    refused = next(row for row in world.db.rows("invitations") if row.id == second.id)
    assert (refused.state, refused.refusal_reason) == (InvitationState.REFUSED, "时间冲突")
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await answering.read_case(tx, first.id, replace(expert, roles=(Role.NURSE,)))


async def test_opinions_and_decisions_are_frozen_once_signed(world: World) -> None:
    consult = await meeting(world)
    expert, inviting = Actor.staff(world.experts[0]), Actor.staff(world.clinic_doctor)
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await opining.sign_opinion(tx, world.sealer, consult.id, expert, {world.partner.id})
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await deciding.sign_decision(tx, world.sealer, consult.id, inviting)
    async with world.db.begin() as tx:
        await opining.save_opinion(tx, consult.id, expert, {world.partner.id}, "一稿")
        second = await opining.save_opinion(tx, consult.id, expert, {world.partner.id}, "二稿", dissent=True)
        await opining.sign_opinion(tx, world.sealer, consult.id, expert, {world.partner.id})
    assert (second.text, second.dissent, second.expert_institution_id) == ("二稿", True, world.partner.id)
    await world.opinion(consult, world.experts[1])
    await report(world, consult)
    await world.decide(consult)
    for act in (
        lambda tx: opining.save_opinion(tx, consult.id, expert, {world.partner.id}, "三稿"),
        lambda tx: opining.sign_opinion(tx, world.sealer, consult.id, expert, {world.partner.id}),
        lambda tx: deciding.save_decision(tx, consult.id, inviting, Adoption.NOT_ADOPTED, "x", "y"),
        lambda tx: deciding.sign_decision(tx, world.sealer, consult.id, inviting),
    ):
        with pytest.raises(AlreadySigned):
            async with world.db.begin() as tx:
                await act(tx)
    for act in (
        lambda tx: opining.save_opinion(tx, consult.id, inviting, {world.partner.id}, "x"),
        lambda tx: deciding.save_decision(tx, consult.id, expert, Adoption.ADOPT, "x", "y"),
    ):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await act(tx)


async def test_nothing_new_is_written_or_signed_on_what_is_not_shared_any_more(world: World) -> None:
    consult = await meeting(world)
    first, second = (Actor.staff(each) for each in world.experts)
    await world.opinion(consult, world.experts[0])
    nobody: frozenset[str] = frozenset()
    async with world.db.begin() as tx:
        await opining.save_opinion(tx, consult.id, second, {world.partner.id}, "草稿")
    acts: tuple[Any, ...] = (
        lambda tx: opining.save_opinion(tx, consult.id, second, nobody, "改"),
        lambda tx: opining.sign_opinion(tx, world.sealer, consult.id, second, nobody),
    )
    for act in acts:
        with pytest.raises(SharingWithdrawn):
            async with world.db.begin() as tx:
                await act(tx)
    with pytest.raises(AlreadySigned):  # what was signed before stays what it is
        async with world.db.begin() as tx:
            await opining.save_opinion(tx, consult.id, first, nobody, "改")
    async with world.db.read() as tx:
        (signed,) = (await papers_of(tx, consult.id)).counted
    assert signed.expert_id == first.id


async def test_an_expert_of_the_own_house_needs_no_sharing(world: World) -> None:
    consult = await meeting(world)
    own = replace(world.experts[0], id=uuid4().hex, login="own.expert", institution_id=world.home.id)
    async with world.db.begin() as tx:
        await tx.staff.add(own)
        seat = next(row for row in await tx.seats.find(consult_id=consult.id) if row.person_id == world.experts[0].id)
        await tx.seats.add(replace(seat, id=uuid4().hex, person_id=own.id, home_institution_id=world.home.id))
        opinion = await opining.save_opinion(tx, consult.id, Actor.staff(own), frozenset(), "本院意见")
    assert opinion.expert_institution_id == world.home.id


async def test_a_draft_decision_may_be_rewritten_and_is_the_authors(world: World) -> None:
    consult = await meeting(world)
    inviting = Actor.staff(world.clinic_doctor)
    async with world.db.begin() as tx:
        await deciding.save_decision(tx, consult.id, inviting, Adoption.ADOPT, "一", "一")
        again = await deciding.save_decision(tx, consult.id, inviting, Adoption.NOT_ADOPTED, "二", "二")
        await opining.save_opinion(tx, consult.id, Actor.staff(world.experts[0]), {world.partner.id}, "草稿")
        chart = await access.view_chart(tx, inviting, consult.id)
        theirs = await access.view_chart(tx, Actor.staff(world.experts[0]), consult.id)
    assert again.adoption is Adoption.NOT_ADOPTED
    assert chart.decision is not None
    assert chart.opinions == ()
    assert theirs.decision is None
    assert len(theirs.opinions) == 1
    assert chart.case is not None
