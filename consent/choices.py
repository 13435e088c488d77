"""What an institution asks for beyond care and recording, and in which languages: a row, not code."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.consult import Seat
from clinic.errors import InvalidInput
from clinic.roles import Action, Place, require
from consent.records import ConsentSettings, Purpose
from consent.statements import OPTIONAL, QUESTIONS
from consent.templates import LOCALES
from consent.transaction import ConsentTransaction

LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?\Z")
MOST_LOCALES = 12
CHOOSABLE = frozenset().union(*OPTIONAL.values())


@dataclass(frozen=True, slots=True)
class Choices:
    locales: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    ethics_id: str = ""
    abroad: str = ""


async def settings_of(tx: ConsentTransaction, institution_id: str) -> ConsentSettings:
    """The institution's own, or the product's: both languages, nothing beyond care and recording."""
    try:
        return await tx.consent_settings.get(institution_id)
    except MissingRow:
        return ConsentSettings(institution_id, institution_id, LOCALES, (), "", "", tx.now, "")


async def wanted_of(tx: ConsentTransaction, seat: Seat, key: str) -> frozenset[Purpose]:
    """What the text always asks, what the institution asks for, and what staff asked for in this consult."""
    settings = await settings_of(tx, seat.institution_id)
    requests = await tx.consent_requests.find(consult_id=seat.consult_id)
    asked = {purpose for request in requests if request.seat_id == seat.id for purpose in request.purposes}
    return frozenset({*QUESTIONS[key], *settings.purposes, *asked})


async def change(tx: ConsentTransaction, actor: Actor, choices: Choices) -> ConsentSettings:
    """Raises InvalidInput, NotPermitted."""
    require(actor, Action.DRAFT_TEMPLATE, Place(actor.institution_id))
    row = ConsentSettings(
        id=actor.institution_id,
        institution_id=actor.institution_id,
        locales=_locales(choices.locales),
        purposes=_purposes(choices),
        ethics_id=checks.text("ethics_id", choices.ethics_id, 100, 0),
        abroad=checks.text("abroad", choices.abroad, 300, 0),
        changed_at=tx.now,
        changed_by=actor.id,
    )
    before = await tx.consent_settings.find(id=actor.institution_id)
    await (tx.consent_settings.save(row) if before else tx.consent_settings.add(row))
    public = {"locales": list(row.locales), "purposes": [purpose.value for purpose in row.purposes]}
    await tx.append(
        AuditEvent(EventCode.CONSENT_SETTINGS_CHANGED, actor.institution_id, actor.id, subject_id=row.id, public=public)
    )
    return row


def _locales(given: Sequence[str]) -> tuple[str, ...]:
    locales = tuple(dict.fromkeys(given))
    if any(not LOCALE.match(locale) for locale in locales) or len(locales) > MOST_LOCALES:
        raise InvalidInput("locales", "not language tags")
    if missing := [locale for locale in LOCALES if locale not in locales]:
        raise InvalidInput("locales", f"{missing[0]} is always there")
    return locales


def _purposes(choices: Choices) -> tuple[Purpose, ...]:
    """In the order of the enumeration; a purpose whose question names something needs that thing."""
    chosen = tuple(purpose for purpose in Purpose if purpose in choices.purposes)
    if any(purpose not in CHOOSABLE for purpose in chosen):
        raise InvalidInput("purposes", "care and recording are always asked")
    if Purpose.RESEARCH in chosen and not choices.ethics_id.strip():
        raise InvalidInput("ethics_id", "missing")
    if Purpose.XBORDER in chosen and not choices.abroad.strip():
        raise InvalidInput("abroad", "missing")
    return chosen
