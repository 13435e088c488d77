"""A request between institutions before it is sent: every shortcut refused, what is sealed, who is named."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration
from clinic.actor import Actor
from clinic.consult import ConsultStatus
from clinic.documents import digest
from clinic.errors import IllegalMove, NotPermitted
from clinic.panels import finding, requesting, sending, triaging
from clinic.panels.board import Due
from clinic.panels.requests import Mode, PartyState, RequestState
from clinic.parties import agreements
from clinic.people import Role
from tests.clinic.houses import Region, changed, due, refused, triage
from tests.support.builders import staff

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
    with pytest.raises(MissingRow):  # never asked
        await triage(at, triaging.accept, request.id, house=1)


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


async def test_the_tables_of_moves_say_no(at: Region) -> None:
    _, request = await at.asked(0)
    with pytest.raises(IllegalMove, match="sent->draft"):
        request.move(RequestState.DRAFT, at.world.clock())
    with pytest.raises(IllegalMove, match="asked->named"):
        at.party(request.id, 0).move(PartyState.NAMED, at.world.clock(), "x")
