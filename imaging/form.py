"""Operations and documents of the shared view as JSON, for the wire and for a restart. Pure; reading is suspicious."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from imaging import measurement
from imaging.errors import ImagingError
from imaging.viewer import (
    MOST_MEASUREMENTS,
    Document,
    Follow,
    Lead,
    Op,
    Place,
    Put,
    Scroll,
    Show,
    Take,
    View,
    Window,
)

_ID = re.compile(r"[0-9a-f]{32}\Z")
_LAST = 100_000  # slices
_FARTHEST = 1e6
_LARGEST = 1e6
_ZOOM = (0.01, 100.0)
_NAMES: Mapping[type[Op], str] = {
    Show: "show",
    Scroll: "scroll",
    Window: "window",
    Place: "place",
    Lead: "lead",
    Follow: "follow",
    Put: "put",
    Take: "take",
}
Json = dict[str, Any]


class BadOperation(ImagingError):
    """A message that is no operation of the shared view."""

    code = "images.bad_operation"


def said(op: Op) -> Json:
    """An operation as JSON."""
    if isinstance(op, Put):
        return {"op": _NAMES[Put], "measurement": op.measurement.as_json()}
    return {"op": _NAMES[type(op)], **{field.name: getattr(op, field.name) for field in fields(op)}}


def heard(raw: Mapping[str, Any]) -> Op:
    """The inverse. Raises BadOperation, BadMeasurement."""
    read = _READERS.get(str(raw.get("op")))
    if read is None:
        raise BadOperation("kind")
    try:
        op = read(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise BadOperation("form") from error
    if set(raw) != set(said(op)):
        raise BadOperation("members")
    return op


def document_as_json(document: Document) -> Json:
    view = document.view
    return {
        "version": document.version,
        "view": {
            "series": view.series,
            "at": view.at,
            "centre": view.centre,
            "width": view.width,
            "zoom": view.zoom,
            "x": view.x,
            "y": view.y,
        },
        "leader": document.leader,
        "apart": sorted(document.apart),
        "measurements": [each.as_json() for _, each in sorted(document.measurements.items())],
    }


def document_of(raw: Mapping[str, Any]) -> Document:
    """The inverse. Raises BadOperation, BadMeasurement."""
    try:
        drawn = [measurement.parse(each) for each in raw["measurements"]]
        if len(drawn) > MOST_MEASUREMENTS or type(raw["version"]) is not int or raw["version"] < 0:
            raise BadOperation("version or measurements")
        return Document(
            version=raw["version"],
            view=_view(raw["view"]),
            leader=_person(raw["leader"]),
            apart=frozenset(_id(each) for each in raw["apart"]),
            measurements={each.id: each for each in drawn},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadOperation("form") from error


def _view(raw: Mapping[str, Any]) -> View:
    series = raw["series"]
    return View(
        series="" if series == "" else _id(series),
        at=_at(raw["at"]),
        centre=None if raw["centre"] is None else _number(raw["centre"], _LARGEST),
        width=None if raw["width"] is None else _number(raw["width"], _LARGEST),
        zoom=_zoom(raw["zoom"]),
        x=_number(raw["x"], _FARTHEST),
        y=_number(raw["y"], _FARTHEST),
    )


def _window(raw: Mapping[str, Any]) -> Window:
    centre, width = _number(raw["centre"], _LARGEST), _number(raw["width"], _LARGEST)
    if width <= 0:
        raise ValueError("width")
    return Window(centre, width)


def _id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.match(value):
        raise ValueError("id")
    return value


def _person(value: Any) -> str:
    return "" if value == "" else _id(value)


def _at(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LAST:
        raise ValueError("at")
    return value


def _number(value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("number")
    if not math.isfinite(value) or abs(value) > most:
        raise ValueError("number")
    return float(value)


def _zoom(value: Any) -> float:
    zoom = _number(value, _ZOOM[1])
    if zoom < _ZOOM[0]:
        raise ValueError("zoom")
    return zoom


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("flag")
    return value


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Op]] = {
    "show": lambda raw: Show(_id(raw["series"]), _at(raw["at"])),
    "scroll": lambda raw: Scroll(_at(raw["at"])),
    "window": _window,
    "place": lambda raw: Place(_zoom(raw["zoom"]), _number(raw["x"], _FARTHEST), _number(raw["y"], _FARTHEST)),
    "lead": lambda raw: Lead(_person(raw["to"])),
    "follow": lambda raw: Follow(_flag(raw["on"])),
    "put": lambda raw: Put(measurement.parse(raw["measurement"])),
    "take": lambda raw: Take(_id(raw["id"])),
}
