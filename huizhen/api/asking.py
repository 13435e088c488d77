"""Asking: a party for a legal hold (the archivist answers), a nurse or expert to stop a visit (the doctor does)."""

from archive import hold_requests
from clinic import advising
from clinic.roles import Action
from huizhen.api.asking_views import hold_request_view
from huizhen.api.call import Call
from huizhen.api.consults import changed
from huizhen.api.route import Own, Route, Table, Unit, seat, staff
from huizhen.api.shapes.asking import AdviseBody, AnswerHold, AskHold, HoldRequestView
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.consult import ConsultDetail


async def ask_own(call: Call[AskHold]) -> HoldRequestView:
    row = await hold_requests.ask(call.tx, call.actor, call.seat.seat.consult_id, call.body.reason)
    return await hold_request_view(call.tx, row)


async def ask(call: Call[AskHold]) -> HoldRequestView:
    row = await hold_requests.ask(call.tx, call.actor, call.path("consult"), call.body.reason)
    return await hold_request_view(call.tx, row)


async def listed(call: Call[NoBody]) -> Items[HoldRequestView]:
    rows = await hold_requests.of_house(call.tx, call.actor)
    return Items(items=[await hold_request_view(call.tx, row) for row in rows])


async def answer(call: Call[AnswerHold]) -> HoldRequestView:
    body = call.body
    row = await hold_requests.decide(call.tx, call.actor, call.path("request"), body.grant, body.reason)
    return await hold_request_view(call.tx, row)


async def advise(call: Call[AdviseBody]) -> ConsultDetail:
    """On record, then the room is told that something about the consult changed."""
    consult_id, body = call.path("consult"), call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await advising.advise(tx, consult_id, body.reason_code, body.text, call.actor)
    return await changed(call, consult_id)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/seat/hold-requests",
        handler=ask_own,
        policy=seat(Own.SELF, Action.ASK_HOLD),
        body=AskHold,
        answer=HoldRequestView,
        unit=Unit.WRITE,
        summary="Ask that nothing of the visit be destroyed",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/hold-requests",
        handler=ask,
        policy=staff(Action.ASK_HOLD, own=Own.CONSULT),
        body=AskHold,
        answer=HoldRequestView,
        unit=Unit.WRITE,
        summary="Ask the archivist for a legal hold",
    ),
    Route(
        method="GET",
        path="/api/archive/hold-requests",
        handler=listed,
        policy=staff(Action.PLACE_HOLD, own=Own.HOUSE),
        answer=Items[HoldRequestView],
        summary="Who asked for a hold",
    ),
    Route(
        method="POST",
        path="/api/archive/hold-requests/{request}/decide",
        handler=answer,
        policy=staff(Action.PLACE_HOLD, own=Own.HOLD_REQUEST),
        body=AnswerHold,
        answer=HoldRequestView,
        unit=Unit.WRITE,
        summary="Place the hold, or refuse with a reason",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/termination-advice",
        handler=advise,
        policy=staff(Action.ADVISE_TERMINATION, own=Own.CONSULT),
        body=AdviseBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Advise the doctor to stop an unsuitable visit (CN-09)",
    ),
)
