"""The outcome of a panel for the consult page: read-only assembly."""

from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.notes import WRITABLE
from clinic.overlays import rules_for
from clinic.panels import ending, following, lateness
from clinic.panels.counting import EXPERTS, PanelPapers, opinion_of
from clinic.panels.outcome import FollowUpTask, Referral, SealedCopy
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Opinion
from clinic.panels.signers import Signer
from clinic.people import Role, Staff
from huizhen.api import render
from huizhen.api.names import who
from huizhen.api.shapes.base import Label
from huizhen.api.shapes.consult import OpinionView
from huizhen.api.shapes.outcome import (
    CopyView,
    CountersignView,
    EndedView,
    MarkView,
    OutcomeView,
    OwedView,
    PaperView,
    ReferralView,
    ReportView,
    SignerView,
    TaskView,
)
from huizhen.store.tables import StoreTransaction


async def outcome_view(tx: StoreTransaction, consult: Consult, reader: Staff) -> OutcomeView:
    papers = await papers_of(tx, consult.id)
    filed = await tx.opinion_papers.find(consult_id=consult.id)
    marks = await tx.report_marks.find(consult_id=consult.id)
    return OutcomeView(
        missing=[] if ending.ended_early(consult) else list(await missing_of(tx, consult, papers)),
        report=await _report(tx, papers, reader),
        marks=[
            MarkView(expert=signer_view(row.author), agrees=row.agrees, remark=row.remark, signed_at=row.signed_at)
            for row in marks
        ],
        countersignatures=[
            CountersignView(
                opinion=row.opinion_id,
                senior=signer_view(row.author),
                agrees=row.agrees,
                remark=row.remark,
                signed_at=row.signed_at,
            )
            for row in papers.countersignatures
        ],
        owed=await _owed(tx, papers),
        released=[(await tx.institutions.get(each)).name for each in sorted(papers.released)],
        referrals=[await referral_view(tx, row, reader) for row in await tx.referrals.find(consult_id=consult.id)],
        tasks=[await task_view(tx, row) for row in await tx.follow_up_tasks.find(consult_id=consult.id)],
        paper=PaperView(code=filed[0].code, sha256=filed[0].pdf_sha256, made_at=filed[0].made_at) if filed else None,
        copies=[await copy_view(tx, row) for row in await tx.sealed_copies.find(consult_id=consult.id)],
        ended=await _ended(tx, consult, papers),
        may=_may(consult, papers, reader, {row.expert_id for row in marks}),
    )


async def _ended(tx: StoreTransaction, consult: Consult, papers: PanelPapers) -> EndedView | None:
    if not ending.ended_early(consult) or not ending.met(consult, papers) or consult.closed_at is None:
        return None
    rules = rules_for(await tx.institutions.get(consult.institution_id), consult.closed_at)
    told = ending.told(consult, papers, rules)
    return EndedView(at=consult.closed_at, said=Label(**told["said"]), paper=bool(ending.signed_until(papers)))


async def _report(tx: StoreTransaction, papers: PanelPapers, reader: Staff) -> ReportView | None:
    """A draft is its author's alone."""
    report = papers.report
    if report is None or (report.signed_at is None and report.chair_id != reader.id):
        return None
    return ReportView(
        conclusion=report.conclusion,
        advice=report.advice,
        chair=await who(tx, report.chair_id),
        updated_at=report.updated_at,
        signed_at=report.signed_at,
        author=None if report.author is None else signer_view(report.author),
    )


async def _owed(tx: StoreTransaction, papers: PanelPapers) -> list[OwedView]:
    """Who still owes an opinion, and who handed theirs over."""
    known = {row.expert_id: row for row in papers.due}
    handed = {row.expert_id for row in papers.due if row.handed_at}
    found = []
    for expert_id in sorted(papers.owing | handed):
        row, expert = known.get(expert_id), await tx.staff.get(expert_id)
        found.append(
            OwedView(
                expert=expert.name,
                expert_id=expert.id,
                institution=(await tx.institutions.get(expert.institution_id)).name,
                due_at=row.due_at if row else None,
                late=row is not None and lateness.is_late(row, tx.now),
                reminders=row.reminders if row else 0,
                stand_in=await who(tx, row.stand_in_id) if row and row.stand_in_id else "",
                handed_at=row.handed_at if row else None,
            )
        )
    return found


