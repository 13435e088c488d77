"""What becomes of a request: urgent mode, the clock, taken back, the board and what is due."""

from dataclasses import replace
from datetime import timedelta

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking, slots
from clinic.actor import Actor
from clinic.consult import ConsultKind, ConsultStatus, SeatState
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.overlays import rules_for
from clinic.panels import answering, board, proposing, settling, triaging
from clinic.panels.board import Due, Side
from clinic.panels.records import InvitationState
from clinic.panels.requests import PartyState, ProposalState, RequestState, Urgency
from tests.clinic.houses import Region, due, refused, triage
from tests.support.builders import CARDIOLOGY

# urgent


async def test_urgent_takes_the_first_and_lets_the_others_go_at_once(at: Region) -> None:
    booked, request = await at.asked(0, 1, 2, urgency=Urgency.URGENT)
    assert request.wanted == 1 and request.answer_by == at.world.clock() + timedelta(minutes=15)
    starts = booked.consult.starts_at + timedelta(hours=1)
    offered = await triage(
        at, proposing.propose_time, request.id, starts, starts + timedelta(hours=1), reason="手术", house=2
    )
    assert (await triage(at, triaging.accept, request.id, house=1)).state is RequestState.CONVENED
    assert [row.state for row in at.parties(request.id)] == [
        PartyState.RELEASED,
        PartyState.ACCEPTED,
        PartyState.RELEASED,
    ]
    assert next(row for row in at.db.rows("panel_proposals") if row.id == offered.id).state is ProposalState.VOID
    with pytest.raises(IllegalMove):
        await triage(at, triaging.accept, request.id)
    expert = at.houses[0].experts[0]
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            row = at.invitation(booked.consult, expert)
            await answering.answer_invitation(tx, row.id, Actor.staff(expert), True)
    released = [event for event in at.db.events if event.code is EventCode.PARTY_RELEASED]
    assert {event.institution_id for event in released} == {at.world.home.id, at.houses[0].id, at.houses[2].id}


# the clock


async def test_the_clock_reminds_once_then_ends_it(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    at.world.clock.advance(hours=35)
    assert await tick(at) == []
    at.world.clock.advance(hours=2)
    assert await tick(at) == [request.id]
    assert await tick(at) == []
    (line,) = await due(at, at.houses[0].coordinator)
    assert (line.what, line.reminded) == (Due.ACCEPT, True)
    at.world.clock.advance(hours=11)
    assert await refused(triage(at, triaging.accept, request.id)) == ("panel.answer_late",)
    assert await tick(at) == [request.id]
    ended = at.request(request.id)
    assert ended.state is RequestState.EXPIRED
    assert {row.state for row in at.parties(request.id)} == {PartyState.EXPIRED}
    assert {row.state for row in at.db.rows("invitations")} == {InvitationState.RELEASED}
    async with at.db.begin() as tx:
        assert await settling.expire(tx, request.id) is None
    assert booked.consult.id == ended.consult_id


async def test_who_has_accepted_convenes_when_the_others_do_not_answer(at: Region) -> None:
    _, request = await at.asked(0, 1, urgency=Urgency.URGENT, wanted=2)
    await triage(at, triaging.accept, request.id)
    at.world.clock.advance(minutes=11)
    async with at.db.begin() as tx:
        assert [row.invited_institution_id for row in await settling.remind(tx, request.id)] == [at.houses[1].id]
    at.world.clock.advance(minutes=4)
    assert await tick(at) == [request.id]
    assert at.request(request.id).state is RequestState.CONVENED


async def tick(at: Region) -> list[str]:
    async with at.db.read() as tx:
        found = await settling.due(tx)
    for request in found:
        async with at.db.begin() as tx:
            if await settling.expire(tx, request.id) is None:
                await settling.remind(tx, request.id)
    return [row.id for row in found]


async def test_a_reminder_and_an_end_are_functions_of_the_time(at: Region) -> None:
    """Pure: nothing before, one in between, nothing after; nobody who answered is reminded."""
    _, request = await at.asked(0)
    party, rules, until = at.party(request.id, 0), rules_for(at.world.home, at.world.clock()), request.answer_by
    assert until is not None
    assert not settling.reminder_due(request, party, rules, until - timedelta(hours=13))
    assert settling.reminder_due(request, party, rules, until - timedelta(hours=12))
    assert not settling.reminder_due(request, party, rules, until)
    assert not settling.reminder_due(request, replace(party, reminded_at=until), rules, until - timedelta(hours=1))
    answered = replace(party, state=PartyState.ACCEPTED)
    assert not settling.reminder_due(request, answered, rules, until - timedelta(hours=1))
    assert not settling.overdue(request, until - timedelta(seconds=1)) and settling.overdue(request, until)
    assert not settling.overdue(replace(request, state=RequestState.CONVENED), until)


# taken back


async def test_withdrawn_before_the_call_and_told_to_everybody(at: Region) -> None:
    booked, request = await at.asked(0, 1, 2)
    await triage(at, triaging.accept, request.id)
    await triage(at, triaging.refuse, request.id, "没有专家", house=2)
    with pytest.raises(InvalidInput):
        async with at.db.begin() as tx:
            await settling.withdraw(tx, booked.consult.id, "", at.doctor)
    async with at.db.begin() as tx:
        gone = await settling.withdraw(tx, booked.consult.id, "病情好转", at.doctor)
    assert (gone.state, gone.end_reason, gone.sequence) == (RequestState.WITHDRAWN, "病情好转", 1)
    released = PartyState.RELEASED
    assert [row.state for row in at.parties(request.id)] == [released, released, PartyState.REFUSED]
    seats = [row for row in at.db.rows("seats") if row.home_institution_id == at.houses[0].id]
    assert {row.state for row in seats} == {SeatState.REMOVED}
    with pytest.raises(MissingRow):
        async with at.db.begin() as tx:
            await settling.withdraw(tx, booked.consult.id, "再次", at.doctor)
    await at.draft(booked.consult, 0)
    async with at.db.begin() as tx:
        await settling.withdraw(tx, booked.consult.id, "不需要了", at.doctor)
    await at.draft(booked.consult, 0)
    async with at.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), status=ConsultStatus.IN_PROGRESS))
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, at.world.home.id, "system"))
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await settling.withdraw(tx, booked.consult.id, "已开始", at.doctor)


