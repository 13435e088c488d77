"""The archive: finding recordings, asking for access, giving it, playing."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

from aiohttp import web

from archive import access, catalogue, disposal, retention
from archive.errors import AlreadyDisposed, NoGrant
from archive.records import AccessGrant, AccessState, Disposal, LegalHold, RetainedState
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Seat
from clinic.people import Role
from clinic.roles import Action
from huizhen import departments, masks
from huizhen.api import detail, render
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.archive import (
    AccessView,
    ArchiveQuery,
    AskAccess,
    DecideAccess,
    Destroyed,
    DisposalView,
    HoldView,
    ManifestAnswer,
    ManifestChat,
    ManifestGap,
    ManifestMark,
    ManifestPerson,
    ManifestSegment,
    ManifestTrack,
    RecordingEntry,
    RecordingRow,
    RetainedView,
    SegmentQuery,
    ViewedBy,
)
from huizhen.api.shapes.base import Empty, Items, NoBody, Stream
from huizhen.auth.rows import PlaybackView
from huizhen.store.tables import StoreTransaction

VIEW_LIFE = timedelta(hours=8)
_CHUNK = 262_144
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})\Z")


async def recordings(call: Call[NoBody]) -> Items[RecordingRow]:
    house = await call.tx.institutions.get(call.me.institution_id)
    query = call.query
    wanted = catalogue.Query(
        text=query.q,
        since=_midnight(query.from_, house.time_zone),
        until=_midnight(query.to + timedelta(days=1), house.time_zone) if query.to else None,
        state=_state(query.state),
    )
    found = await catalogue.search(call.tx, call.actor, wanted)
    dates = await _due_dates(call.tx, house.id)
    return Items(items=[await _row(entry, dates, call) for entry in found])


def _midnight(day: date | None, zone: str) -> datetime | None:
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC) if day else None


def _state(name: str) -> RetainedState | None:
    return next((state for state in RetainedState if state.value == name), None)


async def _due_dates(tx: StoreTransaction, institution_id: str) -> dict[str, date]:
    return {each.record.id: each.due_on for each in await retention.assessment(tx, institution_id)}


async def _row(entry: catalogue.Entry, dates: dict[str, date], call: Call[B]) -> RecordingRow:
    recording, consult, record = entry.recording, entry.consult, entry.record
    grant, state = _my_access(entry, call)
    people = {segment.seat_id for segment in await call.tx.segments.find(recording_id=recording.id)}
    return RecordingRow(
        recording_id=recording.id,
        consult_id=consult.id,
        kind=consult.kind.value,
        department=departments.label(consult.department)[0],
        department_label=render.department(consult.department),
        doctor=entry.doctor_name,
        patient_masked=masks.name(entry.patient_name),
        started_at=recording.started_at,
        duration_ms=entry.duration_ms,
        state=recording.state.value,
        retained=None
        if record is None
        else RetainedView(
            record_id=record.id,
            state=record.state.value,
            due_on=dates[record.id].isoformat() if record.id in dates else None,
            policy_version=record.policy_version,
            held=entry.held,
        ),
        people=len(people),
        segments=entry.segments,
        access=state,
        access_expires_at=grant.expires_at if grant else None,
    )


def _my_access(entry: catalogue.Entry, call: Call[B]) -> tuple[AccessGrant | None, str]:
    """The caller's newest request for this recording: none, requested, granted or refused. Doctors have their own."""
    if entry.consult.doctor_id == call.me.id:
        return None, "granted"
    mine = [grant for grant in entry.grants if grant.requester_id == call.me.id]
    if not mine:
        return None, "none"
    newest = max(mine, key=lambda grant: grant.requested_at)
    if newest.state is AccessState.GRANTED and (newest.expires_at is None or newest.expires_at <= call.now):
        return newest, "none"
    known = {AccessState.REQUESTED: "requested", AccessState.GRANTED: "granted", AccessState.REFUSED: "refused"}
    return newest, known.get(newest.state, "none")


async def recording(call: Call[NoBody]) -> RecordingEntry:
    entry = await catalogue.entry(call.tx, call.actor, call.path("recording"))
    dates = await _due_dates(call.tx, entry.recording.institution_id)
    record = entry.record
    disposed = await call.tx.disposals.get(record.disposal_id) if record and record.disposal_id else None
    holds = await call.tx.legal_holds.find(consult_id=entry.consult.id)
    return RecordingEntry(
        **(await _row(entry, dates, call)).model_dump(),
        access_requests=[await access_view(call.tx, grant) for grant in entry.grants],
        holds=[await hold_view(call.tx, hold) for hold in holds],
        disposal=await disposal_view(call.tx, disposed) if disposed else None,
    )


async def access_view(tx: StoreTransaction, grant: AccessGrant) -> AccessView:
    return AccessView(
        id=grant.id,
        recording_id=grant.recording_id,
        consult_id=grant.consult_id,
        requester=await detail.who(tx, grant.requester_id),
        reason=grant.reason,
        state=grant.state,
        requested_at=grant.requested_at,
        decided_by=await detail.who(tx, grant.decided_by) if grant.decided_by else None,
        decided_at=grant.decided_at,
        decision_reason=grant.decision_reason,
        expires_at=grant.expires_at,
    )


