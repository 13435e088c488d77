"""What is still unsigned, and the joint report of what was signed (rules 1.3)."""

from collections.abc import Sequence
from typing import Any

from audit.events import EventCode
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import Unsigned
from clinic.overlays import rules_for
from clinic.panels.deciding import decision_document
from clinic.panels.opining import opinion_document, unsigned_opinions
from clinic.panels.traces import event, require_panel
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def unsigned_panel(tx: ClinicTransaction, consult: Consult, closing: Sequence[str]) -> tuple[str, ...]:
    """Which of the papers "opinion" and "decision" the kind closes with nobody has signed yet."""
    missing = await unsigned_opinions(tx, consult) if "opinion" in closing else ()
    decisions = await tx.decision_notes.find(consult_id=consult.id)
    decided = "decision" not in closing or any(decision.signed_at for decision in decisions)
    return (*missing, *(() if decided else ("decision",)))


async def joint_report(tx: ClinicTransaction, consult_id: str, by: Actor) -> dict[str, Any]:
    """Request, signed opinions (the chair's first, dissent marked), decision; each with its seal. Raises Unsigned."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SEE_CHART, consult)
    require_panel(consult)
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    if missing := await unsigned_panel(tx, consult, rules.kinds[consult.kind].closing):
        raise Unsigned(",".join(missing))
    case = (await tx.cases.find(consult_id=consult_id))[0]
    chairs = {row.expert_id for row in await tx.invitations.find(consult_id=consult_id) if row.chair}
    opinions = [row for row in await tx.opinions.find(consult_id=consult_id) if row.signed_at]
    opinions.sort(key=lambda row: row.expert_id not in chairs)
    decisions = [row for row in await tx.decision_notes.find(consult_id=consult_id) if row.signed_at]
    await tx.append(event(EventCode.CHART_VIEWED, consult, by, case.id, {"part": "report"}))
    return {
        "type": "huizhen.joint-report",
        "v": 1,
        "consult": consult_id,
        "request": {
            "by": case.requested_by,
            "at": case.requested_at.isoformat(),
            "reason": case.reason,
            "aim": case.aim,
            "summary": case.summary,
            "liability": case.liability_mode,
        },
        "opinions": [
            {**opinion_document(row), "chair": row.expert_id in chairs, "signature": row.signature} for row in opinions
        ],
        "decision": {**decision_document(decisions[0], opinions), "signature": decisions[0].signature}
        if decisions
        else None,  # a remote diagnosis is the experts' word alone
    }
