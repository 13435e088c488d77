"""The papers of a panel: opinions, countersignatures, joint report, decision; the opinion paper itself."""

from typing import Any
from urllib.parse import quote

from aiohttp import web

from audit.events import EventCode
from clinic import regulation
from clinic.panels import countersigning, deciding, lateness, opining, reporting
from clinic.panels.traces import event, require_panel
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action
from consent import copies as consent_copies
from consent import desk
from consent.standing import shared_with
from huizhen.api.call import Call
from huizhen.api.consults import detail_of
from huizhen.api.outcome_views import signer_view
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Accepted, Empty, Items, LocaleQuery, NoBody, Stream
from huizhen.api.shapes.consult import ConsultDetail, DecisionBody, OpinionBody
from huizhen.api.shapes.outcome import (
    CountersignBody,
    CountersignRow,
    LateStandInBody,
    MarkBody,
    ReportBody,
    SignerView,
)


async def save_opinion(call: Call[OpinionBody]) -> ConsultDetail:
    consult_id, body = call.path("consult"), call.body
    shared = await _shared(call, consult_id)
    await opining.save_opinion(call.tx, consult_id, call.actor, shared, body.text, dissent=body.dissent)
    return await detail_of(call, call.path("consult"))


async def sign_opinion(call: Call[Empty]) -> ConsultDetail:
    consult_id = call.path("consult")
    shared = await _shared(call, consult_id)
    await opining.sign_opinion(call.tx, call.services.sealer, consult_id, call.actor, shared)
    return await detail_of(call, call.path("consult"))


async def _shared(call: Call[Any], consult_id: str) -> frozenset[str]:
    """Whom the patient shares with now: asked in the transaction that writes."""
    return shared_with(await desk.records_of(call.tx, consult_id), call.tx.now)


async def save_report(call: Call[ReportBody]) -> ConsultDetail:
    body = call.body
    await reporting.save_report(call.tx, call.path("consult"), call.actor, body.conclusion, body.advice)
    return await detail_of(call, call.path("consult"))


async def sign_report(call: Call[Empty]) -> ConsultDetail:
    await reporting.sign_report(call.tx, call.services.sealer, call.path("consult"), call.actor)
    return await detail_of(call, call.path("consult"))


async def mark_report(call: Call[MarkBody]) -> ConsultDetail:
    consult_id, body = call.path("consult"), call.body
    await reporting.mark_report(call.tx, call.services.sealer, consult_id, call.actor, body.agrees, body.remark)
    return await detail_of(call, consult_id)


async def save_decision(call: Call[DecisionBody]) -> ConsultDetail:
    body = call.body
    await deciding.save_decision(call.tx, call.path("consult"), call.actor, body.adoption, body.reason, body.treatment)
    return await detail_of(call, call.path("consult"))


async def sign_decision(call: Call[Empty]) -> ConsultDetail:
    await deciding.sign_decision(call.tx, call.services.sealer, call.path("consult"), call.actor)
    return await detail_of(call, call.path("consult"))


async def name_stand_in(call: Call[LateStandInBody]) -> Accepted:
    body = call.body
    await lateness.name_stand_in(call.tx, call.path("consult"), body.expert_id, body.stand_in_id, call.actor)
    return Accepted()


async def to_countersign(call: Call[NoBody]) -> Items[CountersignRow]:
    """Opinions of this house's trainees; reading them is on record."""
    async with call.services.db.begin() as tx:
        rows = []
        for each in await countersigning.waiting(tx, call.me):
            opinion, case = each.opinion, each.case
            house = await tx.institutions.get(each.consult.institution_id)
            author, records = opinion.author, await desk.records_of(tx, each.consult.id)
            if call.me.institution_id not in shared_with(records, tx.now):
                case = None  # taken back since: the opinion stays, the case does not (PIPL art. 23)
            rows.append(
                CountersignRow(
                    opinion=opinion.id,
                    consult_id=each.consult.id,
                    author=signer_view(author)
                    if author
                    else SignerView(name="", title="", department="", institution=""),
                    inviting_institution=house.name,
                    reason=case.reason if case else "",
                    summary=case.summary if case else "",
                    text=opinion.text,
                    dissent=opinion.dissent,
                    signed_at=opinion.signed_at or opinion.updated_at,
                )
            )
    return Items(items=rows)


async def countersign(call: Call[CountersignBody]) -> Accepted:
    body = call.body
    await countersigning.countersign(
        call.tx, call.services.sealer, call.path("opinion"), call.actor, body.agrees, body.remark
    )
    return Accepted()


async def paper(call: Call[NoBody]) -> web.Response:
    """会诊意见书 for who may see the chart, and the archivist; the view is on record first."""
    consult_id, locale = call.path("consult"), call.query.locale
    async with call.services.db.begin() as tx:
        consult = await tx.consults.get(consult_id)
        await consent_copies.may_view(tx, call.actor, consult)
        require_panel(consult)
        if Role.REGULATOR in call.me.roles:
            await regulation.use(tx, CaseScope.CHART, consult, call.actor)
        await tx.append(event(EventCode.CHART_VIEWED, consult, call.actor, consult.id, {"part": "paper"}))
    pdf = await call.services.outcome.paper(consult, locale)
    name = quote("会诊意见书" if locale == "zh" else "consultation-opinion", safe="")
    headers = {
        "Content-Disposition": (
            f"attachment; filename=\"opinion-{consult_id[:8]}.pdf\"; filename*=UTF-8''{name}-{consult_id[:8]}.pdf"
        ),
        "Cache-Control": "no-store, private",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=pdf, content_type="application/pdf", headers=headers)


ROUTES: Table = (
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
        path="/api/consults/{consult}/report",
        handler=save_report,
        policy=staff(Action.WRITE_REPORT, own=Own.CONSULT),
        body=ReportBody,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="The joint report as a draft: the chair's",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/report/sign",
        handler=sign_report,
        policy=staff(Action.SIGN_REPORT, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Sign the joint report over the opinions",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/report/mark",
        handler=mark_report,
        policy=staff(Action.MARK_REPORT, own=Own.CONSULT),
        body=MarkBody,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Agree with the joint report, or dissent and say why",
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
    Route(
        method="POST",
        path="/api/consults/{consult}/stand-in",
        handler=name_stand_in,
        policy=staff(Action.NAME_STAND_IN, own=Own.PANEL),
        body=LateStandInBody,
        answer=Accepted,
        unit=Unit.WRITE,
        summary="Who gives the opinion should it be late",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/opinion-paper",
        handler=paper,
        policy=staff(Action.SEE_CHART, Action.EXPORT, own=Own.CONSULT),
        answer=Stream,
        query=LocaleQuery,
        unit=Unit.NONE,
        summary="会诊意见书 as PDF once everything is signed; the view is on record",
    ),
    Route(
        method="GET",
        path="/api/countersigns",
        handler=to_countersign,
        policy=staff(Action.COUNTERSIGN, own=Own.HOUSE),
        answer=Items[CountersignRow],
        unit=Unit.NONE,
        summary="Trainees' opinions that wait for a senior of the house; reading them is on record",
    ),
    Route(
        method="POST",
        path="/api/opinions/{opinion}/countersign",
        handler=countersign,
        policy=staff(Action.COUNTERSIGN, own=Own.OPINION),
        body=CountersignBody,
        answer=Accepted,
        unit=Unit.WRITE,
        summary="Sign under a trainee's opinion, or return it",
    ),
)
