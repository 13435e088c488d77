"""Rows of every registered type, made from their field types."""

import dataclasses
import types
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))


def rows_of(row: type[Any], **fixed: Any) -> st.SearchStrategy[Any]:
    """Any value of the dataclass, with these fields fixed."""
    hints = get_type_hints(row)
    fields = {
        f.name: st.just(fixed[f.name]) if f.name in fixed else _value(hints[f.name]) for f in dataclasses.fields(row)
    }
    return st.builds(row, **fields)


def _value(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        choices = [st.none() if option is type(None) else _value(option) for option in arguments]
        return st.one_of(*choices)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_value(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(_value(argument) for argument in arguments))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return rows_of(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bool: st.booleans(),
        int: st.integers(-(2**53) + 1, 2**53 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bytes: st.binary(max_size=20),
        datetime: MOMENTS,
        date: st.dates(),
    }
    return simple[hint]


def sample(row: type[Any], row_id: str, institution_id: str = "i1", **fixed: Any) -> Any:
    """One plain row: every text is the field's name, every time the same."""
    values: dict[str, Any] = {}
    hints = get_type_hints(row)
    names = {field.name for field in dataclasses.fields(row)}
    given = {"id": row_id, "institution_id": institution_id, **fixed}
    for name in names:
        values[name] = given[name] if name in given else _plain(name, hints[name])
    return row(**values)


def _plain(name: str, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return None
    if origin in (tuple, frozenset):
        return origin()
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return sample(hint, name)
    plain: dict[Any, Any] = {
        str: name,
        bool: False,
        int: 1,
        float: 1.0,
        bytes: b"x",
        datetime: datetime(2026, 3, 2, 9, tzinfo=UTC),
        date: date(2026, 3, 2),
    }
    return plain[hint]
