"""The waiting line is arithmetic: order, place kept, nobody starved, an honest range."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.queueing import Pace, WaitingPlace, arrived, kept, late_of, line, moment_of, outlook, pace_of
from clinic.rulebook import in_force
from tests.support.clock import START

POLICY = in_force(START.date())
ADVANCE = POLICY.minutes("HZ-12", "urgent_advance_minutes")
SLOW = Pace(10.0, 20.0, 9)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def place(name: str, due: float, came: float | None = None, urgent: float | None = None) -> WaitingPlace:
    return WaitingPlace(
        name, "i1", f"c-{name}", "d1", "03.04", at(due), at(due if came is None else came), True, True,
        urgent_at=None if urgent is None else at(urgent),
    )  # fmt: skip


def names(*places: WaitingPlace, now: float = 200) -> str:
    return "".join(each.id for each in line(places, at(now), POLICY))


def test_the_booked_time_counts_not_who_came_first() -> None:
    assert names(place("b", 30, came=0), place("a", 0, came=5)) == "ab"


def test_at_the_same_booked_time_who_came_first_is_first() -> None:
    assert names(place("b", 0, came=3), place("a", 0, came=-20)) == "ab"


@pytest.mark.parametrize(("late", "order"), [(10, "ab"), (11, "ba")])
def test_who_is_later_than_the_grace_counts_from_the_arrival(late: float, order: str) -> None:
    assert names(place("a", 0, came=late), place("b", 10.5, came=0)) == order


def test_urgent_goes_forward_by_a_fixed_time_only() -> None:
    long_waiting, normal = place("w", -121), place("n", -100)
    assert names(long_waiting, normal, place("u", 30, came=-10, urgent=0)) == "wun"


def test_being_found_urgent_never_sets_anybody_back() -> None:
    early = place("e", 0, urgent=ADVANCE.total_seconds() / 60 + 50)
    assert moment_of(early, POLICY) == at(0)


TIMES = st.integers(-300, 300)
PLACES = st.lists(
    st.builds(
        place, st.uuids().map(str), TIMES, TIMES.map(float), st.one_of(st.none(), TIMES.map(float))
    ),
    max_size=12, unique_by=lambda each: each.id,
)  # fmt: skip


@given(PLACES, TIMES, TIMES)
def test_the_order_does_not_depend_on_the_clock(places: list[WaitingPlace], now: int, later: int) -> None:
    assert line(places, at(now), POLICY) == line(places, at(later), POLICY)


@given(PLACES, TIMES, TIMES)
def test_nobody_is_starved(places: list[WaitingPlace], due: int, came: int) -> None:
    """Whoever comes, or is found urgent, after my moment + advance stands behind me, whatever they are."""
    mine = place("me", due, came)
    bound = moment_of(mine, POLICY) + ADVANCE
    for other in places:
        late_comer = replace(other, due_at=max(other.due_at, bound), arrived_at=max(other.arrived_at, bound))
        if late_comer.urgent_at is not None:
            late_comer = replace(late_comer, urgent_at=bound + timedelta(seconds=1))
        ordered = line([mine, late_comer], bound, POLICY)
        assert ordered[0].id == "me" or moment_of(late_comer, POLICY) == moment_of(mine, POLICY)


@given(PLACES)
def test_a_newcomer_with_a_later_moment_moves_nobody(places: list[WaitingPlace]) -> None:
    before = line(places, at(400), POLICY)
    newcomer = place("z", 400, came=400)
    assert line([newcomer, *places], at(400), POLICY)[:-1] == before


def test_leaving_keeps_the_place_for_a_while() -> None:
    left = replace(place("a", 0), present=False, left_at=at(20))
    assert names(left, place("b", 5), now=35) == "ab"
    assert names(left, place("b", 5), now=36) == "b"
    assert kept(place("a", 0), at(999), POLICY)


def test_coming_back_in_time_loses_nothing_and_later_is_a_new_arrival() -> None:
    left = replace(place("a", 0, urgent=3), present=False, open=False, left_at=at(20))
    fresh = place("a", 0, came=35)
    back = arrived(left, fresh, POLICY)
    assert (back.arrived_at, back.present, back.open, back.left_at, back.urgent_at) == (at(0), True, True, None, at(3))
    assert arrived(left, place("a", 0, came=36), POLICY).arrived_at == at(36)
    assert arrived(None, fresh, POLICY) == fresh


def test_another_doctor_on_coming_back_keeps_the_arrival() -> None:
    moved = replace(place("a", 0, came=10), doctor_id="d2", department="03")
    back = arrived(place("a", 0), moved, POLICY)
    assert (back.doctor_id, back.department, back.arrived_at) == ("d2", "03", at(0))


def test_the_pace_is_the_middle_half_of_recent_visits() -> None:
    minutes = [10, 11, 12, 13, 14, 180, 0.1]
    pace = pace_of([timedelta(minutes=each) for each in minutes], timedelta(minutes=30), POLICY)
    assert 10 <= pace.low <= pace.high <= 14
    assert pace.samples == 7


def test_too_few_visits_fall_back_to_the_booked_length() -> None:
    assert pace_of([timedelta(minutes=3)] * 4, timedelta(minutes=20), POLICY) == Pace(15.0, 25.0, 0)


def told(places: list[WaitingPlace], who: str, now: float = 0, running: tuple[float, ...] = ()) -> tuple[int, int]:
    lasting = [timedelta(minutes=each) for each in running]
    found = outlook(places, who, SLOW, running=lasting, now=at(now), policy=POLICY)
    assert found is not None
    return found.low, found.high


def test_a_range_is_told_never_zero() -> None:
    first, second = place("a", 0), place("b", 0, came=1)
    assert told([first, second], "a") == (1, 5)
    assert told([first, second], "b") == (10, 20)
    assert told([first], "a", running=(3,)) == (5, 20)
    assert told([first], "a", running=(60,)) == (1, 10)


def test_nobody_is_promised_to_be_in_before_the_booked_time() -> None:
    assert told([place("a", 42)], "a") == (1, 45)


@given(PLACES, st.lists(st.floats(0, 500), max_size=3), st.floats(1, 90), st.floats(1, 90))
def test_the_range_is_always_a_range(places: list[WaitingPlace], running: list[float], one: float, two: float) -> None:
    pace = Pace(min(one, two), max(one, two), 5)
    for each in places:
        found = outlook(
            places, each.id, pace, running=[timedelta(minutes=m) for m in running], now=at(0), policy=POLICY
        )
        assert found is not None
        assert 1 <= found.low < found.high
        assert found.position == found.ahead + 1


def test_who_stepped_out_counts_only_in_the_upper_end() -> None:
    out = replace(place("a", 0), present=False, left_at=at(-1))
    found = outlook([out, place("b", 0, came=1)], "b", SLOW, running=[], now=at(1), policy=POLICY)
    assert found is not None
    assert (found.position, found.low, found.high, found.near) == (1, 1, 20, True)


def test_whoever_has_no_place_is_told_nothing() -> None:
    assert outlook([place("a", 0)], "b", SLOW, running=[], now=at(0), policy=POLICY) is None
    assert outlook([replace(place("a", 0), open=False)], "a", SLOW, running=[], now=at(0), policy=POLICY) is None


def test_lateness_is_said_from_a_limit_on() -> None:
    waiting = [place("a", 0, came=2)]
    assert late_of(waiting, at(6.9), POLICY) == 0
    assert late_of(waiting, at(7), POLICY) == 5
    assert late_of([replace(waiting[0], present=False)], at(60), POLICY) == 0
