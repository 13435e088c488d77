"""The two transition tables, walked at random: no state outside the table is ever reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.consult import IN_WRITING, MOVES, ONLY_BY, SEAT_MOVES, Consult, ConsultKind, ConsultStatus, Seat, SeatState
from clinic.errors import IllegalMove
from clinic.people import Role
from tests.support.clock import START

CONSULT = Consult(
    "c", "i", ConsultKind.FOLLOW_UP, "d", "doc", "pat", "r", 0, START, START, ConsultStatus.SCHEDULED, START, "x"
)
SEAT = Seat("s", "i", "c", Role.PATIENT, "n", "i", "p", SeatState.EXPECTED, START, "x")


@given(st.lists(st.sampled_from(ConsultStatus)))
def test_a_consult_moves_only_along_its_table(wanted: list[ConsultStatus]) -> None:
    consult, written = CONSULT, False
    for status in wanted:
        if status in MOVES[consult.status]:
            reason = ONLY_BY.get((consult.status, status), "code")
            if reason != "code":
                with pytest.raises(IllegalMove):
                    consult.move(status, START, "code")
            written |= reason == IN_WRITING
            consult = consult.move(status, START, reason)
            assert consult.status is status
        else:
            with pytest.raises(IllegalMove):
                consult.move(status, START)
    assert consult.over == (consult.closed_at is not None)
    assert not (consult.over and consult.media_open)
    if consult.status in (ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING, ConsultStatus.CLOSED):
        assert (consult.opened_at is None) == written


@given(st.lists(st.sampled_from(SeatState)))
def test_a_seat_moves_only_along_its_table(wanted: list[SeatState]) -> None:
    seat = SEAT
    for state in wanted:
        if state in SEAT_MOVES[seat.state]:
            seat = seat.move(state, START)
            assert seat.state is state
        else:
            with pytest.raises(IllegalMove):
                seat.move(state, START)
