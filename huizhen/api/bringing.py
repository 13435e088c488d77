"""Files on their way into a case, whatever way they came: asked again with the rows, refusals on record."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web

from clinic.people import Patient
from huizhen.api.call import Call
from huizhen.images import dicomjson
from huizhen.images.chamber import Part
from huizhen.images.rows import Case
from huizhen.images.shelf import Taken
from huizhen.inspection.errors import UploadBusy, UploadError
from huizhen.store.tables import StoreTransaction
from imaging import keeping
from imaging.access import may_add
from imaging.errors import ImagingError
from imaging.keeping import Arrived

Deliver = AbstractAsyncContextManager[Sequence[Part]]
Also = Callable[[StoreTransaction, Sequence[Arrived]], Awaitable[None]]


def base_of(consult_id: str) -> str:
    return f"/api/consults/{consult_id}/dicomweb"


async def admitted(call: Call[Any], consult_id: str) -> Case:
    """Before a byte is received. Raises NotPermitted, MissingRow, NotTaken (on record)."""
    try:
        async with call.services.db.read() as tx:
            viewer = await may_add(tx, call.actor, consult_id)
            patient: Patient = await tx.patients.get(viewer.consult.patient_id)
            return Case(viewer.consult, patient)
    except ImagingError as error:
        await refused(call, consult_id, [error.code])
        raise


async def bring(
    call: Call[Any],
    consult_id: str,
    deliver: Deliver,
    *,
    only: str | None = None,
    still: bool = False,
    also: Also | None = None,
) -> Taken:
    """Receive, inspect, store, commit. `only`: the one study the files may be of; another person's are refused.

    `still`: a picture out of the call. `also`: more to write, or to ask, in the transaction of the rows.
    Raises UploadError, ImagingError, and what `may_add` raises.
    """
    services, actor = call.services, call.actor

    async def commit(files: Sequence[Arrived]) -> Sequence[Arrived]:
        async with services.db.begin() as tx:
            await tx.operation(call.op, actor.id)
            added = await keeping.keep(tx, actor, consult_id, files)
            if also is not None:
                await also(tx, added)
            return added

    case = await admitted(call, consult_id)
    try:
        with services.images.intake.place(actor.id):
            async with deliver as parts:
                if still:
                    taken = await services.images.take_still(case, parts[0], commit)
                else:
                    taken = await services.images.take(case, parts, commit, only=only)
    except UploadBusy:
        raise
    except (UploadError, ImagingError) as error:
        await refused(call, consult_id, [error.code])
        raise
    if taken.refused:
        await refused(call, consult_id, [code for _, code in taken.refused])
    return taken


async def refused(call: Call[Any], consult_id: str, codes: Sequence[str]) -> None:
    async with call.services.db.begin() as tx:
        await keeping.refused(tx, call.actor, consult_id, codes)


def outcome(taken: Taken, consult_id: str) -> tuple[int, dict[str, Any]]:
    """Status and DICOM JSON of PS3.18 10.5."""
    there = [row.instance for row in (*taken.added, *taken.known)]
    answer = dicomjson.stored(there, taken.refused, base_of(consult_id))
    return 200 if not taken.refused else 202 if there else 409, answer


def told(taken: Taken, consult_id: str) -> web.Response:
    return as_response(*outcome(taken, consult_id))


def as_response(status: int, answer: dict[str, Any] | str) -> web.Response:
    body = answer.encode() if isinstance(answer, str) else dicomjson.dumps(answer)
    return web.Response(status=status, body=body, headers={"Content-Type": dicomjson.MEDIA_TYPE})


def as_text(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
