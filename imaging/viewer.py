"""The shared view of the image table: one document per consult, changed by small absolute operations. Pure.

The server gives every operation its number (`imaging.table`); whoever applies the same numbers in order has the same
document (`imaging.replica`). Operations say what is, never by how much, so one that was overtaken does no harm.
Pointers of the people are not part of it: they come and go (`imaging.pointers`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imaging.errors import ImagingError
from imaging.measurement import Measurement

MOST_MEASUREMENTS = 500


class NotLeading(ImagingError):
    """Somebody else leads the view; follow, or ask for the lead."""

    code = "images.not_leading"


class NotYours(ImagingError):
    """A measurement is changed by who made it; the chair may remove it."""

    code = "images.not_yours"


class TableFull(ImagingError):
    """So many measurements that nobody finds anything."""

    code = "images.table_full"


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at. `at`: slice or frame from 0. Centre, width in the values of the series; x, y in pixels."""

    series: str = ""  # row id; "" nothing is open
    at: int = 0
    centre: float | None = None  # None: the picture's own
    width: float | None = None
    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Show:
    """Another picture: window, zoom and place begin anew."""

    series: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Scroll:
    at: int


@dataclass(frozen=True, slots=True)
class Window:
    centre: float
    width: float


@dataclass(frozen=True, slots=True)
class Place:
    """Zoom and pan."""

    zoom: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Lead:
    """Take the lead; `to` hands it to somebody, "" gives it up."""

    to: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Whether the one who says it sees what the leader sees."""

    on: bool


@dataclass(frozen=True, slots=True)
class Put:
    """A measurement, new or changed."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Take:
    """A measurement away."""

    id: str


Op = Show | Scroll | Window | Place | Lead | Follow | Put | Take


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts. `presides`: the chair and the inviting doctor, who may always take the lead."""

    id: str
    presides: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """Version 0 is the empty table. `apart`: who does not follow; everybody else does."""

    version: int = 0
    view: View = View()
    leader: str = ""
    apart: frozenset[str] = frozenset()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)


def apply(document: Document, person: Person, op: Op) -> Document:
    """The next version. Raises NotLeading, NotYours, TableFull."""
    changed = _changed(document, person, op)
    return replace(changed, version=document.version + 1)


def _changed(document: Document, person: Person, op: Op) -> Document:
    match op:
        case Lead(to=to):
            return _lead(document, person, to)
        case Follow(on=on):
            apart = document.apart - {person.id} if on else document.apart | {person.id}
            return replace(document, apart=apart)
        case Put(measurement=measurement):
            return _put(document, person, measurement)
        case Take(id=measurement_id):
            return _take(document, person, measurement_id)
        case _:
            if document.leader not in ("", person.id):
                raise NotLeading()
            return replace(document, view=_moved(document.view, op))


def _moved(view: View, op: Show | Scroll | Window | Place) -> View:
    match op:
        case Show(series=series, at=at):
            return View(series, at)
        case Scroll(at=at):
            return replace(view, at=at)
        case Window(centre=centre, width=width):
            return replace(view, centre=centre, width=width)
        case _:
            return replace(view, zoom=op.zoom, x=op.x, y=op.y)


def _lead(document: Document, person: Person, to: str) -> Document:
    """A free lead is anybody's; a taken one its holder's to hand on, and theirs to take who preside."""
    if document.leader not in ("", person.id) and not person.presides:
        raise NotLeading()
    if not document.leader and to not in ("", person.id) and not person.presides:
        raise NotLeading()
    return replace(document, leader=to, apart=document.apart - {to})


def _put(document: Document, person: Person, measurement: Measurement) -> Document:
    before = document.measurements.get(measurement.id)
    if measurement.by != person.id or (before is not None and before.by != person.id):
        raise NotYours()
    if before is None and len(document.measurements) >= MOST_MEASUREMENTS:
        raise TableFull()
    return replace(document, measurements={**document.measurements, measurement.id: measurement})


def _take(document: Document, person: Person, measurement_id: str) -> Document:
    """Taking away what is gone already changes nothing: the other one was faster."""
    before = document.measurements.get(measurement_id)
    if before is not None and before.by != person.id and not person.presides:
        raise NotYours()
    rest = {key: value for key, value in document.measurements.items() if key != measurement_id}
    return replace(document, measurements=rest)


def left(document: Document, person_id: str) -> Op | None:
    """What the server does when somebody leaves: a lead does not stay with who is gone."""
    return Lead("") if document.leader == person_id else None
