"""Resumable uploads into a case by tus 1.0: a line that dies costs the bytes on their way, no others.

    POST   .../images/uploads                    Upload-Length, Upload-Metadata: sizes -> 201, Location, Upload-Expires
    HEAD   .../images/uploads/{upload}           -> Upload-Offset, Upload-Length
    PATCH  .../images/uploads/{upload}           Upload-Offset, bytes -> 204, Upload-Offset
    DELETE .../images/uploads/{upload}           -> 204
    POST   .../images/uploads/{upload}/finish    -> as STOW-RS: inspected, in the case; asked again: the same answer

Extensions: creation, termination, expiration, checksum. One upload is one delivery: at most 64 files one after the
other, `sizes` says where each ends. Names of files are not asked for and not kept.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import format_datetime
from typing import Any, BinaryIO

from aiohttp import web

from clinic.roles import Action
from huizhen.api import bringing
from huizhen.api.call import Call
from huizhen.api.route import Door, Own, Policy, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, NoBody, Stream
from huizhen.images.arrivals import Arrivals, Checksum
from huizhen.images.arriving import Upload
from huizhen.images.chamber import Part
from huizhen.images.errors import Incomplete, WrongVersion
from huizhen.inspection.errors import UploadError, UploadTooLarge
from huizhen.problems import RequestError
from imaging.keeping import AT_ONCE

VERSION = "1.0.0"
PIECE = "application/offset+octet-stream"
_EXTENSIONS = "creation,termination,expiration,checksum"
_DIGESTS: Mapping[str, Callable[[], Any]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),  # every server of tus has it
    "sha256": hashlib.sha256,
}
_MOST_METADATA = 4_096


def _answer(status: int, **headers: str) -> web.Response:
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return web.Response(status=status, headers={"Tus-Resumable": VERSION, "Cache-Control": "no-store"} | named)


async def options(call: Call[Empty]) -> web.StreamResponse:
    """What this server can do; the same for everybody."""
    return _answer(
        204,
        tus_version=VERSION,
        tus_extension=_EXTENSIONS,
        tus_checksum_algorithm=",".join(_DIGESTS),
        tus_max_size=str(call.services.arrivals.bounds.each),
    )


async def begin(call: Call[Empty]) -> web.StreamResponse:
    consult_id, arrivals = call.path("consult"), call.services.arrivals
    case = await bringing.admitted(call, consult_id)
    _speaks_tus(call.request)
    try:
        sizes = _sizes(call.request)
        upload = await arrivals.begin(case.consult.institution_id, consult_id, call.actor.id, sizes)
    except UploadError as error:
        await bringing.refused(call, consult_id, [error.code])
        raise
    location = f"/api/consults/{consult_id}/images/uploads/{upload.id}"
    return _answer(201, location=location, upload_offset="0", upload_expires=_expires(arrivals, upload))


def _speaks_tus(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise WrongVersion


def _number(request: web.Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise RequestError("request.malformed", name)
    return int(text)


def _sizes(request: web.Request) -> tuple[int, ...]:
    """Of the files in it, from the metadata; without them it is one file. Raises RequestError, UploadEmpty."""
    length, told = _number(request, "Upload-Length"), request.headers.get("Upload-Metadata", "")
    if len(told) > _MOST_METADATA:
        raise RequestError("request.malformed", "Upload-Metadata")
    pairs = (pair.strip().partition(" ") for pair in told.split(","))
    given = next((value for name, _, value in pairs if name == "sizes"), None)
    if given is None:
        sizes = [length] if length else []
    else:
        try:
            words = base64.b64decode(given.strip(), validate=True).decode("ascii").split(",")
            sizes = [int(word) for word in words if word.isdecimal()]
        except (binascii.Error, UnicodeDecodeError):
            words, sizes = [""], []
        if len(words) != len(sizes) or sum(sizes) != length:
            raise RequestError("request.malformed", "Upload-Metadata")
    if len(sizes) > AT_ONCE:
        raise UploadTooLarge
    return tuple(sizes)


def _expires(arrivals: Arrivals, upload: Upload) -> str:
    return format_datetime(arrivals.ends_at(upload).astimezone(UTC), usegmt=True)


async def ask(call: Call[NoBody]) -> web.StreamResponse:
    await bringing.admitted(call, call.path("consult"))
    _speaks_tus(call.request)
    upload, offset = await call.services.arrivals.reached(call.path("consult"), call.path("upload"))
    return _answer(
        200,
        upload_offset=str(offset),
        upload_length=str(upload.length),
        upload_expires=_expires(call.services.arrivals, upload),
    )


async def piece(call: Call[Empty]) -> web.StreamResponse:
    consult_id, upload_id, arrivals = call.path("consult"), call.path("upload"), call.services.arrivals
    await bringing.admitted(call, consult_id)
    upload, _ = arrivals.get(consult_id, upload_id)
    _speaks_tus(call.request)
    if call.request.content_type != PIECE:
        raise RequestError("request.media_type")
    offset, checksum = _number(call.request, "Upload-Offset"), _checksum(call.request)
    try:
        reached = await arrivals.append(consult_id, upload_id, offset, call.request.content, checksum)
    except ConnectionError:
        raise RequestError("request.malformed") from None  # nobody is there to read it
    return _answer(204, upload_offset=str(reached), upload_expires=_expires(arrivals, upload))


def _checksum(request: web.Request) -> Checksum | None:
    if (given := request.headers.get("Upload-Checksum")) is None:
        return None
    name, _, value = given.partition(" ")
    if (made := _DIGESTS.get(name)) is None:
        raise RequestError("request.malformed", "Upload-Checksum")
    try:
        return Checksum(made(), base64.b64decode(value, validate=True))
    except binascii.Error:
        raise RequestError("request.malformed", "Upload-Checksum") from None


async def end(call: Call[Empty]) -> web.StreamResponse:
    await bringing.admitted(call, call.path("consult"))
    call.services.arrivals.get(call.path("consult"), call.path("upload"))
    _speaks_tus(call.request)
    await call.services.arrivals.remove(call.path("consult"), call.path("upload"))
    return _answer(204)


async def finish(call: Call[Empty]) -> web.StreamResponse:
    """All bytes are there: from here on as STOW. Whoever lost the answer asks again and gets the same one."""
    consult_id, arrivals = call.path("consult"), call.services.arrivals
    await bringing.admitted(call, consult_id)
    async with arrivals.finishing(consult_id, call.path("upload")) as upload:
        if upload.finished:
            return bringing.as_response(upload.status, upload.answer)
        if arrivals.get(consult_id, upload.id)[1] != upload.length:
            raise Incomplete

        @asynccontextmanager
        async def arrived() -> AsyncIterator[Sequence[Part]]:
            with await arrivals.plain(upload) as file:
                yield _parts(file, upload.sizes)

        taken = await bringing.bring(call, consult_id, arrived())
        status, answer = bringing.outcome(taken, consult_id)
        await arrivals.finish(upload, status, bringing.as_text(answer))
        return bringing.as_response(status, answer)


def _parts(file: BinaryIO, sizes: Sequence[int]) -> list[Part]:
    return [Part(file, sum(sizes[:number]), size) for number, size in enumerate(sizes)]


_PATH = "/api/consults/{consult}/images/uploads"
_POLICY = staff(Action.ADD_IMAGES, own=Own.CONSULT)


def _route(method: str, path: str, handler: Any, summary: str, *, raw: tuple[str, ...] = ()) -> Route[Any]:
    return Route(
        method=method,
        path=path,
        handler=handler,
        policy=_POLICY,
        body=Empty,
        answer=Stream,
        unit=Unit.NONE,
        raw=raw,
        summary=summary,
    )


ROUTES: Table = (
    Route(
        method="OPTIONS",
        path="/api/uploads",
        handler=options,
        policy=Policy(Door.PUBLIC, Own.NOTHING),
        answer=Stream,
        unit=Unit.NONE,
        summary="tus: version, extensions, largest upload",
    ),
    _route("POST", _PATH, begin, "tus: begin a resumable upload of images", raw=("application/octet-stream",)),
    _route("HEAD", f"{_PATH}/{{upload}}", ask, "tus: how much of it has arrived"),
    _route("PATCH", f"{_PATH}/{{upload}}", piece, "tus: the next bytes", raw=(PIECE,)),
    _route("POST", f"{_PATH}/{{upload}}/finish", finish, "All bytes are there: inspect and store them, as STOW-RS"),
    _route("DELETE", f"{_PATH}/{{upload}}", end, "tus: give it up; what arrived is removed", raw=(PIECE,)),
)
