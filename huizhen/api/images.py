"""The image table of a consult: what there is, bringing files in, whose they are, and the measurements."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from clinic.roles import Action
from huizhen.api import bringing, detail
from huizhen.api.bringing import base_of
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, NoBody, Stream
from huizhen.api.shapes.images import (
    FindingsBody,
    FindingsView,
    Images,
    SeriesView,
    StudyIdentity,
    StudyView,
)
from huizhen.images import receiving
from huizhen.images.chamber import Part
from imaging import keeping, looking, measuring, uids
from imaging.access import TAKING
from imaging.looking import Listed
from imaging.records import ImageFindings, ImageSeries

MEDIA_TYPES = (
    "multipart/related",
    "application/dicom",
    "application/xml",
    "application/octet-stream",
    "application/pdf",
    "image/jpeg",
    "image/png",
    "image/heic",
)


async def store(call: Call[Empty]) -> web.StreamResponse:
    """Judged before the first byte and once more with the rows; what is refused leaves its code on the trail only."""
    consult_id, intake = call.path("consult"), call.services.images.intake
    await bringing.admitted(call, consult_id)

    @asynccontextmanager
    async def arrived() -> AsyncIterator[Sequence[Part]]:
        delivery = await receiving.receive(call.request, intake.limit)
        with delivery.file:
            yield delivery.parts

    return bringing.told(await bringing.bring(call, consult_id, arrived()), consult_id)


async def listed(call: Call[NoBody]) -> Images:
    consult_id = call.path("consult")
    found = await looking.listed(call.tx, call.actor, consult_id)
    consult = await call.tx.consults.get(consult_id)
    studies = [
        StudyView(
            id=study.id,
            uid=uids.told(study.id),
            day=study.day,
            description=study.description,
            identity=study.identity.value,
            differs=list(study.differs),  # type: ignore[arg-type]
            added_at=study.added_at,
            added_by=await detail.who(call.tx, study.added_by),
            series=[_series(found, row, consult_id) for row in found.series if row.study_id == study.id],
        )
        for study in found.studies
    ]
    return Images(
        studies=studies,
        open=consult.status in TAKING,
        limit_mb=call.services.settings.image_limit_mb,
    )


def _series(found: Listed, row: ImageSeries, consult_id: str) -> SeriesView:
    own = [each for each in found.instances if each.series_id == row.id]
    study, series = uids.told(row.study_id), uids.told(row.id)
    return SeriesView(
        uid=series,
        modality=row.modality,
        number=row.number,
        description=row.description,
        instances=len(own),
        frames=sum(each.frames for each in own),
        kinds=sorted({each.kind.value for each in own}),
        url=f"{base_of(consult_id)}/studies/{study}/series/{series}/metadata",
    )


async def confirm(call: Call[Empty]) -> StudyIdentity:
    study = await keeping.confirm_identity(call.tx, call.actor, call.path("consult"), call.path("study"))
    return StudyIdentity(id=study.id, identity=study.identity.value, confirmed_at=study.confirmed_at)


async def save_findings(call: Call[FindingsBody]) -> FindingsView:
    body = call.body
    saved = await measuring.save(call.tx, call.actor, call.path("consult"), body.version, body.measurements)
    return await _findings(call, saved)


async def latest_findings(call: Call[NoBody]) -> FindingsView:
    """As last saved; empty when nobody saved any yet."""
    saved = await measuring.latest(call.tx, call.actor, call.path("consult"))
    return FindingsView(measurements=[]) if saved is None else await _findings(call, saved)


async def _findings(call: Call[FindingsBody] | Call[NoBody], saved: ImageFindings) -> FindingsView:
    return FindingsView(
        id=saved.id,
        version=saved.version,
        sha256=saved.sha256,
        saved_at=saved.saved_at,
        saved_by=await detail.who(call.tx, saved.saved_by),
        measurements=measuring.measurements_of(saved),
    )


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/consults/{consult}/images",
        handler=listed,
        policy=staff(Action.SEE_IMAGES, own=Own.CONSULT),
        answer=Images,
        summary="Studies and series of the consult, without a picture",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/dicomweb/studies",
        handler=store,
        policy=staff(Action.ADD_IMAGES, own=Own.CONSULT),
        body=Empty,
        answer=Stream,
        unit=Unit.NONE,
        raw=MEDIA_TYPES,
        summary="STOW-RS: DICOM, ECG, photos and PDF into the case; the body is one file or multipart/related",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/images/{study}/identity",
        handler=confirm,
        policy=staff(Action.ADD_IMAGES, own=Own.CONSULT),
        body=Empty,
        answer=StudyIdentity,
        unit=Unit.WRITE,
        summary="The names in the files differ; they are this patient's all the same",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/images/findings",
        handler=latest_findings,
        policy=staff(Action.SEE_IMAGES, own=Own.CONSULT),
        answer=FindingsView,
        summary="The measurements as last saved",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/images/findings",
        handler=save_findings,
        policy=staff(Action.MEASURE_IMAGES, own=Own.CONSULT),
        body=FindingsBody,
        answer=FindingsView,
        unit=Unit.WRITE,
        summary="Save the measurements of the table, each saving a row of its own",
    ),
)
