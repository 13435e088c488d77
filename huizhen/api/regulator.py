"""The regulator's cases: asked under their own number, opened for a time by an approver, every use on record."""

from clinic import regulation
from clinic.consult import Consult
from clinic.overlays import rules_for
from clinic.regulation import NewCase, RegulatorCase
from clinic.roles import Action
from huizhen import masks
from huizhen.api import detail, render
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.asking import (
    AskCase,
    CaseLimits,
    CasesAnswer,
    CaseView,
    CaseVisit,
    CaseVisits,
    CloseCase,
    DecideCase,
)
from huizhen.api.shapes.base import NoBody
from huizhen.store.tables import StoreTransaction


async def case_view(tx: StoreTransaction, case: RegulatorCase) -> CaseView:
    return CaseView(
        id=case.id,
        number=case.number,
        authority=case.authority,
        regulator=await detail.who(tx, case.regulator_id),
        reason=case.reason,
        scope=list(case.scope),
        since=case.since.isoformat(),
        until=case.until.isoformat(),
        consult_ids=list(case.consult_ids),
        state=case.state,
        live=case.live(tx.now),
        asked_at=case.asked_at,
        ends_at=case.ends_at,
        decided_by=await detail.who(tx, case.decided_by) if case.decided_by else None,
        decided_at=case.decided_at,
        decision_reason=case.decision_reason,
        closed_by=await detail.who(tx, case.closed_by) if case.closed_by else None,
        closed_at=case.closed_at,
    )


async def cases(call: Call[NoBody]) -> CasesAnswer:
    rules = rules_for(await call.tx.institutions.get(call.me.institution_id), call.tx.now)
    return CasesAnswer(
        items=[await case_view(call.tx, case) for case in await regulation.listed(call.tx, call.actor)],
        limits=CaseLimits(
            longest_days=rules.value("AC-04", "longest_days"), shortest_reason=rules.value("AC-04", "shortest_reason")
        ),
    )


async def ask(call: Call[AskCase]) -> CaseView:
    body = call.body
    new = NewCase(
        number=body.number,
        authority=body.authority,
        reason=body.reason,
        scope=tuple(body.scope),
        since=body.since,
        until=body.until,
        ends_at=body.ends_at,
        consult_ids=tuple(body.consult_ids),
    )
    return await case_view(call.tx, await regulation.ask(call.tx, new, call.actor))


async def decide(call: Call[DecideCase]) -> CaseView:
    body = call.body
    case = await regulation.decide(
        call.tx, call.path("case"), body.permit, body.reason, call.actor, ends_at=body.ends_at
    )
    return await case_view(call.tx, case)


async def close(call: Call[CloseCase]) -> CaseView:
    return await case_view(call.tx, await regulation.close(call.tx, call.path("case"), call.body.reason, call.actor))


async def visits(call: Call[NoBody]) -> CaseVisits:
    case, found = await regulation.visits(call.tx, call.path("case"), call.actor)
    return CaseVisits(
        case=await case_view(call.tx, case), items=[await _visit(call.tx, case, consult) for consult in found]
    )


async def _visit(tx: StoreTransaction, case: RegulatorCase, consult: Consult) -> CaseVisit:
    """One line: who and when, the patient masked. What is in it is read by the usual routes, each reading on record."""
    recordings = await tx.recordings.find(consult_id=consult.id) if "recording" in case.scope else ()
    return CaseVisit(
        consult_id=consult.id,
        kind=consult.kind,
        status=consult.status,
        starts_at=consult.starts_at,
        doctor=(await tx.staff.get(consult.doctor_id)).name,
        patient_masked=masks.name((await tx.patients.get(consult.patient_id)).name),
        department_label=render.department(consult.department),
        recordings=[recording.id for recording in recordings],
    )


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/regulator/cases",
        handler=cases,
        policy=staff(Action.ASK_CASE, Action.DECIDE_CASE, own=Own.HOUSE),
        answer=CasesAnswer,
        summary="A regulator's own cases; for approvers those of the house",
    ),
    Route(
        method="POST",
        path="/api/regulator/cases",
        handler=ask,
        policy=staff(Action.ASK_CASE, own=Own.HOUSE),
        body=AskCase,
        answer=CaseView,
        unit=Unit.WRITE,
        summary="Ask for access under a case number",
    ),
    Route(
        method="POST",
        path="/api/regulator/cases/{case}/decide",
        handler=decide,
        policy=staff(Action.DECIDE_CASE, own=Own.CASE),
        body=DecideCase,
        answer=CaseView,
        unit=Unit.WRITE,
        summary="Open the case for a time, or refuse",
    ),
    Route(
        method="POST",
        path="/api/regulator/cases/{case}/close",
        handler=close,
        policy=staff(Action.ASK_CASE, Action.DECIDE_CASE, own=Own.CASE),
        body=CloseCase,
        answer=CaseView,
        unit=Unit.WRITE,
        summary="End it before its time",
    ),
    Route(
        method="GET",
        path="/api/regulator/cases/{case}/visits",
        handler=visits,
        policy=staff(Action.READ_CASE, own=Own.CASE),
        answer=CaseVisits,
        unit=Unit.WRITE,
        claims=False,
        summary="The visits a live case covers; the look is on record",
    ),
)