async def test_a_cancelled_consult_ends_its_request(at: Region) -> None:
    booked, request = await at.asked(0)
    async with at.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, at.doctor, "patient_asked")
    assert at.request(request.id).state is RequestState.WITHDRAWN
    plain = await at.book(1)
    async with at.db.begin() as tx:
        await booking.cancel(tx, plain.consult.id, Actor.staff(at.doctors[1]), "patient_asked")
    expert = at.houses[0].experts[0]
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            row = at.invitation(booked.consult, expert)
            await answering.answer_invitation(tx, row.id, Actor.staff(expert), True)


async def test_hours_of_a_panel_that_move_are_free_for_everybody_who_accepted(at: Region) -> None:
    """By the book of slots too, not only by an offer of the invited side."""
    booked, request = await at.asked(0)
    await triage(at, triaging.accept, request.id)
    later = booked.consult.starts_at + timedelta(hours=3)
    async with at.db.begin() as tx:
        new = slots.NewSlot(at.doctors[0].id, CARDIOLOGY, ConsultKind.EXPERT_CONSULT, later, 60, 1)
        slot = await slots.open_slot(tx, new, Actor.staff(at.world.nurse))
    other = await at.book(1, starts_at=later, ends_at=later + timedelta(hours=1))
    await at.draft(other.consult, 0)
    second = await at.send(other.consult)
    await triage(at, triaging.accept, second.id)
    by = at.doctor

    async def rebooked() -> None:
        async with at.db.begin() as tx:
            await slots.rebook(tx, booked.consult.id, slot.id, by)

    assert await refused(rebooked()) == ("panel.expert_busy",)
    async with at.db.begin() as tx:
        await settling.withdraw(tx, other.consult.id, "病情好转", Actor.staff(at.doctors[1]))
    await rebooked()
    assert at.request(request.id).sequence == 1
    unasked = await at.book(1, starts_at=later + timedelta(hours=4), ends_at=later + timedelta(hours=5))
    async with at.db.begin() as tx:
        await settling.shifted(tx, unasked.consult, by)


# the board and what is due


