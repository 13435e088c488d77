import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import policy, retention
from archive.errors import PoliciesInvalid
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT, PolicySet, load, shipped
from archive.records import LegalHold, RetainedRecord, RetainedState
from archive.retention import RetentionFacts, assess, due
from clinic.rulebook import in_force

CLOSED = datetime(2024, 2, 28, 17, 0, tzinfo=UTC)  # in Shanghai 29 February already
VERSION = "cn-2022.1"


def record(record_class: str = PROCESS_AV, **changes: Any) -> RetainedRecord:
    made = RetainedRecord(
        f"r-{record_class}", "i", "c", "p", record_class, "s", VERSION, CLOSED, RetainedState.ACTIVE, CLOSED
    )
    return replace(made, **changes)


def facts(**changes: Any) -> RetentionFacts:
    return replace(RetentionFacts("Asia/Shanghai", {}, {"p": date(1951, 5, 6)}, {}), **changes)


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def source() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("archive.policies").joinpath("cn-2022.json").read_text("utf-8"))
    return data


def test_three_years_in_the_institutions_calendar() -> None:
    """Closed on 29 February local time: due on 1 March, not a day earlier."""
    item = assess([record()], shipped(), [], facts(), CLOSED)[0]
    assert item.due_on == date(2027, 3, 1)
    assert item.citations[0].zh
    assert "2024-02-29" in item.explain()
    assert "3 years" in item.explain("en")
    assert due([record()], shipped(), [], facts(), at(2027, 2, 28, 15)) == []
    assert len(due([record()], shipped(), [], facts(), at(2027, 2, 28, 16))) == 1  # midnight in Shanghai


def test_the_visit_record_runs_from_the_last_visit() -> None:
    one = assess([record(EMR)], shipped(), [], facts(), CLOSED)[0]
    again = assess([record(EMR)], shipped(), [], facts(last_visits={"p": at(2030, 6, 1)}), CLOSED)[0]
    earlier = assess([record(EMR)], shipped(), [], facts(last_visits={"p": at(2020, 6, 1)}), CLOSED)[0]
    assert one.due_on == earlier.due_on == date(2039, 3, 1)
    assert again.due_on == date(2045, 6, 1)
    av = assess([record()], shipped(), [], facts(last_visits={"p": at(2030, 6, 1)}), CLOSED)[0]
    assert av.due_on == date(2027, 3, 1)  # a return does not touch the recording


def test_a_childs_recording_is_kept_until_three_years_after_coming_of_age() -> None:
    child = facts(births={"p": date(2012, 2, 29)})
    item = assess([record()], shipped(), [], child, CLOSED)[0]
    assert item.due_on == date(2033, 3, 1)
    assert [ground.code for ground in item.why] == ["minor", "keep"]
    assert "未成年" in item.explain()
    grown = facts(births={"p": date(2006, 2, 28)})
    assert assess([record()], shipped(), [], grown, CLOSED)[0].due_on == date(2027, 3, 1)
    assert assess([record()], shipped(), [], facts(births={}), CLOSED)[0].due_on == date(2027, 3, 1)


def test_consent_is_kept_as_long_as_what_it_covers() -> None:
    rows = [record(CONSENT), record(EMR), record(PROCESS_AV, state=RetainedState.DISPOSED)]
    item = next(row for row in assess(rows, shipped(), [], facts(), CLOSED) if row.record.record_class == CONSENT)
    assert item.due_on == date(2039, 3, 1)
    assert item.why[0].code == "covers"
    alone = assess([record(CONSENT)], shipped(), [], facts(), CLOSED)[0]
    assert alone.due_on == date(2027, 3, 1)
    late = assess([record(CONSENT)], shipped(), [], facts(withdrawals={"c": at(2025, 7, 1)}), CLOSED)[0]
    assert late.due_on == date(2028, 7, 1)
    assert late.why[0].code == "withdrawn"


def test_what_stops_it() -> None:
    hold = LegalHold("h", "i", "c", "投诉", "x", CLOSED)
    lifted = replace(hold, id="h2", lifted_at=CLOSED, lifted_by="y")
    later = at(2040, 1, 1)
    held = due([record()], shipped(), [hold, lifted], facts(), later)
    assert held[0].blocked_by == ("hold:h",)
    assert due([record()], shipped(), [lifted], facts(), later)[0].blocked_by == ()
    assert due([record()], shipped(), [], facts(open_consults=frozenset({"c"})), later)[0].blocked_by == (
        "consult.open",
    )
    assert due([record(policy_version="gone")], shipped(), [], facts(), later)[0].blocked_by == ("policy.unknown",)
    assert due([record(state=RetainedState.DISPOSED)], shipped(), [], facts(), later) == []


def test_a_shorter_policy_never_shortens_a_promise_and_a_longer_one_counts() -> None:
    old, new = source(), source()
    old["effective_to"], new["effective_from"], new["version"] = "2025-12-31", "2026-01-01", "cn-2026"
    for row in old["policies"]:
        row["keep"] = "P5Y" if row["class"] == PROCESS_AV else row["keep"]
    for row in new["policies"]:
        row["keep"] = "P9Y" if row["class"] == PROCESS_TEXT else row["keep"]
    policies = PolicySet({version.version: version for version in (load(json.dumps(old)), load(json.dumps(new)))})
    rows = [record(PROCESS_AV), record(PROCESS_TEXT)]
    days = {row.record.record_class: row.due_on for row in assess(rows, policies, [], facts(), at(2027, 1, 1))}
    assert days == {PROCESS_AV: date(2029, 3, 1), PROCESS_TEXT: date(2033, 3, 1)}


@given(st.datetimes(datetime(2022, 3, 1), datetime(2060, 1, 1), timezones=st.just(UTC)), st.integers(0, 40 * 366))
def test_never_before_the_floor(closed: datetime, days: int) -> None:
    now = closed + timedelta(days=days)
    for item in due([record(name, trigger_at=closed) for name in policy.CLASSES], shipped(), [], facts(), now):
        years = shipped().current(date(2026, 1, 1)).policies[item.record.record_class].floor_years
        assert days >= years * 365


def test_the_recording_years_told_in_the_consent_are_those_kept() -> None:
    rules = in_force(date(2026, 3, 2))
    version = shipped().current(date(2026, 3, 2))
    assert rules.value("CN-14", "process_years") == version.policies[PROCESS_AV].keep_years
    assert rules.value("CN-14", "record_years") == version.policies[EMR].keep_years


def _set(index: int, key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["policies"][index].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        _set(0, "keep", "P2Y"),
        _set(0, "keep", "3 years"),
        _set(0, "trigger", "whenever"),
        _set(0, "basis", []),
        _set(0, "dispose", {"method": "delete", "approvals": 1, "review_window": "P90D"}),
        _set(0, "class", "process.text"),
        lambda data: data["policies"].pop(),
        lambda data: data.pop("version"),
        lambda data: data.update(effective_from="?"),
    ],
)
def test_faulty_policies_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    data = source()
    change(data)
    with pytest.raises(PoliciesInvalid):
        load(json.dumps(data))


def test_stamps_and_versions() -> None:
    assert (
        retention.stamp(PROCESS_AV).policy_version == retention.stamp(EMR, date(2026, 1, 1)).policy_version == VERSION
    )
    with pytest.raises(PoliciesInvalid):
        shipped().current(date(2020, 1, 1))
