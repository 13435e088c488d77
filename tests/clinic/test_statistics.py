"""Statistics of requests: what the rows say is what the trail says, whatever happened; load and week of a house."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import MissingRow
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import ClinicError, InvalidInput, NotPermitted
from clinic.panels import answering, load, proposing, settling, triaging
from clinic.panels.board import Side
from clinic.panels.records import InvitationState
from clinic.panels.requests import RequestState, Urgency
from clinic.panels.statistics import Asked, Outcome, Refusals, figures, from_rows, from_trail, month, times
from clinic.people import Institution, Role
from tests.clinic.houses import Region, region
from tests.support.builders import World

ZONE = "Asia/Shanghai"
NOTHING = dict.fromkeys(Outcome, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as the log's reader gives it."""

    at: datetime
    code: str
    institution_id: str
    subject_id: str | None
    public: Any


def trail(world: World) -> list[Seen]:
    return [
        Seen(each.at, each.event.code, each.event.institution_id, each.event.subject_id, each.event.public)
        for each in world.db.recorded
    ]


async def happens(at: Region, consult: Consult, act: str, chance: random.Random) -> None:
    """One thing somebody tries; what is refused changes nothing."""
    house, doctor = chance.choice(at.houses), Actor.staff(at.doctors[0])
    by = house.coordinator
    try:
        async with at.db.begin() as tx:
            request = (await tx.panel_requests.find(consult_id=consult.id))[-1]
            if act == "assign":
                await triaging.assign(tx, request.id, [chance.choice(house.experts).id], None, by)
            elif act == "accept":
                await triaging.accept(tx, request.id, by)
            elif act == "refuse":
                await triaging.refuse(tx, request.id, chance.choice(("专家外出", "设备检修")), by)
            elif act == "answer":
                invitation = chance.choice(await tx.invitations.find(consult_id=consult.id, state=InvitationState.SENT))
                expert = Actor.staff(await tx.staff.get(invitation.expert_id))
                await answering.answer_invitation(tx, invitation.id, expert, chance.random() < 0.7, "有手术")
            elif act == "propose":
                later = tx.now + timedelta(hours=chance.choice((40, 50)))
                ends = later + timedelta(minutes=30)
                await proposing.propose_time(tx, request.id, later, ends, reason="改期", by=by)
            elif act == "decide":
                proposal = chance.choice(await tx.panel_proposals.find(request_id=request.id))
                await proposing.answer_proposal(tx, proposal.id, chance.random() < 0.5, doctor, "可以")
            elif act == "withdraw":
                await settling.withdraw(tx, consult.id, "不再需要", doctor)
            else:
                await settling.expire(tx, request.id)
    except (ClinicError, MissingRow, IndexError):
        pass


_ACTS = ("assign", "assign", "accept", "accept", "refuse", "answer", "propose", "decide", "withdraw", "expire")


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_the_figures_equal_the_trail(seed: int) -> None:
    chance = random.Random(seed)
    at = await region()
    consults = []
    for number in range(4):
        starts = at.world.clock() + timedelta(hours=30 + 2 * number)
        consult = (await at.book(starts_at=starts, ends_at=starts + timedelta(hours=1))).consult
        urgency = chance.choice((Urgency.URGENT, Urgency.ROUTINE))
        houses = chance.sample(range(3), chance.randint(1, 3))
        await at.draft(consult, *houses, experts=chance.choice((0, 2)), wanted=chance.choice((0, 1)), urgency=urgency)
        if chance.random() < 0.85:
            await at.send(consult)
        consults.append(consult)
    for _ in range(45):
        at.world.clock.advance(chance.choice((61.5, 300, 4_000)))
        await happens(at, chance.choice(consults), chance.choice(_ACTS), chance)
    await agrees(at.world)


async def agrees(world: World) -> None:
    home = world.home.id
    async with world.db.read() as tx:
        requests = await tx.panel_requests.find(institution_id=home)
        counted = from_rows(requests, await tx.invited_parties.find(institution_id=home))
        shown = await load.statistics(tx, Side.OUT, Actor("coo", home, (Role.COORDINATOR,)))
    told = from_trail(trail(world), home)
    assert told[0] == counted[0]
    assert sorted(map(repr, told[1])) == sorted(repr(replace(each, reason="")) for each in counted[1])
    again = figures(*told, world.home.time_zone)
    assert replace(shown, reasons=tuple(replace(each, said=()) for each in shown.reasons)) == again
    assert sum(each.count for each in shown.reasons) == again.whole.outcomes[Outcome.REFUSED]


def asked(request: str, **changes: Any) -> Asked:
    return replace(Asked(request, "i1", "i2", False, 1_772_000_000_000), **changes)


