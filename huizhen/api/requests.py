"""Requests between institutions: drafts, sending, the board, triage, answers, proposals."""

from collections.abc import Sequence

from clinic.access import authorise
from clinic.notices import NoticeKind
from clinic.panels import board, proposing, requesting, sending, settling, triaging
from clinic.panels.requests import ProposalKind, ProposalState
from clinic.roles import Action
from consent import desk, written
from consent.standing import shared_with
from huizhen.api.call import Call
from huizhen.api.request_views import due_row, request_row, request_view, supplied
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.requests import (
    AssignBody,
    BoardQuery,
    DueRow,
    MatchBody,
    NamedBody,
    PartyAnswerBody,
    ProposalAnswerBody,
    ProposeTimeBody,
    RequestBody,
    RequestRow,
    RequestView,
    StandInBody,
    WithdrawRequest,
)
from huizhen.store.tables import StoreTransaction
from signaling import closing


def named(parties: Sequence[NamedBody]) -> tuple[requesting.Named, ...]:
    return tuple(requesting.Named(each.institution_id, tuple(each.expert_ids)) for each in parties)


async def _read(call: Call[B], tx: StoreTransaction, request_id: str) -> RequestView:
    """With its words, the reading on record."""
    request = await tx.panel_requests.get(request_id)
    shared = shared_with(await desk.records_of(tx, request.consult_id), tx.now)
    return await request_view(tx, await board.read(tx, request_id, call.actor, shared))


async def _row(call: Call[B], request_id: str, consult_id: str) -> RequestRow:
    """After a committed change: tell the live room, answer with the board's line."""
    await closing.consult_changed(call.services.live, consult_id)
    async with call.services.db.read() as tx:
        return await request_row(tx, await board.one(tx, request_id, call.actor))


async def save_draft(call: Call[RequestBody]) -> RequestView:
    body = call.body
    new = requesting.NewRequest(
        reason=body.reason,
        aim=body.aim,
        summary=body.summary,
        wanted_department=body.wanted_department,
        wanted_specialty=body.wanted_specialty,
        wanted_title=body.wanted_title,
        wanted_from=body.wanted_from,
        wanted_to=body.wanted_to,
        wanted=body.wanted,
        urgency=body.urgency,
        mode=body.mode,
        liability_mode=body.liability_mode,
        chair_id=body.chair_id,
        parties=named(body.parties),
    )
    request = await requesting.draft(call.tx, call.path("consult"), new, call.actor)
    return await _read(call, call.tx, request.id)


async def match(call: Call[MatchBody]) -> RequestRow:
    request = await requesting.match(call.tx, call.path("consult"), named(call.body.parties), call.actor)
    return await request_row(call.tx, await board.one(call.tx, request.id, call.actor))


async def send(call: Call[Empty]) -> RequestRow:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        known = await supplied(tx, consult_id)
        request, _ = await sending.send(tx, call.services.sealer, consult_id, known, call.actor)
    return await _row(call, request.id, consult_id)


async def withdraw(call: Call[WithdrawRequest]) -> RequestRow:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        request = await settling.withdraw(tx, consult_id, call.body.reason, call.actor)
    return await _row(call, request.id, consult_id)


async def of_consult(call: Call[NoBody]) -> Items[RequestRow]:
    consult = await call.tx.consults.get(call.path("consult"))
    if consult.institution_id == call.me.institution_id:
        await authorise(call.tx, call.actor, Action.SEE_REQUESTS, consult)
    rows = await call.tx.panel_requests.find(consult_id=consult.id)
    return Items(items=[await request_row(call.tx, await board.one(call.tx, row.id, call.actor)) for row in rows])


async def answer_proposal(call: Call[ProposalAnswerBody]) -> RequestRow:
    consult_id, body = call.path("consult"), call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        answered = await proposing.answer_proposal(tx, call.path("proposal"), body.accept, call.actor, body.reason)
        if answered.kind is ProposalKind.TIME and answered.state is ProposalState.ACCEPTED:
            consult = await tx.consults.get(consult_id)
            key = f"{call.op}:{int(consult.starts_at.timestamp())}"
            await call.services.outbox.follow(tx, consult, NoticeKind.TIME_CHANGED, key, call.actor)
    return await _row(call, answered.request_id, consult_id)


async def listed(call: Call[NoBody]) -> Items[RequestRow]:
    lines = await board.board(call.tx, call.query.side, call.actor)
    state = call.query.state
    return Items(items=[await request_row(call.tx, line) for line in lines if state in (None, line.request.state)])


async def due(call: Call[NoBody]) -> Items[DueRow]:
    return Items(items=[await due_row(call.tx, line) for line in await board.due(call.tx, call.actor)])


async def one(call: Call[NoBody]) -> RequestView:
    return await _read(call, call.tx, call.path("panel"))


