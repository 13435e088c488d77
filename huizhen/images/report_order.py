"""What the child is told to write: one DICOM measurement report, as JSON. Pure."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from clinic.people import Institution
from huizhen.images.spacing import Spacing
from imaging import uids
from imaging.measurement import Shape, value_of
from imaging.records import Kind
from imaging.reporting import Mark, Report

_PER_MM = {"mm": "mm", "mm2": "mm2", "deg": "deg", "{pixels}": "{pixels}", "{pixels}2": "{pixels2}"}


def uid_of(report: Report) -> str:
    """The same saving of the same study is the same object, however often it is sent."""
    return uids.told(uids.row_id(report.consult.id, "report", report.findings.id, report.study.id))


def order(report: Report, house: Institution, spacings: dict[tuple[str, int], Spacing | None]) -> bytes:
    """`spacings`: by instance row and frame."""
    at: datetime = report.findings.saved_at.astimezone(ZoneInfo(house.time_zone))
    library = {mark.instance.id: _reference(mark) for mark in report.marks}
    said: dict[str, Any] = {
        "uid": uid_of(report),
        "series": uids.told(uids.row_id(report.consult.id, "report-series", report.study.id)),
        "study": report.study.uid,
        "number": report.number,
        "date": f"{at:%Y%m%d}",
        "time": f"{at:%H%M%S}",
        "offset": f"{at:%z}",
        "institution": house.name,
        "observer": report.saved_by,
        "library": list(library.values()),
        "groups": [_group(mark, spacings[mark.instance.id, mark.measurement.frame]) for mark in report.marks],
    }
    return json.dumps(said, ensure_ascii=False).encode()


def _reference(mark: Mark) -> dict[str, str]:
    return {"class": mark.instance.sop_class, "uid": mark.instance.uid, "series": mark.series.uid}


def _group(mark: Mark, spacing: Spacing | None) -> dict[str, Any]:
    drawn, slide = mark.measurement, mark.instance.kind is Kind.SLIDE
    value = value_of(drawn, None if spacing is None else (spacing.down, spacing.right))
    graphic, data = _graphic(drawn.shape, drawn.points)
    metric = value is not None and value.unit in ("mm", "mm2")
    return {
        "tracking": uids.told(drawn.id),
        "shape": drawn.shape.value,
        "author": mark.author,
        "label": drawn.label,
        "on": _reference(mark),
        "frame": drawn.frame + 1 if mark.instance.frames > 1 and not slide else None,
        "volume": slide,  # of the whole matrix, not of a tile
        "graphic": graphic,
        "data": [round(each, 3) for point in data for each in point],
        "value": None if value is None else {"amount": value.amount, "unit": _PER_MM[value.unit]},
        "detector": metric and spacing is not None and spacing.at_detector,
    }


Points = tuple[tuple[float, float], ...]


def _graphic(shape: Shape, points: Points) -> tuple[str, Points]:
    """PS3.3 C.18.6: column, row; 0 0 is the corner of the first pixel, as ours. An area is closed."""
    if shape is Shape.RECTANGLE:
        (ax, ay), (bx, by) = points
        return "POLYLINE", ((ax, ay), (bx, ay), (bx, by), (ax, by), (ax, ay))
    if shape is Shape.ELLIPSE:
        (ax, ay), (bx, by) = points
        cx, cy = (ax + bx) / 2, (ay + by) / 2
        across: Points = ((ax, cy), (bx, cy))
        along: Points = ((cx, ay), (cx, by))
        return "ELLIPSE", across + along if abs(bx - ax) >= abs(by - ay) else along + across
    if shape in (Shape.POINT, Shape.ARROW):
        return "POINT", points[:1]  # an arrow points with its first
    return "POLYLINE", points
