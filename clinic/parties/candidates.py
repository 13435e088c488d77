"""What is known of the experts of other institutions for a time: read once, ranked by `matching`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clinic.actor import Actor
from clinic.admission import expert_refusals
from clinic.calendar import local_date
from clinic.consult import ConsultKind
from clinic.errors import InvalidInput
from clinic.overlays import rules_for
from clinic.panels import hours
from clinic.panels.seating import LIVE
from clinic.parties.agreements import choose
from clinic.parties.matching import Candidate, Obstacle, Wanted, left_out, rank, within
from clinic.parties.records import CooperationAgreement, DirectoryEntry
from clinic.people import AccountState, Institution, Role, Staff
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class Need:
    """What is looked for, and when."""

    kind: ConsultKind
    department: str
    title: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The best first, at most as many as HZ-36 says; who was left out of houses with an agreement, with why; and the
    houses that offer the department but have no agreement (ids): what a coordinator can mend."""

    suited: tuple[Candidate, ...]
    left_out: tuple[tuple[Candidate, Obstacle], ...]
    unagreed: tuple[str, ...]


async def suggest(tx: ClinicTransaction, need: Need, by: Actor) -> Suggestions:
    """Experts for the own institution's need. Raises NotPermitted, InvalidInput (the time is none)."""
    require(by, Action.MATCH_EXPERTS, Place(by.institution_id))
    if need.ends_at <= need.starts_at:
        raise InvalidInput("ends_at", "before starts_at")
    home = await tx.institutions.get(by.institution_id)
    entries = {entry.id: entry for entry in await tx.directory_entries.find()}
    here = entries.get(home.id)
    wanted = Wanted(need.department, need.title, here.tier if here else None)
    agreed = await agreed_with(tx, home, need)
    found = await _gathered(tx, agreed, need, entries)
    most = rules_for(home, tx.now).value("HZ-36", "most_shown")
    offering = [entry for entry in entries.values() if entry.accepts and within(need.department, entry.departments)]
    unagreed = sorted(entry.id for entry in offering if entry.id not in {*agreed, home.id})
    return Suggestions(rank(wanted, found)[:most], left_out(wanted, found)[:most], tuple(unagreed[:most]))


async def agreed_with(tx: ClinicTransaction, home: Institution, need: Need) -> list[str]:
    """Ids of the houses that `home` has an agreement with on the day of the need."""
    day = local_date(need.starts_at, home.time_zone)
    agreements: dict[str, list[CooperationAgreement]] = {}
    for row in await tx.cooperation_agreements.find(inviting_id=home.id):
        agreements.setdefault(row.invited_id, []).append(row)
    return sorted(partner for partner, rows in agreements.items() if choose(rows, need.kind, day) is not None)


async def _gathered(
    tx: ClinicTransaction, agreed: Sequence[str], need: Need, entries: dict[str, DirectoryEntry]
) -> list[Candidate]:
    """Every active expert of these houses."""
    found: list[Candidate] = []
    for partner in agreed:
        house = await tx.institutions.get(partner)
        for expert in await tx.staff.find(institution_id=partner):
            if Role.EXPERT in expert.roles and expert.state is AccountState.ACTIVE:
                found.append(await _candidate(tx, expert, house, entries.get(partner), need))
    return found


async def _candidate(
    tx: ClinicTransaction, expert: Staff, house: Institution, entry: DirectoryEntry | None, need: Need
) -> Candidate:
    rules, day = rules_for(house, need.starts_at), local_date(need.starts_at, house.time_zone)
    return Candidate(
        institution_id=house.id,
        expert_id=expert.id,
        title=expert.title,
        scope=expert.practice_scope,
        offered=entry.departments if entry else (),
        tier=entry.tier if entry else None,
        accepts=entry is not None and entry.accepts,
        agreed=True,
        unfit=expert_refusals([expert], [house], rules, day),
        booked=bool(await hours.engagements(tx, expert.id, need.starts_at, need.ends_at)),
        open_cases=await open_cases(tx, expert.id),
    )


async def open_cases(tx: ClinicTransaction, expert_id: str) -> int:
    """Consults not over that an expert was asked to and did not refuse."""
    asked = [row for row in await tx.invitations.find(expert_id=expert_id) if row.state in LIVE]
    consults = [tx.consults.query(id=row.consult_id) for row in asked]
    await tx.fetch(*consults)
    return sum(not query.one().over for query in consults)
