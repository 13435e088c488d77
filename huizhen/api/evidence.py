"""Uploaded papers: a file comes in as the whole body, is inspected apart, and goes out only as an attachment."""

from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import ClientPayloadError, web

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import evidence_files
from clinic.actor import Actor
from clinic.errors import NotPermitted
from clinic.roles import Action
from clinic.upload import EvidenceFile
from consent import desk
from consent.standing import shared_with
from huizhen.api import detail
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, seat, staff
from huizhen.api.shapes.base import Empty, NoBody, Stream
from huizhen.api.shapes.evidence import EvidenceFiles, EvidenceFileView
from huizhen.evidence_shelf import EXTENSIONS, MEDIA_TYPES, Upload
from huizhen.inspection import kinds
from huizhen.inspection.errors import UploadBusy, UploadError
from huizhen.problems import RequestError
from huizhen.store.tables import StoreTransaction

_CHUNK = 65_536
_NAME = 400  # characters of the given file name that are looked at: only its ending counts


async def upload(call: Call[Empty]) -> EvidenceFileView:
    """Staff adds a paper the patient brought or sent."""
    return await _take(call, call.path("consult"), f"/api/consults/{call.path('consult')}/evidence-files")


async def upload_own(call: Call[Empty]) -> EvidenceFileView:
    """The patient or their guardian adds one from their page."""
    return await _take(call, call.seat.seat.consult_id, "/api/seat/evidence-files")


async def _take(call: Call[Empty], consult_id: str, base: str) -> EvidenceFileView:
    """Judged before the first byte and once more with the row; a refusal is on record, nothing else is kept."""
    actor, services = call.actor, call.services
    async with services.db.read() as tx:
        consult = await evidence_files.may_add(tx, consult_id, actor)

    async def commit(file: EvidenceFile) -> EvidenceFile:
        async with services.db.begin() as tx:
            await tx.operation(call.op, actor.id)
            return await evidence_files.keep(tx, file, actor)

    sent = Upload(
        sender=actor.seat_id or actor.id,
        media_type=call.request.content_type,
        name=unquote(call.request.headers.get("X-File-Name", ""))[-_NAME:],
        announced=call.request.content_length,
        chunks=_chunks(call.request),
    )
    try:
        file = await services.evidence.add(consult.institution_id, consult_id, sent, commit)
    except UploadBusy:
        raise
    except UploadError as error:
        await _refused(call, consult.institution_id, consult_id, error)
        raise
    async with services.db.read() as tx:
        return await _view(tx, file, base)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.content.iter_chunked(_CHUNK):
            yield chunk
    except (ClientPayloadError, ConnectionError, web.RequestPayloadError):
        raise RequestError("request.malformed") from None


async def _refused(call: Call[B], institution_id: str, consult_id: str, error: UploadError) -> None:
    actor: Actor = call.actor
    async with call.services.db.begin() as tx:
        await tx.append(
            AuditEvent(
                EventCode.EVIDENCE_REFUSED,
                institution_id,
                actor.seat_id or actor.id,
                consult_id,
                outcome=error.code,
            )
        )


async def _view(tx: StoreTransaction, file: EvidenceFile, base: str) -> EvidenceFileView:
    return EvidenceFileView(
        id=file.id,
        evidence=file.evidence_id,
        kind=file.kind.value,
        pages=file.pages,
        width=file.width,
        height=file.height,
        size=file.size,
        sha256=file.sha256,
        added_at=file.added_at,
        added_by=await detail.who(tx, file.added_by),
        url=f"{base}/{file.id}",
    )


async def _list(call: Call[NoBody], consult_id: str, base: str) -> EvidenceFiles:
    files = await evidence_files.listed(call.tx, call.actor, consult_id)
    consult = await call.tx.consults.get(consult_id)
    return EvidenceFiles(
        items=[await _view(call.tx, file, base) for file in files],
        limit_mb=call.services.settings.upload_limit_mb,
        most=evidence_files.MOST_FILES,
        open=evidence_files.takes_more(consult, files),
        proofs=len(await call.tx.follow_up_evidence.find(consult_id=consult_id)),
    )


async def listed(call: Call[NoBody]) -> EvidenceFiles:
    consult_id = call.path("consult")
    await _shared(call, call.tx, consult_id)
    return await _list(call, consult_id, f"/api/consults/{consult_id}/evidence-files")


async def listed_own(call: Call[NoBody]) -> EvidenceFiles:
    return await _list(call, call.seat.seat.consult_id, "/api/seat/evidence-files")


async def _shared(call: Call[NoBody], tx: StoreTransaction, consult_id: str) -> None:
    """Another institution's people need the patient's word (PIPL art. 23). Raises NotPermitted."""
    consult = await tx.consults.get(consult_id)
    home = call.me.institution_id
    if home != consult.institution_id and home not in shared_with(await desk.records_of(tx, consult_id), tx.now):
        raise NotPermitted(Action.SEE_CHART.value)


async def show(call: Call[NoBody]) -> web.StreamResponse:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await _shared(call, tx, consult_id)
        file = await evidence_files.view(tx, call.actor, consult_id, call.path("file"))
    return await _attachment(call, file)


async def show_own(call: Call[NoBody]) -> web.StreamResponse:
    async with call.services.db.begin() as tx:
        file = await evidence_files.view(tx, call.actor, call.seat.seat.consult_id, call.path("file"))
    return await _attachment(call, file)


async def _attachment(call: Call[NoBody], file: EvidenceFile) -> web.StreamResponse:
    """Never a page of ours: saved, not shown; were it shown all the same, nothing in it would run."""
    plain = await call.services.evidence.read(file)
    name = f"evidence-{file.id[:8]}.{EXTENSIONS[file.kind]}"
    return web.Response(
        body=plain,
        headers={
            "Content-Type": MEDIA_TYPES[file.kind],
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store, private",
        },
    )


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/evidence-files",
        handler=upload,
        policy=staff(Action.ADD_EVIDENCE, own=Own.CONSULT),
        body=Empty,
        answer=EvidenceFileView,
        unit=Unit.NONE,
        raw=kinds.MEDIA_TYPES,
        summary="A photo or PDF as proof of the earlier visit; the body is the file",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/evidence-files",
        handler=listed,
        policy=staff(Action.SEE_CHART, own=Own.CONSULT),
        answer=EvidenceFiles,
        summary="Uploaded papers of one consult",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/evidence-files/{file}",
        handler=show,
        policy=staff(Action.SEE_CHART, own=Own.EVIDENCE_FILE),
        answer=Stream,
        unit=Unit.NONE,
        summary="One paper as an attachment; the viewing is on record",
    ),
    Route(
        method="POST",
        path="/api/seat/evidence-files",
        handler=upload_own,
        policy=seat(Own.SELF, Action.ADD_EVIDENCE),
        body=Empty,
        answer=EvidenceFileView,
        unit=Unit.NONE,
        raw=kinds.MEDIA_TYPES,
        summary="My photo or PDF as proof of the earlier visit; the body is the file",
    ),
    Route(
        method="GET",
        path="/api/seat/evidence-files",
        handler=listed_own,
        policy=seat(Own.SELF, Action.SEE_CHART),
        answer=EvidenceFiles,
        summary="What I uploaded",
    ),
    Route(
        method="GET",
        path="/api/seat/evidence-files/{file}",
        handler=show_own,
        policy=seat(Own.SEAT_FILE, Action.SEE_CHART),
        answer=Stream,
        unit=Unit.NONE,
        summary="One of my papers as an attachment",
    ),
)
