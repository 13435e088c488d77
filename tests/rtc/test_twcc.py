"""Transport-wide feedback: what is logged is what the sender reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import ParseError
from rtc.twcc import ArrivalLog, parse_feedback

MS = 1_000_000


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 200)), min_size=1, max_size=150),
)
def test_round_trip(first: int, moves: list[tuple[int, int]]) -> None:
    log = ArrivalLog()
    sequence, now = first, 10_000_000 * MS
    expected: dict[int, int] = {}
    for step, passed in moves:
        sequence += step
        now += passed * MS // 4
        expected[sequence & 0xFFFF] = now
        log.arrivals.append((sequence & 0xFFFF, now))
    read: dict[int, int] = {}
    covered = 0
    for fci in log.build():
        assert len(fci) % 4 == 0
        for number, when in parse_feedback(fci).arrivals.items():
            covered += 1
            if when is not None:
                read[number] = when
    assert set(read) == set(expected)
    assert covered == (sequence - first - moves[0][0]) + 1
    origin = min(expected.values()), min(read.values())
    for number, when in read.items():
        assert abs((when - origin[1]) - (expected[number] - origin[0]) / 1000) <= 251  # us; 250 us ticks


def test_the_hole_between_two_messages_is_reported_lost() -> None:
    log = ArrivalLog()
    log.arrivals += [(10, 1000 * MS), (11, 1001 * MS)]
    (first,) = log.build()
    log.arrivals += [(14, 1060 * MS)]
    (second,) = log.build()
    assert [parse_feedback(first).count, parse_feedback(second).count] == [0, 1]
    assert list(parse_feedback(second).arrivals) == [12, 13, 14]
    assert [when is None for when in parse_feedback(second).arrivals.values()] == [True, True, False]
    assert log.build() == []


def test_reordered_wrapped_and_duplicate_arrivals() -> None:
    log = ArrivalLog()
    log.arrivals += [(65535, 5 * MS), (1, 6 * MS), (0, 7 * MS), (0, 8 * MS)]
    (fci,) = log.build()
    arrivals = parse_feedback(fci).arrivals
    assert list(arrivals) == [65535, 0, 1]
    assert arrivals[0] is not None and arrivals[1] is not None
    assert arrivals[0] - arrivals[1] == 1000


def test_a_late_arrival_is_reported_again() -> None:
    log = ArrivalLog()
    log.arrivals += [(10, 1000 * MS), (12, 1001 * MS)]
    log.build()
    log.arrivals += [(11, 1002 * MS), (13, 1003 * MS)]
    (fci,) = log.build()
    assert parse_feedback(fci).arrivals[11] is not None


def test_the_log_is_bounded() -> None:
    log = ArrivalLog()
    log.arrivals += [(i & 0xFFFF, i * MS) for i in range(5000)]
    messages = log.build()
    assert sum(len(parse_feedback(fci).arrivals) for fci in messages) == 2048


@given(st.binary(max_size=120))
def test_fuzz(data: bytes) -> None:
    try:
        parse_feedback(data)
    except ParseError:
        pass


def test_an_empty_run_is_malformed() -> None:
    with pytest.raises(ParseError):
        parse_feedback(b"\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00")
