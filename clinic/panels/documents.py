"""What each seal of the outcome covers. Version 1 of opinion and decision is how they were sealed before."""

from collections.abc import Iterable, Sequence

from clinic.documents import canonical, digest
from clinic.panels.outcome import Countersignature, JointReport, ReportMark
from clinic.panels.records import DecisionNote, Opinion
from clinic.panels.signers import signed_as


def opinion_document(opinion: Opinion) -> dict[str, object]:
    """What an expert's seal covers; from version 2 on also who they were, as the rules ask (1.3)."""
    document: dict[str, object] = {
        "type": "huizhen.opinion",
        "v": 1,
        "id": opinion.id,
        "consult": opinion.consult_id,
        "expert": opinion.expert_id,
        "institution": opinion.expert_institution_id,
        "text": opinion.text,
        "dissent": opinion.dissent,
        "signed_at": opinion.signed_at,
    }
    if opinion.author is None:
        return document
    return document | {"v": 2, "author": signed_as(opinion.author), "countersign": bool(opinion.countersign)}


def countersign_document(word: Countersignature, opinion: Opinion) -> dict[str, object]:
    return {
        "type": "huizhen.countersignature",
        "v": 1,
        "id": word.id,
        "consult": word.consult_id,
        "opinion": word.opinion_id,
        "opinion_sha256": opinion_digest(opinion),
        "senior": word.senior_id,
        "author": signed_as(word.author),
        "agrees": word.agrees,
        "remark": word.remark,
        "signed_at": word.signed_at,
    }


def report_document(report: JointReport) -> dict[str, object]:
    return {
        "type": "huizhen.joint-report",
        "v": 1,
        "id": report.id,
        "consult": report.consult_id,
        "chair": report.chair_id,
        "author": None if report.author is None else signed_as(report.author),
        "conclusion": report.conclusion,
        "advice": report.advice,
        "opinions": sorted(report.opinions),
        "signed_at": report.signed_at,
    }


def mark_document(mark: ReportMark, report: JointReport) -> dict[str, object]:
    return {
        "type": "huizhen.report-mark",
        "v": 1,
        "id": mark.id,
        "consult": mark.consult_id,
        "report": mark.report_id,
        "report_sha256": report_digest(report),
        "expert": mark.expert_id,
        "author": signed_as(mark.author),
        "agrees": mark.agrees,
        "remark": mark.remark,
        "signed_at": mark.signed_at,
    }


def decision_document(
    decision: DecisionNote, opinions: Sequence[Opinion], report: JointReport | None = None
) -> dict[str, object]:
    """The decision and the digests of what it refers to: the opinions, and from version 2 on the joint report."""
    document: dict[str, object] = {
        "type": "huizhen.decision",
        "v": 1,
        "id": decision.id,
        "consult": decision.consult_id,
        "doctor": decision.doctor_id,
        "adoption": decision.adoption,
        "reason": decision.reason,
        "treatment": decision.treatment,
        "opinions": digests(opinions),
        "signed_at": decision.signed_at,
    }
    if decision.author is None:
        return document
    signed = report if report is not None and report.signed_at else None
    return document | {
        "v": 2,
        "author": signed_as(decision.author),
        "report": None if signed is None else report_digest(signed),
    }


def digests(opinions: Iterable[Opinion]) -> list[str]:
    """Of the signed ones, sorted."""
    return sorted(opinion_digest(row) for row in opinions if row.signed_at)


def opinion_digest(opinion: Opinion) -> str:
    return digest(canonical(opinion_document(opinion)))


def report_digest(report: JointReport) -> str:
    return digest(canonical(report_document(report)))
