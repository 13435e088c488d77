"""Whether something has changed since a person signed, read from the sealed evidence and the present rows."""

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from clinic.calendar import age_on, local_date
from clinic.consult import Consult, Seat
from clinic.people import Role
from consent.drafting import is_major
from consent.reconsent import Ask, Situation, ask_again, changes
from consent.records import ConsentAction, ConsentRecord
from consent.standing import Ledger
from consent.templates import latest
from consent.transaction import ConsentTransaction
from consent.witnessing import rules_for


async def due(tx: ConsentTransaction, consult: Consult, seat: Seat, records: Ledger) -> tuple[Ask, ...]:
    """What this person has to decide anew, and why; empty before the first signature under a text.

    Compared are the wording (major versions), the patient's age, who sees the data, and how long ago it was.
    """
    signed = next((row for row in reversed(records) if _under_a_text(row, seat)), None)
    if signed is None or not consult.media_open:
        return ()
    before = await _situation_at(tx, signed, consult)
    now = await _situation_now(tx, signed, consult, seat, before)
    found = changes(before, now, await rules_for(tx, seat.institution_id))
    return tuple(ask for ask in ask_again(records, seat.id, found) if ask.seat_id == seat.id)


def _under_a_text(row: ConsentRecord, seat: Seat) -> bool:
    return row.seat_id == seat.id and row.action is ConsentAction.SIGNED and row.template_id is not None


async def _situation_at(tx: ConsentTransaction, signed: ConsentRecord, consult: Consult) -> Situation:
    evidence: dict[str, Any] = json.loads(signed.evidence)
    return Situation(
        on=await _day(tx, consult, signed.recorded_at),
        institutions=frozenset(evidence["shared_with"]),
        age=evidence["signer"].get("age"),
        locale=signed.locale,
    )


async def _situation_now(
    tx: ConsentTransaction, signed: ConsentRecord, consult: Consult, seat: Seat, before: Situation
) -> Situation:
    older = await tx.consent_templates.get(str(signed.template_id))
    newest = await latest(tx, seat.institution_id, older.key, older.locale)
    partners = [case.invited_institution_id for case in await tx.cases.find(consult_id=consult.id)]
    today = await _day(tx, consult, tx.now)
    patient = await tx.patients.get(consult.patient_id)
    return replace(
        before,
        on=today,
        institutions=frozenset(partners) if seat.role is Role.PATIENT else before.institutions,
        age=age_on(patient.birth_date, today) if seat.role is Role.PATIENT else None,
        template_major=int(await is_major(tx, older, newest)),
    )


async def _day(tx: ConsentTransaction, consult: Consult, moment: datetime) -> date:
    institution = await tx.institutions.get(consult.institution_id)
    return local_date(moment, institution.time_zone)
