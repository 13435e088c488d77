"""Millimetres between rows and columns of one frame, from the metadata as told. Twin of imagetable/dicom-json.ts."""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_CENTIMETRES = 3


@dataclass(frozen=True, slots=True)
class Spacing:
    down: float
    right: float
    at_detector: bool = False  # of a projection: lengths in the patient are somewhat smaller


def spacing_of(metadata: bytes, frame: int) -> Spacing | None:
    """`frame` from 0. None where the picture says none."""
    told: Json = json.loads(metadata)
    own = _items(told, "52009230")
    shared = _items(told, "52009229")
    for place in (own[frame : frame + 1], shared[:1]):
        for item in place:
            for measures in _items(item, "00289110")[:1]:
                if (pair := _pair(measures, "00280030")) is not None:
                    return Spacing(*pair)
    if (pair := _pair(told, "00280030")) is not None:
        return Spacing(*pair)
    if (pair := _pair(told, "00181164")) is not None:
        return Spacing(*pair, at_detector=True)
    return _of_regions(told)


def _of_regions(told: Json) -> Spacing | None:
    """Of an ultrasound: where all its regions agree."""
    found = set()
    for region in _items(told, "00186011"):
        metric = _number(region, "00186024") == _CENTIMETRES == _number(region, "00186026")
        down, right = _number(region, "0018602E"), _number(region, "0018602C")
        found.add((abs(down) * 10, abs(right) * 10) if metric and down and right else None)
    only = found.pop() if len(found) == 1 else None
    return None if only is None else Spacing(*only)


def _items(told: Json, tag: str) -> list[Json]:
    found: list[Json] = told.get(tag, {}).get("Value") or []
    return found


def _number(told: Json, tag: str) -> float | None:
    found = told.get(tag, {}).get("Value") or [None]
    return float(found[0]) if isinstance(found[0], (int, float)) else None


def _pair(told: Json, tag: str) -> tuple[float, float] | None:
    found = told.get(tag, {}).get("Value") or []
    if len(found) < 2 or not all(isinstance(each, (int, float)) and each > 0 for each in found[:2]):
        return None
    return float(found[0]), float(found[1])
