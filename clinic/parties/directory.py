"""The directory of institutions by tier: each house keeps its own entry, everybody who asks or answers reads it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.errors import InvalidInput
from clinic.parties.records import DirectoryEntry, Tier
from clinic.people import Institution
from clinic.registration import PROVINCES
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

_REGION = re.compile(r"[0-9]{6}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewEntry:
    tier: str
    region: str
    departments: tuple[str, ...]
    accepts: bool
    contact_name: str
    contact_phone: str
    note: str = ""


async def keep_entry(tx: ClinicTransaction, new: NewEntry, by: Actor) -> DirectoryEntry:
    """Enter the own institution, or change its entry. Raises NotPermitted, InvalidInput (the field says which)."""
    require(by, Action.KEEP_ENTRY, Place(by.institution_id))
    house = await tx.institutions.get(by.institution_id)
    entry = DirectoryEntry(
        id=house.id,
        institution_id=house.id,
        tier=Tier(checks.one_of("tier", new.tier, [tier.value for tier in Tier])),
        region=region_code("region", new.region, house),
        departments=_offered(new.departments, house),
        accepts=new.accepts,
        contact_name=checks.text("contact_name", new.contact_name, checks.NAME),
        contact_phone=checks.text("contact_phone", new.contact_phone, 32, 3),
        note=checks.text("note", new.note, 500, 0),
        changed_by=by.id,
        changed_at=tx.now,
    )
    if await tx.directory_entries.find(id=house.id):
        await tx.directory_entries.save(entry)
    else:
        await tx.directory_entries.add(entry)
    public = {"tier": entry.tier.value, "departments": list(entry.departments), "accepts": entry.accepts}
    await tx.append(AuditEvent(EventCode.PARTY_ENTERED, house.id, by.id, subject_id=entry.id, public=public))
    return entry


async def listed(tx: ClinicTransaction, by: Actor) -> Sequence[tuple[Institution, DirectoryEntry | None]]:
    """Every institution of the server with its entry, highest tier first, then by region; without an entry last."""
    require(by, Action.SEE_DIRECTORY, Place(by.institution_id))
    entries = {entry.id: entry for entry in await tx.directory_entries.find()}
    houses = [(house, entries.get(house.id)) for house in await tx.institutions.find()]
    return sorted(houses, key=_order)


def region_code(field: str, value: str, house: Institution) -> str:
    """Six digits whose first two are a province's, the house's own where that is known (GB/T 2260)."""
    if not _REGION.match(value) or value[:2] not in PROVINCES:
        raise InvalidInput(field, "not a code of GB/T 2260")
    if house.province is not None and value[:2] != house.province:
        raise InvalidInput(field, "another province than the institution's")
    return value


def _offered(departments: Sequence[str], house: Institution) -> tuple[str, ...]:
    """CN-02: nobody offers what they are not licensed for."""
    checks.not_empty("departments", departments)
    if not set(departments) <= set(house.departments):
        raise InvalidInput("departments", "not licensed for it")
    return tuple(dict.fromkeys(departments))


def _order(row: tuple[Institution, DirectoryEntry | None]) -> tuple[int, str, str]:
    house, entry = row
    if entry is None:
        return len(Tier), "", house.name
    return list(Tier).index(entry.tier), entry.region, house.name
