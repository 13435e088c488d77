"""The desk where consent is shown, signed, withdrawn; every act sealed and on record in one transaction."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, rulebook
from clinic.access import authorise
from clinic.actor import Actor
from clinic.calendar import age_on, local_date
from clinic.consult import Consult, Seat, SeatState
from clinic.documents import canonical, digest
from clinic.errors import NotPermitted
from clinic.people import CLINICIANS, Institution, Patient, Role
from clinic.roles import Action
from consent import companions
from consent import signing as claims
from consent.errors import NothingToWithdraw, SeatCannotSign, WordingChanged
from consent.records import ConsentAction, ConsentRecord, ConsentTemplate, Purpose, SignerCapacity
from consent.signing import Signing
from consent.standing import Standing, decisive, overview, standing
from consent.templates import LOCALES, Rendered, document, key_for, latest, render
from consent.transaction import ConsentTransaction, Sealer

__all__ = ["Presentation", "Signing", "notice", "present", "records_of", "sign", "withdraw", "wording"]


@dataclass(frozen=True, slots=True)
class Presentation:
    """Exactly what to show. Hand `template_id` and `text.sha256` back when signing."""

    template_id: str
    key: str
    version: int
    locale: str
    text: Rendered
    signer_name: str
    guardian_signs: bool
    child_must_assent: bool
    shared_with: tuple[str, ...]
    decided: dict[Purpose, Standing]

    @property
    def shown_digest(self) -> str:
        return self.text.sha256


@dataclass(frozen=True, slots=True)
class _Desk:
    """The rows one act at the desk reads."""

    consult: Consult
    seat: Seat
    institution: Institution
    patient: Patient
    template: ConsentTemplate
    text: Rendered
    shared_with: tuple[str, ...]
    age: int | None  # the patient's, when the patient's text is on the desk


async def records_of(tx: ConsentTransaction, consult_id: str) -> Sequence[ConsentRecord]:
    """The consult's ledger, oldest first: what `standing` and `gate` read."""
    return await tx.consent_records.find(consult_id=consult_id)


async def present(tx: ConsentTransaction, seat_id: str, locale: str) -> Presentation:
    """The text for this seat in "zh" or "en"; the showing is on record. Raises NotReady, SeatCannotSign."""
    desk, key = await _current(tx, seat_id, locale)
    seat, consult, template = desk.seat, desk.consult, desk.template
    public = {"template": template.id, "version": template.version, "locale": locale, "shown": desk.text.sha256}
    await tx.append(_event(EventCode.CONSENT_SHOWN, seat, seat.id, template.id, public))
    return Presentation(
        template.id,
        key,
        template.version,
        locale,
        desk.text,
        seat.display_name,
        guardian_signs=desk.age is not None and desk.age < claims.ADULT,
        child_must_assent=desk.age is not None and claims.OWN_WORD <= desk.age < claims.ADULT,
        shared_with=desk.shared_with,
        decided=overview(await records_of(tx, consult.id), seat.id),
    )


async def wording(tx: ConsentTransaction, seat_id: str, locale: str) -> Rendered:
    """The text `present` would show now, nothing on record. Raises NotReady, SeatCannotSign."""
    return (await _current(tx, seat_id, locale))[0].text


