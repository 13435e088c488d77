"""The invited side: triage, answers, nobody booked twice, offers of another time or a stand-in."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from audit.errors import MissingRow, StaleRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import ConsultStatus, SeatState
from clinic.errors import AdmissionRefused, DoctorBusy, IllegalMove, InvalidInput, NotPermitted
from clinic.panels import answering, finding, proposing, settling, triaging
from clinic.panels.board import Due
from clinic.panels.records import InvitationState
from clinic.panels.requests import PartyState, ProposalKind, RequestState
from clinic.people import Role
from huizhen.store.database import SqlDatabase
from tests.clinic.houses import Region, changed, due, refused, region, triage
from tests.support import prepared
from tests.support.clock import FakeClock

# triage and answers


async def test_a_coordinator_assigns_and_accepts(at: Region) -> None:
    booked, request = await at.asked(0, experts=0)
    one, two = at.houses[0].experts
    assert await refused(triage(at, triaging.accept, request.id)) == ("panel.no_expert_assigned",)
    assert await refused(triage(at, triaging.assign, request.id, (one.id,), two.id)) == ("panel.chair_not_among",)
    other = at.houses[1].experts[0].id
    assert await refused(triage(at, triaging.assign, request.id, (other,), None)) == ("panel.expert_elsewhere",)
    nobody = at.houses[0].coordinator.id
    assert await refused(triage(at, triaging.assign, request.id, (nobody,), None)) == ("panel.not_an_expert",)
    for ids in ((), (one.id, one.id)):
        with pytest.raises(InvalidInput):
            await triage(at, triaging.assign, request.id, ids, None)
    with pytest.raises(MissingRow):
        await triage(at, triaging.assign, request.id, (one.id,), None, house=1)
    await triage(at, triaging.assign, request.id, (two.id,), two.id)
    triaged, made = await triage(at, triaging.assign, request.id, (one.id, two.id), one.id)
    assert triaged.state is RequestState.TRIAGED and [row.chair for row in made] == [True, False]
    done = await triage(at, triaging.accept, request.id)
    assert done.state is RequestState.CONVENED
    seats = [row for row in at.db.rows("seats") if row.home_institution_id == at.houses[0].id]
    assert [row.role for row in seats] == [Role.CHAIR, Role.EXPERT]
    for act in ((triaging.accept,), (triaging.assign, (one.id,), None), (triaging.refuse, "不行")):
        with pytest.raises(IllegalMove):
            await triage(at, act[0], request.id, *act[1:])
    assert booked.consult.id == done.consult_id


async def test_one_person_leads_whichever_house_they_are_from(at: Region) -> None:
    _, request = await at.asked(0, 1, chair_id=at.houses[0].experts[0].id)
    expert = at.houses[1].experts[0].id
    assert await refused(triage(at, triaging.assign, request.id, (expert,), expert, house=1)) == ("panel.chair_named",)
    await triage(at, triaging.assign, request.id, (expert,), None, house=1)


async def test_when_every_house_refuses_it_is_declined_and_another_may_be_asked(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    with pytest.raises(InvalidInput):
        await triage(at, triaging.refuse, request.id, "")
    await triage(at, triaging.refuse, request.id, "没有这个专科")
    for expert in at.houses[1].experts:
        async with at.db.begin() as tx:
            row = at.invitation(booked.consult, expert)
            await answering.answer_invitation(tx, row.id, Actor.staff(expert), False, "出差")
    ended = at.request(request.id)
    assert ended.state is RequestState.DECLINED and ended.over and ended.sequence == 1
    assert {row.state for row in at.parties(request.id)} == {PartyState.REFUSED}
    assert [row.what for row in await due(at, at.doctor)] == [Due.ASK_OTHERS]
    async with at.db.read() as tx:
        assert await finding.named(tx, booked.consult.id) == ()
    await at.draft(booked.consult, 2)
    again = await at.send(booked.consult)
    with pytest.raises(IllegalMove):
        await triage(at, triaging.refuse, request.id, "晚了")
    assert again.id != request.id
    async with at.db.read() as tx:
        assert await finding.named(tx, booked.consult.id) == (at.houses[2].id,)


async def test_one_refusal_of_two_experts_leaves_the_house_in(at: Region) -> None:
    booked, request = await at.asked(0)
    one, two = at.houses[0].experts
    for expert, accept in ((one, False), (two, True)):
        async with at.db.begin() as tx:
            row = at.invitation(booked.consult, expert)
            await answering.answer_invitation(tx, row.id, Actor.staff(expert), accept, "出差")
    assert at.request(request.id).state is RequestState.CONVENED
    assert at.party(request.id, 0).state is PartyState.ACCEPTED


async def test_the_second_expert_of_a_house_that_takes_part_may_still_answer(at: Region) -> None:
    booked, request = await at.asked(0)
    for expert in at.houses[0].experts:
        async with at.db.begin() as tx:
            row = at.invitation(booked.consult, expert)
            await answering.answer_invitation(tx, row.id, Actor.staff(expert), True)
    assert at.request(request.id).state is RequestState.CONVENED
    assert sum(row.state is InvitationState.ACCEPTED for row in at.db.rows("invitations")) == 2


async def test_an_invitation_of_before_there_were_requests_is_answered_as_ever(at: Region) -> None:
    booked, request = await at.asked(0)
    async with at.db.begin() as tx:
        for row in await tx.invited_parties.find(request_id=request.id):
            await tx.invited_parties.remove(row.id)
        await tx.panel_requests.remove(request.id)
        await tx.append(AuditEvent(EventCode.PURGE_INTENT, at.world.home.id, "system"))
    async with at.db.read() as tx:
        assert await finding.named(tx, booked.consult.id) == (at.houses[0].id,)
    expert = at.houses[0].experts[0]
    async with at.db.begin() as tx:
        row = at.invitation(booked.consult, expert)
        _, seat = await answering.answer_invitation(tx, row.id, Actor.staff(expert), True)
    assert seat is not None


# nobody twice


async def test_an_expert_is_never_booked_twice(at: Region) -> None:
    _, first = await at.asked(0)
    _, second = await at.asked(0, doctor=1)
    await triage(at, triaging.accept, first.id)
    assert await refused(triage(at, triaging.accept, second.id)) == ("panel.expert_busy",)
    assert at.request(second.id).state is RequestState.SENT
    async with at.db.begin() as tx:  # the first one is called off: they are free
        await settling.withdraw(tx, first.consult_id, "病情变化", at.doctor)
    assert (await triage(at, triaging.accept, second.id)).state is RequestState.CONVENED


async def test_of_two_acceptances_at_the_same_moment_one_is_taken(tmp_path: Path) -> None:
    """On the real database: whichever commits first has the expert, the other is refused and leaves nothing."""
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    clock = FakeClock()
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    at = await region(clock, database)
    asked = [(await at.asked(0, doctor=number))[1] for number in (0, 1)]
    done = await asyncio.gather(*(triage(at, triaging.accept, request.id) for request in asked), return_exceptions=True)
    async with database.read() as tx:
        accepted = await tx.invitations.find(state=InvitationState.ACCEPTED)
        states = sorted([(await tx.panel_requests.get(request.id)).state for request in asked])
    await database.close()
    assert {row.expert_id for row in accepted} == {row.id for row in at.houses[0].experts} and len(accepted) == 2
    assert states == [RequestState.CONVENED, RequestState.SENT]
    (failed,) = [each for each in done if isinstance(each, BaseException)]
    assert isinstance(failed, (AdmissionRefused, StaleRow))


async def test_an_experts_own_clinic_counts(at: Region) -> None:
    booked, request = await at.asked(0)
    expert = at.houses[0].experts[0]
    async with at.db.begin() as tx:
        own = replace(booked.consult, id="e" * 32, institution_id=at.houses[0].id, doctor_id=expert.id)
        await tx.consults.add(own)
        await tx.append(AuditEvent(EventCode.CONSULT_BOOKED, at.houses[0].id, "system"))
    assert await refused(triage(at, triaging.accept, request.id)) == ("panel.expert_busy",)


async def test_a_licence_that_ended_meanwhile_takes_no_seat(at: Region) -> None:
    _, request = await at.asked(0)
    await changed(at, "staff", at.houses[0].experts[1].id, licence_valid_to=date(2020, 1, 1))
    assert await refused(triage(at, triaging.accept, request.id)) == ("gate.expert_unlicensed",)
    assert not [row for row in at.db.rows("invitations") if row.state is InvitationState.ACCEPTED]


# proposals


async def answered(at: Region, proposal: str) -> None:
    async with at.db.begin() as tx:
        await proposing.answer_proposal(tx, proposal, True, at.doctor)


async def test_another_time_is_offered_and_taken(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    await triage(at, triaging.accept, request.id, house=1)
    starts = booked.consult.starts_at + timedelta(hours=3)
    times = (starts, starts + timedelta(hours=1))
    made = await triage(at, proposing.propose_time, request.id, *times, reason="门诊")
    assert at.party(request.id, 0).state is PartyState.PROPOSED
    with pytest.raises(IllegalMove):
        await triage(at, proposing.propose_time, request.id, *times, reason="门诊")
    assert [row.what for row in await due(at, at.doctor)] == [Due.DECIDE]
    assert [row.what for row in await due(at, at.coordinator)] == [Due.DECIDE]
    with pytest.raises(NotPermitted):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, True, Actor.staff(at.world.nurse))
    async with at.db.begin() as tx:
        await proposing.answer_proposal(tx, made.id, True, at.doctor)
    moved = await at.world.consult(booked.consult.id)
    assert (moved.starts_at, moved.ends_at) == times
    assert at.party(request.id, 0).state is PartyState.ASKED and at.request(request.id).sequence == 1
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, True, at.doctor)
    assert EventCode.TIME_CHANGED in {event.code for event in at.db.events}


async def test_an_offer_is_declined_with_a_reason(at: Region) -> None:
    booked, request = await at.asked(0)
    starts = booked.consult.starts_at + timedelta(hours=3)
    made = await triage(at, proposing.propose_time, request.id, starts, starts + timedelta(hours=1), reason="门诊")
    with pytest.raises(InvalidInput):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, False, at.doctor)
    async with at.db.begin() as tx:
        await proposing.answer_proposal(tx, made.id, False, at.doctor, "患者等不及")
    assert at.party(request.id, 0).state is PartyState.ASKED
    assert (await at.world.consult(booked.consult.id)).starts_at == booked.consult.starts_at
    assert await due(at, at.doctor) == []


async def test_nobody_who_takes_part_is_elsewhere_at_the_offered_time(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    later = booked.consult.starts_at + timedelta(hours=3)
    hours = {"starts_at": later, "ends_at": later + timedelta(hours=1)}
    await triage(at, triaging.accept, request.id, house=1)
    other = await at.book(1, **hours)
    await at.draft(other.consult, 1)
    await triage(at, triaging.accept, (await at.send(other.consult)).id, house=1)
    made = await triage(at, proposing.propose_time, request.id, *hours.values(), reason="门诊")
    assert await refused(answered(at, made.id)) == ("panel.expert_busy",)
    await at.book(0, **hours)
    with pytest.raises(DoctorBusy):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, True, at.doctor)


async def test_offers_out_of_season(at: Region) -> None:
    booked, request = await at.asked(0)
    now, later = at.world.clock(), booked.consult.starts_at
    for starts, until in (
        (now - timedelta(hours=1), now + timedelta(hours=1)),
        (later, later),
        (later, later + timedelta(days=9)),
        (later.replace(tzinfo=None), later),
    ):
        with pytest.raises(InvalidInput):
            await triage(at, proposing.propose_time, request.id, starts, until, reason="门诊")
    soon = now + timedelta(hours=1)
    made = await triage(at, proposing.propose_time, request.id, soon, soon + timedelta(hours=1), reason="门诊")
    at.world.clock.advance(hours=1)
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, True, at.doctor)
    async with at.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), status=ConsultStatus.WAITING))
        made = replace(made, id="f" * 32, starts_at=later, ends_at=later + timedelta(hours=1))
        await tx.panel_proposals.add(made)
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, at.world.home.id, "system"))
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await proposing.answer_proposal(tx, made.id, True, at.doctor)


async def test_a_stand_in_sits_where_the_other_would_have(at: Region) -> None:
    booked = await at.book()
    one, two = at.houses[0].experts
    await at.draft(booked.consult, 0, 1, experts=1, chair_id=one.id)
    request = await at.send(booked.consult)
    for other, refusal in ((one.id, InvalidInput), (at.houses[1].experts[0].id, AdmissionRefused)):
        with pytest.raises(refusal):
            await triage(at, proposing.propose_stand_in, request.id, one.id, other, reason="出差")
    with pytest.raises(MissingRow):
        await triage(at, proposing.propose_stand_in, request.id, two.id, one.id, reason="出差")
    made = await triage(at, proposing.propose_stand_in, request.id, one.id, two.id, reason="出差")
    assert made.kind is ProposalKind.STAND_IN
    async with at.db.begin() as tx:
        await proposing.answer_proposal(tx, made.id, True, at.doctor)
    assert at.invitation(booked.consult, one).state is InvitationState.RELEASED
    standing = at.invitation(booked.consult, two)
    assert standing.state is InvitationState.ACCEPTED and standing.chair
    assert at.party(request.id, 0).state is PartyState.ACCEPTED
    for goes, comes in ((two, one), (one, two), (two, one)):  # and back, and back again
        made = await triage(at, proposing.propose_stand_in, request.id, goes.id, comes.id, reason="病假")
        await answered(at, made.id)
    seats = {row.person_id: row.state for row in at.db.rows("seats") if row.home_institution_id == at.houses[0].id}
    assert seats == {two.id: SeatState.REMOVED, one.id: SeatState.EXPECTED}  # of several the latest
    async with at.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), status=ConsultStatus.CONCLUDING))
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, at.world.home.id, "system"))
    with pytest.raises(IllegalMove):
        await triage(at, proposing.propose_stand_in, request.id, one.id, two.id, reason="出差")
