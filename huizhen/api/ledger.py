"""What staff do to a consent: ask for more, witness, enter a withdrawal, approve in an emergency, correct."""

import json

from clinic.roles import Action
from consent import asking, desk, emergency, languages, witnessing
from consent.emergency import Emergency
from consent.records import ConsentRecord, SignerCapacity
from consent.witnessing import Sighting, rules_for
from huizhen.api import detail, render
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Accepted, Items, Label, NoBody
from huizhen.api.shapes.template import (
    AskBody,
    AskedView,
    CorrectBody,
    EmergencyBody,
    EmergencyOpening,
    LanguageBody,
    LanguageView,
    LedgerRecord,
    StaffWithdrawal,
    WitnessBody,
)
from huizhen.store.tables import StoreTransaction
from signaling import consenting


async def ask(call: Call[AskBody]) -> AskedView:
    """The person finds the question on their own page; what they refused in this consult is not asked again."""
    services, seat_id = call.services, call.path("seat")
    async with services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        row = await asking.ask(tx, seat_id, call.body.purposes, reason=call.body.reason, by=call.actor)
    await consenting.consent_changed(services.live, row.consult_id, seat_id)
    return AskedView(purposes=list(row.purposes))


async def note_language(call: Call[LanguageBody]) -> LanguageView:
    """The person's page asks again, in a language they read."""
    services, seat_id = call.services, call.path("seat")
    async with services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        row = await languages.note(tx, seat_id, call.body.locale, by=call.actor)
    await consenting.consent_changed(services.live, row.consult_id, seat_id)
    return LanguageView(locale=row.locale)


async def witness(call: Call[WitnessBody]) -> LedgerRecord:
    body = call.body
    seen = Sighting(
        operation_id=call.op,
        capacity=SignerCapacity(body.capacity),
        basis=body.basis,
        signer_name=body.signer_name,
        document=body.document,
        relation=body.relation,
        typed_name=body.typed_name,
    )
    return _row(await witnessing.witness(call.tx, call.services.sealer, call.path("seat"), seen, by=call.actor))


async def withdraw(call: Call[StaffWithdrawal]) -> Accepted:
    """What a person said by telephone or at the desk; writing stops first, then the ledger commits."""
    body = call.body
    purposes = list(dict.fromkeys(body.purposes))
    await consenting.withdraw(
        call.services.live,
        call.path("seat"),
        purposes,
        reason=body.reason,
        op=call.op,
        by=call.actor,
        identified=body.identified,
    )
    return Accepted()


async def approve_emergency(call: Call[EmergencyBody]) -> LedgerRecord:
    services, body = call.services, call.body
    found = Emergency(call.op, body.reason, body.tried)
    async with services.db.begin() as tx:
        record = await emergency.approve(tx, services.sealer, call.path("consult"), found, by=call.actor)
    await consenting.consent_changed(services.live, record.consult_id, record.seat_id)
    return _row(record)


async def emergencies(call: Call[NoBody]) -> Items[EmergencyOpening]:
    tx = call.tx
    house = await tx.institutions.get(call.me.institution_id)
    rules = await rules_for(tx, house.id)
    items = []
    for found in await emergency.openings(tx, by=call.actor):
        consult, record = found.consult, found.approved
        items.append(
            EmergencyOpening(
                consult_id=consult.id,
                kind=consult.kind,
                status=consult.status,
                starts_at=consult.starts_at,
                department_label=render.department(consult.department),
                patient=render.patient_row(await tx.patients.get(consult.patient_id), house, call.now),
                doctor=await detail.who(tx, consult.doctor_id),
                permits=list(found.permits),
                basis=Label(zh=rules.emergency.zh, en=rules.emergency.en),
                same_hands=found.same_hands,
                approved_by=await _approver(tx, record) if record else None,
                approved_at=record.recorded_at if record else None,
            )
        )
    return Items(items=items)


async def _approver(tx: StoreTransaction, record: ConsentRecord) -> str:
    return await detail.who(tx, str(json.loads(record.evidence)["approved_by"]))


async def correct(call: Call[CorrectBody]) -> LedgerRecord:
    services = call.services
    async with services.db.begin() as tx:
        record = await desk.correct(
            tx, services.sealer, call.path("record"), reason=call.body.reason, operation_id=call.op, by=call.actor
        )
    await consenting.consent_changed(services.live, record.consult_id, record.seat_id)
    return _row(record)


def _row(record: ConsentRecord) -> LedgerRecord:
    return LedgerRecord(id=record.id, digest=record.digest)


_SEAT = "/api/consults/{consult}/seats/{seat}/consent"

ROUTES: Table = (
    Route(
        method="POST",
        path=f"{_SEAT}/ask",
        handler=ask,
        policy=staff(Action.ASK_CONSENT, own=Own.CONSULT_SEAT),
        body=AskBody,
        answer=AskedView,
        unit=Unit.NONE,
        summary="Ask a person for further purposes",
    ),
    Route(
        method="POST",
        path=f"{_SEAT}/language",
        handler=note_language,
        policy=staff(Action.WITNESS_CONSENT, own=Own.CONSULT_SEAT),
        body=LanguageBody,
        answer=LanguageView,
        unit=Unit.NONE,
        summary="The person reads another language than the one they signed in",
    ),
    Route(
        method="POST",
        path=f"{_SEAT}/witness",
        handler=witness,
        policy=staff(Action.WITNESS_CONSENT, own=Own.CONSULT_SEAT),
        body=WitnessBody,
        answer=LedgerRecord,
        unit=Unit.WRITE,
        claims=False,
        summary="I saw who signs, and on which document",
    ),
    Route(
        method="POST",
        path=f"{_SEAT}/withdraw",
        handler=withdraw,
        policy=staff(Action.WITHDRAW_CONSENT, own=Own.CONSULT_SEAT),
        body=StaffWithdrawal,
        answer=Accepted,
        unit=Unit.NONE,
        summary="Enter a withdrawal said by telephone or at the desk",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/consent/emergency",
        handler=approve_emergency,
        policy=staff(Action.APPROVE_EMERGENCY, own=Own.CONSULT),
        body=EmergencyBody,
        answer=LedgerRecord,
        unit=Unit.NONE,
        summary="The head of the institution approves care in an emergency",
    ),
    Route(
        method="GET",
        path="/api/consent-emergencies",
        handler=emergencies,
        policy=staff(Action.APPROVE_EMERGENCY, own=Own.HOUSE),
        answer=Items[EmergencyOpening],
        summary="Where an emergency approval may be given, or stands",
    ),
    Route(
        method="POST",
        path="/api/consents/{record}/correct",
        handler=correct,
        policy=staff(Action.CORRECT_CONSENT, own=Own.CONSENT_RECORD),
        body=CorrectBody,
        answer=LedgerRecord,
        unit=Unit.NONE,
        summary="Entered in error: the question is open again",
    ),
)
