"""What is due, what is held, and the two-person act."""

import json
from datetime import UTC, datetime, time

from archive import disposal, holds, purge, retention
from archive.errors import ArchiveError
from archive.records import DisposalState
from audit.errors import MissingRow
from clinic.roles import Action
from huizhen import logs
from huizhen.api.archive import disposal_view, hold_view
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.archive import (
    Approve,
    BecauseBody,
    Certificate,
    DisposalView,
    DueQuery,
    DueRow,
    HoldView,
    PlaceHold,
    Propose,
)
from huizhen.api.shapes.base import Items, NoBody

log = logs.get("archive")


async def due(call: Call[NoBody]) -> Items[DueRow]:
    """Due on or before a day (today when left out), with the reason and what stops erasure."""
    at = datetime.combine(call.query.at, time(12), UTC) if call.query.at else None
    found = await retention.due_list(call.tx, call.me.institution_id, at)
    return Items(
        items=[
            DueRow(
                record_id=each.record.id,
                record_class=each.record.record_class,
                consult_id=each.record.consult_id,
                due_on=each.due_on.isoformat(),
                why=[each.explain("zh"), each.explain("en")],
                citations=[citation.zh for citation in each.citations],
                blocked_by=list(each.blocked_by),
                state=each.record.state.value,
            )
            for each in found
        ]
    )


async def list_holds(call: Call[NoBody]) -> Items[HoldView]:
    rows = await call.tx.legal_holds.find(institution_id=call.me.institution_id)
    return Items(items=[await hold_view(call.tx, row) for row in reversed(rows)])


async def place_hold(call: Call[PlaceHold]) -> HoldView:
    return await hold_view(call.tx, await holds.place(call.tx, call.actor, call.body.consult_id, call.body.reason))


async def lift_hold(call: Call[BecauseBody]) -> HoldView:
    return await hold_view(call.tx, await holds.lift(call.tx, call.actor, call.path("hold"), call.body.reason))


async def list_disposals(call: Call[NoBody]) -> Items[DisposalView]:
    rows = await call.tx.disposals.find(institution_id=call.me.institution_id)
    return Items(items=[await disposal_view(call.tx, row) for row in reversed(rows)])


async def propose(call: Call[Propose]) -> DisposalView:
    row = await disposal.propose(call.tx, call.actor, call.body.record_ids, call.body.reason)
    return await disposal_view(call.tx, row)


async def approve(call: Call[Approve]) -> DisposalView:
    """The last needed approval carries the disposal out at once; what a fault leaves over, the job `purge` finishes."""
    services, disposal_id = call.services, call.path("disposal")
    stepped_up_at = services.staff_door.require_step_up(call.staff, call.now)
    async with services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        row = await disposal.approve(tx, call.actor, disposal_id, call.body.list_sha256, stepped_up_at)
        shown = await disposal_view(tx, row)
    if len(row.approvals) < shown.approvals_needed:
        return shown
    try:
        await purge.purge(services.db, services.keyring, services.blobs, services.sealer, disposal_id)
        await services.checkpoints.sign(row.institution_id)
    except ArchiveError as error:
        log.warning("disposal not finished", code=error.code)
        raise
    async with services.db.read() as tx:
        return await disposal_view(tx, await tx.disposals.get(disposal_id))


async def refuse(call: Call[BecauseBody]) -> DisposalView:
    row = await disposal.refuse(call.tx, call.actor, call.path("disposal"), call.body.reason)
    return await disposal_view(call.tx, row)


async def certificate(call: Call[NoBody]) -> Certificate:
    row = await call.tx.disposals.get(call.path("disposal"))
    if row.state is not DisposalState.DONE or row.certificate is None:
        raise MissingRow("certificates")
    return Certificate(certificate=json.loads(row.certificate), seal=row.certificate_seal or "")


_FIND = Action.SEARCH_ARCHIVE

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/archive/due",
        handler=due,
        policy=staff(_FIND, own=Own.HOUSE),
        answer=Items[DueRow],
        query=DueQuery,
        summary="What is due, and why",
    ),
    Route(
        method="GET",
        path="/api/archive/holds",
        handler=list_holds,
        policy=staff(_FIND, own=Own.HOUSE),
        answer=Items[HoldView],
        summary="Legal holds",
    ),
    Route(
        method="POST",
        path="/api/archive/holds",
        handler=place_hold,
        policy=staff(Action.PLACE_HOLD, own=Own.HOUSE),
        body=PlaceHold,
        answer=HoldView,
        unit=Unit.WRITE,
        summary="Stop erasure of a consult's records",
    ),
    Route(
        method="POST",
        path="/api/archive/holds/{hold}/lift",
        handler=lift_hold,
        policy=staff(Action.LIFT_HOLD, own=Own.HOLD),
        body=BecauseBody,
        answer=HoldView,
        unit=Unit.WRITE,
        summary="Lift a hold another person placed",
    ),
    Route(
        method="GET",
        path="/api/archive/disposals",
        handler=list_disposals,
        policy=staff(_FIND, own=Own.HOUSE),
        answer=Items[DisposalView],
        summary="Proposals and what became of them",
    ),
    Route(
        method="POST",
        path="/api/archive/disposals",
        handler=propose,
        policy=staff(Action.PROPOSE_DISPOSAL, own=Own.HOUSE),
        body=Propose,
        answer=DisposalView,
        unit=Unit.WRITE,
        summary="Propose a list of due records",
    ),
    Route(
        method="POST",
        path="/api/archive/disposals/{disposal}/approve",
        handler=approve,
        policy=staff(Action.APPROVE_DISPOSAL, own=Own.DISPOSAL),
        body=Approve,
        answer=DisposalView,
        unit=Unit.NONE,
        summary="Approve exactly this list, freshly stepped up",
    ),
    Route(
        method="POST",
        path="/api/archive/disposals/{disposal}/refuse",
        handler=refuse,
        policy=staff(Action.APPROVE_DISPOSAL, own=Own.DISPOSAL),
        body=BecauseBody,
        answer=DisposalView,
        unit=Unit.WRITE,
        summary="Refuse a proposal",
    ),
    Route(
        method="GET",
        path="/api/archive/disposals/{disposal}/certificate",
        handler=certificate,
        policy=staff(_FIND, own=Own.DISPOSAL),
        answer=Certificate,
        summary="The sealed certificate",
    ),
)
