"""A leaf carries no personal data, is canonical, and commits to what it does not show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from audit.errors import InvalidEvent
from audit.events import EventCode
from audit.leaf import (
    LeafContext,
    RowMark,
    canonical,
    commitment,
    leaf_bytes,
    milliseconds,
    new_event_id,
    payload_key_id,
    row_digest,
)
from audit.transaction import AuditEvent

CONTEXT = LeafContext("test/audit/i/1", "0" * 32, 1_700_000_000_000, "n1", 0, (RowMark("seats", "s1", 1, "ab"),))


def event(**changes: Any) -> AuditEvent:
    values: dict[str, Any] = {"code": EventCode.CHAT_SENT, "institution_id": "i", "actor_id": "a", **changes}
    return AuditEvent(**values)


@pytest.mark.parametrize(
    "public",
    [
        {"x": 1.5},
        {"x": None},
        {"x": {"nested": 1}},
        {"x": "张三"},
        {"x": "line\nbreak"},
        {"x": "a" * 513},
        {"x": 2**53},
        {"x": [["ok"], 0.1]},
        {"名": "x"},
        {"x": b"bytes"},
    ],
)
def test_what_could_be_personal_or_would_not_canonicalise_is_refused(public: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        leaf_bytes(event(public=public), CONTEXT)


@pytest.mark.parametrize("field", ["actor_id", "subject_id", "consult_id", "outcome", "institution_id"])
def test_ids_are_ascii_too(field: str) -> None:
    with pytest.raises(InvalidEvent):
        leaf_bytes(event(**{field: "李医生"}), CONTEXT)


def test_the_bytes_are_canonical_json_with_the_documented_fields() -> None:
    data = leaf_bytes(event(public={"b": [True, 1], "a": "x"}, consult_id="c"), CONTEXT)
    leaf = json.loads(data)
    assert list(leaf) == sorted(
        ["v", "log", "id", "t", "node", "k", "con", "n", "act", "sub", "o", "pub", "rows", "c", "p"]
    )
    assert data == json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
    assert (leaf["k"], leaf["rows"], leaf["pub"]) == (
        "room.chat",
        [["seats", "s1", 1, "ab"]],
        {"a": "x", "b": [True, 1]},
    )


def test_a_leaf_over_64_kib_is_refused() -> None:
    rows = tuple(RowMark("seats", f"{number:032x}", 1, "f" * 64) for number in range(700))
    with pytest.raises(InvalidEvent, match="bytes"):
        leaf_bytes(event(), LeafContext("l", "0" * 32, 0, "n", 0, rows))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, st.binary(min_size=32, max_size=32))
def test_commitments_bind_content_and_salt(one: Any, other: Any, salt: bytes) -> None:
    first, second = canonical(one), canonical(other)
    assert (commitment(salt, first) == commitment(salt, second)) == (first == second)
    assert json.loads(first) == one


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e20, 1e20) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(ANY_JSON)
@example({"\x7f": "\x00\x1f\x7f\x80\u2028\u2029\"\\/<>&'", "a": {}, "B": [], "\t": -0})
@example({"\ue000": 1, "\U00010000": 2})  # UTF-16 order is not the order of code points
@example({"\ud800": 1})
@example(["\ud800"])
@example([1.0, 1e16, 5e-324])
def test_the_short_way_gives_the_bytes_of_rfc_8785(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(InvalidEvent):
            canonical(value)
        return
    assert canonical(value) == expected


@pytest.mark.parametrize("value", [2**53, -(2**53), {"deep": [{"x": 2**60}]}])
def test_whole_numbers_beyond_53_bits_are_refused(value: Any) -> None:
    with pytest.raises(InvalidEvent):
        canonical(value)


def test_row_digest_ignores_nulls_and_needs_a_full_salt() -> None:
    salt = bytes(32)
    assert row_digest(salt, {"id": "1", "later": None}) == row_digest(salt, {"id": "1"})
    assert row_digest(salt, {"id": "1"}) != row_digest(b"\x01" * 32, {"id": "1"})
    with pytest.raises(ValueError, match="32"):
        row_digest(b"short", {})
    with pytest.raises(ValueError, match="32"):
        commitment(b"short", b"{}")


@given(st.integers(0, 2**48 - 1))
def test_event_ids_are_version_7_and_sort_by_time(at_ms: int) -> None:
    made = new_event_id(at_ms)
    assert len(made) == 32 and made[12] == "7" and made[16] in "89ab"
    assert int(made[:12], 16) == at_ms
    assert new_event_id(at_ms) != made


def test_small_things() -> None:
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, 234567, UTC)) == 1234
    assert payload_key_id(None) != payload_key_id("institution-x")
    assert abs(int(new_event_id()[:12], 16) - milliseconds(datetime.now(UTC))) < 10_000
    with pytest.raises(InvalidEvent):
        canonical({"x": object()})
    with pytest.raises(InvalidEvent):
        canonical({"x": float("nan")})
