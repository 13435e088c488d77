"""Requests between institutions as answers."""

import json
from collections.abc import Sequence

from clinic.overlays import rules_for
from clinic.panels.board import DueLine, Line
from clinic.panels.finding import live
from clinic.panels.records import Invitation
from clinic.panels.requests import InvitedParty, PanelRequest, Proposal, RequestState
from clinic.panels.sending import Supplied, facts_of, refusals
from consent import desk
from consent.sharing import shared_words
from huizhen.api import render
from huizhen.api.shapes.consult import DoctorRow
from huizhen.api.shapes.requests import (
    DueRow,
    MaterialView,
    PartyView,
    ProposalView,
    RequestRow,
    RequestView,
    SeatView,
)
from huizhen.store.tables import StoreTransaction
from imaging.binding import materials_of


async def supplied(tx: StoreTransaction, consult_id: str) -> Supplied:
    """What the consent ledger and the image table say of the case."""
    records = await desk.records_of(tx, consult_id)
    return Supplied(shared_words(records, tx.now), await materials_of(tx, consult_id))


async def request_row(tx: StoreTransaction, line: Line) -> RequestRow:
    request, consult = line.request, line.consult
    house, doctor = await tx.institutions.get(request.institution_id), await tx.staff.get(consult.doctor_id)
    return RequestRow(
        id=request.id,
        consult_id=consult.id,
        kind=consult.kind,
        consult_status=consult.status,
        state=request.state,
        mode=request.mode,
        urgency=request.urgency,
        inviting_institution_id=request.institution_id,
        inviting_institution=house.name,
        inviting_institution_en=house.name_en,
        inviting_doctor=doctor.name,
        inviting_doctor_en=doctor.name_en,
        wanted_department=request.wanted_department,
        department_label=render.department(request.wanted_department),
        wanted_specialty=request.wanted_specialty,
        wanted_title=request.wanted_title,
        wanted_from=request.wanted_from,
        wanted_to=request.wanted_to,
        wanted=request.wanted,
        starts_at=consult.starts_at,
        ends_at=consult.ends_at,
        drafted_at=request.drafted_at,
        sent_at=request.sent_at,
        answer_by=request.answer_by,
        waiting_seconds=line.waiting_seconds(tx.now),
        parties=[await _party(tx, party, line) for party in line.parties],
    )


async def request_view(tx: StoreTransaction, line: Line) -> RequestView:
    request = line.request
    row = await request_row(tx, line)
    sealed = json.loads(request.document)["materials"] if request.document else []
    return RequestView(
        **row.model_dump(),
        reason=request.reason,
        aim=request.aim,
        summary=request.summary,
        liability_mode=request.liability_mode,
        chair_id=request.chair_id,
        digest=request.digest,
        materials=[MaterialView(**each) for each in sealed],
        ended_at=request.ended_at,
        end_reason=request.end_reason,
        blocks=list(await blocks(tx, request)),
    )


async def blocks(tx: StoreTransaction, request: PanelRequest) -> Sequence[str]:
    """What the gate would say of a draft now; empty for what was sent."""
    if request.state is not RequestState.DRAFT:
        return ()
    consult = await tx.consults.get(request.consult_id)
    facts = await facts_of(tx, request, consult, await supplied(tx, consult.id))
    return refusals(facts, rules_for(facts.house, tx.now), tx.now)


async def draft_blocks(tx: StoreTransaction, consult_id: str) -> Sequence[str]:
    """As `blocks`, of the consult's draft; empty where there is none."""
    request = await live(tx, consult_id)
    return () if request is None else await blocks(tx, request)


async def _party(tx: StoreTransaction, party: InvitedParty, line: Line) -> PartyView:
    seats = [row for row in line.invitations if row.case_id == party.case_id]
    house = await tx.institutions.get(party.invited_institution_id)
    return PartyView(
        id=party.id,
        institution_id=party.invited_institution_id,
        institution=house.name,
        institution_en=house.name_en,
        rank=party.rank,
        state=party.state,
        wished=[await _doctor(tx, expert) for expert in party.expert_ids],
        seats=[await _seat(tx, row) for row in seats],
        proposals=[await _proposal(tx, row) for row in line.proposals if row.party_id == party.id],
        answered_at=party.answered_at,
        reason=party.reason,
        reason_code=party.reason_code,
    )


async def _doctor(tx: StoreTransaction, staff_id: str) -> DoctorRow:
    return render.doctor_row(await tx.staff.get(staff_id))


async def _seat(tx: StoreTransaction, row: Invitation) -> SeatView:
    return SeatView(
        invitation=row.id,
        expert=await _doctor(tx, row.expert_id),
        chair=row.chair,
        state=row.state,
        sent_at=row.sent_at,
        answered_at=row.answered_at,
        refusal_reason=row.refusal_reason,
    )


async def _proposal(tx: StoreTransaction, row: Proposal) -> ProposalView:
    return ProposalView(
        id=row.id,
        party_id=row.party_id,
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        made_at=row.made_at,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        expert=await _doctor(tx, row.expert_id) if row.expert_id else None,
        stand_in=await _doctor(tx, row.stand_in_id) if row.stand_in_id else None,
        answered_at=row.answered_at,
        answer_reason=row.answer_reason,
    )


async def due_row(tx: StoreTransaction, line: DueLine) -> DueRow:
    return DueRow(
        what=line.what,
        request_id=line.request.id,
        consult_id=line.consult.id,
        subject=line.subject,
        urgency=line.request.urgency,
        inviting_institution=(await tx.institutions.get(line.request.institution_id)).name,
        by=line.by,
        reminded=line.reminded,
        starts_at=line.consult.starts_at,
    )