async def assign(call: Call[AssignBody]) -> RequestRow:
    body = call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        request, _ = await triaging.assign(tx, call.path("panel"), body.expert_ids, body.chair_id, call.actor)
    return await _row(call, request.id, request.consult_id)


async def answer(call: Call[PartyAnswerBody]) -> RequestRow:
    request_id, body = call.path("panel"), call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        if body.accept:
            request = await triaging.accept(tx, request_id, call.actor)
        else:
            request = await triaging.refuse(tx, request_id, body.reason or "", call.actor, body.reason_code)
        await written.advance(tx, request.consult_id, call.actor)
    return await _row(call, request.id, request.consult_id)


async def propose_time(call: Call[ProposeTimeBody]) -> RequestRow:
    body = call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        made = await proposing.propose_time(
            tx, call.path("panel"), body.starts_at, body.ends_at, reason=body.reason, by=call.actor
        )
    return await _row(call, made.request_id, made.consult_id)


async def propose_stand_in(call: Call[StandInBody]) -> RequestRow:
    body = call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        made = await proposing.propose_stand_in(
            tx, call.path("panel"), body.expert_id, body.stand_in_id, reason=body.reason, by=call.actor
        )
    return await _row(call, made.request_id, made.consult_id)


_INVITING = "/api/consults/{consult}/request"
_INVITED = "/api/requests/{panel}"

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/consults/{consult}/requests",
        handler=of_consult,
        policy=staff(Action.SEE_REQUESTS, own=Own.CONSULT),
        answer=Items[RequestRow],
        summary="Every request of the consult, the latest last",
    ),
    Route(
        method="PUT",
        path=_INVITING,
        handler=save_draft,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=RequestBody,
        answer=RequestView,
        unit=Unit.WRITE,
        summary="Write or rewrite the draft; `blocks` says what it still lacks",
    ),
    Route(
        method="PUT",
        path=f"{_INVITING}/parties",
        handler=match,
        policy=staff(Action.MATCH_REQUEST, own=Own.CONSULT),
        body=MatchBody,
        answer=RequestRow,
        unit=Unit.WRITE,
        summary="A coordinator picks the institutions of a matched request",
    ),
    Route(
        method="POST",
        path=f"{_INVITING}/send",
        handler=send,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=Empty,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="Seal it and ask; refused with every reason",
    ),
    Route(
        method="POST",
        path=f"{_INVITING}/withdraw",
        handler=withdraw,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=WithdrawRequest,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="Take it back before the call",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/proposals/{proposal}/answer",
        handler=answer_proposal,
        policy=staff(Action.ANSWER_PROPOSAL, own=Own.PROPOSAL),
        body=ProposalAnswerBody,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="The inviting side's word on another time or a stand-in",
    ),
    Route(
        method="GET",
        path="/api/requests",
        handler=listed,
        policy=staff(Action.SEE_REQUESTS, own=Own.HOUSE),
        query=BoardQuery,
        answer=Items[RequestRow],
        summary="The board: requests to my institution, or from it",
    ),
    Route(
        method="GET",
        path="/api/requests/due",
        handler=due,
        policy=staff(Action.SEE_REQUESTS, own=Own.SELF),
        answer=Items[DueRow],
        summary="What of the requests waits for me",
    ),
    Route(
        method="GET",
        path=_INVITED,
        handler=one,
        policy=staff(Action.SEE_REQUESTS, own=Own.REQUEST),
        answer=RequestView,
        unit=Unit.WRITE,
        claims=False,
        summary="One request with its words; the reading is on record",
    ),
    Route(
        method="POST",
        path=f"{_INVITED}/experts",
        handler=assign,
        policy=staff(Action.TRIAGE_REQUEST, own=Own.REQUEST),
        body=AssignBody,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="Assign experts of my institution, and a chair",
    ),
    Route(
        method="POST",
        path=f"{_INVITED}/answer",
        handler=answer,
        policy=staff(Action.TRIAGE_REQUEST, own=Own.REQUEST),
        body=PartyAnswerBody,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="My institution takes part with the assigned experts, or not, with a reason",
    ),
    Route(
        method="POST",
        path=f"{_INVITED}/proposals/time",
        handler=propose_time,
        policy=staff(Action.TRIAGE_REQUEST, own=Own.REQUEST),
        body=ProposeTimeBody,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="Offer another time",
    ),
    Route(
        method="POST",
        path=f"{_INVITED}/proposals/stand-in",
        handler=propose_stand_in,
        policy=staff(Action.TRIAGE_REQUEST, own=Own.REQUEST),
        body=StandInBody,
        answer=RequestRow,
        unit=Unit.NONE,
        summary="Offer another expert for one who cannot come",
    ),
)
