"""Panels in writing: asked by the inviting doctor, begun when the experts have answered."""

from clinic.roles import Action
from consent import written
from huizhen.api.call import Call
from huizhen.api.consults import changed
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty
from huizhen.api.shapes.consult import ConsultDetail, WrittenBody


async def ask(call: Call[WrittenBody]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await written.ask(tx, consult_id, call.body.reason, call.actor)
        await written.advance(tx, consult_id, call.actor)
    return await changed(call, consult_id)


async def begin(call: Call[Empty]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await written.begin(tx, consult_id, call.actor)
    return await changed(call, consult_id)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/written",
        handler=ask,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=WrittenBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Ask the experts for opinions in writing, without a call",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/written/begin",
        handler=begin,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Go on with the experts who accepted",
    ),
)
