"""Requests between institutions: the gate, triage, answers, proposals, urgent mode, the clock, what is due."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from audit.errors import MissingRow, StaleRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking, registration, slots
from clinic.actor import Actor
from clinic.consult import ConsultKind, ConsultStatus, SeatState
from clinic.documents import digest
from clinic.errors import AdmissionRefused, DoctorBusy, IllegalMove, InvalidInput, NotPermitted
from clinic.overlays import rules_for
from clinic.panels import answering, board, finding, proposing, requesting, sending, settling, triaging
from clinic.panels.board import Due, Side
from clinic.panels.records import InvitationState
from clinic.panels.requests import Mode, PartyState, ProposalKind, ProposalState, RequestState, Urgency
from clinic.parties import agreements
from clinic.people import Role
from tests.clinic.houses import Region, region
from tests.support.builders import CARDIOLOGY, staff


@pytest.fixture
async def at() -> Region:
    return await region()


async def refused(act: Any) -> tuple[str, ...]:
    with pytest.raises(AdmissionRefused) as caught:
        await act
    return caught.value.reasons


async def changed(at: Region, table: str, row_id: str, **values: Any) -> None:
    async with at.db.begin() as tx:
        row = await getattr(tx, table).get(row_id)
        await getattr(tx, table).save(replace(row, **values))
        await tx.append(AuditEvent(EventCode.STAFF_CHANGED, getattr(row, "institution_id", row.id), "system"))


async def triage(at: Region, act: Callable[..., Any], request: str, *rest: Any, house: int = 0, **named: Any) -> Any:
    async with at.db.begin() as tx:
        return await act(tx, request, *rest, by=at.houses[house].coordinator, **named)


# the gate


async def test_a_complete_request_is_sealed_with_all_it_rests_on(at: Region) -> None:
    booked, request = await at.asked(0, 1, chair_id=at.houses[0].experts[0].id)
    assert request.document is not None and digest(request.document.encode()) == request.digest
    assert request.signature == f"seal.{at.world.home.id}.{request.digest}.{int(at.world.clock().timestamp())}"
    said = json.loads(request.document)
    assert (said["requester"]["id"], said["liability"], said["kind"]) == (
        at.doctors[0].id,
        "inviting",
        "expert_consult",
    )
    assert said["materials"] == [{"kind": "image_study", "id": "d" * 32, "sha256": "ab" * 32}]
    assert [each["institution"] for each in said["invited"]] == [house.id for house in at.houses[:2]]
    assert {each["consent"] for each in said["invited"]} == {"c" * 32}
    assert request.wanted == 2 and request.answer_by == at.world.clock() + timedelta(hours=48)
    assert [row.chair for row in at.db.rows("invitations")] == [True, False, False, False]
    assert {row.id for row in at.db.rows("cases")} == {row.case_id for row in at.parties(request.id)}
    told = [event for event in at.db.events if event.code is EventCode.CASE_REQUESTED]
    assert len({event.public["act"] for event in told}) == 1
    assert {event.institution_id for event in told} == {at.world.home.id, at.houses[0].id, at.houses[1].id}
    with pytest.raises(IllegalMove):
        await at.send(booked.consult)
    with pytest.raises(IllegalMove):
        await at.draft(booked.consult, 0)


async def test_every_shortcut_has_its_code(at: Region) -> None:
    """Nothing is sent, nobody is asked; every reason is told at once."""
    booked = await at.book()
    elsewhere, nurse = at.houses[1].experts[0].id, at.world.nurse.id
    home = requesting.Named(at.world.home.id)
    mixed = (requesting.Named(at.houses[0].id, (elsewhere,)), home)
    await at.draft(booked.consult, reason="", parties=mixed, wanted=3, chair_id=nurse, wanted_department="99")
    async with at.db.begin() as tx:
        for row in await tx.cooperation_agreements.find(invited_id=at.houses[0].id):
            await agreements.end(tx, row.id, "不再合作", at.coordinator)
    assert await refused(at.send(booked.consult, ())) == (
        "panel.incomplete",
        "panel.too_few_named",
        "panel.chair_not_among",
        "panel.department_out_of_scope",
        "panel.no_agreement",
        "panel.expert_elsewhere",
        "panel.own_institution",
        "panel.consent_missing",
    )
    assert at.db.rows("cases") == [] and at.db.rows("invitations") == []
    async with at.db.begin() as tx:
        coordinator = await tx.staff.get(at.houses[1].coordinator.id)
    many = (*(f"{n}" * 32 for n in range(7)), coordinator.id)
    await at.draft(booked.consult, 1, parties=(requesting.Named(at.houses[1].id, (coordinator.id,)),))
    assert await refused(at.send(booked.consult)) == ("panel.not_an_expert",)
    await at.draft(booked.consult)
    assert await refused(at.send(booked.consult)) == ("panel.no_institution",)
    with pytest.raises(MissingRow):
        await at.draft(booked.consult, parties=(requesting.Named(at.houses[1].id, many),))
        await at.send(booked.consult)


async def test_licences_and_the_window_are_those_of_the_day(at: Region) -> None:
    booked = await at.book()
    long_ago = date(2020, 1, 1)
    now = at.world.clock()
    await at.draft(booked.consult, 0, wanted_from=now + timedelta(hours=1), wanted_to=now + timedelta(hours=2))
    for table, row_id, code in (
        ("institutions", at.world.home.id, "gate.institution_licence"),
        ("staff", at.doctors[0].id, "gate.doctor_unlicensed"),
        ("institutions", at.houses[0].id, "panel.invited_licence"),
        ("staff", at.houses[0].experts[1].id, "gate.expert_unlicensed"),
    ):
        async with at.db.read() as tx:
            before = (await getattr(tx, table).get(row_id)).licence_valid_to
        await changed(at, table, row_id, licence_valid_to=long_ago)
        assert await refused(at.send(booked.consult)) == (code,)
        await changed(at, table, row_id, licence_valid_to=before)
    at.world.clock.advance(hours=2)
    assert await refused(at.send(booked.consult)) == ("panel.window_over",)


async def test_too_many_experts_of_one_house(at: Region) -> None:
    booked = await at.book()
    there = Actor.system(at.houses[0].id)
    async with at.db.begin() as tx:
        new = [staff(at.houses[0].id, f"more{n}", (Role.EXPERT,)) for n in range(6)]
        crowd = [*at.houses[0].experts, *[await registration.create_staff(tx, each, there) for each in new]]
    ids = tuple(each.id for each in crowd)
    request = await at.draft(booked.consult, parties=(requesting.Named(at.houses[0].id, ids),))
    assert await refused(at.send(booked.consult)) == ("panel.too_many_experts",)
    await at.draft(booked.consult, 0)
    await at.send(booked.consult)
    assert await refused(triage(at, triaging.assign, request.id, ids, None)) == ("panel.too_many_experts",)


async def test_a_witness_other_than_the_inviting_doctor_does_not_count_but_an_emergency_needs_none(at: Region) -> None:
    booked = await at.book()
    await at.draft(booked.consult, 0)
    house = at.houses[0].id
    word = sending.Shared(house, "c" * 32, frozenset({at.world.nurse.id}))
    assert await refused(at.send(booked.consult, (word,))) == ("panel.consent_unwitnessed",)
    await at.send(booked.consult, (replace(word, emergency=True),))


async def test_only_a_consult_that_is_open_is_asked_for(at: Region) -> None:
    booked = await at.book()
    with pytest.raises(MissingRow):
        await at.send(booked.consult)
    await at.draft(booked.consult, 0)
    async with at.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), status=ConsultStatus.CONCLUDING))
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, at.world.home.id, "system"))
    with pytest.raises(IllegalMove):
        await at.send(booked.consult)
    with pytest.raises(IllegalMove):
        await at.draft(booked.consult, 0)


async def test_who_is_named_may_change_until_it_is_sent(at: Region) -> None:
    booked = await at.book()
    await at.draft(booked.consult, 0, 1)
    await at.draft(booked.consult, 2, 0)
    async with at.db.read() as tx:
        assert await finding.named(tx, booked.consult.id) == (at.houses[2].id, at.houses[0].id)
    request = await at.send(booked.consult)
    states = {row.invited_institution_id: row.state for row in at.parties(request.id)}
    assert states[at.houses[1].id] is PartyState.RELEASED and states[at.houses[2].id] is PartyState.ASKED


# matched


async def test_a_coordinator_picks_whom_a_matched_request_asks(at: Region) -> None:
    booked = await at.book()
    with pytest.raises(MissingRow):
        async with at.db.begin() as tx:
            await requesting.match(tx, booked.consult.id, at.named(0), at.coordinator)
    request = await at.draft(booked.consult, mode=Mode.MATCHED, parties=())
    assert [row.what for row in await due(at, at.coordinator)] == [Due.MATCH]
    assert await due(at, at.doctor) == []
    assert await refused(at.send(booked.consult)) == ("panel.no_institution",)
    for by, refusal in ((at.doctor, NotPermitted), (at.houses[0].coordinator, MissingRow)):
        with pytest.raises(refusal):
            async with at.db.begin() as tx:
                await requesting.match(tx, booked.consult.id, at.named(0), by)
    async with at.db.begin() as tx:
        await requesting.match(tx, booked.consult.id, at.named(0, experts=0), at.coordinator)
    assert [row.what for row in await due(at, at.doctor)] == [Due.SEND]
    await at.send(booked.consult)
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await requesting.match(tx, booked.consult.id, at.named(1), at.coordinator)
    other = await at.book(1)
    await at.draft(other.consult, 0)
    with pytest.raises(IllegalMove):
        async with at.db.begin() as tx:
            await requesting.match(tx, other.consult.id, at.named(1), at.coordinator)
    assert at.party(request.id, 0).state is PartyState.ASKED


# triage and answers


async def test_a_coordinator_assigns_and_accepts(at: Region) -> None:
    booked, request = await at.asked(0, experts=0)
    one, two = at.houses[0].experts
    assert await refused(triage(at, triaging.accept, request.id)) == ("panel.no_expert_assigned",)
    assert await refused(triage(at, triaging.assign, request.id, (one.id,), two.id)) == ("panel.chair_not_among",)
    other = at.houses[1].experts[0].id
    assert await refused(triage(at, triaging.assign, request.id, (other,), None)) == ("panel.expert_elsewhere",)
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
    assert await refused(triage(at, triaging.assign, request.id, (expert,), expert, house=1)) == ("panel.chair_taken",)
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


async def test_of_two_acceptances_at_the_same_moment_one_is_tried_again(at: Region) -> None:
    """The page of the expert's book turned under the first one's feet."""
    _, request = await at.asked(0)
    with pytest.raises(StaleRow):
        async with at.db.begin() as tx:
            original = tx.doctor_books.query

            def stale(**equal: Any) -> Any:
                """What the other transaction commits between our reading and our writing."""
                tx.state["doctor_books"].pop(equal["id"], None)
                return original(**equal)

            await triaging.accept(tx, request.id, at.houses[0].coordinator)
            page = next(iter(tx.state["doctor_books"]))
            row, rev = tx.state["doctor_books"][page]
            tx.state["doctor_books"][page] = (row, rev + 1)
            await tx.doctor_books.save(row)
    assert at.request(request.id).state is RequestState.SENT


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
    back = await triage(at, proposing.propose_stand_in, request.id, two.id, one.id, reason="病假")
    async with at.db.begin() as tx:
        await proposing.answer_proposal(tx, back.id, True, at.doctor)
    seats = {row.person_id: row.state for row in at.db.rows("seats") if row.home_institution_id == at.houses[0].id}
    assert seats == {two.id: SeatState.REMOVED, one.id: SeatState.EXPECTED}
    async with at.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(booked.consult.id), status=ConsultStatus.CONCLUDING))
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, at.world.home.id, "system"))
    with pytest.raises(IllegalMove):
        await triage(at, proposing.propose_stand_in, request.id, one.id, two.id, reason="出差")


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
    booked, request = await at.asked(0, 1)
    await triage(at, triaging.accept, request.id)
    with pytest.raises(InvalidInput):
        async with at.db.begin() as tx:
            await settling.withdraw(tx, booked.consult.id, "", at.doctor)
    async with at.db.begin() as tx:
        gone = await settling.withdraw(tx, booked.consult.id, "病情好转", at.doctor)
    assert (gone.state, gone.end_reason, gone.sequence) == (RequestState.WITHDRAWN, "病情好转", 1)
    assert {row.state for row in at.parties(request.id)} == {PartyState.RELEASED}
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


async def due(at: Region, by: Actor) -> list[board.DueLine]:
    async with at.db.read() as tx:
        return await board.due(tx, by)


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
