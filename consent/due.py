"""Whether something has changed since a person signed, read from the sealed evidence and the present rows."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clinic.calendar import age_on, local_date
from clinic.consult import Consult, Seat
from clinic.panels.finding import named
from clinic.people import Role
from consent.choices import wanted_of
from consent.drafting import is_major
from consent.errors import NotReady
from consent.filling import partners_of, values_for
from consent.languages import reads
from consent.reconsent import NO, Ask, Situation, ask_again, changes
from consent.records import ConsentAction, ConsentRecord, ConsentTemplate, Purpose, SignerCapacity
from consent.situation import rests_on, same_course
from consent.standing import Ledger, standing
from consent.templates import latest, render
from consent.transaction import ConsentTransaction
from consent.witnessing import rules_for


async def due(tx: ConsentTransaction, consult: Consult, seat: Seat, records: Ledger) -> tuple[Ask, ...]:
    """What this person has to decide anew, and why; empty before the first signature under a text.

    Only what the page would ask anyhow. After a no, only where the question itself is another one now.
    """
    signed = next((row for row in reversed(records) if _under_a_text(row, seat)), None)
    if signed is None or not consult.media_open:
        return ()
    older = await tx.consent_templates.get(str(signed.template_id))
    newest = await latest(tx, seat.institution_id, older.key, older.locale)
    before, now = await _situations(tx, signed, consult, seat, (older, newest))
    found = changes(before, now, await rules_for(tx, seat.institution_id))
    if not found:
        return ()
    reworded = await _reworded(tx, consult, seat, records, newest)
    wanted = await wanted_of(tx, seat, older.key)
    asks = ask_again(records, seat.id, [replace(each, reworded=reworded) for each in found])
    mine = [replace(ask, purposes=tuple(each for each in ask.purposes if each in wanted)) for ask in asks]
    return tuple(ask for ask in mine if ask.purposes and ask.seat_id == seat.id)


async def reopened(tx: ConsentTransaction, seat: Seat, records: Ledger) -> frozenset[Purpose]:
    """Purposes this person said no to that may be asked all the same: it is another question now."""
    refused = {purpose for purpose in Purpose if standing(records, seat.id, purpose) in NO}
    if not refused:
        return frozenset()
    asks = await due(tx, await tx.consults.get(seat.consult_id), seat, records)
    return frozenset(purpose for ask in asks for purpose in ask.purposes if purpose in refused)


def _under_a_text(row: ConsentRecord, seat: Seat) -> bool:
    return row.seat_id == seat.id and row.action is ConsentAction.SIGNED and row.template_id is not None


async def _situations(
    tx: ConsentTransaction,
    signed: ConsentRecord,
    consult: Consult,
    seat: Seat,
    texts: tuple[ConsentTemplate, ConsentTemplate],
) -> tuple[Situation, Situation]:
    """At the signing and now. Evidence older than a member says nothing of it: there it counts as unchanged."""
    evidence: dict[str, Any] = json.loads(signed.evidence)
    house = await tx.institutions.get(consult.institution_id)
    patient = await tx.patients.get(consult.patient_id)
    older, newest = texts
    today = local_date(tx.now, house.time_zone)
    before = Situation(
        on=local_date(signed.recorded_at, house.time_zone),
        institutions=frozenset(evidence["shared_with"]),
        age=evidence["signer"].get("age"),
        locale=signed.locale,
        naming_doctor=frozenset(row.purpose for row in older.questions if "{doctor}" in row.question),
    )
    own = seat.role is Role.PATIENT
    invited = await named(tx, consult.id)
    now = replace(
        before,
        on=today,
        institutions=frozenset(invited) if own else before.institutions,
        age=age_on(patient.birth_date, today) if own else None,
        template_major=int(await is_major(tx, older, newest)),
        locale=reads(await tx.language_notes.find(consult_id=consult.id), seat.id) or signed.locale,
    )
    then = evidence.get("rests_on")
    if then is None:
        return before, now
    present = await rests_on(tx, consult, seat, evidence["signer"]["typed_name"])
    guardian = await _guardian(tx, signed, consult, then) if own else None
    return _resting(before, then, then.get("guardianship")), _compared(now, then, present, guardian)


def _resting(situation: Situation, facts: Mapping[str, Any], guardian: str | None) -> Situation:
    """The situation with what the evidence (or the rows) say beside the text."""
    return replace(
        situation,
        retention_years=facts["retention_years"],
        doctor=facts.get("doctor", ""),
        observers=frozenset(facts.get("observers", ())),
        ai=frozenset(Purpose(each) for each in facts.get("ai", ())),
        abroad=frozenset({facts["abroad"]} if facts.get("abroad") else ()),
        guardian=guardian,
    )


def _compared(now: Situation, then: dict[str, Any], facts: dict[str, Any], guardian: str | None) -> Situation:
    other = "doctor" in then and not same_course(then, facts)
    return replace(_resting(now, facts, guardian), course="another" if other else "")


async def _guardian(
    tx: ConsentTransaction, signed: ConsentRecord, consult: Consult, then: Mapping[str, Any]
) -> str | None:
    """The guardian the signature stands on, or who answers instead: theirs has ended, or an adult who signed for
    themself has been given one since."""
    rows = [row for row in await tx.guardianships.find(patient_id=consult.patient_id) if row.ended_at is None]
    known: str | None = then["guardianship"]
    if known is not None:
        return known if known in {row.id for row in rows} else next((row.id for row in rows), "")
    alone = signed.capacity is SignerCapacity.SELF
    return next((row.id for row in rows if alone and row.recorded_at > signed.recorded_at), None)


async def _reworded(
    tx: ConsentTransaction, consult: Consult, seat: Seat, records: Ledger, newest: ConsentTemplate
) -> frozenset[Purpose]:
    """Purposes this person refused whose question reads differently now, with every name in it filled in."""
    before = {
        purpose: asked
        for purpose in Purpose
        if standing(records, seat.id, purpose) in NO and (asked := _asked(records, seat, purpose)) is not None
    }
    if not before:
        return frozenset()
    values = await values_for(tx, consult, await partners_of(tx, consult), newest.locale)
    try:
        present = {row.purpose: row.question for row in render(newest, values, before).questions}
    except NotReady:
        return frozenset()
    return frozenset(purpose for purpose, asked in before.items() if present.get(purpose, asked) != asked)


def _asked(records: Ledger, seat: Seat, purpose: Purpose) -> str | None:
    """The question as it was put when the person last decided it under a text."""
    for row in reversed(records):
        if _under_a_text(row, seat) and purpose in (*row.permitted, *row.refused):
            questions = json.loads(row.evidence)["shown"]["questions"]
            return next(str(each["question"]) for each in questions if each["purpose"] == purpose.value)
    return None
