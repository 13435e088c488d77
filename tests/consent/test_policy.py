"""Policy data, the effects of a withdrawal, the life of a record: pure."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from clinic.consult import Seat, SeatState
from clinic.people import Role
from consent import effects, policy, validity
from consent.effects import DERIVED, Effect, OnWithdrawal, RecordingPolicy
from consent.errors import PolicyInvalid
from consent.lifecycle import RecordState, overall, state_of
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Standing, standing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def source() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("consent.policies").joinpath("cn-2022.json").read_text("utf-8"))
    return data


def test_the_shipped_policy_says_what_the_rules_say() -> None:
    rules = policy.in_force(NOW.date())
    assert rules.ages == {"own_word": 8, "parent_consent": 14, "self_supporting": 16, "adult": 18}
    assert rules.purposes_where("may_block") == {Purpose.TREAT, Purpose.SHARE_PANEL}
    assert rules.purposes_where("care") == {Purpose.TREAT, Purpose.SHARE_PANEL}
    levels = {purpose: rule.identity for purpose, rule in rules.purposes.items()}
    assert levels[Purpose.TREAT] == 2
    high = {Purpose.SHARE_PANEL, Purpose.TEACH, Purpose.RESEARCH, Purpose.XBORDER}
    assert {purpose for purpose, level in levels.items() if level == 3} == high
    assert high <= rules.purposes_where("witness_lifts")
    assert Purpose.TREAT not in rules.purposes_where("witness_lifts")
    with pytest.raises(PolicyInvalid):
        policy.in_force(date(2022, 2, 7))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("version"),
        lambda data: data["purposes"].pop("teach"),
        lambda data: data["purposes"]["teach"].update(identity="3"),
        lambda data: data["purposes"]["teach"].update(identity=True),
        lambda data: data["purposes"]["teach"].update(months=-1),
        lambda data: data["purposes"]["teach"].update(care=1),
        lambda data: data["purposes"]["teach"].update(citation={"zh": "", "en": "x"}),
        lambda data: data["ages"]["adult"].update(years=15),
        lambda data: data.update(effective_from="tomorrow"),
    ],
)
def test_a_faulty_policy_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    data = source()
    change(data)
    with pytest.raises(PolicyInvalid):
        policy.load(json.dumps(data))


def seat(role: Role) -> Seat:
    return Seat("s1", "i1", "c1", role, "x", "i1", "p1", SeatState.ADMITTED, NOW, "system")


@pytest.mark.parametrize(
    ("purpose", "role", "expected"),
    [
        (Purpose.TREAT, Role.PATIENT, (Effect.END_CONSULT,)),
        (Purpose.SHARE_PANEL, Role.PATIENT, (Effect.REMOVE_EXPERTS,)),
        (Purpose.REC_AV, Role.PATIENT, (Effect.STOP_RECORDING,)),
        (Purpose.REC_AV, Role.FAMILY, (Effect.DROP_PERSON,)),
        (Purpose.INTIMATE, Role.PATIENT, (Effect.STOP_EXAM_VIEW,)),
        (Purpose.OBSERVE, Role.PATIENT, (Effect.REMOVE_OBSERVERS,)),
        (Purpose.TEACH, Role.PATIENT, (Effect.PURGE_DERIVED,)),
        (Purpose.RESEARCH, Role.PATIENT, (Effect.PURGE_DERIVED,)),
        (Purpose.AI_TRANSCRIBE, Role.FAMILY, (Effect.STOP_TRANSCRIPT, Effect.PURGE_DERIVED)),
        (Purpose.AI_ASSIST, Role.PATIENT, (Effect.STOP_ASSIST, Effect.PURGE_DERIVED)),
        (Purpose.BIOMETRIC, Role.PATIENT, (Effect.PURGE_DERIVED,)),
        (Purpose.XBORDER, Role.PATIENT, (Effect.STOP_TRANSFER, Effect.PURGE_DERIVED)),
    ],
)
def test_what_each_withdrawal_does(purpose: Purpose, role: Role, expected: tuple[Effect, ...]) -> None:
    assert effects.of(seat(role), purpose, RecordingPolicy()) == expected


def test_every_purpose_has_its_effects_and_its_list() -> None:
    for purpose in Purpose:
        found = effects.of(seat(Role.PATIENT), purpose, RecordingPolicy())
        assert found
        assert (Effect.PURGE_DERIVED in found) == (purpose in DERIVED)
    stop = RecordingPolicy(OnWithdrawal.STOP)
    assert effects.of(seat(Role.FAMILY), Purpose.REC_AV, stop) == (Effect.STOP_RECORDING,)
    assert effects.purge_list([Purpose.TREAT, Purpose.TEACH, Purpose.AI_TRANSCRIBE, Purpose.TEACH]) == (
        "teaching_copy",
        "transcript",
        "search_index",
    )


def record(number: int, action: ConsentAction, at: datetime = NOW, **changes: Any) -> ConsentRecord:
    row = ConsentRecord(
        f"r{number}", "i1", "c1", "s1", action, (Purpose.TREAT, Purpose.REC_AV), (), (), SignerCapacity.SELF,
        "t1", "zh", "{}", "", "", at,
    )  # fmt: skip
    return replace(row, **changes)


def test_the_life_of_a_record() -> None:
    first = record(1, ConsentAction.SIGNED)
    taken = record(2, ConsentAction.WITHDRAWN, permitted=(Purpose.REC_AV,), withdraws="r1")
    anew = record(3, ConsentAction.SIGNED, permitted=(Purpose.REC_AV,), refused=(Purpose.TREAT,))
    wrong = record(4, ConsentAction.ENTERED_IN_ERROR, permitted=(Purpose.REC_AV,), withdraws="r3")
    other = record(5, ConsentAction.SIGNED, seat_id="s2")
    ledger = [first, taken, anew, wrong, other]
    assert state_of(ledger[:1], first, Purpose.TREAT, NOW) is RecordState.ACTIVE
    assert overall(ledger[:2], first, NOW) is RecordState.ACTIVE  # treatment still stands
    assert state_of(ledger, first, Purpose.REC_AV, NOW) is RecordState.WITHDRAWN
    assert state_of(ledger, first, Purpose.TREAT, NOW) is RecordState.SUPERSEDED
    assert overall(ledger, first, NOW) is RecordState.WITHDRAWN
    assert state_of(ledger, anew, Purpose.REC_AV, NOW) is RecordState.ENTERED_IN_ERROR
    assert overall(ledger, anew, NOW) is RecordState.ACTIVE  # its no to treatment
    assert overall(ledger, other, NOW) is RecordState.ACTIVE


def test_assents_and_witnesses_stand_until_corrected() -> None:
    seen = record(1, ConsentAction.WITNESSED, permitted=())
    wrong = record(2, ConsentAction.ENTERED_IN_ERROR, permitted=(), withdraws="r1")
    assert overall([seen], seen, NOW) is RecordState.ACTIVE
    assert overall([seen, wrong], seen, NOW) is RecordState.ENTERED_IN_ERROR
    assert standing([seen], "s1", Purpose.TREAT) is Standing.UNDECIDED


def test_a_yes_runs_out_after_twelve_months_a_no_does_not() -> None:
    signed = record(1, ConsentAction.SIGNED, permitted=(Purpose.TREAT,), refused=(Purpose.REC_AV,))
    staff = record(2, ConsentAction.SIGNED, capacity=SignerCapacity.STAFF_NOTICE, seat_id="s2")
    last, over = NOW.replace(year=2027) - timedelta(days=1), NOW.replace(year=2027)
    assert overall([signed], signed, last) is RecordState.ACTIVE
    assert state_of([signed], signed, Purpose.TREAT, over) is RecordState.EXPIRED
    assert state_of([signed], signed, Purpose.REC_AV, over) is RecordState.ACTIVE
    assert overall([record(3, ConsentAction.SIGNED)], record(3, ConsentAction.SIGNED), over) is RecordState.EXPIRED
    ledger = validity.in_force([signed, staff], over)
    assert standing(ledger, "s1", Purpose.TREAT) is Standing.UNDECIDED
    assert standing(ledger, "s1", Purpose.REC_AV) is Standing.REFUSED
    assert standing(ledger, "s2", Purpose.REC_AV) is Standing.PERMITTED
    assert not validity.expired(signed, Purpose.TEACH, over)
