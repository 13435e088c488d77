"""Measurements: exactly what they may be, and what they come to."""

import math
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import MissingRow
from imaging import uids
from imaging.errors import BadMeasurement
from imaging.measurement import POINTS, Measurement, Shape, parse, value_of

IDS = {name: uuid4().hex for name in ("id", "by", "instance")}


def raw(shape: str = "length", **changes: Any) -> dict[str, Any]:
    points = [[float(n), n * 2.0] for n in range(POINTS[Shape(shape)])]
    return {**IDS, "frame": 0, "shape": shape, "points": points, "label": "结节"} | changes


@pytest.mark.parametrize("shape", list(Shape))
def test_each_shape_comes_back_as_it_was(shape: Shape) -> None:
    assert parse(raw(shape.value)).as_json() == raw(shape.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "x"},
        {"by": 5},
        {"frame": -1},
        {"frame": True},
        {"frame": 1.0},
        {"shape": "heart"},
        {"points": [[1, 2]]},
        {"points": [[1, 2], [3]]},
        {"points": [[1, 2], ["3", 4]]},
        {"points": [[1, 2], [True, 4]]},
        {"points": [[1, 2], [math.inf, 4]]},
        {"points": [[1, 2], [400_001, 4]]},
        {"points": None},
        {"label": "a\x00"},
        {"label": "a" * 201},
        {"label": 3},
        {"more": 1},
    ],
)
def test_anything_else_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadMeasurement):
        parse(raw() | wrong)


def measured(shape: Shape, *points: tuple[float, float]) -> Measurement:
    return Measurement("m", "b", "i", 0, shape, points)


def test_values_are_of_the_body_not_of_the_screen() -> None:
    length = value_of(measured(Shape.LENGTH, (0, 0), (30, 40)), (0.5, 0.5))
    assert length is not None
    assert (length.amount, length.unit) == (25.0, "mm")
    skewed = value_of(measured(Shape.LENGTH, (0, 0), (0, 10)), (2.0, 0.5))
    assert skewed is not None
    assert skewed.amount == 20.0
    box = value_of(measured(Shape.RECTANGLE, (0, 0), (4, 5)), None)
    assert box is not None
    assert (box.amount, box.unit) == (20.0, "{pixels}2")
    disc = value_of(measured(Shape.ELLIPSE, (0, 0), (2, 2)), (1, 1))
    assert disc is not None
    assert disc.amount == pytest.approx(math.pi)
    assert disc.unit == "mm2"
    corner = value_of(measured(Shape.ANGLE, (1, 0), (0, 0), (0, 1)), None)
    assert corner is not None
    assert (corner.amount, corner.unit) == (90.0, "deg")
    assert value_of(measured(Shape.POINT, (1, 1)), None) is None


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=3, max_size=3))
def test_an_angle_is_one_whichever_way_it_was_drawn(points: list[tuple[float, float]]) -> None:
    one = value_of(measured(Shape.ANGLE, *points), None)
    other = value_of(measured(Shape.ANGLE, *reversed(points)), None)
    assert one is not None
    assert other is not None
    assert 0 <= one.amount <= 180
    assert one.amount == pytest.approx(other.amount)


@given(st.integers(0, 2**128 - 1))
def test_identifiers_go_out_and_come_back(number: int) -> None:
    row = f"{number:032x}"
    assert uids.row_of(uids.told(row)) == row
    assert uids.well_formed(uids.told(row))


@pytest.mark.parametrize("bad", ["", "1.2.3", "2.25.", "2.25.01", "2.25.-1", f"2.25.{1 << 128}", "2.25.1\n", "a" * 32])
def test_what_we_never_told_is_not_there(bad: str) -> None:
    with pytest.raises(MissingRow):
        uids.row_of(bad)


def test_the_same_thing_is_another_row_in_another_consult() -> None:
    assert uids.row_id("c1", "study", "1.2") == uids.row_id("c1", "study", "1.2")
    assert len({uids.row_id(c, level, "1.2") for c in ("c1", "c2") for level in ("study", "series")}) == 4
