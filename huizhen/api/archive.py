"""The archive: finding recordings, asking for access, giving it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from archive import access, catalogue, disposal, retention
from archive.records import AccessGrant, AccessState, Disposal, LegalHold, RetainedState
from clinic.people import Role
from clinic.roles import Action, Reach, reaches
from huizhen import departments, masks
from huizhen.api import detail, render
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.archive import (
    AccessView,
    ArchiveQuery,
    AskAccess,
    DecideAccess,
    DisposalView,
    HoldView,
    RecordingEntry,
    RecordingRow,
    RetainedView,
)
from huizhen.api.shapes.base import Items, NoBody
from huizhen.store.tables import StoreTransaction


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
    if entry.consult.doctor_id == call.me.id or Role.REGULATOR in call.me.roles:  # the latter under a case
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
    own = {"consult_id": entry.consult.id, "institution_id": entry.recording.institution_id}
    holds = await call.tx.legal_holds.find(**own)
    if not _of_the_archive(call, entry):  # who asked and why, and disputes, are not for those who were in the visit
        return RecordingEntry(
            **(await _row(entry, dates, call)).model_dump(), access_requests=[], holds=[], disposal=None
        )
    return RecordingEntry(
        **(await _row(entry, dates, call)).model_dump(),
        access_requests=[await access_view(call.tx, grant) for grant in entry.grants],
        holds=[await hold_view(call.tx, hold) for hold in holds],
        disposal=await disposal_view(call.tx, disposed) if disposed else None,
    )


def _of_the_archive(call: Call[B], entry: catalogue.Entry) -> bool:
    at_home = call.me.institution_id == entry.recording.institution_id
    return at_home and any(Reach.INSTITUTION in reaches(role, Action.SEARCH_ARCHIVE) for role in call.me.roles)


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
)