def _may(consult: Consult, papers: PanelPapers, reader: Staff, marked: set[str]) -> list[str]:
    if consult.status not in WRITABLE:
        return []
    seated = any(seat.person_id == reader.id and seat.role in EXPERTS for seat in papers.seats)
    mine = opinion_of(papers.counted, reader.id)
    signed = papers.report is not None and papers.report.signed_at is not None
    may = []
    if not signed and reader.id in papers.reporters:
        may.append("write_report")
    free = mine and reader.id not in marked and not papers.is_released(reader.id)
    if signed and papers.report and papers.report.chair_id != reader.id and free:
        may.append("mark_report")
    home = reader.institution_id
    at_home = home not in papers.released and any(
        seat.home_institution_id == home and seat.role in EXPERTS for seat in papers.seats
    )
    if (seated and reader.id in papers.owing) or (at_home and Role.COORDINATOR in reader.roles):
        may.append("name_stand_in")
    return may


def signer_view(signer: Signer) -> SignerView:
    return SignerView(
        name=signer.name, title=signer.title, department=signer.department, institution=signer.institution
    )


async def referral_view(tx: StoreTransaction, row: Referral, reader: Staff) -> ReferralView:
    return ReferralView(
        id=row.id,
        consult_id=row.consult_id,
        number=row.number,
        direction=row.direction,
        from_institution=(await tx.institutions.get(row.from_institution_id)).name,
        to_institution=(await tx.institutions.get(row.to_institution_id)).name,
        incoming=row.to_institution_id == reader.institution_id,
        reason=row.reason,
        state=row.state,
        issued_at=row.issued_at,
        remark=row.remark,
        answered=bool(await tx.referrals.find(consult_id=row.consult_id, answers=row.id)),
    )


async def task_view(tx: StoreTransaction, row: FollowUpTask) -> TaskView:
    house = await tx.institutions.get(row.institution_id)
    return TaskView(
        id=row.id,
        consult_id=row.consult_id,
        what=row.what,
        due_on=row.due_on,
        overdue=following.overdue(row, local_date(tx.now, house.time_zone)),
        state=row.state,
        set_by=await who(tx, row.set_by),
        done_by=await who(tx, row.done_by) if row.done_by else "",
        done_at=row.done_at,
        remark=row.remark,
    )


async def copy_view(tx: StoreTransaction, row: SealedCopy) -> CopyView:
    return CopyView(
        id=row.id,
        consult_id=row.consult_id,
        institution=(await tx.institutions.get(row.institution_id)).name,
        inviting_institution=(await tx.institutions.get(row.inviting_institution_id)).name,
        state=row.state,
        ordered_at=row.ordered_at,
        sealed_at=row.sealed_at,
        size=row.size,
        sha256=row.package_sha256,
    )


async def opinion_view(tx: StoreTransaction, opinion: Opinion, papers: PanelPapers) -> OpinionView:
    expert, author = await tx.staff.get(opinion.expert_id), opinion.author
    department = author.department if author else expert.department
    return OpinionView(
        id=opinion.id,
        expert=render.doctor_row(expert),
        institution=author.institution if author else (await tx.institutions.get(opinion.expert_institution_id)).name,
        title=author.title if author else expert.title,
        department_label=render.department(department) if department else None,
        chair=papers.chair == opinion.expert_id,
        state=_state(opinion, papers),
        text=opinion.text,
        dissent=opinion.dissent,
        updated_at=opinion.updated_at,
        signed_at=opinion.signed_at,
    )


def _state(opinion: Opinion, papers: PanelPapers) -> str:
    if opinion.signed_at is None:
        return "draft"
    if opinion in papers.counted:
        return "signed"
    return "waiting" if opinion in papers.to_countersign else "returned"
