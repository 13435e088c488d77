"""Expert consults: the case and the invitations."""

from clinic.panels import answering, requesting, sending
from clinic.roles import Action
from consent import written
from huizhen.api.call import Call
from huizhen.api.consults import changed
from huizhen.api.detail import invitation_row
from huizhen.api.request_views import supplied
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.consult import (
    CaseBody,
    ConsultDetail,
    InvitationAnswer,
    InvitationRow,
)
from signaling import closing


async def request_case(call: Call[CaseBody]) -> ConsultDetail:
    """The short way to one institution: the draft is kept, then sent at once. What the gate refuses (the patient has
    not agreed yet) leaves the draft, so that the patient's text names the institution; the same again sends it."""
    body, consult_id = call.body, call.path("consult")
    new = requesting.NewRequest(
        reason=body.reason,
        aim=body.aim,
        summary=body.summary,
        wanted_department="",
        wanted_specialty=body.wanted_specialty,
        chair_id=body.chair_id,
        parties=(requesting.Named(body.invited_institution_id, tuple(dict.fromkeys(body.expert_ids))),),
    )
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await requesting.draft(tx, consult_id, new, call.actor)
    await closing.consult_changed(call.services.live, consult_id)
    async with call.services.db.begin() as tx:
        await sending.send(tx, call.services.sealer, consult_id, await supplied(tx, consult_id), call.actor)
    return await changed(call, consult_id)


async def invitations(call: Call[NoBody]) -> Items[InvitationRow]:
    rows = await call.tx.invitations.find(expert_id=call.me.id)
    return Items(items=[await invitation_row(call.tx, row) for row in rows])


async def answer(call: Call[InvitationAnswer]) -> InvitationRow:
    body = call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        invitation, _ = await answering.answer_invitation(
            tx, call.path("invitation"), call.actor, body.accept, body.reason, body.reason_code
        )
        await written.advance(tx, invitation.consult_id, call.actor)
    await closing.consult_changed(call.services.live, invitation.consult_id)
    async with call.services.db.read() as tx:
        return await invitation_row(tx, invitation)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/case",
        handler=request_case,
        policy=staff(Action.REQUEST_CASE, own=Own.CONSULT),
        body=CaseBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Ask experts of another institution",
    ),
    Route(
        method="GET",
        path="/api/invitations",
        handler=invitations,
        policy=staff(Action.ANSWER_INVITATION, own=Own.SELF),
        answer=Items[InvitationRow],
        summary="Invitations addressed to me",
    ),
    Route(
        method="POST",
        path="/api/invitations/{invitation}/answer",
        handler=answer,
        policy=staff(Action.ANSWER_INVITATION, own=Own.INVITATION),
        body=InvitationAnswer,
        answer=InvitationRow,
        unit=Unit.NONE,
        summary="Accept, or refuse with a reason",
    ),
)
