"""One measurement on one picture, checked, and its value from the picture's spacing. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from imaging.errors import BadMeasurement

_ID = re.compile(r"[0-9a-f]{32}\Z")
_LABEL = 200
_FARTHEST = 400_000.0  # pixels: the longest side of a slide (huizhen/images/wire.py)


class Shape(StrEnum):
    POINT = "point"
    LENGTH = "length"
    ANGLE = "angle"
    RECTANGLE = "rectangle"
    ELLIPSE = "ellipse"
    ARROW = "arrow"


POINTS: Mapping[Shape, int] = {
    Shape.POINT: 1,
    Shape.LENGTH: 2,
    Shape.ANGLE: 3,  # the vertex stands in the middle
    Shape.RECTANGLE: 2,
    Shape.ELLIPSE: 2,  # corners of its box
    Shape.ARROW: 2,
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """`instance`: row id; `frame` from 0; points in pixels, x right, y down, 0 0 the corner of the first pixel."""

    id: str
    by: str
    instance: str
    frame: int
    shape: Shape
    points: tuple[tuple[float, float], ...]
    label: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "by": self.by,
            "instance": self.instance,
            "frame": self.frame,
            "shape": self.shape.value,
            "points": [list(point) for point in self.points],
            "label": self.label,
        }


def parse(raw: Mapping[str, Any]) -> Measurement:
    """From decoded JSON. Raises BadMeasurement for anything that is not exactly one."""
    try:
        shape = Shape(raw["shape"])
        points = tuple((_number(x), _number(y)) for x, y in raw["points"])
        found = Measurement(raw["id"], raw["by"], raw["instance"], raw["frame"], shape, points, raw.get("label", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise BadMeasurement("form") from error
    if set(raw) - set(found.as_json()):
        raise BadMeasurement("unknown member")
    if not all(isinstance(each, str) and _ID.match(each) for each in (found.id, found.by, found.instance)):
        raise BadMeasurement("id")
    if type(found.frame) is not int or not 0 <= found.frame < 100_000 or len(points) != POINTS[shape]:
        raise BadMeasurement("frame or points")
    if not isinstance(found.label, str) or len(found.label) > _LABEL or not _plain(found.label):
        raise BadMeasurement("label")
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("number")
    if not math.isfinite(value) or abs(value) > _FARTHEST:
        raise ValueError("number")
    return float(value)


def _plain(text: str) -> bool:
    return all(character.isprintable() for character in text)


@dataclass(frozen=True, slots=True)
class Value:
    amount: float
    unit: str  # UCUM: mm, mm2, deg, {pixels}, {pixels}2


def value_of(measurement: Measurement, spacing: tuple[float, float] | None) -> Value | None:
    """`spacing`: millimetres between rows and between columns; None: pixels, and an angle of square pixels."""
    down, right = spacing or (1.0, 1.0)
    points = [(x * right, y * down) for x, y in measurement.points]
    match measurement.shape:
        case Shape.LENGTH:
            return Value(math.dist(points[0], points[1]), "mm" if spacing else "{pixels}")
        case Shape.ANGLE:
            return Value(_angle(points), "deg")
        case Shape.RECTANGLE | Shape.ELLIPSE:
            area = abs(points[0][0] - points[1][0]) * abs(points[0][1] - points[1][1])
            share = math.pi / 4 if measurement.shape is Shape.ELLIPSE else 1.0
            return Value(area * share, "mm2" if spacing else "{pixels}2")
        case _:
            return None


def _angle(points: list[tuple[float, float]]) -> float:
    """At the middle one, 0 to 180; 0 where two of them coincide."""
    (ax, ay), (bx, by), (cx, cy) = points
    one, other = math.atan2(ay - by, ax - bx), math.atan2(cy - by, cx - bx)
    turned = abs(math.degrees(one - other)) % 360
    return min(turned, 360 - turned)
