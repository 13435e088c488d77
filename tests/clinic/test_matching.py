"""Matching: only houses with an agreement, only experts who are fit and free, fewest open cases first."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import MissingRow
from clinic import booking, registration
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.errors import InvalidInput, NotPermitted
from clinic.parties import candidates, directory
from clinic.parties.candidates import Need, Suggestions
from clinic.parties.directory import NewEntry
from clinic.parties.matching import TITLES, Candidate, Obstacle, Wanted, left_out, obstacle, rank, step
from clinic.parties.records import DirectoryEntry, Tier
from clinic.people import AccountState, Role
from tests.clinic.test_agreements import home, partner, sealed
from tests.support.builders import CARDIOLOGY, World, institution, staff

WANTED = Wanted("03.04", "副主任医师", Tier.COUNTY)


def candidate(expert: str = "e1", **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "institution_id": "i2",
        "expert_id": expert,
        "title": "主任医师",
        "scope": ("03.04",),
        "offered": ("03",),
        "tier": Tier.CITY,
        "accepts": True,
        "agreed": True,
        "unfit": (),
        "booked": False,
        "open_cases": 0,
    }
    return Candidate(**values | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"agreed": False, "booked": True}, Obstacle.NO_AGREEMENT),
        ({"accepts": False}, Obstacle.NOT_ACCEPTING),
        ({"offered": ("04",)}, Obstacle.DEPARTMENT),
        ({"scope": ("03.05",)}, Obstacle.DEPARTMENT),
        ({"scope": ("03.0",)}, Obstacle.DEPARTMENT),
        ({"title": "主治医师"}, Obstacle.TITLE),
        ({"title": "药师"}, Obstacle.TITLE),
        ({"unfit": ("gate.expert_unlicensed",)}, Obstacle.UNLICENSED),
        ({"booked": True}, Obstacle.BOOKED),
    ],
)
def test_what_stands_in_the_way(changes: dict[str, Any], why: Obstacle | None) -> None:
    each = candidate(**changes)
    assert obstacle(WANTED, each) is why
    assert bool(rank(WANTED, [each])) is (why is None)
    assert [found for _, found in left_out(WANTED, [each])] == ([] if why is None else [why])


def test_any_title_will_do_where_none_is_asked_for() -> None:
    assert obstacle(Wanted("03.04"), candidate(title="")) is None
    assert [step(title) for title in TITLES] == [1, 2, 3, 4]


def test_fewest_open_cases_then_the_nearest_tier_then_the_higher_title() -> None:
    order = [
        candidate("free-near", title="副主任医师"),
        candidate("free-near-low", title="副主任医师"),
        candidate("free-far", tier=Tier.PROVINCE),
        candidate("free-unknown", tier=None),
        candidate("busy", open_cases=1),
    ]
    order.insert(0, candidate("free-high"))
    assert [each.expert_id for each in rank(WANTED, reversed(order))] == [each.expert_id for each in order]
    nowhere = Wanted("03.04")
    assert [each.expert_id for each in rank(nowhere, [candidate("b"), candidate("a", tier=None)])] == ["a", "b"]


_CANDIDATES = st.builds(
    candidate,
    expert=st.uuids().map(str),
    title=st.sampled_from((*TITLES, "")),
    agreed=st.booleans(),
    accepts=st.booleans(),
    booked=st.booleans(),
    unfit=st.sampled_from(((), ("gate.x",))),
    tier=st.sampled_from((*Tier, None)),
    open_cases=st.integers(0, 5),
)


@given(st.lists(_CANDIDATES, max_size=30))
def test_never_without_an_agreement_never_booked_never_lost(found: list[Candidate]) -> None:
    suited, others = rank(WANTED, found), left_out(WANTED, found)
    assert all(each.agreed and each.accepts and not each.booked and not each.unfit for each in suited)
    assert [each.open_cases for each in suited] == sorted(each.open_cases for each in suited)
    assert sorted(map(repr, (*suited, *(each for each, _ in others)))) == sorted(map(repr, found))


def entry(**changes: Any) -> NewEntry:
    values: dict[str, Any] = {
        "tier": "city",
        "region": "330100",
        "departments": (CARDIOLOGY,),
        "accepts": True,
        "contact_name": "会诊中心",
        "contact_phone": "0571-1",
    }
    return NewEntry(**values | changes)


async def entered(world: World, by: Actor, **changes: Any) -> DirectoryEntry:
    async with world.db.begin() as tx:
        return await directory.keep_entry(tx, entry(**changes), by)


async def suggested(world: World, by: Actor | None = None, **changes: Any) -> Suggestions:
    begins = world.clock() + timedelta(hours=1)
    values: dict[str, Any] = {
        "kind": ConsultKind.EXPERT_CONSULT,
        "department": CARDIOLOGY,
        "title": "",
        "starts_at": begins,
        "ends_at": begins + timedelta(hours=1),
    }
    async with world.db.read() as tx:
        return await candidates.suggest(tx, Need(**values | changes), by or Actor.staff(world.clinic_doctor))


async def test_each_house_keeps_one_entry_of_its_own(world: World) -> None:
    first = await entered(world, home(world))
    second = await entered(world, Actor.staff(world.admin), accepts=False, tier="county")
    assert first.id == second.id == world.home.id
    assert world.db.rows("directory_entries") == [second]
    assert world.db.codes()[-2:] == ["party.entered", "party.entered"]
    with pytest.raises(NotPermitted):
        await entered(world, Actor.staff(world.clinic_doctor))


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("tier", {"tier": "national"}),
        ("region", {"region": "33010"}),
        ("region", {"region": "000000"}),
        ("region", {"region": "33010x"}),
        ("departments", {"departments": ()}),
        ("departments", {"departments": ("99",)}),
        ("contact_phone", {"contact_phone": "1"}),
        ("contact_name", {"contact_name": ""}),
    ],
)
async def test_an_entry_says_what_is_true_of_the_house(world: World, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        await entered(world, home(world), **changes)
    assert refused.value.field == field


async def test_a_region_lies_in_the_houses_province(world: World) -> None:
    async with world.db.begin() as tx:
        await registration.change_institution(tx, world.home.id, {"province": "33"}, Actor.staff(world.admin))
    assert (await entered(world, home(world))).region == "330100"
    with pytest.raises(InvalidInput, match="another province"):
        await entered(world, home(world), region="320100")


async def test_the_directory_goes_from_the_highest_tier_down_and_ends_with_who_is_not_in_it(world: World) -> None:
    await entered(world, home(world), tier="county")
    await entered(world, partner(world), tier="province")
    async with world.db.begin() as tx:
        await registration.create_institution(tx, institution("未登记医院", "Nowhere"))
    async with world.db.read() as tx:
        rows = await directory.listed(tx, Actor.staff(world.clinic_doctor))
        assert [house.name for house, _ in rows] == ["市中心医院", "县人民医院", "未登记医院"]
        assert rows[-1][1] is None
        with pytest.raises(NotPermitted):
            await directory.listed(tx, Actor.staff(world.archivist))


async def test_nobody_without_an_agreement_is_suggested_and_the_houses_are_named(world: World) -> None:
    await entered(world, home(world))
    await entered(world, partner(world))
    found = await suggested(world)
    assert (found.suited, found.left_out, found.unagreed) == ((), (), (world.partner.id,))
    await sealed(world)
    found = await suggested(world)
    assert {each.expert_id for each in found.suited} == {expert.id for expert in world.experts}
    assert found.unagreed == ()
    assert (await suggested(world, kind=ConsultKind.REMOTE_DIAGNOSIS)).unagreed == (world.partner.id,)


async def test_a_house_outside_the_directory_or_not_accepting_is_left_out(world: World) -> None:
    await sealed(world)
    assert {why for _, why in (await suggested(world)).left_out} == {Obstacle.NOT_ACCEPTING}
    await entered(world, partner(world), accepts=False)
    found = await suggested(world)
    assert {why for _, why in found.left_out} == {Obstacle.NOT_ACCEPTING}
    assert found.unagreed == ()


async def test_who_has_accepted_another_consult_then_is_booked_and_who_was_asked_counts_it(world: World) -> None:
    await entered(world, partner(world))
    await sealed(world)
    booked = (await world.book_panel()).consult
    first, second = await world.ask(booked)
    await world.answer(first)
    await world.answer(second, accept=False)
    at_the_time = await suggested(world, starts_at=booked.starts_at, ends_at=booked.ends_at)
    assert [(each.expert_id, why) for each, why in at_the_time.left_out] == [(first.expert_id, Obstacle.BOOKED)]
    assert [each.expert_id for each in at_the_time.suited] == [second.expert_id]
    after = await suggested(world, starts_at=booked.ends_at, ends_at=booked.ends_at + timedelta(hours=1))
    assert [(each.expert_id, each.open_cases) for each in after.suited] == [(second.expert_id, 0), (first.expert_id, 1)]


async def test_a_cancelled_consult_holds_nobody(world: World) -> None:
    await entered(world, partner(world))
    await sealed(world)
    booked = (await world.book_panel()).consult
    first, _ = await world.ask(booked)
    await world.answer(first)
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.id, Actor.staff(world.clinic_doctor), "other")
    found = await suggested(world, starts_at=booked.starts_at, ends_at=booked.ends_at)
    assert [each.open_cases for each in found.suited] == [0, 0]


async def test_disabled_and_unlicensed_experts_are_not_suggested(world: World) -> None:
    await entered(world, partner(world))
    await sealed(world)
    there = Actor.system(world.partner.id)
    async with world.db.begin() as tx:
        await registration.change_staff(tx, world.experts[0].id, {"state": AccountState.DISABLED}, there)
        await registration.change_staff(tx, world.experts[1].id, {"licence_valid_to": date(2026, 3, 1)}, there)
        await registration.create_staff(tx, staff(world.partner.id, "nurse9", (Role.NURSE,)), there)
    found = await suggested(world)
    assert found.suited == ()
    assert [(each.expert_id, why) for each, why in found.left_out] == [(world.experts[1].id, Obstacle.UNLICENSED)]
    assert found.left_out[0][0].unfit


async def test_the_time_is_a_time_and_the_asker_may_ask(world: World) -> None:
    now = world.clock()
    with pytest.raises(InvalidInput, match="ends_at"):
        await suggested(world, starts_at=now, ends_at=now)
    with pytest.raises(NotPermitted):
        await suggested(world, by=Actor.staff(world.archivist))
    with pytest.raises(MissingRow):
        await suggested(world, by=Actor("x", "nowhere", (Role.COORDINATOR,)))
