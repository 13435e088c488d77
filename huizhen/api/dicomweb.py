"""QIDO-RS and WADO-RS over one consult: its case is the allow-list. Who may look is asked for every request.

A series is opened by its metadata, which is on record; frames are told only to who opened it.
"""

from typing import Any
from uuid import uuid4

from aiohttp import web

from audit.errors import MissingRow
from clinic.roles import Action
from huizhen.api.bringing import base_of
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import NoBody, Stream
from huizhen.api.shapes.images import PageQuery
from huizhen.images import dicomjson
from huizhen.images.wire import SYNTAX, TILE_SYNTAX
from imaging import looking, uids
from imaging.errors import WrongForm
from imaging.records import ImageInstance, ImageStudy, Kind

_FRAMES = 64  # of one request
_PREVIEWS = 64
_HEADERS = {"Cache-Control": "no-store, private", "Content-Security-Policy": "sandbox; default-src 'none'"}
_FRAMED = {Kind.IMAGE: ("image/jls", SYNTAX), Kind.SLIDE: ("image/jpeg", TILE_SYNTAX)}
_MEDIA = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf", "application/json": "json"}


async def studies(call: Call[NoBody]) -> web.StreamResponse:
    consult_id = call.path("consult")
    found = await looking.listed(call.tx, call.actor, consult_id)
    return _json(
        [
            dicomjson.study(
                row,
                [each for each in found.series if each.study_id == row.id],
                sum(each.study_id == row.id for each in found.instances),
                base_of(consult_id),
            )
            for row in found.studies
        ]
    )


async def series(call: Call[NoBody]) -> web.StreamResponse:
    consult_id = call.path("consult")
    found = await looking.listed(call.tx, call.actor, consult_id)
    wanted = uids.row_of(call.path("study_uid"))
    if not any(row.id == wanted for row in found.studies):
        raise MissingRow("image_studies")
    return _json(
        [
            dicomjson.series(row, sum(each.series_id == row.id for each in found.instances), base_of(consult_id))
            for row in found.series
            if row.study_id == wanted
        ]
    )


async def instances(call: Call[NoBody]) -> web.StreamResponse:
    consult_id = call.path("consult")
    found = await looking.listed(call.tx, call.actor, consult_id)
    study_id, wanted = _ids(call)
    if not any((row.study_id, row.id) == (study_id, wanted) for row in found.series):
        raise MissingRow("image_series")
    own = sorted((row for row in found.instances if row.series_id == wanted), key=lambda row: row.number)
    page: PageQuery = call.query
    return _json([dicomjson.instance(row, base_of(consult_id)) for row in own[page.offset :][: page.limit]])


async def metadata(call: Call[NoBody]) -> web.StreamResponse:
    """Opening the series: committed before anything of it is told."""
    page: PageQuery = call.query
    async with call.services.db.begin() as tx:
        found = await looking.open_series(tx, call.actor, call.path("consult"), *_ids(call))
    told = [
        dicomjson.metadata(row, await call.services.images.metadata(found.study, row))
        for row in found.instances[page.offset :][: page.limit]
    ]
    return _json(told)


async def frames(call: Call[NoBody]) -> web.StreamResponse:
    """One or several frames of one instance, as multipart/related."""
    study, instance = await _looked_at(call)
    if instance.kind not in _FRAMED:
        raise WrongForm
    numbers = _numbers(call.path("frames"), instance.frames)
    shelf = call.services.images
    told = [(f"{number + 1}", await shelf.frame(study, instance, number)) for number in numbers]
    return _multipart(told, *_FRAMED[instance.kind])


async def previews(call: Call[NoBody]) -> web.StreamResponse:
    """The small pictures of the series in order, frame by frame, at most so many at once."""
    page: PageQuery = call.query
    async with call.services.db.read() as tx:
        study, row = await looking.opened(tx, call.actor, call.path("consult"), *_ids(call))
        every = await looking.instances_of(tx, row)
    pictures = [(one, number) for one in every if one.kind is Kind.IMAGE for number in range(one.frames)]
    wanted = pictures[page.offset :][: min(page.limit, _PREVIEWS)]
    parts = [
        (f"{uids.told(one.id)}/frames/{number + 1}", await call.services.images.preview(study, one, number))
        for one, number in wanted
    ]
    return _multipart(parts)


