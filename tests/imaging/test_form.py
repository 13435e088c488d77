"""The shared view on the wire: what was said is heard, anything else is refused."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.errors import ImagingError
from imaging.form import BadOperation, document_as_json, document_of, heard, said
from imaging.measurement import Measurement, Shape
from imaging.viewer import Document, Follow, Lead, Op, Place, Put, Scroll, Show, Take, View, Window

ID, OTHER = "a" * 32, "b" * 32
IDS = st.sampled_from([ID, OTHER])
NUMBERS = st.floats(-1000, 1000)
DRAWN = st.builds(
    lambda name, x, y: Measurement(name, ID, OTHER, 3, Shape.POINT, ((x, y),), "结节"), IDS, NUMBERS, NUMBERS
)
OPS: st.SearchStrategy[Op] = st.one_of(
    st.builds(Show, IDS, st.integers(0, 4000)),
    st.builds(Scroll, st.integers(0, 4000)),
    st.builds(Window, NUMBERS, st.floats(1, 4000)),
    st.builds(Place, st.floats(0.1, 20), NUMBERS, NUMBERS),
    st.builds(Lead, st.one_of(st.just(""), IDS)),
    st.builds(Follow, st.booleans()),
    st.builds(Put, DRAWN),
    st.builds(Take, IDS),
)
DOCUMENTS = st.builds(
    Document,
    st.integers(0, 2**50),
    st.builds(View, st.one_of(st.just(""), IDS), st.integers(0, 400), st.none() | NUMBERS, st.none() | NUMBERS),
    st.one_of(st.just(""), IDS),
    st.frozensets(IDS),
    st.lists(DRAWN, max_size=4).map(lambda drawn: {each.id: each for each in drawn}),
)


@given(OPS)
def test_what_was_said_is_heard(op: Op) -> None:
    assert heard(json.loads(json.dumps(said(op)))) == op


@given(DOCUMENTS)
def test_a_document_outlives_a_restart(document: Document) -> None:
    assert document_of(json.loads(json.dumps(document_as_json(document)))) == document


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"op": "explode"},
        {"op": ["show"]},
        {"op": "scroll"},
        {"op": "scroll", "at": -1},
        {"op": "scroll", "at": 1.5},
        {"op": "scroll", "at": True},
        {"op": "scroll", "at": 1, "more": 2},
        {"op": "show", "series": "x", "at": 1},
        {"op": "window", "centre": 1, "width": 0},
        {"op": "window", "centre": float("nan"), "width": 5},
        {"op": "window", "centre": "1", "width": 5},
        {"op": "window", "centre": True, "width": 5},
        {"op": "place", "zoom": 0, "x": 0, "y": 0},
        {"op": "place", "zoom": 1e9, "x": 0, "y": 0},
        {"op": "lead", "to": 5},
        {"op": "follow", "on": 1},
        {"op": "put", "measurement": {}},
        {"op": "put", "measurement": None},
        {"op": "take", "id": "x"},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ImagingError):
        heard(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": -1},
        {"version": "1"},
        {"view": {}},
        {"leader": "x"},
        {"apart": ["x"]},
        {"apart": None},
        {"measurements": [Measurement(uuid4().hex, ID, ID, 0, Shape.POINT, ((0, 0),)).as_json() for _ in range(501)]},
    ],
)
def test_a_damaged_document_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadOperation):
        document_of(document_as_json(Document()) | wrong)
