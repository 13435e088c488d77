"""Measurements of the table kept with the consult: each saving is a row of its own, nothing is overwritten."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.documents import canonical, digest
from clinic.roles import Action
from imaging.access import may_see
from imaging.errors import BadMeasurement, TooMany
from imaging.measurement import Measurement, parse
from imaging.records import ImageFindings, Kind
from imaging.transaction import ImagingTransaction
from imaging.viewer import MOST_MEASUREMENTS

MOST_SAVINGS = 200  # per consult
MOST_PAGES = 2_000  # of a paper


async def save(
    tx: ImagingTransaction, actor: Actor, consult_id: str, version: int, given: Sequence[Mapping[str, Any]]
) -> ImageFindings:
    """Raises BadMeasurement, NotPermitted, ConsentMissing, MissingRow, TooMany."""
    viewer = await may_see(tx, actor, consult_id, Action.MEASURE_IMAGES)
    measurements = [parse(each) for each in given]
    if len({each.id for each in measurements}) != len(measurements) or len(measurements) > MOST_MEASUREMENTS:
        raise BadMeasurement("one twice, or too many")
    if len(await tx.image_findings.find(consult_id=consult_id)) >= MOST_SAVINGS:
        raise TooMany()
    for measurement in measurements:
        await _lies_on_its_picture(tx, consult_id, measurement)
    content = canonical({"type": "huizhen.image-findings", "v": 1, "measurements": [m.as_json() for m in measurements]})
    saved = ImageFindings(
        id=uuid4().hex,
        institution_id=viewer.consult.institution_id,
        consult_id=consult_id,
        version=version,
        content=content.decode(),
        sha256=digest(content),
        saved_by=viewer.id,
        saved_at=tx.now,
    )
    await tx.image_findings.add(saved)
    public = {"measurements": len(measurements), "version": version, "sha256": saved.sha256}
    await tx.append(
        AuditEvent(EventCode.IMAGES_MEASURED, saved.institution_id, viewer.id, consult_id, saved.id, public=public)
    )
    return saved


async def latest(tx: ImagingTransaction, actor: Actor, consult_id: str) -> ImageFindings | None:
    """None: nothing was saved yet. Raises NotPermitted, ConsentMissing."""
    await may_see(tx, actor, consult_id)
    found = await tx.image_findings.find(consult_id=consult_id)
    return found[-1] if found else None


def measurements_of(saved: ImageFindings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(saved.content)["measurements"]
    return found


async def _lies_on_its_picture(tx: ImagingTransaction, consult_id: str, measurement: Measurement) -> None:
    """Raises BadMeasurement."""
    try:
        picture = await tx.image_instances.get(measurement.instance)
    except MissingRow:
        raise BadMeasurement("no such picture") from None
    if picture.consult_id != consult_id:
        raise BadMeasurement("not on its picture")
    if picture.kind in (Kind.IMAGE, Kind.PHOTO, Kind.SLIDE):
        inside = all(x <= picture.width and y <= picture.height for x, y in measurement.points)
        inside = inside and measurement.frame < picture.frames
    else:  # a page or a group of traces has no size here: its own units, from its corner
        inside = measurement.frame < MOST_PAGES
    if not inside or min(coordinate for point in measurement.points for coordinate in point) < 0:
        raise BadMeasurement("not on its picture")