async def rendered(call: Call[NoBody]) -> web.StreamResponse:
    """What is no frame: a photo, a paper, the traces of an ECG (JSON). Saved, never shown as a page of ours."""
    study, instance = await _looked_at(call)
    if instance.kind in _FRAMED:
        raise WrongForm
    plain = await call.services.images.frame(study, instance, 0)
    media_type = {Kind.WAVEFORM: "application/json", Kind.PAPER: "application/pdf"}.get(
        instance.kind, instance.media_type
    )
    name = f"image-{instance.id[:8]}.{_MEDIA[media_type]}"
    headers = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{name}"', **_HEADERS}
    return _packed(web.Response(body=plain, headers=headers))


async def _looked_at(call: Call[NoBody]) -> tuple[ImageStudy, ImageInstance]:
    async with call.services.db.read() as tx:
        study, row = await looking.opened(tx, call.actor, call.path("consult"), *_ids(call))
        instance = await looking.instance_of(tx, row, uids.row_of(call.path("instance_uid")))
    return study, instance


def _ids(call: Call[NoBody]) -> tuple[str, str]:
    return uids.row_of(call.path("study_uid")), uids.row_of(call.path("series_uid"))


def _numbers(text: str, there: int) -> list[int]:
    """From 0. Raises MissingRow for what is no frame of the instance."""
    given = text.split(",")
    if len(given) > _FRAMES or not all(each.isdecimal() and 1 <= int(each) <= there for each in given):
        raise MissingRow("frames")
    return [int(each) - 1 for each in given]


def _json(value: list[Any]) -> web.Response:
    headers = {"Content-Type": dicomjson.MEDIA_TYPE, **_HEADERS}
    return _packed(web.Response(body=dicomjson.dumps(value), headers=headers))


def _packed(response: web.Response) -> web.Response:
    response.enable_compression()
    return response


def _multipart(parts: list[tuple[str, bytes]], media_type: str = "image/jls", syntax: str = SYNTAX) -> web.Response:
    """PS3.18 8.7: each part says its transfer syntax and where it came from."""
    boundary = uuid4().hex
    body = bytearray()
    for place, data in parts:
        head = f"Content-Type: {media_type}; transfer-syntax={syntax}\r\nContent-Location: {place}\r\n"
        body += f"--{boundary}\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f'multipart/related; type="{media_type}"; boundary={boundary}', **_HEADERS}
    return web.Response(body=bytes(body), headers=headers)


def _get(path: str, handler: Any, summary: str, unit: Unit, *, paged: bool = False) -> Route[NoBody]:
    more = {"query": PageQuery} if paged else {}
    return Route(
        method="GET",
        path=f"/api/consults/{{consult}}/dicomweb/studies{path}",
        handler=handler,
        policy=staff(Action.SEE_IMAGES, own=Own.CONSULT),
        answer=Stream,
        unit=unit,
        summary=summary,
        **more,  # type: ignore[arg-type]
    )


_SERIES = "/{study_uid}/series/{series_uid}"
_INSTANCE = f"{_SERIES}/instances/{{instance_uid}}"
ROUTES: Table = (
    _get("", studies, "QIDO-RS: studies of the consult", Unit.READ),
    _get("/{study_uid}/series", series, "QIDO-RS: series of a study", Unit.READ),
    _get(f"{_SERIES}/instances", instances, "QIDO-RS: instances of a series", Unit.READ, paged=True),
    _get(f"{_SERIES}/metadata", metadata, "WADO-RS: opens the series, on record", Unit.NONE, paged=True),
    _get(f"{_SERIES}/previews", previews, "Small pictures of an opened series", Unit.NONE, paged=True),
    _get(f"{_INSTANCE}/frames/{{frames}}", frames, "WADO-RS: frames of an opened series", Unit.NONE),
    _get(f"{_INSTANCE}/rendered", rendered, "Photo, paper or ECG traces of an opened series", Unit.NONE),
)