async def lines(at: Region, side: Side, by: Actor) -> list[board.Line]:
    async with at.db.read() as tx:
        return await board.board(tx, side, by)


async def test_each_side_sees_its_own_board(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    other = await at.book(1)
    await at.draft(other.consult, 2)
    at.world.clock.advance(minutes=5)
    out = await lines(at, Side.OUT, at.coordinator)
    assert [line.request.state for line in out] == [RequestState.SENT, RequestState.DRAFT]
    assert [line.waiting_seconds(at.world.clock()) for line in out] == [300, 0]
    assert len(out[0].parties) == 2
    (line,) = await lines(at, Side.IN, at.houses[0].coordinator)
    assert [row.invited_institution_id for row in line.parties] == [at.houses[0].id]
    assert {row.invited_institution_id for row in line.invitations} == {at.houses[0].id}
    assert await lines(at, Side.IN, at.houses[2].coordinator) == []
    with pytest.raises(NotPermitted):
        await lines(at, Side.IN, Actor.staff(at.world.nurse))
    await triage(at, triaging.accept, request.id)
    assert await due(at, at.houses[0].coordinator) == []
    assert booked.consult.id == line.consult.id


async def test_what_is_decided_leaves_the_board_in_time_and_what_waits_does_not(at: Region) -> None:
    """HZ-24."""
    _, request = await at.asked(0)
    await triage(at, triaging.refuse, request.id, "没有专家")
    waiting, _ = await at.asked(0, doctor=1)
    at.world.clock.advance(days=89)
    assert (
        len(await lines(at, Side.OUT, at.coordinator)) == len(await lines(at, Side.IN, at.houses[0].coordinator)) == 2
    )
    at.world.clock.advance(days=2)
    for side, by in ((Side.OUT, at.coordinator), (Side.IN, at.houses[0].coordinator)):
        (line,) = await lines(at, side, by)
        assert line.consult.id == waiting.consult.id


async def test_the_words_are_read_by_those_they_are_for_while_the_patient_shares(at: Region) -> None:
    booked, request = await at.asked(0, 1)
    shared = [house.id for house in at.houses]
    expert, stranger = Actor.staff(at.houses[0].experts[0]), Actor.staff(at.doctors[1])
    for by in (at.doctor, at.coordinator, at.houses[0].coordinator, expert):
        async with at.db.begin() as tx:
            assert (await board.read(tx, request.id, by, shared)).request.summary
    viewed = [event for event in at.db.events if event.code is EventCode.CHART_VIEWED]
    assert [event.institution_id for event in viewed].count(at.houses[0].id) == 2
    for by, words in ((at.houses[0].coordinator, []), (expert, []), (stranger, shared)):
        with pytest.raises(NotPermitted):
            async with at.db.begin() as tx:
                await board.read(tx, request.id, by, words)
    with pytest.raises(MissingRow):
        async with at.db.begin() as tx:
            await board.read(tx, request.id, at.houses[2].coordinator, shared)
    await triage(at, triaging.refuse, request.id, "没有专家")
    for by in (at.houses[0].coordinator, expert):
        with pytest.raises(NotPermitted):
            async with at.db.begin() as tx:
                await board.read(tx, request.id, by, shared)
    assert booked.consult.id == request.consult_id


async def test_what_is_due_follows_the_request(at: Region) -> None:
    booked, request = await at.asked(0, experts=0)
    one = at.houses[0].experts[0]
    assert [row.what for row in await due(at, at.houses[0].coordinator)] == [Due.TRIAGE]
    await triage(at, triaging.assign, request.id, (one.id,), None)
    assert [row.what for row in await due(at, at.houses[0].coordinator)] == [Due.ACCEPT]
    assert [row.what for row in await due(at, Actor.staff(one))] == [Due.ANSWER]
    assert await due(at, at.doctor) == []
    await triage(at, triaging.accept, request.id)
    assert await due(at, Actor.staff(one)) == []
    at.world.clock.advance(days=1)
    for by in (at.doctor, Actor.staff(one)):
        assert [row.what for row in await due(at, by)] == [Due.BEGINS]
    async with at.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, at.doctor, "patient_asked")
    for by in (at.doctor, Actor.staff(one), at.coordinator):
        assert await due(at, by) == []
