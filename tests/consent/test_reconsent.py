"""Each change, who is asked about what again, and that a no stays a no."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.consult import Seat, SeatState
from clinic.people import Role
from consent import policy
from consent.reconsent import Ask, Change, Found, Situation, ask_again, changes, purposes_of
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULES = policy.in_force(NOW.date())


def seat(name: str, role: Role) -> Seat:
    return Seat(name, "i1", "c1", role, "x", "i1", None, SeatState.WAITING, NOW, "system")


def signed(seat_id: str, yes: tuple[Purpose, ...], no: tuple[Purpose, ...] = ()) -> ConsentRecord:
    return ConsentRecord(
        f"r-{seat_id}", "i1", "c1", seat_id, ConsentAction.SIGNED, yes, no, (), SignerCapacity.SELF, "t1", "zh", "{}",
        "", "", NOW,
    )  # fmt: skip


BEFORE = Situation(
    on=date(2026, 3, 2),
    seats=(seat("p", Role.PATIENT),),
    retention_years=3,
    template_major=1,
    guardian="mother",
    age=7,
    course="hypertension",
    doctor="the first",
    naming_doctor=frozenset({Purpose.TREAT, Purpose.TEACH}),
)
LEDGER = [signed("p", (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV), (Purpose.TEACH,))]
EVERYTHING = (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV)

CASES: list[tuple[dict[str, Any], Change, tuple[Purpose, ...]]] = [
    ({"institutions": frozenset({"i2"})}, Change.INSTITUTION, (Purpose.SHARE_PANEL,)),
    ({"observers": frozenset({"student"})}, Change.OBSERVER, (Purpose.OBSERVE,)),
    ({"ai": frozenset({Purpose.AI_ASSIST})}, Change.AI_ON, (Purpose.AI_ASSIST,)),
    ({"purposes": frozenset({Purpose.INTIMATE, Purpose.TEACH})}, Change.PURPOSE, (Purpose.INTIMATE,)),
    ({"retention_years": 5}, Change.RETENTION, (Purpose.REC_AV, Purpose.RESEARCH)),
    ({"recipients": frozenset({"x"})}, Change.RECIPIENT, (Purpose.SHARE_PANEL, Purpose.RESEARCH)),
    ({"template_major": 2}, Change.TEMPLATE_MAJOR, EVERYTHING),
    ({"guardian": "father"}, Change.GUARDIAN, EVERYTHING),
    ({"age": 8}, Change.AGE_8, EVERYTHING),
    ({"on": date(2027, 3, 2)}, Change.TOO_OLD, EVERYTHING),
    ({"course": "diabetes"}, Change.OTHER_COURSE, EVERYTHING),
    ({"locale": "en"}, Change.LANGUAGE, EVERYTHING),
    ({"doctor": "another"}, Change.DOCTOR, (Purpose.TREAT,)),
    ({"abroad": frozenset({"clinic"})}, Change.CROSS_BORDER, (Purpose.XBORDER,)),
]


@pytest.mark.parametrize(("change", "what", "purposes"), CASES)
def test_each_change_asks_for_its_purposes(change: dict[str, Any], what: Change, purposes: tuple[Purpose, ...]) -> None:
    found = changes(BEFORE, replace(BEFORE, **change), RULES)
    assert [each.change for each in found] == [what]
    assert ask_again(LEDGER, "p", found) == (Ask("p", purposes, (what,)),)


def test_nothing_changed_nothing_asked() -> None:
    assert changes(BEFORE, BEFORE, RULES) == ()
    shorter = replace(BEFORE, retention_years=2, on=date(2027, 3, 1))
    assert changes(BEFORE, shorter, RULES) == ()
    assert ask_again(LEDGER, "p", ()) == ()


@pytest.mark.parametrize(
    ("then", "now", "steps"),
    [
        (13, 14, [Change.AGE_14]),
        (17, 18, [Change.AGE_18]),
        (7, 18, [Change.AGE_8, Change.AGE_14, Change.AGE_18]),
        (8, 13, []),
        (None, 18, []),
        (7, None, []),
    ],
)
def test_birthdays(then: int | None, now: int | None, steps: list[Change]) -> None:
    found = changes(replace(BEFORE, age=then), replace(BEFORE, age=now), RULES)
    assert [each.change for each in found] == steps


def test_newcomers_sign_for_themselves_and_an_interpreter_is_told_to_the_patient() -> None:
    now = replace(BEFORE, seats=(*BEFORE.seats, seat("d", Role.FAMILY), seat("t", Role.INTERPRETER)))
    found = changes(BEFORE, now, RULES)
    asks = ask_again(LEDGER, "p", found)
    assert asks == (
        Ask("p", (Purpose.TREAT,), (Change.INTERPRETER,)),
        Ask("d", (Purpose.REC_AV,), (Change.PARTICIPANT,)),
        Ask("t", (Purpose.REC_AV,), (Change.PARTICIPANT, Change.INTERPRETER)),
    )
    known = [*LEDGER, signed("d", (), (Purpose.REC_AV,)), signed("t", (Purpose.REC_AV,))]
    assert [ask.seat_id for ask in ask_again(known, "p", found)] == ["p"]
    assert purposes_of(asks, "t") == (Purpose.REC_AV,)


SOME = st.frozensets(st.sampled_from(list(Purpose)))
FOUND = st.builds(Found, st.sampled_from(list(Change)), st.just(()), SOME, SOME)


def test_a_no_is_open_to_another_question_only() -> None:
    asked_of_the_first = [signed("p", (), (Purpose.TREAT, Purpose.TEACH))]
    other = changes(BEFORE, replace(BEFORE, doctor="another"), RULES)
    assert ask_again(asked_of_the_first, "p", other) == ()
    reworded = [replace(each, reworded=frozenset({Purpose.TREAT, Purpose.REC_AV})) for each in other]
    assert ask_again(asked_of_the_first, "p", reworded) == (Ask("p", (Purpose.TREAT,), (Change.DOCTOR,)),)


@given(
    yes=st.frozensets(st.sampled_from(list(Purpose))),
    no=st.frozensets(st.sampled_from(list(Purpose))),
    found=st.lists(FOUND, max_size=6),
)
def test_the_question_refused_is_never_put_again(
    yes: frozenset[Purpose], no: frozenset[Purpose], found: list[Found]
) -> None:
    ledger = [signed("p", tuple(yes - no), tuple(no))]
    asked = purposes_of(ask_again(ledger, "p", found), "p")
    assert set(asked) & no <= frozenset().union(*(each.reworded for each in found))
    assert len(asked) == len(set(asked))
