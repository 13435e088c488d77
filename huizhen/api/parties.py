"""The directory of institutions and matching: who may be asked for what."""

from datetime import date

from clinic.calendar import local_date
from clinic.parties import candidates, directory
from clinic.parties.candidates import Need
from clinic.parties.directory import NewEntry
from clinic.parties.matching import TITLES, Candidate, Obstacle
from clinic.parties.records import CooperationAgreement, DirectoryEntry
from clinic.people import Institution
from clinic.roles import Action, permits
from huizhen import regions
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Label, NoBody
from huizhen.api.shapes.consult import DepartmentRow
from huizhen.api.shapes.parties import (
    DirectoryAnswer,
    EntryBody,
    MatchAnswer,
    MatchQuery,
    PartyName,
    PartyRow,
    Suggested,
)
from huizhen.store.tables import StoreTransaction


async def listed(call: Call[NoBody]) -> DirectoryAnswer:
    rows = await directory.listed(call.tx, call.actor)
    home = await call.tx.institutions.get(call.me.institution_id)
    may_ask = await _asked(call.tx, home)
    return DirectoryAnswer(
        items=[_row(house, entry, home, may_ask) for house, entry in rows],
        offered=[_department(code) for code in home.departments],
        may_edit=any(permits(role, Action.KEEP_ENTRY) for role in call.me.roles),
    )


async def keep(call: Call[EntryBody]) -> PartyRow:
    body = call.body
    new = NewEntry(
        tier=body.tier,
        region=body.region,
        departments=tuple(body.departments),
        accepts=body.accepts,
        contact_name=body.contact_name,
        contact_phone=body.contact_phone,
        note=body.note,
    )
    entry = await directory.keep_entry(call.tx, new, call.actor)
    home = await call.tx.institutions.get(call.me.institution_id)
    return _row(home, entry, home, (frozenset(), frozenset()))


async def match(call: Call[NoBody]) -> MatchAnswer:
    query: MatchQuery = call.query
    need = Need(query.kind, query.department, query.title, query.starts_at, query.ends_at)
    found = await candidates.suggest(call.tx, need, call.actor)
    return MatchAnswer(
        items=[await _suggested(call.tx, each) for each in found.suited],
        left_out=[await _suggested(call.tx, each, why) for each, why in found.left_out],
        unagreed=[party_name(await call.tx.institutions.get(house)) for house in found.unagreed],
        titles=list(TITLES),
    )


def party_name(house: Institution) -> PartyName:
    return PartyName(id=house.id, name=house.name, name_en=house.name_en)


async def _asked(tx: StoreTransaction, home: Institution) -> tuple[frozenset[str], frozenset[str]]:
    """Whom we may ask today, and who may ask us."""
    inviting = await tx.cooperation_agreements.find(inviting_id=home.id)
    invited = await tx.cooperation_agreements.find(invited_id=home.id)
    today = local_date(tx.now, home.time_zone)
    we = frozenset(row.invited_id for row in inviting if holds(row, today))
    return we, frozenset(row.inviting_id for row in invited if holds(row, today))


def holds(row: CooperationAgreement, today: date) -> bool:
    """In force that day for at least one kind."""
    return any(row.covers(kind, today) for kind in row.covered)


def _row(
    house: Institution,
    entry: DirectoryEntry | None,
    home: Institution,
    may_ask: tuple[frozenset[str], frozenset[str]],
) -> PartyRow:
    row = PartyRow(
        id=house.id,
        name=house.name,
        name_en=house.name_en,
        short_name=house.short_name,
        own=house.id == home.id,
        entered=entry is not None,
        we_may_ask=house.id in may_ask[0],
        may_ask_us=house.id in may_ask[1],
        departments=[],
    )
    if entry is None:
        return row
    zh, en = regions.province(entry.region)
    said = {
        "tier": entry.tier,
        "region": entry.region,
        "province": Label(zh=zh, en=en),
        "departments": [_department(code) for code in entry.departments],
        "accepts": entry.accepts,
        "contact_name": entry.contact_name,
        "contact_phone": entry.contact_phone,
        "note": entry.note,
        "changed_at": entry.changed_at,
    }
    return row.model_copy(update=said)


def _department(code: str) -> DepartmentRow:
    return DepartmentRow(code=code, label=render.department(code))


async def _suggested(tx: StoreTransaction, found: Candidate, why: Obstacle | None = None) -> Suggested:
    person = await tx.staff.get(found.expert_id)
    return Suggested(
        expert_id=person.id,
        name=person.name,
        name_en=person.name_en,
        title=person.title,
        department_label=render.department(person.department) if person.department else None,
        institution=party_name(await tx.institutions.get(found.institution_id)),
        tier=found.tier,
        open_cases=found.open_cases,
        obstacle=why,
        unfit=list(found.unfit),
    )


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/parties",
        handler=listed,
        policy=staff(Action.SEE_DIRECTORY, own=Own.DIRECTORY),
        answer=DirectoryAnswer,
        summary="The directory of institutions by tier",
    ),
    Route(
        method="PUT",
        path="/api/parties/own",
        handler=keep,
        policy=staff(Action.KEEP_ENTRY, own=Own.HOUSE),
        body=EntryBody,
        answer=PartyRow,
        unit=Unit.WRITE,
        summary="Enter the own institution, or change its entry",
    ),
    Route(
        method="GET",
        path="/api/parties/match",
        handler=match,
        policy=staff(Action.MATCH_EXPERTS, own=Own.DIRECTORY),
        query=MatchQuery,
        answer=MatchAnswer,
        summary="Experts for a department, a title and a time, from institutions with an agreement",
    ),
)
