"""Every row of one consult that a resource is made from, read in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clinic.consult import Consult, Seat, VisitNote
from clinic.panels.records import Case, DecisionNote, Invitation, Opinion
from clinic.people import Institution, Patient, Staff
from clinic.upload import EvidenceFile
from huizhen.store.tables import StoreTransaction
from imaging.records import ImageInstance, ImageSeries, ImageStudy


@dataclass(frozen=True, slots=True)
class Party:
    """One invited institution of a request. `id` is that of its first invitation: the task's, always the same."""

    id: str
    institution_id: str
    invitations: tuple[Invitation, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """`signed` papers only: what is still a draft is nobody's record yet."""

    now: datetime
    base: str  # where this server is reached
    consult: Consult
    patient: Patient
    seats: tuple[Seat, ...]
    case: Case | None
    parties: tuple[Party, ...]
    opinions: tuple[Opinion, ...]
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


async def gather(tx: StoreTransaction, consult: Consult, base: str) -> Record:
    """The record as it is. Who may read it was asked before."""
    only = {"consult_id": consult.id}
    seats = tuple(await tx.seats.find(**only))
    case = next(iter(await tx.cases.find(**only)), None)
    invitations = tuple(await tx.invitations.find(**only))
    opinions = tuple(row for row in await tx.opinions.find(**only) if row.signed_at)
    staff_ids = {consult.doctor_id, *(row.expert_id for row in invitations), *(row.expert_id for row in opinions)}
    staff_ids |= {case.requested_by} if case else set()
    people = {each: await tx.staff.get(each) for each in sorted(staff_ids)}
    house_ids = {consult.institution_id, *(row.invited_institution_id for row in invitations)}
    house_ids |= {row.expert_institution_id for row in opinions} | {person.institution_id for person in people.values()}
    house_ids |= {case.invited_institution_id} if case else set()
    return Record(
        now=tx.now,
        base=base,
        consult=consult,
        patient=await tx.patients.get(consult.patient_id),
        seats=seats,
        case=case,
        parties=parties_of(case, invitations),
        opinions=opinions,
        decision=next((row for row in await tx.decision_notes.find(**only) if row.signed_at), None),
        note=next((row for row in await tx.visit_notes.find(**only) if row.signed_at), None),
        files=tuple(await tx.evidence_files.find(**only)),
        studies=tuple(await tx.image_studies.find(**only)),
        series=tuple(await tx.image_series.find(**only)),
        instances=tuple(await tx.image_instances.find(**only)),
        people=people,
        houses={each: await tx.institutions.get(each) for each in sorted(house_ids)},
    )


def parties_of(case: Case | None, invitations: tuple[Invitation, ...]) -> tuple[Party, ...]:
    """The invited institutions in the order they were asked."""
    if case is None:
        return ()
    asked: dict[str, list[Invitation]] = {}
    for row in invitations:
        asked.setdefault(row.invited_institution_id, []).append(row)
    return tuple(Party(rows[0].id, institution_id, tuple(rows)) for institution_id, rows in asked.items())
