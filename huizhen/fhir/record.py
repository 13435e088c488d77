"""Every row of one consult that a resource is made from, read in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clinic.consult import Consult, Seat, VisitNote
from clinic.panels.outcome import CopyState, JointReport, SealedCopy
from clinic.panels.papers import papers_of
from clinic.panels.records import DecisionNote, Invitation, Opinion
from clinic.panels.requests import InvitedParty, Urgency
from clinic.people import Institution, Patient, Staff
from clinic.upload import EvidenceFile
from huizhen.store.tables import StoreTransaction
from imaging.records import ImageInstance, ImageSeries, ImageStudy


@dataclass(frozen=True, slots=True)
class Party:
    """One invited institution of a request, as it answered; `id` is the task's.

    `row` None: asked before there were requests, and told by its invitations alone.
    """

    id: str
    institution_id: str
    invitations: tuple[Invitation, ...]
    row: InvitedParty | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request as it was sent. `by`: who sent it."""

    id: str
    by: str
    at: datetime
    reason: str
    aim: str
    summary: str
    specialty: str
    liability_mode: str
    urgent: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """`signed` papers only: what is still a draft is nobody's record yet."""

    now: datetime
    base: str  # where this server is reached
    consult: Consult
    patient: Patient
    seats: tuple[Seat, ...]
    asked: Asked | None
    parties: tuple[Party, ...]
    opinions: tuple[Opinion, ...]  # those that count
    report: JointReport | None
    copies: tuple[SealedCopy, ...]  # of the reader's own institution
    decision: DecisionNote | None
    note: VisitNote | None
    files: tuple[EvidenceFile, ...]
    studies: tuple[ImageStudy, ...]
    series: tuple[ImageSeries, ...]
    instances: tuple[ImageInstance, ...]
    people: Mapping[str, Staff]
    houses: Mapping[str, Institution]

    def person(self, staff_id: str) -> str:
        known = self.people.get(staff_id)
        return known.name if known is not None else ""

    def house(self, institution_id: str) -> str:
        return self.houses[institution_id].name


async def gather(tx: StoreTransaction, consult: Consult, base: str, home: str) -> Record:
    """The record as it is, for a reader of the institution `home`. Who may read it was asked before."""
    only = {"consult_id": consult.id}
    asked = await _asked(tx, consult)
    invitations = tuple(await tx.invitations.find(**only))
    rows = [row for row in await tx.invited_parties.find(**only) if asked and row.request_id == asked.id]
    parties = _parties(rows, invitations) if asked is not None else ()
    papers = await papers_of(tx, consult.id)
    opinions = papers.counted
    report = papers.report if papers.report is not None and papers.report.signed_at is not None else None
    staff_ids = {consult.doctor_id, *(row.expert_id for row in invitations), *(row.expert_id for row in opinions)}
    staff_ids |= ({asked.by} if asked else set()) | ({report.chair_id} if report else set())
    people = {each: await tx.staff.get(each) for each in sorted(staff_ids)}
    house_ids = {consult.institution_id, *(party.institution_id for party in parties)}
    house_ids |= {row.expert_institution_id for row in opinions} | {person.institution_id for person in people.values()}
    return Record(
        now=tx.now,
        base=base,
        consult=consult,
        patient=await tx.patients.get(consult.patient_id),
        seats=tuple(await tx.seats.find(**only)),
        asked=asked,
        parties=parties,
        opinions=opinions,
        report=report,
        copies=tuple(await tx.sealed_copies.find(**only, institution_id=home, state=CopyState.SEALED)),
        decision=papers.decision if papers.decision is not None and papers.decision.signed_at else None,
        note=next((row for row in await tx.visit_notes.find(**only) if row.signed_at), None),
        files=tuple(await tx.evidence_files.find(**only)),
        studies=tuple(await tx.image_studies.find(**only)),
        series=tuple(await tx.image_series.find(**only)),
        instances=tuple(await tx.image_instances.find(**only)),
        people=people,
        houses={each: await tx.institutions.get(each) for each in sorted(house_ids)},
    )


async def _asked(tx: StoreTransaction, consult: Consult) -> Asked | None:
    """The latest request that was sent; a draft is nobody's record. Before there were requests: the case."""
    sent = [row for row in await tx.panel_requests.find(consult_id=consult.id) if row.sent_at is not None]
    if sent:
        row = sent[-1]
        assert row.sent_at is not None and row.sent_by is not None, "it was sent"
        return Asked(
            row.id,
            row.sent_by,
            row.sent_at,
            row.reason,
            row.aim,
            row.summary,
            row.wanted_specialty or row.wanted_department,
            row.liability_mode,
            urgent=row.urgency is Urgency.URGENT,
            withdrawn=row.over,
        )
    for case in await tx.cases.find(consult_id=consult.id):
        return Asked(
            case.id,
            case.requested_by,
            case.requested_at,
            case.reason,
            case.aim,
            case.summary,
            case.wanted_specialty,
            case.liability_mode,
        )
    return None


def _parties(rows: Sequence[InvitedParty], invitations: Sequence[Invitation]) -> tuple[Party, ...]:
    """The invited institutions, the preferred first; those only named were never asked."""
    if rows:
        return tuple(
            Party(
                row.id,
                row.invited_institution_id,
                tuple(each for each in invitations if each.case_id == row.case_id),
                row,
            )
            for row in sorted(rows, key=lambda row: row.rank)
            if row.case_id is not None
        )
    asked: dict[str, list[Invitation]] = {}
    for each in invitations:
        asked.setdefault(each.invited_institution_id, []).append(each)
    return tuple(Party(found[0].id, institution_id, tuple(found)) for institution_id, found in asked.items())
