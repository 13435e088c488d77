"""The joint report (rules 1.3): the chair draws the signed opinions together and signs; experts agree or dissent."""

from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import AlreadySigned, IllegalMove, NoReport, NotTheChair, PapersMissing, SharingWithdrawn
from clinic.notes import require_writable
from clinic.panels import counting
from clinic.panels.counting import PanelPapers, opinion_of
from clinic.panels.documents import digests, mark_document, report_document
from clinic.panels.outcome import JointReport, ReportMark
from clinic.panels.papers import papers_of
from clinic.panels.signers import signer_of
from clinic.panels.traces import event, require_panel
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def save_report(tx: ClinicTransaction, consult_id: str, by: Actor, conclusion: str, advice: str) -> JointReport:
    """The report as a draft. Raises NotTheChair, AlreadySigned, InvalidInput, NotPermitted, IllegalMove."""
    consult, papers = await _at_table(tx, consult_id, by, Action.WRITE_REPORT)
    _require_chair(papers, by)
    said = checks.text("conclusion", conclusion, checks.TEXT)
    advised = checks.text("advice", advice, checks.TEXT, 0)
    before = papers.report
    if before is not None and before.signed_at is not None:
        raise AlreadySigned()
    if before is not None:
        report = replace(before, chair_id=by.id, conclusion=said, advice=advised, updated_at=tx.now)
        await tx.joint_reports.save(report)
    else:
        report = JointReport(uuid4().hex, consult.institution_id, consult_id, by.id, said, advised, tx.now)
        await tx.joint_reports.add(report)
    await tx.append(event(EventCode.NOTE_DRAFTED, consult, by, report.id, {"kind": "report"}))
    return report


async def sign_report(tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor) -> JointReport:
    """The chair's co-signature: its seal covers the digest of each opinion that counts.

    Raises PapersMissing (opinions first), NotTheChair, AlreadySigned, MissingRow, NotPermitted, IllegalMove.
    """
    consult, papers = await _at_table(tx, consult_id, by, Action.SIGN_REPORT)
    _require_chair(papers, by)
    if papers.report is None:
        raise MissingRow("joint_reports")
    if papers.report.signed_at is not None:
        raise AlreadySigned()
    if lacking := counting.missing_opinions(papers):
        raise PapersMissing(lacking)
    report = replace(
        papers.report,
        chair_id=by.id,
        opinions=tuple(digests(papers.counted)),
        author=await signer_of(tx, by.id),
        signed_at=tx.now,
    )
    document = report_document(report)
    report = replace(report, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.joint_reports.save(report)
    public = {"document": digest(canonical(document)), "opinions": len(report.opinions)}
    await tx.append(event(EventCode.REPORT_SIGNED, consult, by, report.id, public))
    return report


async def mark_report(  # noqa: PLR0917
    tx: ClinicTransaction, sealer: Sealer, consult_id: str, by: Actor, agrees: bool, remark: str
) -> ReportMark:
    """Another expert agrees with the signed report, or dissents and says why; once.

    Raises NoReport, SharingWithdrawn, AlreadySigned, InvalidInput, NotPermitted,
    IllegalMove (their own report, no opinion of theirs).
    """
    consult, papers = await _at_table(tx, consult_id, by, Action.MARK_REPORT)
    report = papers.report
    if report is None or report.signed_at is None:
        raise NoReport()
    if papers.is_released(by.id):
        raise SharingWithdrawn()
    if report.chair_id == by.id or opinion_of(papers.counted, by.id) is None:
        raise IllegalMove("no word on the own report, and none without an opinion")
    if await tx.report_marks.find(consult_id=consult_id, expert_id=by.id):
        raise AlreadySigned()
    said = checks.text("remark", remark, checks.TEXT, 0 if agrees else 2)
    mark = ReportMark(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        report_id=report.id,
        expert_id=by.id,
        agrees=agrees,
        remark=said,
        author=await signer_of(tx, by.id),
        signed_at=tx.now,
        signature="",
    )
    document = mark_document(mark, report)
    mark = replace(mark, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.report_marks.add(mark)
    public = {"document": digest(canonical(document)), "agrees": agrees}
    await tx.append(event(EventCode.REPORT_MARKED, consult, by, mark.id, public))
    return mark


async def _at_table(tx: ClinicTransaction, consult_id: str, by: Actor, action: Action) -> tuple[Consult, PanelPapers]:
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, action, consult)
    require_writable(consult)
    require_panel(consult)
    return consult, await papers_of(tx, consult_id)


def _require_chair(papers: PanelPapers, by: Actor) -> None:
    """The chair's; where none came, any expert's whose opinion is signed. Raises NotTheChair, SharingWithdrawn."""
    if papers.is_released(by.id):
        raise SharingWithdrawn()
    if by.id not in papers.reporters:
        raise NotTheChair()
