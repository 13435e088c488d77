"""Dataclass <-> stored columns. Every stored value is a plain text, integer or null, the same on every database.

str and StrEnum -> text; int, IntEnum and bool -> integer; datetime -> UTC text "2026-03-02T09:00:00.000000Z" (sorts as
time); date -> "2026-03-02"; tuples, frozensets and nested dataclasses -> canonical JSON text. bytes and float columns
exist for operational rows only: a leaf cannot vouch for them.
"""

import dataclasses
import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from audit.leaf import canonical

Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class ColumnCodec:
    """One field. kind is "text", "integer", "blob" or "float"; encode and decode never see None."""

    name: str
    kind: str
    nullable: bool
    encode: Encode
    decode: Decode


@dataclass(frozen=True, slots=True)
class RowCodec:
    row: type[Any]
    columns: tuple[ColumnCodec, ...]
    named: Mapping[str, ColumnCodec]

    def encode(self, row: Any) -> dict[str, Any]:
        """Stored values by column name."""
        values: dict[str, Any] = {}
        for column in self.columns:
            value = getattr(row, column.name)
            values[column.name] = None if value is None else column.encode(value)
        return values

    def decode(self, values: Sequence[Any]) -> Any:
        """From stored values in the order of the columns; what follows them is not looked at."""
        read = zip(self.columns, values, strict=False)
        return self.row(*[None if value is None else column.decode(value) for column, value in read])

    def encode_one(self, name: str, value: Any) -> Any:
        """The stored form of one column's value. Raises TypeError for an unknown column."""
        if name not in self.named:
            raise TypeError(f"{self.row.__name__} has no column {name!r}")
        return None if value is None else self.named[name].encode(value)


def codec_for(row: type[Any]) -> RowCodec:
    """Derive the columns from the dataclass. Raises TypeError for a field type that has no stored form."""
    hints = get_type_hints(row)
    fields = dataclasses.fields(row)
    if any(field.kw_only or not field.init for field in fields):
        raise TypeError(f"{row.__name__}: fields are given in their order")
    columns = tuple(_column(field.name, hints[field.name]) for field in fields)
    return RowCodec(row, columns, {column.name: column for column in columns})


def utc_text(moment: datetime) -> str:
    """Fixed-width UTC text. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("naive datetime")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def utc_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _column(name: str, hint: Any) -> ColumnCodec:
    nullable = False
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        if len(options) != 1:
            raise TypeError(f"{name}: union of several types")
        hint, nullable = options[0], True
    kind, encode, decode = _codec(name, hint)
    return ColumnCodec(name, kind, nullable, encode, decode)


def _codec(name: str, hint: Any) -> tuple[str, Encode, Decode]:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        kind = "integer" if issubclass(hint, IntEnum) else "text"
        return kind, lambda value: hint(value).value, hint
    if dataclasses.is_dataclass(hint) or get_origin(hint) in (tuple, frozenset):
        build = _builder(name, hint)
        return "text", lambda value: canonical(_json(value)).decode(), lambda text: build(json.loads(text))
    raise TypeError(f"{name}: {hint!r} has no stored form")


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return str.__str__(value)


def _json(value: Any) -> Any:
    """JSON form of a nested value; frozensets are sorted so that equal values have equal text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(_json(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [_json(item) for item in value]
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


_SIMPLE: dict[Any, tuple[str, Encode, Decode]] = {
    str: ("text", _text, str),
    bool: ("integer", int, bool),
    int: ("integer", int, int),
    float: ("float", float, float),
    bytes: ("blob", bytes, bytes),
    datetime: ("text", utc_text, utc_time),
    date: ("text", date.isoformat, date.fromisoformat),
}
_FROM_TEXT: dict[Any, Decode] = {datetime: utc_time, date: date.fromisoformat}


def _builder(name: str, hint: Any) -> Decode:
    """From parsed JSON back to the hinted type."""
    if get_origin(hint) is not None:
        return _generic_builder(name, hint)
    if hint in _FROM_TEXT:
        return _FROM_TEXT[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        builders = {field.name: _builder(field.name, hints[field.name]) for field in dataclasses.fields(hint)}
        # a member added since the row was written takes its default
        return lambda value: hint(**{key: build(value[key]) for key, build in builders.items() if key in value})
    if isinstance(hint, type) and issubclass(hint, (Enum, str, int, bool)):
        made: Decode = hint
        return made
    raise TypeError(f"{name}: {hint!r} has no stored form")


def _generic_builder(name: str, hint: Any) -> Decode:
    """tuple[X, ...], tuple[X, Y], frozenset[X], X | None."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and arguments[-1] is not Ellipsis:
        parts = [_builder(name, argument) for argument in arguments]
        return lambda value: tuple(build(part) for build, part in zip(parts, value, strict=True))
    options = [option for option in arguments if option is not type(None)]
    item = _builder(name, options[0])
    if origin is tuple:
        return lambda value: tuple(item(part) for part in value)
    if origin is frozenset:
        return lambda value: frozenset(item(part) for part in value)
    if origin in (Union, types.UnionType) and len(options) == 1:
        return lambda value: None if value is None else item(value)
    raise TypeError(f"{name}: {hint!r} has no stored form")
