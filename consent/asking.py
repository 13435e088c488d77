"""Which purposes a person is asked about: the text's own, the institution's, and what the doctor asks for now."""

from collections.abc import Collection, Mapping, Sequence
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.roles import Action
from consent.choices import wanted_of
from consent.due import reopened
from consent.errors import AlreadyRefused, NothingToAsk, SeatCannotSign
from consent.reconsent import NO
from consent.records import ConsentRequest, ConsentTemplate, Purpose
from consent.standing import Ledger, Standing, overview
from consent.statements import QUESTIONS
from consent.templates import LOCALES, key_for, latest
from consent.transaction import ConsentTransaction
from consent.validity import in_force


def choose(
    available: Sequence[Purpose],
    wanted: Collection[Purpose],
    said: Mapping[Purpose, Standing],
    *,
    again: bool,
    reopened: Collection[Purpose] = (),
) -> tuple[Purpose, ...]:
    """The questions to show, in the text's order. A purpose refused or withdrawn in this consult is not asked again
    unless the person themself wishes to decide anew, or it is another question now (`reopened`; 条例 art. 22). Pure.
    """

    def open_to(each: Purpose) -> bool:
        return again or each in reopened or said.get(each) not in NO

    return tuple(each for each in available if each in wanted and open_to(each))


async def asked_of(
    tx: ConsentTransaction, seat: Seat, template: ConsentTemplate, records: Ledger, *, again: bool
) -> tuple[Purpose, ...]:
    """As `choose`, for one seat and text."""
    available = tuple(question.purpose for question in template.questions)
    said = overview(in_force(records, tx.now), seat.id)
    other = frozenset[Purpose]() if again else await reopened(tx, seat, records)
    return choose(available, await wanted_of(tx, seat, template.key), said, again=again, reopened=other)


async def outstanding(tx: ConsentTransaction, consult: Consult, seat: Seat, records: Ledger) -> dict[Purpose, Standing]:
    """Where the person stands on everything they are asked about; empty for staff and before anything is published."""
    key = key_for(consult.kind, seat.role)
    if key is None:
        return {}
    said = overview(in_force(records, tx.now), seat.id)
    available: set[Purpose] = set()
    for locale in LOCALES:
        for version in await tx.consent_templates.find(institution_id=seat.institution_id, key=key, locale=locale):
            available |= {question.purpose for question in version.questions}
    wanted = await wanted_of(tx, seat, key)
    asked = [
        purpose for purpose in Purpose if purpose in wanted and (purpose in available or purpose in QUESTIONS[key])
    ]
    return {purpose: said.get(purpose, Standing.UNDECIDED) for purpose in asked}


async def ask(
    tx: ConsentTransaction, seat_id: str, purposes: Collection[Purpose], *, reason: str, by: Actor
) -> ConsentRequest:
    """Staff ask for further purposes during the consult; the person finds the question on their own page.

    Raises AlreadyRefused when any was refused in this consult, NothingToAsk, SeatCannotSign, NotPermitted.
    """
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    await authorise(tx, by, Action.ASK_CONSENT, consult)
    key = key_for(consult.kind, seat.role)
    if key is None or not consult.media_open:
        raise SeatCannotSign()
    said = overview(in_force(await tx.consent_records.find(consult_id=consult.id), tx.now), seat.id)
    wanted = [purpose for purpose in Purpose if purpose in purposes]
    if refused := tuple(purpose.value for purpose in wanted if said.get(purpose) in NO):
        raise AlreadyRefused(refused)
    template = await latest(tx, seat.institution_id, key, LOCALES[0])
    open_ones = tuple(
        purpose
        for purpose in wanted
        if purpose in {question.purpose for question in template.questions} and said.get(purpose) is None
    )
    if not open_ones:
        raise NothingToAsk()
    row = ConsentRequest(
        id=uuid4().hex,
        institution_id=seat.institution_id,
        consult_id=consult.id,
        seat_id=seat.id,
        purposes=open_ones,
        reason=checks.text("reason", reason, 300, 0),
        asked_by=by.seat_id or by.id,
        asked_at=tx.now,
    )
    await tx.consent_requests.add(row)
    public = {"purposes": [purpose.value for purpose in open_ones]}
    await tx.append(
        AuditEvent(EventCode.CONSENT_ASKED, seat.institution_id, row.asked_by, consult.id, seat.id, public=public)
    )
    return row
