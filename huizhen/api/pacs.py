"""From the hospital's own archive into the case: search, allow, fetch. For the inviting side only.

    POST .../images/pacs/search          patient_number, accession, since, until -> this patient's studies
    POST .../images/pacs                 uid -> one more line of the consult's allow-list
    GET  .../images/pacs                 -> the list
    POST .../images/pacs/{pacs}/fetch    offset -> the next files into the case, and where to go on

Experts look at the case; no request of theirs ever reaches the archive.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from clinic.roles import Action
from huizhen.api import bringing
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.pacs import AllowBody, FetchBody, Fetched, FoundView, PacsFound, PacsRow, SearchBody
from huizhen.images.chamber import Part
from huizhen.images.pacs import Archive, RemoteInstance, Wanted
from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadTooLarge
from imaging import fetching, uids
from imaging.errors import ImagingError, NoPacs, PacsUnavailable, Stranger
from imaging.fetching import Batch, FoundStudy
from imaging.keeping import AT_ONCE
from imaging.records import PacsStudy

_FETCH_SECONDS = 45.0  # after it a batch ends with what it has


@asynccontextmanager
async def _archive(call: Call[SearchBody] | Call[AllowBody] | Call[FetchBody]) -> AsyncIterator[Archive]:
    """Of the consult's institution. Raises what `may_add` raises, NoPacs; refusals of the archive on record."""
    consult_id = call.path("consult")
    case = await bringing.admitted(call, consult_id)
    try:
        async with call.services.archives.open(case.consult.institution_id) as archive:
            if archive is None:
                raise NoPacs
            yield archive
    except ImagingError as error:
        await bringing.refused(call, consult_id, [error.code])
        raise


async def search(call: Call[SearchBody]) -> PacsFound:
    consult_id, body = call.path("consult"), call.body
    async with _archive(call) as archive:
        found = await archive.find(
            Wanted(
                body.patient_number,
                body.accession,
                body.since.strftime("%Y%m%d") if body.since else "",
                body.until.strftime("%Y%m%d") if body.until else "",
            )
        )
    async with call.services.db.begin() as tx:
        mine = await fetching.searched(tx, call.actor, consult_id, found)
        known = {row.uid: row.id for row in await fetching.allowed(tx, call.actor, consult_id)}
    return PacsFound(
        items=[
            FoundView(
                uid=one.uid,
                day=one.day,
                description=one.description,
                modalities=list(one.modalities),
                instances=one.instances,
                allowed=known.get(one.uid),
            )
            for one in mine
        ],
        others=len(found) - len(mine),
    )


async def allow(call: Call[AllowBody]) -> PacsRow:
    """The archive is asked again for exactly this study: what a page sent decides nothing."""
    consult_id = call.path("consult")
    async with _archive(call) as archive:
        found: FoundStudy | None = await archive.study(call.body.uid)
        if found is None:
            raise Stranger
        async with call.services.db.begin() as tx:
            await tx.operation(call.op, call.actor.id)
            row = await fetching.allow(tx, call.actor, consult_id, found)
    return _row(row, 0)


async def listed(call: Call[NoBody]) -> Items[PacsRow]:
    consult_id = call.path("consult")
    rows = await fetching.allowed(call.tx, call.actor, consult_id)
    here = [row.study_id for row in await call.tx.image_instances.find(consult_id=consult_id)]
    return Items[PacsRow](items=[_row(row, here.count(uids.row_id(consult_id, "study", row.uid))) for row in rows])


def _row(row: PacsStudy, here: int) -> PacsRow:
    return PacsRow(
        id=row.id,
        uid=row.uid,
        day=row.day,
        description=row.description,
        modalities=list(row.modalities),
        instances=row.instances,
        here=here,
        allowed_at=row.allowed_at,
    )


@dataclass(slots=True)
class _Reach:
    """Where a batch ended, counted while it is fetched."""

    next: int
    known: int = 0


