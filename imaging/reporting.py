"""Which of the saved measurements leave as a DICOM report of one study: those that lie on DICOM pictures.

Only the inviting side takes it, as only it speaks with the hospital's archive: the report names the patient.
"""

from dataclasses import dataclass
from typing import Literal

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.roles import Action
from imaging.access import Viewer
from imaging.errors import IdentityUnconfirmed, NothingToReport
from imaging.measurement import Measurement, parse
from imaging.measuring import measurements_of
from imaging.records import Identity, ImageFindings, ImageInstance, ImageSeries, ImageStudy, Kind
from imaging.transaction import ImagingTransaction

IN_DICOM = frozenset({Kind.IMAGE, Kind.SLIDE})  # a trace's units, a page and a photo are ours alone: JSON keeps them
To = Literal["file", "pacs"]


@dataclass(frozen=True, slots=True)
class Mark:
    measurement: Measurement
    author: str  # the name of who drew it
    instance: ImageInstance
    series: ImageSeries


@dataclass(frozen=True, slots=True)
class Report:
    """One saving, as far as it is of this study. `left`: measurements of the study that stay in JSON only."""

    consult: Consult
    study: ImageStudy
    findings: ImageFindings
    number: int  # of the saving in its consult, from 1
    saved_by: str  # name
    marks: tuple[Mark, ...]
    left: int


async def may_report(tx: ImagingTransaction, actor: Actor, consult_id: str) -> Viewer:
    """The inviting side, also when the consult is over. Raises NotPermitted, MissingRow."""
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, actor, Action.ADD_IMAGES, consult)
    if seat is not None and seat.home_institution_id != consult.institution_id:
        raise MissingRow("consults")
    return Viewer(seat.id if seat is not None else actor.id, consult, foreign=False)


async def report(tx: ImagingTransaction, actor: Actor, consult_id: str, study_id: str) -> Report:
    """The latest saving. Raises NotPermitted, MissingRow, IdentityUnconfirmed, NothingToReport."""
    viewer = await may_report(tx, actor, consult_id)
    study = await tx.image_studies.get(study_id)
    if study.consult_id != consult_id:
        raise MissingRow("image_studies")
    if study.identity is Identity.DIFFERS:
        raise IdentityUnconfirmed()
    saved = await tx.image_findings.find(consult_id=consult_id)
    if not saved:
        raise NothingToReport("nothing saved")
    pictures = {row.id: row for row in await tx.image_instances.find(consult_id=consult_id)}
    series = {row.id: row for row in await tx.image_series.find(consult_id=consult_id)}
    marks, left = [], 0
    for given in measurements_of(saved[-1]):
        drawn = parse(given)
        picture = pictures.get(drawn.instance)
        if picture is None or picture.study_id != study_id:
            continue
        if picture.kind not in IN_DICOM:
            left += 1
            continue
        marks.append(Mark(drawn, await _name(tx, drawn.by), picture, series[picture.series_id]))
    if not marks:
        raise NothingToReport("none on a DICOM picture")
    name = await _name(tx, saved[-1].saved_by)
    return Report(viewer.consult, study, saved[-1], len(saved), name, tuple(marks), left)


async def record(tx: ImagingTransaction, actor: Actor, made: Report, uid: str, to: To) -> None:
    """On record before it leaves. `uid`: of the report. Raises NotPermitted, MissingRow."""
    viewer = await may_report(tx, actor, made.consult.id)
    public = {
        "findings": made.findings.id,
        "sha256": made.findings.sha256,
        "measurements": len(made.marks),
        "left": made.left,
        "report": uid,
        "to": to,
    }
    institution = made.consult.institution_id
    await tx.append(
        AuditEvent(EventCode.IMAGES_REPORTED, institution, viewer.id, made.consult.id, made.study.id, public=public)
    )


async def _name(tx: ImagingTransaction, who: str) -> str:
    """Of a seat, or of a member of staff without one."""
    for seat in await tx.seats.find(id=who):
        return seat.display_name
    for person in await tx.staff.find(id=who):
        return person.name
    return ""
