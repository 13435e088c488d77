"""Each field type has a stored form that comes back equal, and sorts as it should."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.leaf import canonical
from huizhen.store.rows import codec_for, utc_text, utc_time
from huizhen.store.tables import TABLES
from tests.store.samples import MOMENTS, rows_of


@settings(deadline=None)
@given(st.data(), st.sampled_from(TABLES))
def test_every_registered_row_comes_back_equal(data: st.DataObject, table: Any) -> None:
    codec = codec_for(table.row)
    row = data.draw(rows_of(table.row))
    stored = codec.encode(row)
    assert codec.decode(list(stored.values())) == row
    if table.evidential:
        assert all(value is None or type(value) in (str, int) for value in stored.values())
        canonical(stored)


@given(MOMENTS, MOMENTS)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (utc_text(one) < utc_text(other)) == (one < other)
    assert utc_time(utc_text(one)) == one


def test_what_cannot_be_stored_is_refused_at_the_start() -> None:
    @dataclass(frozen=True)
    class Loose:
        id: str
        data: dict[str, str]

    @dataclass(frozen=True)
    class Either:
        id: str
        value: int | str

    @dataclass(frozen=True)
    class Good:
        id: str
        tags: frozenset[str]
        maybe: tuple[int | None, ...]

    for row in (Loose, Either):
        with pytest.raises(TypeError):
            codec_for(row)
    codec = codec_for(Good)
    good = Good("1", frozenset({"b", "a"}), (1, None))
    assert codec.encode(good)["tags"] == '["a","b"]'
    assert codec.decode(list(codec.encode(good).values())) == good
    with pytest.raises(TypeError):
        codec.encode(Good(1, frozenset(), ()))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="naive"):
        utc_text(datetime(2026, 1, 1))
    assert utc_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
