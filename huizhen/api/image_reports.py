"""The saved measurements of one study as a DICOM SR (TID 1500): as a file, or into the hospital's own archive.

    GET  .../images/{study}/report        -> application/dicom
    POST .../images/{study}/report/pacs   -> stored there by STOW-RS

For the inviting side only; on record before a byte leaves.
"""

from typing import Any

from aiohttp import web

from clinic.roles import Action
from huizhen.api import bringing
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, NoBody, Stream
from huizhen.api.shapes.images import ReportSent
from huizhen.images import report_order
from huizhen.images.spacing import Spacing, spacing_of
from imaging import reporting
from imaging.errors import ImagingError, NoPacs
from imaging.reporting import Report, To


async def download(call: Call[NoBody]) -> web.Response:
    try:
        made, data = await _made(call, "file")
    except ImagingError as error:
        await bringing.refused(call, call.path("consult"), [error.code])
        raise
    headers = {
        "Content-Disposition": f'attachment; filename="measurements-{made.findings.id[:8]}.dcm"',
        "Cache-Control": "no-store, private",
        "X-Content-Type-Options": "nosniff",
        "X-Measurements": str(len(made.marks)),
        "X-Measurements-Left": str(made.left),
    }
    return web.Response(body=data, content_type="application/dicom", headers=headers)


async def send(call: Call[Empty]) -> ReportSent:
    consult_id, services = call.path("consult"), call.services
    async with services.db.read() as tx:
        house = (await reporting.may_report(tx, call.actor, consult_id)).consult.institution_id
    try:
        async with services.archives.open(house) as archive:
            if archive is None:
                raise NoPacs
            made, data = await _made(call, "pacs")
            await archive.store(data)
    except ImagingError as error:
        await bringing.refused(call, consult_id, [error.code])
        raise
    return ReportSent(uid=report_order.uid_of(made), measurements=len(made.marks), left=made.left)


async def _made(call: Call[Any], to: To) -> tuple[Report, bytes]:
    """Written, and then on record; nothing has left yet."""
    services, consult_id = call.services, call.path("consult")
    async with services.db.read() as tx:
        made = await reporting.report(tx, call.actor, consult_id, call.path("study"))
        house = await tx.institutions.get(made.consult.institution_id)
    spacings: dict[tuple[str, int], Spacing | None] = {}
    for mark in made.marks:
        place = mark.instance.id, mark.measurement.frame
        if place not in spacings:
            spacings[place] = spacing_of(await services.images.metadata(made.study, mark.instance), place[1])
    order = report_order.order(made, house, spacings)
    data = await services.images.report(made.study, made.marks[0].instance, order)
    async with services.db.begin() as tx:
        if to == "pacs":
            await tx.operation(call.op, call.actor.id)
        await reporting.record(tx, call.actor, made, report_order.uid_of(made), to)
    return made, data


_POLICY = staff(Action.ADD_IMAGES, own=Own.CONSULT)
ROUTES: Table = (
    Route(
        method="GET",
        path="/api/consults/{consult}/images/{study}/report",
        handler=download,
        policy=_POLICY,
        answer=Stream,
        unit=Unit.NONE,
        summary="The saved measurements of a study as DICOM SR (TID 1500); the taking is on record",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/images/{study}/report/pacs",
        handler=send,
        policy=_POLICY,
        body=Empty,
        answer=ReportSent,
        unit=Unit.NONE,
        summary="The same into the hospital's own archive by STOW-RS",
    ),
)