async def fetch(call: Call[FetchBody]) -> Fetched:
    """As many files as fit one delivery and its time; asked again with `next` until it is -1."""
    consult_id, services = call.path("consult"), call.services
    async with services.db.read() as tx:
        row = await fetching.line(tx, call.actor, consult_id, call.path("pacs"))
        there = {each.id for each in await tx.image_instances.find(consult_id=consult_id)}
    reach = _Reach(call.body.offset)
    async with _archive(call) as archive:
        remote = await archive.instances(row.uid)
    missing: list[tuple[int, RemoteInstance]] = []
    for number, one in enumerate(remote[reach.next :], reach.next):
        if len(missing) == AT_ONCE:
            break
        reach.next = number + 1
        if uids.row_id(consult_id, "instance", row.uid, one.series, one.uid) in there:
            reach.known += 1
        else:
            missing.append((number, one))
    batch = Batch(0, reach.known, 0, _end(reach.next, len(remote)))
    codes: list[str] = []
    if missing:
        taken = await bringing.bring(call, consult_id, _arriving(call, row, missing, reach), only=row.uid)
        codes = [code for _, code in taken.refused]
        end = _end(reach.next, len(remote))
        batch = Batch(len(taken.added), reach.known + len(taken.known), len(codes), end)
    async with services.db.begin() as tx:
        await fetching.fetched(tx, call.actor, row, batch)
    return Fetched(added=batch.added, known=batch.known, refused=sorted(set(codes)), next=batch.next, total=len(remote))


def _end(reached: int, total: int) -> int:
    return reached if reached < total else -1


@asynccontextmanager
async def _arriving(
    call: Call[FetchBody], row: PacsStudy, missing: Sequence[tuple[int, RemoteInstance]], reach: _Reach
) -> AsyncIterator[Sequence[Part]]:
    """Files one after the other into a nameless one; at least one, then as many as size and time allow."""
    limit, until = call.services.images.intake.limit, time.monotonic() + _FETCH_SECONDS
    parts: list[Part] = []
    async with call.services.archives.open(row.institution_id) as archive:
        assert archive is not None, "asked a moment ago"
        with private_file() as file:
            for number, one in missing:
                at = file.tell()
                try:
                    size = await archive.fetch(row.uid, one, file, limit - at)
                except UploadTooLarge:
                    if not parts:
                        raise
                    reach.next = number  # it begins the next batch
                    file.seek(at)
                    break
                if not size:
                    raise PacsUnavailable("an empty file")
                parts.append(Part(file, at, size))
                if time.monotonic() > until:
                    reach.next = number + 1
                    break
            file.flush()
            yield parts


_POLICY = staff(Action.ADD_IMAGES, own=Own.CONSULT)
_PATH = "/api/consults/{consult}/images/pacs"
ROUTES: Table = (
    Route(
        method="GET",
        path=_PATH,
        handler=listed,
        policy=_POLICY,
        answer=Items[PacsRow],
        summary="Studies of the hospital's own archive that may be fetched into this consult",
    ),
    Route(
        method="POST",
        path=f"{_PATH}/search",
        handler=search,
        policy=_POLICY,
        body=SearchBody,
        answer=PacsFound,
        unit=Unit.NONE,
        summary="QIDO-RS to the hospital's own archive: this patient's studies only",
    ),
    Route(
        method="POST",
        path=_PATH,
        handler=allow,
        policy=_POLICY,
        body=AllowBody,
        answer=PacsRow,
        unit=Unit.NONE,
        summary="One study onto the consult's allow-list",
    ),
    Route(
        method="POST",
        path=f"{_PATH}/{{pacs}}/fetch",
        handler=fetch,
        policy=_POLICY,
        body=FetchBody,
        answer=Fetched,
        unit=Unit.NONE,
        summary="WADO-RS from the archive into the case, at most a delivery at once",
    ),
)