async def sign(tx: ConsentTransaction, sealer: Sealer, seat_id: str, signing: Signing) -> ConsentRecord:
    """One signature under one text. The same operation id again gives the same record and changes nothing.

    Raises WordingChanged, DecisionIncomplete, SignatureInvalid, CapacityInvalid, IdentityTooLow, SeatCannotSign.
    """
    record_id = _record_id(seat_id, "sign", signing.operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    await tx.operation(signing.operation_id, seat_id)
    desk = await _checked(tx, seat_id, signing)
    evidence = canonical(await _evidence(tx, desk, signing))
    permitted = tuple(row.purpose for row in desk.text.questions if signing.decisions[row.purpose])
    refused = tuple(row.purpose for row in desk.text.questions if not signing.decisions[row.purpose])
    record = ConsentRecord(
        id=record_id,
        institution_id=desk.seat.institution_id,
        consult_id=desk.consult.id,
        seat_id=seat_id,
        action=ConsentAction.SIGNED,
        permitted=permitted,
        refused=refused,
        shared_with=desk.shared_with if Purpose.SHARE_PANEL in permitted else (),
        capacity=signing.capacity,
        template_id=desk.template.id,
        locale=desk.template.locale,
        evidence=evidence.decode(),
        digest=digest(evidence),
        seal=sealer.seal(desk.seat.institution_id, digest(evidence), int(tx.now.timestamp())),
        recorded_at=tx.now,
    )
    await tx.consent_records.add(record)
    code = EventCode.CONSENT_SIGNED if permitted else EventCode.CONSENT_REFUSED
    public = {
        "permitted": [purpose.value for purpose in permitted],
        "refused": [purpose.value for purpose in refused],
        "template": desk.template.id,
        "locale": record.locale,
        "evidence": record.digest,
    }
    await tx.append(_event(code, desk.seat, seat_id, record.id, public))
    return record


async def withdraw(
    tx: ConsentTransaction,
    sealer: Sealer,
    seat_id: str,
    purposes: Sequence[Purpose],
    *,
    reason: str,
    operation_id: str,
    by: Actor,
) -> ConsentRecord:
    """Take back what was permitted, in the room, later, or by phone (a nurse enters it); PIPL art. 15.

    Stop the recorder BEFORE calling this; `gate.withdrawal_effect` says what to stop.
    Raises NothingToWithdraw, NotPermitted.
    """
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if seat.role in CLINICIANS:
        raise NotPermitted("the standing notice is not withdrawn")
    await authorise(tx, by, Action.WITHDRAW_CONSENT, consult, owners=[seat.id, seat.person_id or seat.id])
    record_id = _record_id(seat_id, "withdraw", operation_id)
    if (done := await _done(tx, record_id)) is not None:
        return done
    await tx.operation(operation_id, seat_id)
    records = await records_of(tx, consult.id)
    held = [purpose for purpose in Purpose if purpose in purposes]
    withdrawn = tuple(purpose for purpose in held if standing(records, seat_id, purpose) is Standing.PERMITTED)
    if not withdrawn:
        raise NothingToWithdraw()
    signed = decisive(records, seat_id, withdrawn[0])[1]
    assert signed is not None  # standing PERMITTED has a record
    evidence = {
        "type": "huizhen.consent-withdrawal",
        "v": 1,
        "purposes": withdrawn,
        "reason": checks.text("reason", reason, 500, 0),
        "seat": seat_id,
        "consult": consult.id,
        "entered_by": by.seat_id or by.id,
        "server_time": tx.now,
    }
    record = _statement(tx, sealer, seat, evidence, withdraws=signed, record_id=record_id, purposes=withdrawn)
    await tx.consent_records.add(record)
    public = {"purposes": [purpose.value for purpose in withdrawn], "evidence": record.digest}
    await tx.append(_event(EventCode.CONSENT_WITHDRAWN, seat, by.seat_id or by.id, record.id, public))
    return record


async def notice(tx: ConsentTransaction, sealer: Sealer, seat_id: str) -> ConsentRecord:
    """Staff acknowledge the standing notice on recording by joining. Idempotent. Raises SeatCannotSign for others."""
    seat = await tx.seats.get(seat_id)
    if seat.role not in CLINICIANS:
        raise SeatCannotSign()
    where, known = decisive(await records_of(tx, seat.consult_id), seat_id, Purpose.REC_AV)
    if known is not None and where is Standing.PERMITTED:
        return known
    evidence = {
        "type": "huizhen.staff-notice",
        "v": 1,
        "notice": "recording-by-consent-of-all-present",
        "seat": seat_id,
        "person": seat.person_id,
        "role": seat.role,
        "consult": seat.consult_id,
        "server_time": tx.now,
    }
    record_id = _record_id(seat_id, "notice", "")
    record = _statement(tx, sealer, seat, evidence, record_id=record_id, purposes=(Purpose.REC_AV,))
    await tx.consent_records.add(record)
    public = {"permitted": [Purpose.REC_AV.value], "notice": True, "evidence": record.digest}
    await tx.append(_event(EventCode.CONSENT_SIGNED, seat, seat_id, record.id, public))
    return record


def _statement(
    tx: ConsentTransaction,
    sealer: Sealer,
    seat: Seat,
    evidence: dict[str, Any],
    *,
    record_id: str,
    purposes: tuple[Purpose, ...],
    withdraws: ConsentRecord | None = None,
) -> ConsentRecord:
    """A record without a template: a withdrawal or a notice."""
    data = canonical(evidence)
    return ConsentRecord(
        id=record_id,
        institution_id=seat.institution_id,
        consult_id=seat.consult_id,
        seat_id=seat.id,
        action=ConsentAction.SIGNED if withdraws is None else ConsentAction.WITHDRAWN,
        permitted=purposes,
        refused=(),
        shared_with=(),
        capacity=SignerCapacity.STAFF_NOTICE if withdraws is None else withdraws.capacity,
        template_id=None,
        locale="zh" if withdraws is None else withdraws.locale,
        evidence=data.decode(),
        digest=digest(data),
        seal=sealer.seal(seat.institution_id, digest(data), int(tx.now.timestamp())),
        recorded_at=tx.now,
        withdraws=None if withdraws is None else withdraws.id,
    )


async def _current(tx: ConsentTransaction, seat_id: str, locale: str) -> tuple[_Desk, str]:
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    key = key_for(consult.kind, seat.role)
    if key is None or not consult.media_open or seat.state is SeatState.REMOVED:
        raise SeatCannotSign()
    template = await latest(tx, seat.institution_id, key, checks.one_of("locale", locale, LOCALES))
    return await _desk(tx, consult, seat, template), key


async def _checked(tx: ConsentTransaction, seat_id: str, signing: Signing) -> _Desk:
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    key = key_for(consult.kind, seat.role)
    if key is None or not consult.media_open or seat.state is SeatState.REMOVED:
        raise SeatCannotSign()
    try:
        template = await tx.consent_templates.get(signing.template_id)
    except MissingRow as error:
        raise WordingChanged() from error
    if template.key != key or template.institution_id != seat.institution_id:
        raise WordingChanged()
    desk = await _desk(tx, consult, seat, template)
    current = await latest(tx, seat.institution_id, key, template.locale)
    if current.id != template.id or desk.text.sha256 != signing.shown_digest:
        raise WordingChanged()
    patient = desk.patient
    names = (patient.name, patient.name_en) if seat.role is Role.PATIENT else (seat.display_name,)
    claims.check_decisions(signing, [row.purpose for row in desk.text.questions])
    claims.check_capacity(signing, desk.age)
    claims.check_signature(signing, names)
    claims.check_hints(signing, [row.key for row in desk.text.sections])
    if seat.role is Role.PATIENT:
        rules = rulebook.in_force(local_date(tx.now, desk.institution.time_zone))
        claims.check_identity(signing, patient.identity_level, rules)
    return desk


async def _desk(tx: ConsentTransaction, consult: Consult, seat: Seat, template: ConsentTemplate) -> _Desk:
    institution = await tx.institutions.get(consult.institution_id)
    doctor = await tx.staff.get(consult.doctor_id)
    patient = await tx.patients.get(consult.patient_id)
    cases = await tx.cases.find(consult_id=consult.id)
    partners = [await tx.institutions.get(case.invited_institution_id) for case in cases]
    today = local_date(tx.now, institution.time_zone)
    rules = rulebook.in_force(today)
    english = template.locale == "en"
    values = {
        "institution": _name(institution, english),
        "doctor": (doctor.name_en or doctor.name) if english else doctor.name,
        "licence": doctor.licence_number or "-",
        "phone": institution.phone,
        "fee": _fee(consult.fee_cents, english),
        "retention_years": str(rules.value("CN-14", "process_years")),
        "record_years": str(rules.value("CN-14", "record_years")),
        "shared_with": (", " if english else "、").join(_name(partner, english) for partner in partners),
    }
    return _Desk(
        consult,
        seat,
        institution,
        patient,
        template,
        render(template, values),
        tuple(partner.id for partner in partners),
        age_on(patient.birth_date, today) if seat.role is Role.PATIENT else None,
    )


def _name(institution: Institution, english: bool) -> str:
    return (institution.name_en or institution.name) if english else institution.name


def _fee(cents: int, english: bool) -> str:
    if cents == 0:
        return "free of charge" if english else "免费"
    amount = f"{cents // 100}.{cents % 100:02d}"
    return f"CNY {amount}" if english else f"人民币{amount}元"


async def _evidence(tx: ConsentTransaction, desk: _Desk, signing: Signing) -> dict[str, Any]:
    inside = await tx.seats.find(consult_id=desk.consult.id, state=SeatState.ADMITTED)
    beside = companions.helping(await tx.companions.find(consult_id=desk.consult.id), desk.seat.id)
    patient = desk.seat.role is Role.PATIENT
    times = [point[2] for stroke in signing.strokes for point in stroke]
    return {
        "type": "huizhen.consent",
        "v": 1,
        "template": {
            "id": desk.template.id,
            "key": desk.template.key,
            "version": desk.template.version,
            "sha256": desk.template.sha256,
        },
        "locale": desk.template.locale,
        "shown": document(desk.text),
        "rendered_text_sha256": desk.text.sha256,
        "decisions": {purpose.value: answer for purpose, answer in signing.decisions.items()},
        "shared_with": desk.shared_with,
        "signer": {
            "seat": desk.seat.id,
            "role": desk.seat.role,
            "capacity": signing.capacity,
            "typed_name": signing.typed_name,
            "relation": signing.relation or desk.seat.relation,
            "child_assents": signing.child_assents,
            "identity_level": int(desk.patient.identity_level) if patient else 0,
        },
        "signature": {
            "sha256": digest(signing.signature_image),
            "png": base64.b64encode(signing.signature_image).decode(),
            "method": signing.method,
            "strokes": signing.strokes,
            "duration_ms": max(times, default=0) - min(times, default=0),
        },
        "reading": {
            key: {
                "shown_ms": row.shown_ms,
                "dwell_ms": row.dwell_ms,
                "scrolled": row.scrolled,
                "heard_ms": row.heard_ms,
            }
            for key, row in signing.reading.items()
        },
        "helper": companions.signed_with(beside),
        "consult": desk.consult.id,
        "institution": desk.consult.institution_id,
        "participants": [{"seat": seat.id, "role": seat.role} for seat in inside],
        "server_time": tx.now,
        "device": dict(signing.device),
    }


async def _done(tx: ConsentTransaction, record_id: str) -> ConsentRecord | None:
    try:
        return await tx.consent_records.get(record_id)
    except MissingRow:
        return None


def _record_id(seat_id: str, act: str, operation_id: str) -> str:
    """Derived from the operation, so that a resend finds the first outcome."""
    return hashlib.sha256(f"consent:{act}:{seat_id}:{operation_id}".encode()).hexdigest()[:32]


def _event(code: EventCode, seat: Seat, actor_id: str, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    return AuditEvent(code, seat.institution_id, actor_id, seat.consult_id, subject_id, public=public)
