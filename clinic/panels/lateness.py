"""Opinions that are late (HZ-25): owed by when, who is reminded, and the named stand-in who gives it instead."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic.access import held_by
from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultStatus, Seat, SeatState
from clinic.errors import AlreadySigned, SharingWithdrawn, StandInUnfit
from clinic.notes import require_writable
from clinic.overlays import rules_for
from clinic.panels import in_writing
from clinic.panels.outcome import OpinionDue
from clinic.panels.papers import papers_of
from clinic.panels.traces import event, require_panel
from clinic.people import AccountState, Role, Staff
from clinic.roles import Action, Place, require
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

_REMINDERS = ("first_reminder_hours", "second_reminder_hours")


def due_at(ended_at: datetime, rules: RuleSet) -> datetime:
    """When an opinion is due after the call."""
    return ended_at + rules.hours("HZ-25", "opinion_hours")


def reminders_by(ended_at: datetime, rules: RuleSet, now: datetime) -> int:
    """How many times an expert should have been reminded by now."""
    return sum(ended_at + rules.hours("HZ-25", name) <= now for name in _REMINDERS)


def is_late(row: OpinionDue, now: datetime) -> bool:
    return row.handed_at is None and now >= row.due_at


async def name_stand_in(
    tx: ClinicTransaction, consult_id: str, expert_id: str, stand_in_id: str, by: Actor
) -> OpinionDue:
    """The expert, or their institution's coordinator, names who gives the opinion should it be late.

    Past the deadline it is handed over at once. Raises SharingWithdrawn, StandInUnfit, AlreadySigned,
    NotPermitted, MissingRow, IllegalMove (no panel, or closed).
    """
    consult = await tx.consults.get(consult_id)
    seat = held_by(await tx.seats.find(consult_id=consult_id, person_id=expert_id), expert_id)
    if seat is None or seat.role not in (Role.EXPERT, Role.CHAIR) or seat.home_institution_id != by.institution_id:
        raise MissingRow("seats")
    require(by, Action.NAME_STAND_IN, Place(seat.home_institution_id, owners=frozenset({expert_id})))
    require_writable(consult)
    require_panel(consult)
    papers = await papers_of(tx, consult_id)
    if seat.home_institution_id in papers.released:
        raise SharingWithdrawn()
    if any(row.expert_id == expert_id and row.signed_at for row in papers.standing):
        raise AlreadySigned()
    await _require_fit(tx, consult, seat, stand_in_id)
    before = next((row for row in papers.due if row.expert_id == expert_id), None)
    if before is not None and before.handed_at is not None:
        raise StandInUnfit("handed over already")
    named = replace(
        before or await _owed(tx, consult, expert_id, seat.home_institution_id),
        stand_in_id=stand_in_id,
        named_by=by.id,
        named_at=tx.now,
    )
    await (tx.opinions_due.add(named) if before is None else tx.opinions_due.save(named))
    await tx.append(event(EventCode.STAND_IN_NAMED, consult, by, expert_id, {"stand_in": stand_in_id}))
    return await _hand_over(tx, consult, named) if is_late(named, tx.now) else named


async def chase(tx: ClinicTransaction, institution_id: str) -> int:
    """One pass over the institution's consults that wait for opinions; how many things happened. Pure in `now`."""
    happened = 0
    house = await tx.institutions.get(institution_id)
    rules = rules_for(house, tx.now)
    waiting = await tx.consults.find(institution_id=institution_id, status=ConsultStatus.CONCLUDING)
    for consult in waiting:
        if consult.kind in PANELS and consult.ended_at is not None:
            happened += await _chase(tx, consult, consult.ended_at, rules)
    return happened


async def _chase(tx: ClinicTransaction, consult: Consult, ended_at: datetime, rules: RuleSet) -> int:
    papers, happened = await papers_of(tx, consult.id), 0
    known = {row.expert_id: row for row in papers.due}
    system = Actor.system(consult.institution_id)
    for expert_id in sorted(papers.owing):
        row = known.get(expert_id)
        if row is None:
            home = (await tx.staff.get(expert_id)).institution_id
            row = await _owed(tx, consult, expert_id, home)
            await tx.opinions_due.add(row)
            public = {"due": row.due_at.isoformat()}
            await tx.append(event(EventCode.OPINION_OWED, consult, system, expert_id, public))
            happened += 1
        wanted = reminders_by(ended_at, rules, tx.now) if not _took_over(expert_id, papers.due) else 0
        if row.reminders < wanted:
            row = replace(row, reminders=wanted, reminded_at=tx.now)
            await tx.opinions_due.save(row)
            await tx.append(event(EventCode.OPINION_REMINDED, consult, system, expert_id, {"reminder": wanted}))
            happened += 1
        if is_late(row, tx.now) and row.stand_in_id is not None:
            await _hand_over(tx, consult, row)
            happened += 1
    return happened


def _took_over(expert_id: str, rows: Sequence[OpinionDue]) -> bool:
    return any(row.stand_in_id == expert_id and row.handed_at for row in rows)


async def _owed(tx: ClinicTransaction, consult: Consult, expert_id: str, home: str) -> OpinionDue:
    """The row's beginning; during the call the clock counts from now, until the call's end sets it."""
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    paper = await in_writing.of(tx, consult.id)
    due = paper.due_at if paper is not None else due_at(consult.ended_at or tx.now, rules)
    row_id = hashlib.sha256(f"opinion-due:{consult.id}:{expert_id}".encode()).hexdigest()[:32]
    return OpinionDue(row_id, consult.institution_id, consult.id, expert_id, home, due, 0)


async def _hand_over(tx: ClinicTransaction, consult: Consult, row: OpinionDue) -> OpinionDue:
    """The stand-in gets a seat, and with it the case; the opinion is theirs to give."""
    stand_in = await tx.staff.get(row.stand_in_id or "")
    seat = Seat(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        role=Role.EXPERT,
        display_name=stand_in.name,
        home_institution_id=stand_in.institution_id,
        person_id=stand_in.id,
        state=SeatState.EXPECTED,
        created_at=tx.now,
        created_by=row.named_by or "system",
    )
    await tx.seats.add(seat)
    handed = replace(row, handed_at=tx.now)
    await tx.opinions_due.save(handed)
    public = {"stand_in": stand_in.id, "seat": seat.id}
    by = Actor.system(consult.institution_id)
    await tx.append(event(EventCode.OPINION_HANDED_OVER, consult, by, row.expert_id, public))
    return handed


async def _require_fit(tx: ClinicTransaction, consult: Consult, absent: Seat, stand_in_id: str) -> Staff:
    """Raises StandInUnfit, MissingRow."""
    stand_in = await tx.staff.get(stand_in_id)
    home = await tx.institutions.get(absent.home_institution_id)
    if stand_in.institution_id != home.id:
        raise MissingRow("staff")
    rules, today = rules_for(home, tx.now), local_date(tx.now, home.time_zone)
    seated = await tx.seats.find(consult_id=consult.id, person_id=stand_in_id)
    fit = Role.EXPERT in stand_in.roles and stand_in.state is AccountState.ACTIVE and not seated
    if not fit or expert_refusals([stand_in], [home], rules, today):
        raise StandInUnfit()
    return stand_in
