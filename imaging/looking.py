"""What a consult has, the opening of a series on record, and the check before every frame."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import regulation
from clinic.actor import Actor
from clinic.regulation import CaseScope
from imaging.access import Viewer, may_see
from imaging.errors import IdentityUnconfirmed, NotOpened
from imaging.records import Identity, ImageInstance, ImageSeries, ImageStudy, SeriesOpening
from imaging.transaction import ImagingTransaction

SAME_OPENING = timedelta(minutes=1)  # a page asks for one slice's metadata, then for the rest: that is one look
OPEN_FOR = timedelta(hours=8)  # after it the series is opened, and put on record, again


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything of one consult, oldest first."""

    studies: tuple[ImageStudy, ...]
    series: tuple[ImageSeries, ...]
    instances: tuple[ImageInstance, ...]


@dataclass(frozen=True, slots=True)
class OpenSeries:
    study: ImageStudy
    series: ImageSeries
    instances: tuple[ImageInstance, ...]  # by number, then by arrival


async def listed(tx: ImagingTransaction, actor: Actor, consult_id: str) -> Listed:
    """Names of studies and series; nothing of it is a picture. Raises NotPermitted, ConsentMissing, MissingRow."""
    viewer = await may_see(tx, actor, consult_id)
    studies = await tx.image_studies.find(consult_id=consult_id)
    shown = {study.id for study in studies if not _withheld(viewer, study)}
    return Listed(
        tuple(study for study in studies if study.id in shown),
        tuple(row for row in await tx.image_series.find(consult_id=consult_id) if row.study_id in shown),
        tuple(row for row in await tx.image_instances.find(consult_id=consult_id) if row.study_id in shown),
    )


async def open_series(
    tx: ImagingTransaction, actor: Actor, consult_id: str, study_id: str, series_id: str
) -> OpenSeries:
    """Commit before a pixel is told. Raises NotPermitted, ConsentMissing, IdentityUnconfirmed, MissingRow."""
    viewer = await may_see(tx, actor, consult_id)
    study, series = await _of_consult(tx, consult_id, study_id, series_id)
    if _withheld(viewer, study):
        raise IdentityUnconfirmed()
    if not viewer.case and await _just_opened(tx, series.id, viewer.id):
        return OpenSeries(study, series, await instances_of(tx, series))
    opening = SeriesOpening(uuid4().hex, series.institution_id, consult_id, series.id, viewer.id, tx.now)
    await tx.series_openings.add(opening)
    public = {"study": study.id, "modality": series.modality}
    if viewer.case:
        await regulation.use(tx, CaseScope.CHART, viewer.consult, actor)
        public["case"] = viewer.case
    await tx.append(
        AuditEvent(EventCode.IMAGES_OPENED, series.institution_id, viewer.id, consult_id, series.id, public=public)
    )
    return OpenSeries(study, series, await instances_of(tx, series))


async def _just_opened(tx: ImagingTransaction, series_id: str, viewer_id: str) -> bool:
    openings = await tx.series_openings.find(series_id=series_id, viewer=viewer_id)
    return any(tx.now - opening.opened_at < SAME_OPENING for opening in openings)


async def opened(
    tx: ImagingTransaction, actor: Actor, consult_id: str, study_id: str, series_id: str
) -> tuple[ImageStudy, ImageSeries]:
    """Before every frame: who may look now and opened it on record.

    Raises NotPermitted, ConsentMissing, IdentityUnconfirmed, NotOpened, MissingRow.
    """
    viewer = await may_see(tx, actor, consult_id)
    study, series = await _of_consult(tx, consult_id, study_id, series_id)
    if _withheld(viewer, study):
        raise IdentityUnconfirmed()
    openings = await tx.series_openings.find(series_id=series.id, viewer=viewer.id)
    if not any(tx.now - opening.opened_at < OPEN_FOR for opening in openings):
        raise NotOpened()
    return study, series


async def instance_of(tx: ImagingTransaction, series: ImageSeries, instance_id: str) -> ImageInstance:
    """Raises MissingRow."""
    instance = await tx.image_instances.get(instance_id)
    if instance.series_id != series.id:
        raise MissingRow("image_instances")
    return instance


def _withheld(viewer: Viewer, study: ImageStudy) -> bool:
    """Perhaps another person's pictures: they do not leave the house before its people have said whose they are."""
    return viewer.foreign and study.identity is Identity.DIFFERS


async def _of_consult(
    tx: ImagingTransaction, consult_id: str, study_id: str, series_id: str
) -> tuple[ImageStudy, ImageSeries]:
    series = await tx.image_series.get(series_id)
    if (series.consult_id, series.study_id) != (consult_id, study_id):
        raise MissingRow("image_series")
    return await tx.image_studies.get(series.study_id), series


async def instances_of(tx: ImagingTransaction, series: ImageSeries) -> tuple[ImageInstance, ...]:
    """By number, then by arrival."""
    found = await tx.image_instances.find(series_id=series.id)
    return tuple(sorted(found, key=lambda row: row.number))
