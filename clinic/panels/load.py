"""What an institution's requests look like in time: its statistics, its week, the load of its experts. Reading only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.transaction import After
from clinic.actor import Actor
from clinic.consult import PANELS, Consult
from clinic.errors import InvalidInput
from clinic.panels.board import Line, Side, lines_of, requests_of
from clinic.panels.records import InvitationState
from clinic.panels.requests import InvitedParty, PanelRequest, PartyState
from clinic.panels.seating import LIVE
from clinic.panels.statistics import Figures, figures, from_rows
from clinic.people import AccountState, Role, Staff
from clinic.places import overlap
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

LONGEST = timedelta(days=42)


@dataclass(frozen=True, slots=True)
class Load:
    """One expert of the own house within a span of time. `minutes`: of panels accepted."""

    expert: Staff
    asked: int  # not answered yet, whenever it is
    accepted: int
    minutes: int
    chaired: int


async def statistics(tx: ClinicTransaction, side: Side, by: Actor) -> Figures:
    """Figures of the own house's requests, or of those it was asked by others. Raises NotPermitted."""
    require(by, Action.SEE_STATISTICS, Place(by.institution_id))
    home = await tx.institutions.get(by.institution_id)
    if side is Side.OUT:
        requests = await tx.panel_requests.find(institution_id=home.id)
        states, asked = from_rows(requests, await tx.invited_parties.find(institution_id=home.id))
        return figures(states, asked, home.time_zone)
    parties = [row for row in await tx.invited_parties.find(invited_institution_id=home.id) if row.case_id is not None]
    _, asked = from_rows(await requests_of(tx, parties), parties)
    return figures({}, asked, home.time_zone)


async def week(tx: ClinicTransaction, starts_at: datetime, ends_at: datetime, by: Actor) -> list[Line]:
    """Panels of both sides that fall into this time, the earliest first. Raises NotPermitted, InvalidInput."""
    require(by, Action.SEE_REQUESTS, Place(by.institution_id))
    _check(starts_at, ends_at)
    home = by.institution_id
    led = [
        row
        for row in await tx.consults.find(institution_id=home, ends_at=After(starts_at))
        if row.kind in PANELS and overlap(row.starts_at, row.ends_at, starts_at, ends_at)
    ]
    asked = [tx.panel_requests.query(consult_id=row.id) for row in led]
    await tx.fetch(*asked)
    ours = [request for query in asked for request in query.rows if not request.over]
    theirs = await _asked_of_us(tx, home, starts_at, ends_at)
    found = await lines_of(tx, ours, None)
    found += await lines_of(tx, [request for request in theirs if not request.over], home)
    return sorted(found, key=lambda line: (line.consult.starts_at, line.request.id))


async def _asked_of_us(
    tx: ClinicTransaction, home: str, starts_at: datetime, ends_at: datetime
) -> Sequence[PanelRequest]:
    """Requests of others in which the house takes part, or may yet, and whose consult falls into this time."""
    parties: list[InvitedParty] = []
    for state in (PartyState.ASKED, PartyState.PROPOSED, PartyState.ACCEPTED):
        parties += await tx.invited_parties.find(invited_institution_id=home, state=state)
    consults = [tx.consults.query(id=row.consult_id, ends_at=After(starts_at)) for row in parties]
    await tx.fetch(*consults)
    return await requests_of(
        tx,
        [
            row
            for row, query in zip(parties, consults, strict=True)
            if any(one.starts_at < ends_at for one in query.rows)
        ],
    )


def _check(starts_at: datetime, ends_at: datetime) -> None:
    if not timedelta(0) < ends_at - starts_at <= LONGEST:
        raise InvalidInput("to", "before the start, or too long")


async def load(tx: ClinicTransaction, starts_at: datetime, ends_at: datetime, by: Actor) -> list[Load]:
    """Every active expert of the own house, the busiest first. Raises NotPermitted, InvalidInput."""
    require(by, Action.SEE_STATISTICS, Place(by.institution_id))
    _check(starts_at, ends_at)
    experts = [
        person
        for person in await tx.staff.find(institution_id=by.institution_id, state=AccountState.ACTIVE)
        if Role.EXPERT in person.roles
    ]
    found = [await _of_expert(tx, person, starts_at, ends_at) for person in experts]
    return sorted(found, key=lambda each: (-each.minutes, -each.asked, each.expert.name))


async def _of_expert(tx: ClinicTransaction, expert: Staff, starts_at: datetime, ends_at: datetime) -> Load:
    invitations = [row for row in await tx.invitations.find(expert_id=expert.id) if row.state in LIVE]
    queries = [tx.consults.query(id=row.consult_id, ends_at=After(starts_at)) for row in invitations]
    await tx.fetch(*queries)
    panels = [(row, query.rows[0]) for row, query in zip(invitations, queries, strict=True) if query.rows]
    held = [
        (row, consult)
        for row, consult in panels
        if row.state is InvitationState.ACCEPTED and overlap(consult.starts_at, consult.ends_at, starts_at, ends_at)
    ]
    return Load(
        expert,
        sum(row.state is InvitationState.SENT and consult.media_open for row, consult in panels),
        len(held),
        sum(_minutes(consult) for _, consult in held),
        sum(row.chair for row, _ in held),
    )


def _minutes(consult: Consult) -> int:
    return int((consult.ends_at - consult.starts_at).total_seconds()) // 60
