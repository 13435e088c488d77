"""Stills of the call: what a device or a shared screen shows at this moment, at its own resolution, into the case."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import held_by
from clinic.roles import Action
from huizhen.api import bringing
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Stream
from huizhen.images import receiving
from huizhen.images.chamber import Part
from huizhen.store.tables import StoreTransaction
from imaging.errors import ImagingError
from imaging.keeping import Arrived
from signaling import stills

_MOST = 40 << 20  # bytes: a screen of 8 million pixels as PNG is about half of it


async def take(call: Call[Empty]) -> web.StreamResponse:
    """Asked before the picture is received and again with its row. X-Still-Of: the seat (its screen) or the device."""
    consult_id, participant = call.path("consult"), call.request.headers.get("X-Still-Of", "")
    case = await bringing.admitted(call, consult_id)
    async with call.services.db.read() as tx:
        seats = await tx.seats.find(consult_id=consult_id, person_id=call.me.id)
    seat = held_by(seats, call.me.id)
    seat_id = seat.id if seat is not None else None
    try:
        of = stills.may_take(call.services.live, consult_id, seat_id, participant)
    except ImagingError as error:
        await bringing.refused(call, consult_id, [error.code])
        raise

    @asynccontextmanager
    async def arrived() -> AsyncIterator[Sequence[Part]]:
        limit = min(_MOST, call.services.images.intake.limit)
        delivery = await receiving.receive(call.request, limit)
        with delivery.file:
            yield delivery.parts[:1]

    async def on_record(tx: StoreTransaction, added: Sequence[Arrived]) -> None:
        stills.may_take(call.services.live, consult_id, seat_id, participant)
        for row in added:
            public = {"stream": of.participant, "source": of.source.value, "series": row.series.id}
            await tx.append(
                AuditEvent(
                    EventCode.STILL_TAKEN,
                    case.consult.institution_id,
                    seat_id or call.actor.id,
                    consult_id,
                    row.instance.id,
                    public=public,
                )
            )

    taken = await bringing.bring(call, consult_id, arrived(), also=on_record, still=True)
    return bringing.told(taken, consult_id)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/images/stills",
        handler=take,
        policy=staff(Action.ADD_IMAGES, own=Own.CONSULT),
        body=Empty,
        answer=Stream,
        unit=Unit.NONE,
        raw=("image/png", "image/jpeg"),
        summary="A still of a device's or a shared screen's picture into the case; answers as STOW-RS",
    ),
)
