"""The whole outcome as one canonical document: what the paper sets, what its code is of, what each copy holds."""

from typing import Any

from clinic.consult import Consult
from clinic.errors import PapersMissing
from clinic.overlays import rules_for
from clinic.panels import ending
from clinic.panels.counting import PanelPapers
from clinic.panels.documents import (
    countersign_document,
    decision_document,
    mark_document,
    opinion_document,
    report_document,
)
from clinic.panels.papers import missing_of, papers_of
from clinic.transaction import ClinicTransaction

TYPE = "huizhen.consult-opinion"


async def dossier(tx: ClinicTransaction, consult: Consult) -> dict[str, Any]:
    """Request, opinions (the chair's first), joint report, words on it, decision; each as sealed, with its seal.

    The same before and after the consult closed, whatever is referred or done later. Of a panel that was ended early
    (CN-09): what was signed until then, and the end in words. Raises PapersMissing.
    """
    papers = await papers_of(tx, consult.id)
    early = ending.ended_early(consult)
    if not early and (missing := await missing_of(tx, consult, papers)):
        raise PapersMissing(missing)
    report, decision = papers.report, papers.decision
    marks = await tx.report_marks.find(consult_id=consult.id)
    standing = ending.signed_until(papers) if early else papers.counted
    opinions = sorted(standing, key=lambda row: row.expert_id != papers.chair)
    signed = report is not None and report.signed_at is not None
    return {
        "type": TYPE,
        "v": 1,
        "consult": await _consult(tx, consult),
        "patient": await _patient(tx, consult),
        "request": await _request(tx, consult),
        "opinions": [
            {"document": opinion_document(row), "chair": row.expert_id == papers.chair, "seal": row.signature}
            for row in opinions
        ],
        "countersignatures": _countersignatures(papers),
        **(await _ended(tx, consult, papers) if early else {}),
        "report": {"document": report_document(report), "seal": report.signature} if report and signed else None,
        "marks": [
            {"document": mark_document(mark, report), "seal": mark.signature} for mark in marks if report is not None
        ],
        "decision": None if decision is None or decision.signed_at is None else {
            "document": decision_document(decision, papers.counted, report),
            "seal": decision.signature,
        },  # a remote diagnosis is the experts' word alone
        **await _afterwards(tx, consult),
        **await _releases(tx, consult),
    }  # fmt: skip


def _countersignatures(papers: PanelPapers) -> list[dict[str, Any]]:
    by_id = {row.id: row for row in papers.opinions}
    return [
        {"document": countersign_document(word, by_id[word.opinion_id]), "seal": word.signature}
        for word in papers.countersignatures
    ]


async def _ended(tx: ClinicTransaction, consult: Consult, papers: PanelPapers) -> dict[str, Any]:
    rules = rules_for(await tx.institutions.get(consult.institution_id), consult.closed_at or tx.now)
    return {"ended": ending.told(consult, papers, rules)}


async def _request(tx: ClinicTransaction, consult: Consult) -> dict[str, Any] | None:
    """As the first institution was asked."""
    case = next(iter(await tx.cases.find(consult_id=consult.id)), None)
    return None if case is None else {
        "id": case.id,
        "by": await _person(tx, case.requested_by),
        "at": case.requested_at,
        "invited": await _house(tx, case.invited_institution_id),
        "reason": case.reason,
        "aim": case.aim,
        "summary": case.summary,
        "specialty": case.wanted_specialty,
        "liability": case.liability_mode,
    }  # fmt: skip


async def _consult(tx: ClinicTransaction, consult: Consult) -> dict[str, Any]:
    return {
        "id": consult.id,
        "kind": consult.kind,
        "department": consult.department,
        "institution": await _house(tx, consult.institution_id),
        "doctor": await _person(tx, consult.doctor_id),
        "opened_at": consult.opened_at,
        "ended_at": consult.ended_at,
    }


async def _patient(tx: ClinicTransaction, consult: Consult) -> dict[str, Any]:
    patient = await tx.patients.get(consult.patient_id)
    return {
        "id": patient.id,
        "name": patient.name,
        "gender": patient.gender,
        "birth_date": patient.birth_date,
        "identity_level": int(patient.identity_level),
    }


async def _house(tx: ClinicTransaction, institution_id: str) -> dict[str, Any]:
    house = await tx.institutions.get(institution_id)
    return {
        "id": house.id,
        "name": house.name,
        "name_en": house.name_en,
        "licence": house.licence_number,
        "phone": house.phone,
        "time_zone": house.time_zone,
    }


async def _person(tx: ClinicTransaction, staff_id: str) -> dict[str, Any]:
    person = await tx.staff.get(staff_id)
    return {"id": person.id, "name": person.name, "title": person.title, "department": person.department or ""}


async def _releases(tx: ClinicTransaction, consult: Consult) -> dict[str, Any]:
    """Institutions the patient had stopped sharing with when it closed; nothing is said where there are none."""
    rows = [row for row in await tx.house_releases.find(consult_id=consult.id) if row.standing]
    return {
        "released": [{"institution": await _house(tx, row.released_id), "at": row.released_at} for row in rows]
    } if rows else {}  # fmt: skip


async def _afterwards(tx: ClinicTransaction, consult: Consult) -> dict[str, Any]:
    """Where the quorum was missing; referrals and tasks as they were set before the consult closed."""
    referrals, tasks = (
        await tx.referrals.find(consult_id=consult.id),
        await tx.follow_up_tasks.find(consult_id=consult.id),
    )
    until = consult.closed_at
    return {
        "lapses": [
            {"missing": row.missing, "from": row.lost_at, "until": row.regained_at}
            for row in await tx.quorum_lapses.find(consult_id=consult.id)
        ],
        "referrals": [
            {
                "number": row.number,
                "direction": row.direction,
                "to": await _house(tx, row.to_institution_id),
                "reason": row.reason,
                "at": row.issued_at,
            }
            for row in referrals
            if until is None or row.issued_at <= until
        ],
        "tasks": [{"id": row.id, "what": row.what, "due_on": row.due_on, "at": row.set_at} for row in tasks],
    }