def test_counts_by_month_by_pair_and_of_everything() -> None:
    march = int(datetime(2026, 2, 28, 16, 30, tzinfo=UTC).timestamp() * 1000)  # 1 March in Shanghai
    rows = [
        asked("r1", sent=march, outcome=Outcome.ACCEPTED, answered=march + 90_999),
        asked("r1", invited_id="i3", sent=march, outcome=Outcome.RELEASED),
        asked(
            "r2",
            sent=march - 86_400_000,
            urgent=True,
            outcome=Outcome.REFUSED,
            answered=march,
            reason="外出",
            why="no_time",
        ),
        asked("r3", sent=march - 86_400_000, outcome=Outcome.REFUSED, answered=march, reason="外出"),
        asked("r4", sent=march, outcome=Outcome.EXPIRED, reason=""),
    ]
    got = figures({"r1": RequestState.CONVENED, "r2": RequestState.DECLINED, "r3": RequestState.DECLINED}, rows, ZONE)
    assert got.states == {RequestState.CONVENED: 1, RequestState.DECLINED: 2}
    assert (got.whole.requests, got.whole.urgent) == (4, 1)
    assert got.whole.outcomes == NOTHING | {
        Outcome.ACCEPTED: 1, Outcome.RELEASED: 1, Outcome.REFUSED: 2, Outcome.EXPIRED: 1,
    }  # fmt: skip
    assert [(line.key, line.requests) for line in got.months] == [(("2026-02",), 2), (("2026-03",), 2)]
    assert [(line.key, line.requests, line.times.median) for line in got.pairs] == [
        (("i1", "i2"), 4, 86_400),
        (("i1", "i3"), 1, None),
    ]
    assert got.months[1].times == times([90])
    assert got.reasons == (Refusals("", 1, (("外出", 1),)), Refusals("no_time", 1, (("外出", 1),)))


@pytest.mark.parametrize(
    ("seconds", "median", "p90"),
    [([], None, None), ([5], 5, 5), ([1, 2], 1, 2), ([9, 1, 5], 5, 9), (list(range(1, 101)), 50, 90)],
)
def test_median_and_p90_are_values_that_occurred(seconds: list[int], median: int | None, p90: int | None) -> None:
    got = times(seconds)
    assert (got.count, got.median, got.p90) == (len(seconds), median, p90)


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_half_are_within_the_median_and_nine_of_ten_within_p90(seconds: list[int]) -> None:
    got = times(seconds)
    assert got.median is not None
    assert got.p90 is not None
    assert sum(each <= got.median for each in seconds) * 2 >= len(seconds)
    assert sum(each <= got.p90 for each in seconds) * 10 >= 9 * len(seconds)


def test_a_month_is_that_of_the_house() -> None:
    sent = int(datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp() * 1000)
    assert (month(sent, "UTC"), month(sent, ZONE)) == ("2026-01", "2026-02")


async def test_events_of_others_and_of_unknown_requests_count_for_nothing(world: World) -> None:
    consult = (await world.book_panel()).consult
    await world.ask(consult)
    events = trail(world)
    assert from_trail(events, "somewhere") == ({}, [])
    begun = [event for event in events if event.code != "request.drafted"]
    assert from_trail(begun, world.home.id) == ({}, [])
    about_nobody = [
        replace(event, public=dict(event.public) | {"invited": "nobody"})
        for event in events
        if event.code == "request.party_answered"
    ]
    assert from_trail([*events, *about_nobody], world.home.id)[1][0].outcome is Outcome.WAITING


def coordinator(house: Institution) -> Actor:
    return Actor("coo", house.id, (Role.COORDINATOR,))


async def test_the_invited_house_sees_its_own_answers_only(world: World) -> None:
    consult = (await world.book_panel()).consult
    first, second = await world.ask(consult)
    world.clock.advance(120)
    await world.answer(first, accept=False)
    await world.answer(second, accept=False)
    async with world.db.read() as tx:
        got = await load.statistics(tx, Side.IN, coordinator(world.partner))
        assert (await load.statistics(tx, Side.IN, coordinator(world.home))).whole.requests == 0
        with pytest.raises(NotPermitted):
            await load.statistics(tx, Side.IN, Actor.staff(world.archivist))
    assert got.states == {}
    assert (got.whole.outcomes[Outcome.REFUSED], got.whole.times.median) == (1, 120)
    assert got.reasons == (Refusals("other", 1, (("时间冲突", 1),)),)


async def test_the_week_shows_panels_of_both_sides_while_they_stand(world: World) -> None:
    consult = (await world.book_panel()).consult
    await world.ask(consult)
    day = timedelta(days=1)
    begins = consult.starts_at
    async with world.db.read() as tx:
        for house in (world.home, world.partner):
            (line,) = await load.week(tx, begins - day, begins + day, coordinator(house))
            assert line.consult.id == consult.id
        assert await load.week(tx, begins + day, begins + 2 * day, coordinator(world.home)) == []
        assert await load.week(tx, begins + day, begins + 2 * day, coordinator(world.partner)) == []
        for wrong in (begins, begins + timedelta(days=43)):
            with pytest.raises(InvalidInput):
                await load.week(tx, begins, wrong, coordinator(world.home))
    async with world.db.begin() as tx:
        await settling.withdraw(tx, consult.id, "不再需要", Actor.staff(world.clinic_doctor))
    async with world.db.read() as tx:
        for house in (world.home, world.partner):
            assert await load.week(tx, begins - day, begins + day, coordinator(house)) == []


async def test_the_load_of_each_expert(world: World) -> None:
    consult = (await world.book_panel()).consult
    first, second = await world.ask(consult)
    await world.answer(first)
    day = timedelta(days=1)
    async with world.db.read() as tx:
        got = await load.load(tx, consult.starts_at - day, consult.starts_at + day, coordinator(world.partner))
        later = await load.load(tx, consult.ends_at, consult.ends_at + day, coordinator(world.partner))
        with pytest.raises(NotPermitted):
            await load.load(tx, consult.ends_at, consult.ends_at + day, Actor.staff(world.archivist))
    assert [(each.expert.id, each.asked, each.accepted, each.minutes, each.chaired) for each in got] == [
        (first.expert_id, 0, 1, 30, 1),
        (second.expert_id, 1, 0, 0, 0),
    ]
    assert {(each.expert.id, each.accepted) for each in later} == {(second.expert_id, 0), (first.expert_id, 0)}
