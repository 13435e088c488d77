"""Which language somebody reads, where it turned out not to be the one they signed in. Staff noticed, or were told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.roles import Action
from consent.choices import settings_of
from consent.errors import SeatCannotSign
from consent.templates import key_for
from consent.transaction import ConsentTransaction


@dataclass(frozen=True, slots=True)
class LanguageNote:
    """One word on one seat; the newest holds. Never edited."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    locale: str  # the language they read
    noted_by: str
    noted_at: datetime


async def note(tx: ConsentTransaction, seat_id: str, locale: str, *, by: Actor) -> LanguageNote:
    """From here on what this person signed in another language is asked again in this one.

    Raises SeatCannotSign, InvalidInput (the institution has no text in that language), NotPermitted.
    """
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    await authorise(tx, by, Action.WITNESS_CONSENT, consult)
    if key_for(consult.kind, seat.role) is None or not consult.media_open:
        raise SeatCannotSign()
    settings = await settings_of(tx, seat.institution_id)
    row = LanguageNote(
        id=uuid4().hex,
        institution_id=seat.institution_id,
        consult_id=consult.id,
        seat_id=seat.id,
        locale=checks.one_of("locale", locale, settings.locales),
        noted_by=by.seat_id or by.id,
        noted_at=tx.now,
    )
    await tx.language_notes.add(row)
    code, public = EventCode.CONSENT_LANGUAGE_NOTED, {"locale": row.locale}
    await tx.append(AuditEvent(code, seat.institution_id, row.noted_by, consult.id, seat.id, public=public))
    return row


def reads(rows: Sequence[LanguageNote], seat_id: str) -> str | None:
    """What is known of the language this person reads; None: nothing, they chose the text's themselves."""
    return next((row.locale for row in reversed(rows) if row.seat_id == seat_id), None)
