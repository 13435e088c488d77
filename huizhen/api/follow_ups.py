"""After a consult: referrals both ways, and what the clinic is to do."""

from clinic.panels import following, referring
from clinic.panels.outcome import ReferralState, TaskState
from clinic.roles import Action
from huizhen.api.call import Call
from huizhen.api.outcome_views import referral_view, task_view
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.outcome import (
    EndTaskBody,
    MoveReferralBody,
    ReferBackBody,
    ReferBody,
    ReferralView,
    TaskBody,
    TaskView,
)


async def referrals(call: Call[NoBody]) -> Items[ReferralView]:
    """From and to the caller's institution, the newest first."""
    home = call.me.institution_id
    rows = [
        *await call.tx.referrals.find(to_institution_id=home),
        *await call.tx.referrals.find(from_institution_id=home),
    ]
    rows.sort(key=lambda row: row.issued_at, reverse=True)
    return Items(items=[await referral_view(call.tx, row, call.me) for row in rows])


async def refer(call: Call[ReferBody]) -> ReferralView:
    body = call.body
    row = await referring.refer(call.tx, call.path("consult"), body.to_institution_id, body.reason, call.actor)
    return await referral_view(call.tx, row, call.me)


async def move(call: Call[MoveReferralBody]) -> ReferralView:
    to = ReferralState(call.body.state)
    row = await referring.move_referral(call.tx, call.path("referral"), to, call.body.remark, call.actor)
    return await referral_view(call.tx, row, call.me)


async def refer_back(call: Call[ReferBackBody]) -> ReferralView:
    row = await referring.refer_back(call.tx, call.path("referral"), call.body.reason, call.actor)
    return await referral_view(call.tx, row, call.me)


async def tasks(call: Call[NoBody]) -> Items[TaskView]:
    """What is open in the caller's institution, the earliest day first."""
    rows = list(await call.tx.follow_up_tasks.find(institution_id=call.me.institution_id, state=TaskState.OPEN))
    rows.sort(key=lambda row: row.due_on)
    return Items(items=[await task_view(call.tx, row) for row in rows])


async def set_task(call: Call[TaskBody]) -> TaskView:
    row = await following.set_task(call.tx, call.path("consult"), call.body.what, call.body.due_on, call.actor)
    return await task_view(call.tx, row)


async def end_task(call: Call[EndTaskBody]) -> TaskView:
    row = await following.end_task(call.tx, call.path("task"), call.body.done, call.body.remark, call.actor)
    return await task_view(call.tx, row)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/referrals",
        handler=referrals,
        policy=staff(Action.REFER, Action.ANSWER_REFERRAL, own=Own.HOUSE),
        answer=Items[ReferralView],
        summary="Referrals from and to my institution",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/referrals",
        handler=refer,
        policy=staff(Action.REFER, own=Own.CONSULT),
        body=ReferBody,
        answer=ReferralView,
        unit=Unit.WRITE,
        summary="Refer the patient to another institution",
    ),
    Route(
        method="POST",
        path="/api/referrals/{referral}/move",
        handler=move,
        policy=staff(Action.REFER, Action.ANSWER_REFERRAL, own=Own.REFERRAL),
        body=MoveReferralBody,
        answer=ReferralView,
        unit=Unit.WRITE,
        summary="Accept, decline, note the arrival, or withdraw",
    ),
    Route(
        method="POST",
        path="/api/referrals/{referral}/back",
        handler=refer_back,
        policy=staff(Action.ANSWER_REFERRAL, own=Own.REFERRAL),
        body=ReferBackBody,
        answer=ReferralView,
        unit=Unit.WRITE,
        summary="Send the patient back to the clinic",
    ),
    Route(
        method="GET",
        path="/api/tasks",
        handler=tasks,
        policy=staff(Action.SET_TASK, Action.END_TASK, own=Own.HOUSE),
        answer=Items[TaskView],
        summary="Open follow-up tasks of my institution",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/tasks",
        handler=set_task,
        policy=staff(Action.SET_TASK, own=Own.CONSULT),
        body=TaskBody,
        answer=TaskView,
        unit=Unit.WRITE,
        summary="What the clinic is to do, and by when",
    ),
    Route(
        method="POST",
        path="/api/tasks/{task}/end",
        handler=end_task,
        policy=staff(Action.END_TASK, own=Own.TASK),
        body=EndTaskBody,
        answer=TaskView,
        unit=Unit.WRITE,
        summary="Done, or dropped with the reason",
    ),
)