async def hold_view(tx: StoreTransaction, hold: LegalHold) -> HoldView:
    return HoldView(
        id=hold.id,
        consult_id=hold.consult_id,
        reason=hold.reason,
        placed_by=await detail.who(tx, hold.placed_by),
        placed_at=hold.placed_at,
        lifted_by=await detail.who(tx, hold.lifted_by) if hold.lifted_by else None,
        lifted_at=hold.lifted_at,
    )


async def disposal_view(tx: StoreTransaction, row: Disposal) -> DisposalView:
    """A proposal with what is on its list, so that an approver sees what they approve."""
    policy = await disposal.policy_of(tx, row.institution_id)
    dues = {each.record.id: each for each in await retention.assessment(tx, row.institution_id)}
    records: list[dict[str, Any]] = []
    needed = 0
    for record_id in row.record_ids:
        record = await tx.retained_records.get(record_id)
        needed = max(needed, policy.policies[record.record_class].approvals)
        due = dues.get(record_id)
        records.append(
            {
                "record_id": record_id,
                "record_class": record.record_class,
                "consult_id": record.consult_id,
                "subject_id": record.subject_id,
                "state": record.state.value,
                "due_on": due.due_on.isoformat() if due else None,
            }
        )
    return DisposalView(
        id=row.id,
        state=row.state,
        record_ids=list(row.record_ids),
        records=records,
        list_sha256=row.list_sha256,
        reason=row.reason,
        proposed_by=await detail.who(tx, row.proposed_by),
        proposed_at=row.proposed_at,
        approvals=[{"who": await detail.who(tx, who), "when": when} for who, when in row.approvals],
        approvals_needed=needed,
        refused_by=await detail.who(tx, row.refused_by) if row.refused_by else None,
        done_at=row.done_at,
    )


async def ask(call: Call[AskAccess]) -> AccessView:
    grant = await access.request(call.tx, call.actor, call.path("recording"), call.body.reason)
    return await access_view(call.tx, grant)


async def requests(call: Call[NoBody]) -> Items[AccessView]:
    """All of the house for those who decide; their own for those who ask."""
    grants: Sequence[AccessGrant] = await call.tx.access_grants.find(institution_id=call.me.institution_id)
    if Role.APPROVER not in call.me.roles:
        grants = [grant for grant in grants if grant.requester_id == call.me.id]
    return Items(items=[await access_view(call.tx, grant) for grant in reversed(grants)])


async def decide(call: Call[DecideAccess]) -> AccessView:
    """The policy counts in hours: minutes are rounded up."""
    hours = -(-call.body.minutes // 60) if call.body.grant else None
    grant = await access.decide(
        call.tx, call.actor, call.path("access"), call.body.grant, reason=call.body.reason, hours=hours
    )
    return await access_view(call.tx, grant)


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
    start, end, partial = _range(call.request.headers.get("Range"), size)
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
    await response.write(first)
    at = start + len(first)
    while at < end and first:
        first = await playback.read_plain(found, row, at, min(_CHUNK, end - at))
        await response.write(first)
        at += len(first)
    await response.write_eof()
    return response


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


def _range(header: str | None, size: int) -> tuple[int, int, bool]:
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


_FIND = Action.SEARCH_ARCHIVE
_SEE = (Action.SEARCH_ARCHIVE, Action.PLAY_RECORDING)

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/archive/recordings",
        handler=recordings,
        policy=staff(_FIND, own=Own.HOUSE),
        answer=Items[RecordingRow],
        query=ArchiveQuery,
        summary="Find recordings",
    ),
    Route(
        method="GET",
        path="/api/archive/recordings/{recording}",
        handler=recording,
        policy=staff(*_SEE, own=Own.RECORDING),
        answer=RecordingEntry,
        summary="One recording: who asked, what holds it",
    ),
    Route(
        method="POST",
        path="/api/archive/recordings/{recording}/access",
        handler=ask,
        policy=staff(Action.REQUEST_ACCESS, own=Own.RECORDING),
        body=AskAccess,
        answer=AccessView,
        unit=Unit.WRITE,
        summary="Ask to see it, with a reason",
    ),
    Route(
        method="GET",
        path="/api/archive/access-requests",
        handler=requests,
        policy=staff(Action.DECIDE_ACCESS, Action.REQUEST_ACCESS, own=Own.HOUSE),
        answer=Items[AccessView],
        summary="Requests to decide, or mine",
    ),
    Route(
        method="POST",
        path="/api/archive/access-requests/{access}/decide",
        handler=decide,
        policy=staff(Action.DECIDE_ACCESS, own=Own.ACCESS),
        body=DecideAccess,
        answer=AccessView,
        unit=Unit.WRITE,
        summary="Give for a time, or refuse",
    ),
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
