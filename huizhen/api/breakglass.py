"""Emergency access to a chart: opened by a doctor, decided for minors by an approver, reviewed by the auditor."""

from clinic import break_glass
from clinic.glass import BrokenGlass, Finding
from clinic.roles import Action
from huizhen.api import detail
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.breakglass import BreakGlass, DecideGlass, GlassView, ReviewGlass


async def opened(call: Call[BreakGlass]) -> GlassView:
    glass = await break_glass.open_chart(call.tx, call.path("consult"), call.body.reason, call.actor)
    return await _view(call, glass)


async def listed(call: Call[NoBody]) -> Items[GlassView]:
    return Items(items=[await _view(call, glass) for glass in await break_glass.listed(call.tx, call.actor)])


async def decided(call: Call[DecideGlass]) -> GlassView:
    return await _view(call, await break_glass.decide(call.tx, call.path("glass"), call.body.permit, call.actor))


async def reviewed(call: Call[ReviewGlass]) -> GlassView:
    finding = Finding.JUSTIFIED if call.body.justified else Finding.UNJUSTIFIED
    return await _view(call, await break_glass.review(call.tx, call.path("glass"), finding, call.body.note, call.actor))


async def _view(call: Call[B], glass: BrokenGlass) -> GlassView:
    return GlassView(
        id=glass.id,
        consult_id=glass.consult_id,
        who=await detail.who(call.tx, glass.staff_id),
        reason=glass.reason,
        state=glass.state,
        asked_at=glass.asked_at,
        expires_at=glass.expires_at,
        decided_by=await detail.who(call.tx, glass.decided_by) if glass.decided_by else None,
        reviewed_by=await detail.who(call.tx, glass.reviewed_by) if glass.reviewed_by else None,
        finding=glass.finding,
        note=glass.review_note,
    )


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/break-glass",
        handler=opened,
        policy=staff(Action.BREAK_GLASS, own=Own.CONSULT),
        body=BreakGlass,
        answer=GlassView,
        unit=Unit.WRITE,
        summary="Emergency access to the chart, with a reason; reviewed afterwards",
    ),
    Route(
        method="GET",
        path="/api/break-glass",
        handler=listed,
        policy=staff(Action.REVIEW_BREAK_GLASS, Action.DECIDE_BREAK_GLASS, own=Own.HOUSE),
        answer=Items[GlassView],
        summary="Emergency accesses of the house",
    ),
    Route(
        method="POST",
        path="/api/break-glass/{glass}/decide",
        handler=decided,
        policy=staff(Action.DECIDE_BREAK_GLASS, own=Own.BREAK_GLASS),
        body=DecideGlass,
        answer=GlassView,
        unit=Unit.WRITE,
        summary="Permit or refuse one to a minor's record",
    ),
    Route(
        method="POST",
        path="/api/break-glass/{glass}/review",
        handler=reviewed,
        policy=staff(Action.REVIEW_BREAK_GLASS, own=Own.BREAK_GLASS),
        body=ReviewGlass,
        answer=GlassView,
        unit=Unit.WRITE,
        summary="The auditor's finding",
    ),
)
