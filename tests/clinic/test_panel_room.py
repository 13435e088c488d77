"""The rules of a panel's room by themselves: quorum, chair, order, side-room."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.errors import NotPermitted
from clinic.panels import aside, presiding, quorum
from clinic.panels.errors import NoSideRoom, NotAPanel, NotForYou, SideRoomOn
from clinic.panels.quorum import Turn, Watch
from clinic.panels.room_records import PanelFloor, QuorumLapse
from clinic.panels.terms import PanelTerms, terms_of
from clinic.people import Role
from tests.clinic.gate_rules import RULES
from tests.support.builders import World
from tests.support.clock import START

TERMS = terms_of(RULES)
FLOOR = PanelFloor("c", "i", "c")


def seat(seat_id: str, role: Role = Role.EXPERT, **changes: Any) -> Seat:
    made = Seat(seat_id, "i", "c", role, seat_id, "h", None, SeatState.ADMITTED, START, "x", admitted_at=START)
    return replace(made, **changes)


CHAIR, ONE, TWO, DOCTOR = seat("chair", Role.CHAIR), seat("one"), seat("two"), seat("doctor", Role.INVITING)


def test_the_rules_as_shipped() -> None:
    assert (
        PanelTerms(
            least_experts=1,
            chair_present=True,
            inviting_present=True,
            grace=timedelta(seconds=120),
            chair_lost=timedelta(seconds=30),
            expert_takes=True,
            inviting_takes=True,
            late_wait=True,
            side_room=True,
            side_inviting=True,
        )
        == TERMS
    )


@pytest.mark.parametrize(
    ("here", "chair", "codes"),
    [
        ((CHAIR, DOCTOR), "chair", ()),
        ((DOCTOR,), "doctor", (quorum.NO_EXPERTS,)),
        ((ONE, DOCTOR), "chair", (quorum.NO_CHAIR,)),
        ((CHAIR, ONE), "chair", (quorum.NO_INVITING,)),
        ((), None, (quorum.NO_EXPERTS, quorum.NO_CHAIR, quorum.NO_INVITING)),
    ],
)
def test_who_is_missing(here: tuple[Seat, ...], chair: str | None, codes: tuple[str, ...]) -> None:
    assert quorum.missing(TERMS, here, chair) == codes


def test_a_house_may_ask_for_more_and_for_less_of_the_rest() -> None:
    strict = replace(TERMS, least_experts=3)
    assert quorum.missing(strict, (CHAIR, ONE, DOCTOR), "chair") == (quorum.NO_EXPERTS,)
    lax = replace(TERMS, chair_present=False, inviting_present=False)
    assert quorum.missing(lax, (ONE,), "chair") == ()


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=30))
def test_a_lapse_is_marked_once_after_the_whole_grace_and_ended_once(steps: list[tuple[int, bool]]) -> None:
    """Any course of coming and going: marks and ends alternate, and nothing shorter than the grace is marked."""
    watch, now, open_since, turns = Watch(), START, None, []
    for seconds, there in steps:
        now += timedelta(seconds=seconds)
        watch, turned = quorum.turn(watch, () if there else (quorum.NO_CHAIR,), now, TERMS.grace)
        if turned is Turn.LOST:
            open_since = now
        if turned is Turn.LAPSED:
            assert open_since is not None and now - open_since >= TERMS.grace
            watch = replace(watch, lapse="row")
        turns.append(turned)
        assert (watch.since is None) == there
    seen = [turned for turned in turns if turned in (Turn.LAPSED, Turn.REGAINED)]
    assert seen[::2] == [Turn.LAPSED] * len(seen[::2])
    assert seen[1::2] == [Turn.REGAINED] * len(seen[1::2])
    assert turns.count(Turn.LOST) - turns.count(Turn.BACK) - turns.count(Turn.REGAINED) in (0, 1)


def test_an_open_lapse_goes_on_after_a_restart() -> None:
    ended = QuorumLapse("a", "i", "c", (quorum.NO_CHAIR,), START, START, START)
    held = replace(ended, id="b", regained_at=None)
    assert quorum.watch_of([ended]) == Watch()
    assert quorum.watch_of([ended, held]) == Watch((quorum.NO_CHAIR,), START, "b")


def test_who_presides_before_anybody_took_the_chair() -> None:
    assert presiding.presiding(None, [DOCTOR, ONE, CHAIR]) == "chair"
    assert presiding.presiding(FLOOR, [DOCTOR, ONE]) == "doctor"
    assert presiding.presiding(FLOOR, [replace(CHAIR, state=SeatState.REMOVED), ONE]) is None
    assert presiding.presiding(replace(FLOOR, chair="one"), [CHAIR, ONE]) == "one"


def heirs(here: list[Seat], away: dict[str, datetime] | None = None, **changes: Any) -> tuple[str, ...]:
    floor, terms = changes.pop("floor", FLOOR), replace(TERMS, **changes)
    now = START + timedelta(seconds=60)
    return presiding.heirs(terms, floor, here, away or {}, chair="chair", now=now)


def test_who_may_take_a_lost_chair() -> None:
    assert heirs([CHAIR, ONE, DOCTOR]) == ()
    assert heirs([CHAIR, ONE], {"chair": START + timedelta(seconds=31)}) == (), "not lost for long enough"
    assert heirs([CHAIR, ONE, DOCTOR], {"chair": START}) == ("one", "doctor")
    assert heirs([ONE, TWO, DOCTOR]) == ("one", "doctor")
    assert heirs([ONE, TWO], floor=replace(FLOOR, turns=("two", "one"))) == ("two",)
    assert heirs([ONE, TWO], floor=None) == ("one",)
    assert heirs([replace(ONE, admitted_at=START + timedelta(1)), TWO]) == ("two",), "who came first"
    assert heirs([ONE, DOCTOR], {"one": START}) == ("doctor",)
    assert heirs([ONE, DOCTOR], expert_takes=False) == ("doctor",)
    assert heirs([ONE, DOCTOR], inviting_takes=False) == ("one",)
    assert heirs([]) == ()


def test_the_word_goes_round() -> None:
    floor = replace(FLOOR, turns=("a", "b", "c"))
    said = []
    for _ in range(6):
        floor = presiding.next_in_turn(floor, {"a", "c", "x"}, ["y", "x"] if floor.word != "x" else [])
        said.append(floor.word)
    assert said == ["a", "c", "x", None, "a", "c"]
    assert presiding.next_in_turn(FLOOR, {"a"}, []).word is None


def test_a_side_room_is_the_experts_and_the_inviting_doctors_by_invitation() -> None:
    for role in Role:
        assert aside.admits(TERMS, role, inviting=False) is (role in (Role.EXPERT, Role.CHAIR)), role
        assert aside.admits(replace(TERMS, side_room=False), role, inviting=True) is False
    assert aside.admits(TERMS, Role.INVITING, inviting=True)
    assert not aside.admits(replace(TERMS, side_inviting=False), Role.INVITING, inviting=True)


async def gathered(world: World) -> tuple[Any, list[Seat]]:
    booked = await world.book_panel()
    seats = []
    for invitation in await world.ask(booked.consult):
        found = await world.answer(invitation)
        assert found is not None
        seats.append(await world.enter(found))
    return booked, [*seats, await world.enter(booked.doctor_seat)]


async def test_what_the_outcome_reads(world: World) -> None:
    booked, seats = await gathered(world)
    chair, expert, doctor = seats
    async with world.db.read() as tx:
        nothing = await quorum.course_of(tx, booked.consult.id)
    assert (nothing.opened_at, nothing.lapses, nothing.whole) == (None, (), False)
    async with world.db.begin() as tx:
        by, here = Actor.seated(chair), {each.id for each in seats}
        await presiding.open_panel(tx, booked.consult.id, by, here)
        await presiding.hand_over(tx, booked.consult.id, by, expert.id, here)
    async with world.db.read() as tx:
        course = await quorum.course_of(tx, booked.consult.id)
    assert course.whole
    assert course.chair == expert.id
    async with world.db.begin() as tx:
        lapse = await quorum.mark(tx, booked.consult, Watch((quorum.NO_INVITING,), None))
    async with world.db.begin() as tx:
        ended = await quorum.regain(tx, lapse.id)
        assert await quorum.regain(tx, lapse.id) == ended, "twice is once"
    async with world.db.read() as tx:
        course = await quorum.course_of(tx, booked.consult.id)
    assert (course.whole, course.lapses) == (False, (ended,))
    assert doctor.role is Role.INVITING


async def test_a_chair_handed_to_the_inviting_doctor_and_back(world: World) -> None:
    booked, (chair, expert, doctor) = await gathered(world)
    here = {chair.id, expert.id, doctor.id}
    async with world.db.begin() as tx:
        await presiding.hand_over(tx, booked.consult.id, Actor.seated(chair), doctor.id, here)
    assert [(await world.seat(each)).role for each in (chair, doctor)] == [Role.EXPERT, Role.INVITING]
    async with world.db.begin() as tx:
        await presiding.hand_over(tx, booked.consult.id, Actor.seated(doctor), chair.id, here)
    assert (await world.seat(chair)).role is Role.CHAIR


async def test_no_side_room_beside_a_follow_up_nor_for_who_has_left(world: World) -> None:
    visit = await world.book()
    async with world.db.begin() as tx:
        with pytest.raises(NotAPanel):
            await aside.start(tx, visit.doctor_seat.id, inviting=False)
        assert await aside.follow(tx, visit.doctor_seat.id, visit.consult.id, world.system) is None
        with pytest.raises(NotAPanel):
            await presiding.open_panel(tx, visit.consult.id, Actor.seated(visit.doctor_seat), set())
    booked = await world.book_panel()
    invitation = (await world.ask(booked.consult))[0]
    seat = await world.answer(invitation)
    assert seat is not None
    async with world.db.begin() as tx:
        with pytest.raises(NotPermitted):
            await aside.start(tx, seat.id, inviting=False)


async def test_coming_in_twice_is_coming_in_once_and_back_again_is_noted_once(world: World) -> None:
    _, (chair, expert, _) = await gathered(world)
    async with world.db.begin() as tx:
        await aside.start(tx, chair.id, inviting=True)
        first = await aside.enter(tx, expert.id)
        assert await aside.enter(tx, expert.id) == first
        left = await aside.leave(tx, expert.id)
        assert left.inside == (chair.id,)
        again = await aside.enter(tx, expert.id)
    assert again.came == (chair.id, expert.id)


async def test_every_shortcut_into_and_out_of_the_side_room_is_refused(world: World) -> None:
    """The live edge judges before it cuts anybody apart; the rows are judged again."""
    _, (chair, expert, doctor) = await gathered(world)
    async with world.db.begin() as tx:
        for act in (aside.enter, aside.leave, aside.end):
            with pytest.raises(NoSideRoom):
                await act(tx, expert.id)
        with pytest.raises(NotForYou):
            await aside.start(tx, doctor.id, inviting=False)
        await aside.start(tx, chair.id, inviting=False)
        with pytest.raises(SideRoomOn):
            await aside.start(tx, expert.id, inviting=False)
        with pytest.raises(NotForYou):
            await aside.enter(tx, doctor.id)
        for act in (aside.leave, aside.end):
            with pytest.raises(NoSideRoom):
                await act(tx, expert.id)
        await aside.enter(tx, expert.id)
        with pytest.raises(NotForYou):
            await aside.end(tx, expert.id)
        assert (await aside.end(tx, chair.id)).inside == ()
        await aside.close(tx, await tx.consults.get(chair.consult_id), world.system)
