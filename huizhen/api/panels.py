"""Expert consults: the case, the invitations, opinions and the decision."""

from clinic.panels import answering, deciding, opining, requesting, sending
from clinic.roles import Action
from consent import written
from huizhen.api.call import Call
from huizhen.api.consults import changed, detail_of
from huizhen.api.detail import invitation_row
from huizhen.api.request_views import supplied
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.consult import (
    CaseBody,
    ConsultDetail,
    DecisionBody,
    InvitationAnswer,
    InvitationRow,
    OpinionBody,
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
            tx, call.path("invitation"), call.actor, body.accept, body.reason
        )
        await written.advance(tx, invitation.consult_id, call.actor)
    await closing.consult_changed(call.services.live, invitation.consult_id)
    async with call.services.db.read() as tx:
        return await invitation_row(tx, invitation)


async def save_opinion(call: Call[OpinionBody]) -> ConsultDetail:
    await opining.save_opinion(call.tx, call.path("consult"), call.actor, call.body.text, call.body.dissent)
    return await detail_of(call, call.path("consult"))


async def sign_opinion(call: Call[Empty]) -> ConsultDetail:
    await opining.sign_opinion(call.tx, call.services.sealer, call.path("consult"), call.actor)
    return await detail_of(call, call.path("consult"))


async def save_decision(call: Call[DecisionBody]) -> ConsultDetail:
    body = call.body
    await deciding.save_decision(call.tx, call.path("consult"), call.actor, body.adoption, body.reason, body.treatment)
    return await detail_of(call, call.path("consult"))


async def sign_decision(call: Call[Empty]) -> ConsultDetail:
    await deciding.sign_decision(call.tx, call.services.sealer, call.path("consult"), call.actor)
    return await detail_of(call, call.path("consult"))


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
    Route(
        method="PUT",
        path="/api/consults/{consult}/opinion",
        handler=save_opinion,
        policy=staff(Action.WRITE_OPINION, own=Own.CONSULT),
        body=OpinionBody,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="My opinion as a draft",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/opinion/sign",
        handler=sign_opinion,
        policy=staff(Action.SIGN_OPINION, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Sign my opinion",
    ),
    Route(
        method="PUT",
        path="/api/consults/{consult}/decision",
        handler=save_decision,
        policy=staff(Action.SIGN_DECISION, own=Own.CONSULT),
        body=DecisionBody,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Adopt, partly, or not: a draft",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/decision/sign",
        handler=sign_decision,
        policy=staff(Action.SIGN_DECISION, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Sign the decision",
    ),
)
