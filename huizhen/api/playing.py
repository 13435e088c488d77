"""The player: opening it puts the viewing on record, and every file it fetches is judged again."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from aiohttp import web

from archive import access, catalogue
from archive.errors import AlreadyDisposed, NoGrant
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Seat
from clinic.roles import Action
from huizhen.api import detail, render
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.archive import (
    Destroyed,
    ManifestAnswer,
    ManifestChat,
    ManifestGap,
    ManifestMark,
    ManifestPerson,
    ManifestSegment,
    ManifestTrack,
    SegmentQuery,
    ViewedBy,
)
from huizhen.api.shapes.base import Empty, NoBody, Stream
from huizhen.auth.rows import PlaybackView
from huizhen.problems import CODED
from huizhen.store.tables import StoreTransaction

VIEW_LIFE = timedelta(hours=8)
_JUDGED_FOR = timedelta(seconds=2)  # as soon as a withdrawal stops the recorder
_CHUNK = 262_144
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})\Z")


async def view(call: Call[Empty]) -> ManifestAnswer:
    """Open the player: the viewing is committed before anything is told of the content."""
    recording_id, db = call.path("recording"), call.services.db
    try:
        async with db.begin() as tx:
            await tx.operation(call.op, call.actor.id)
            permitted = await access.view(tx, call.actor, recording_id)
            opened = PlaybackView(
                id=uuid4().hex,
                institution_id=permitted.recording.institution_id,
                recording_id=recording_id,
                staff_id=call.me.id,
                session_id=call.staff.session.id,
                opened_at=tx.now,
            )
            await tx.playback_views.add(opened)
    except AlreadyDisposed:
        return await _destroyed(call, recording_id)
    played = await call.services.playback.manifest(recording_id)
    async with db.read() as tx:
        return await _manifest(tx, played, opened)


async def _destroyed(call: Call[B], recording_id: str) -> ManifestAnswer:
    """What the player says of a recording that is gone. Raises AlreadyDisposed while it is being destroyed."""
    async with call.services.db.read() as tx:
        entry = await catalogue.entry(tx, call.actor, recording_id)
        gone = entry.destruction
        if gone is None:
            raise AlreadyDisposed
        return ManifestAnswer(
            view_id=None,
            recording_id=recording_id,
            started_at=entry.recording.started_at,
            duration_ms=0,
            people=[],
            tracks=[],
            gaps=[],
            timeline=[],
            chat=[],
            viewed_by=await _viewed_by(tx, entry.recording.institution_id, entry.consult.id, recording_id),
            destroyed=Destroyed(
                when=gone.destroyed_at, by=[gone.proposed_by, *gone.approved_by], certificate_id=gone.disposal_id
            ),
        )


async def _manifest(tx: StoreTransaction, played: dict[str, Any], opened: PlaybackView) -> ManifestAnswer:
    origin = int(played["startedAt"])
    seats = {seat.id: seat for seat in await tx.seats.find(consult_id=played["consultId"])}
    marks = await catalogue.timeline(tx, opened.recording_id, with_chat=True)
    return ManifestAnswer(
        view_id=opened.id,
        recording_id=opened.recording_id,
        started_at=datetime.fromtimestamp(origin / 1000, UTC),
        duration_ms=played["durationMs"],
        people=[_person(seats[seat_id]) for seat_id in dict.fromkeys(t["seatId"] for t in played["tracks"])],
        tracks=[_track(track, opened.id) for track in played["tracks"]],
        gaps=[
            ManifestGap(seat=gap["seatId"], cause=gap["cause"], start_ms=gap["startMs"], end_ms=gap["endMs"])
            for gap in played["gaps"]
        ],
        timeline=[_mark(mark, origin) for mark in marks if mark.kind != "chat"],
        chat=[
            ManifestChat(t_ms=_since(mark.at, origin), seat=mark.seat_id or "", text=mark.detail)
            for mark in marks
            if mark.kind == "chat"
        ],
        viewed_by=await _viewed_by(tx, opened.institution_id, played["consultId"], opened.recording_id),
    )


def _since(moment: datetime, origin_ms: int) -> int:
    return int(moment.timestamp() * 1000) - origin_ms


def _person(seat: Seat) -> ManifestPerson:
    return ManifestPerson(seat=seat.id, role=seat.role, display_name=seat.display_name)


def _track(track: dict[str, Any], view_id: str) -> ManifestTrack:
    return ManifestTrack(
        seat=track["seatId"],
        track=track["track"],
        segments=[
            ManifestSegment(
                id=each["id"],
                number=each["number"],
                start_ms=each["startMs"],
                duration_ms=each["durationMs"],
                mime=each["mime"],
                size=each["size"],
                url=f"/api/archive/segments/{each['id']}?view={view_id}",
            )
            for each in track["segments"]
        ],
    )


def _mark(mark: catalogue.Mark, origin: int) -> ManifestMark:
    params: dict[str, Any] = {"detail": mark.detail}
    if mark.until is not None:
        params["until_ms"] = _since(mark.until, origin)
    return ManifestMark(
        t_ms=_since(mark.at, origin),
        code=mark.kind,
        seat=mark.seat_id,
        text_code=f"timeline.{mark.kind}",
        params=params,
    )


async def _viewed_by(tx: StoreTransaction, institution_id: str, consult_id: str, recording_id: str) -> list[ViewedBy]:
    events = await render.trail(tx, institution_id, consult_id)
    return [
        ViewedBy(when=event.at, who=await detail.who(tx, event.actor_id))
        for event in reversed(events)
        if event.code == EventCode.RECORDING_VIEWED and event.subject_id == recording_id
    ]


class Unrecorded:
    """A reading transaction whose events go nowhere: the same judgement again, without a further entry on the trail."""

    def __init__(self, tx: StoreTransaction) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def append(self, event: AuditEvent) -> str:
        """Judged, not written: the viewing was put on record when the player was opened."""
        return ""


async def segment(call: Call[NoBody]) -> web.StreamResponse:
    """The plain media file. The right to see it is judged again on every request."""
    segment_id = call.path("segment")
    async with call.services.db.read() as tx:
        await _still_permitted(call, tx, (await tx.segments.get(segment_id)).recording_id)
        recording_id = (await tx.segments.get(segment_id)).recording_id
    playback = call.services.playback
    found, row = await playback.segment(recording_id, segment_id)
    size = await playback.plain_size(row)
    start, end, partial = byte_range(call.request.headers.get("Range"), size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": row.mime.partition(";")[0],
        "Cache-Control": "no-store, private",
    }
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    response.content_length = end - start
    first = await playback.read_plain(
        found, row, start, min(_CHUNK, end - start)
    )  # before headers: refusals stay coded
    await response.prepare(call.request)
    try:
        await _send(call, response, first)
        at, judged = start + len(first), call.now
        while at < end and first:
            if call.now - judged >= _JUDGED_FOR:  # a grant that ends while a slow reader takes its time ends this too
                async with call.services.db.read() as tx:
                    await _still_permitted(call, tx, recording_id)
                judged = call.now
            first = await playback.read_plain(found, row, at, min(_CHUNK, end - at))
            await _send(call, response, first)
            at += len(first)
        await response.write_eof()
    except (*CODED, TimeoutError):
        if call.request.transport is not None:  # the head is out: a problem document would land inside the media
            call.request.transport.abort()
    return response


async def _send(call: Call[NoBody], response: web.StreamResponse, chunk: bytes) -> None:
    """Raises TimeoutError when the reader does not take it in the time a request may last."""
    async with asyncio.timeout(call.services.settings.request_seconds):
        await response.write(chunk)


async def _still_permitted(call: Call[NoBody], tx: StoreTransaction, recording_id: str) -> None:
    """This login opened this recording's player, and may still see it. Raises NoGrant and what `access.view` raises."""
    try:
        opened = await tx.playback_views.get(call.query.view)
    except MissingRow:
        raise NoGrant from None
    mine = opened.staff_id == call.me.id and opened.session_id == call.staff.session.id
    if not mine or opened.recording_id != recording_id or tx.now - opened.opened_at > VIEW_LIFE:
        raise NoGrant
    await access.view(cast(StoreTransaction, Unrecorded(tx)), call.actor, recording_id)


def byte_range(header: str | None, size: int) -> tuple[int, int, bool]:
    """(start, end excluded, partial). Raises 416 for a range outside the file; several ranges get the whole file."""
    match = _RANGE.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return 0, size, False
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, end, True


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/archive/recordings/{recording}/view",
        handler=view,
        policy=staff(Action.PLAY_RECORDING, Action.SEARCH_ARCHIVE, own=Own.RECORDING),
        body=Empty,
        answer=ManifestAnswer,
        unit=Unit.NONE,
        summary="Open the player; the viewing is on record",
    ),
    Route(
        method="GET",
        path="/api/archive/segments/{segment}",
        handler=segment,
        policy=staff(Action.PLAY_RECORDING, own=Own.SEGMENT),
        answer=Stream,
        query=SegmentQuery,
        unit=Unit.NONE,
        summary="One media file; Range allowed",
    ),
)
