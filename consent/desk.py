"""The desk where consent is shown and signed; every act sealed and on record in one transaction.

What happens beside a signature has its own module: `withdrawing`, `witnessing`, `asking`, `emergency`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.actor import Actor
from clinic.calendar import age_on, local_date
from clinic.consult import Consult, Seat, SeatState
from clinic.people import Role
from consent import policy, sharing
from consent import signing as claims
from consent.asking import asked_of
from consent.choices import settings_of
from consent.errors import AlreadyRefused, NothingToAsk, SeatCannotSign, SignatureInvalid, WordingChanged
from consent.evidence import Desk, done, event, id_of, record_of, signing_evidence, understood, values
from consent.filling import partners_of, values_for
from consent.reconsent import NO
from consent.records import ConsentAction, ConsentRecord, ConsentTemplate, Purpose, SignerCapacity
from consent.signing import Signing
from consent.standing import Standing, overview
from consent.templates import Rendered, key_for, latest, render
from consent.transaction import ConsentTransaction, Sealer
from consent.validity import in_force
from consent.withdrawing import correct, notice, withdraw
from consent.witnessing import standing_witness

__all__ = ["Presentation", "Signing", "correct", "notice", "present", "records_of", "sign", "withdraw", "wording"]


@dataclass(frozen=True, slots=True)
class Presentation:
    """Exactly what to show. Hand `template_id` and `text.sha256` back when signing, and `again` as it was."""

    template_id: str
    key: str
    version: int
    locale: str
    text: Rendered
    signer_name: str
    guardian_signs: bool
    child_must_assent: bool
    may_be_self_supporting: bool
    shared_with: tuple[str, ...]
    decided: dict[Purpose, Standing]
    again: bool
    locales: tuple[str, ...]

    @property
    def shown_digest(self) -> str:
        return self.text.sha256


async def records_of(tx: ConsentTransaction, consult_id: str) -> Sequence[ConsentRecord]:
    """The consult's ledger, oldest first: what `standing` and `gate` read."""
    return await tx.consent_records.find(consult_id=consult_id)


async def present(tx: ConsentTransaction, seat_id: str, locale: str, *, again: bool = False) -> Presentation:
    """The text for this seat in a language; the showing is on record.

    `again`: the person themself wishes to decide anew what they refused; nobody else may ask (条例 art. 22).
    Raises AlreadyRefused when only refused questions are left, NotReady, SeatCannotSign.
    """
    desk, decided, asked = await _current(tx, seat_id, locale, again=again)
    seat, template = desk.seat, desk.template
    settings = await settings_of(tx, seat.institution_id)
    public = {"template": template.id, "version": template.version, "locale": locale, "shown": desk.text.sha256}
    public |= {"purposes": values(asked), "again": again}
    await tx.append(event(EventCode.CONSENT_SHOWN, seat, seat.id, template.id, public))
    ages, age = desk.policy.ages, desk.age
    child = age is not None and age < ages["adult"]
    return Presentation(
        template.id,
        template.key,
        template.version,
        locale,
        desk.text,
        seat.display_name,
        guardian_signs=child,
        child_must_assent=child and age is not None and age >= ages["own_word"],
        may_be_self_supporting=child and age is not None and age >= ages["self_supporting"],
        shared_with=desk.shared_with,
        decided=decided,
        again=again,
        locales=settings.locales,
    )


async def wording(tx: ConsentTransaction, seat_id: str, locale: str, *, again: bool = False) -> Rendered:
    """The text `present` would show now, nothing on record. Raises as `present`."""
    return (await _current(tx, seat_id, locale, again=again))[0].text


async def sign(tx: ConsentTransaction, sealer: Sealer, seat_id: str, signing: Signing) -> ConsentRecord:
    """One signature under one text. The same operation id again gives the same record and changes nothing.

    Raises WordingChanged, DecisionIncomplete, SignatureInvalid, CapacityInvalid, IdentityTooLow, WitnessMissing,
    AlreadyRefused, SeatCannotSign.
    """
    record_id = id_of(seat_id, "sign", signing.operation_id)
    if (before := await done(tx, record_id)) is not None:
        return before
    await tx.operation(signing.operation_id, seat_id)
    desk, witness = await _checked(tx, seat_id, signing)
    permitted = tuple(row.purpose for row in desk.text.questions if signing.decisions[row.purpose])
    refused = tuple(row.purpose for row in desk.text.questions if not signing.decisions[row.purpose])
    record = record_of(
        tx,
        sealer,
        desk.seat,
        await signing_evidence(tx, desk, signing, witness),
        record_id=record_id,
        action=ConsentAction.SIGNED,
        capacity=signing.capacity,
        permitted=permitted,
        refused=refused,
        shared_with=desk.shared_with if Purpose.SHARE_PANEL in permitted else (),
        template_id=desk.template.id,
        locale=desk.template.locale,
    )
    await tx.consent_records.add(record)
    code = EventCode.CONSENT_SIGNED if permitted else EventCode.CONSENT_REFUSED
    await tx.append(event(code, desk.seat, seat_id, record.id, _told(desk, signing, record)))
    await sharing.settle(tx, desk.consult, (*permitted, *refused), Actor.seated(desk.seat))
    if signing.child_name is not None:
        await _assent(tx, sealer, desk, signing, record)
    return record


def _told(desk: Desk, signing: Signing, record: ConsentRecord) -> dict[str, Any]:
    """What the trail says of a signature."""
    public: dict[str, Any] = {
        "permitted": values(record.permitted),
        "refused": values(record.refused),
        "template": desk.template.id,
        "locale": record.locale,
        "evidence": record.digest,
        "capacity": signing.capacity.value,
        "again": signing.again,
    }
    if (right := understood(desk, signing)) is not None:
        public["understood"] = right
    return public


async def _assent(tx: ConsentTransaction, sealer: Sealer, desk: Desk, signing: Signing, signed: ConsentRecord) -> None:
    """The child's own word, its own act: what was shown to it, its name in its own hand (Civil Code art. 19)."""
    evidence = {
        "type": "huizhen.consent-assent",
        "v": 1,
        "record": signed.id,
        "record_digest": signed.digest,
        "rendered_text_sha256": desk.text.sha256,
        "typed_name": signing.child_name,
        "age": desk.age,
        "seat": desk.seat.id,
        "consult": desk.consult.id,
        "server_time": tx.now,
    }
    record = record_of(
        tx,
        sealer,
        desk.seat,
        evidence,
        record_id=id_of(desk.seat.id, "assent", signing.operation_id),
        action=ConsentAction.ASSENTED,
        capacity=SignerCapacity.SELF,
        locale=desk.template.locale,
        about=signed.id,
    )
    await tx.consent_records.add(record)
    public = {"record": signed.id, "evidence": record.digest}
    await tx.append(event(EventCode.CONSENT_ASSENTED, desk.seat, desk.seat.id, record.id, public))


async def _current(
    tx: ConsentTransaction, seat_id: str, locale: str, *, again: bool
) -> tuple[Desk, dict[Purpose, Standing], tuple[Purpose, ...]]:
    """What lies on the desk, where the person stands, and what they are asked."""
    consult, seat, key = await _signable(tx, seat_id)
    settings = await settings_of(tx, seat.institution_id)
    template = await latest(tx, seat.institution_id, key, checks.one_of("locale", locale, settings.locales))
    records = await records_of(tx, consult.id)
    decided = overview(in_force(records, tx.now), seat.id)
    asked = await asked_of(tx, seat, template, records, again=again)
    if not asked:
        raise AlreadyRefused(tuple(purpose.value for purpose, said in decided.items() if said in NO))
    return await _desk(tx, consult, seat, template, asked), decided, asked


async def _signable(tx: ConsentTransaction, seat_id: str) -> tuple[Consult, Seat, str]:
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    key = key_for(consult.kind, seat.role)
    if key is None or not consult.media_open or seat.state is SeatState.REMOVED:
        raise SeatCannotSign()
    return consult, seat, key


async def _checked(tx: ConsentTransaction, seat_id: str, signing: Signing) -> tuple[Desk, ConsentRecord | None]:
    consult, seat, key = await _signable(tx, seat_id)
    template = await _template(tx, seat, key, signing.template_id)
    records = await records_of(tx, consult.id)
    asked = await asked_of(tx, seat, template, records, again=signing.again)
    if not asked:
        raise NothingToAsk()
    desk = await _desk(tx, consult, seat, template, asked)
    current = await latest(tx, seat.institution_id, key, template.locale)
    if current.id != template.id or desk.text.sha256 != signing.shown_digest:
        raise WordingChanged()
    own = (desk.patient.name, desk.patient.name_en) if seat.role is Role.PATIENT else (seat.display_name,)
    claims.check_decisions(signing, [row.purpose for row in desk.text.questions])
    claims.check_capacity(signing, desk.age, desk.policy)
    claims.check_signature(signing, own)
    claims.check_hints(signing, [row.key for row in desk.text.sections], desk.check)
    _check_assent(desk, signing, own)
    witness = standing_witness(records, seat_id, desk.policy, tx.now)
    claims.check_witness(signing, witness.capacity if witness else None)
    if seat.role is Role.PATIENT:
        seen = witness is not None and witness.capacity is signing.capacity
        claims.check_identity(signing, desk.patient.identity_level, desk.policy, witnessed=seen)
    return desk, witness


async def _template(tx: ConsentTransaction, seat: Seat, key: str, template_id: str) -> ConsentTemplate:
    try:
        template = await tx.consent_templates.get(template_id)
    except MissingRow as error:
        raise WordingChanged() from error
    if template.key != key or template.institution_id != seat.institution_id:
        raise WordingChanged()
    return template


def _check_assent(desk: Desk, signing: Signing, own: tuple[str, ...]) -> None:
    """A child that has a word types its own name; nobody else is asked for one. Raises SignatureInvalid."""
    assents = (
        desk.age is not None
        and not claims.acts_alone(signing, desk.age, desk.policy)
        and desk.age >= desk.policy.ages["own_word"]
    )
    if assents != (signing.child_name is not None):
        raise SignatureInvalid("child_name")
    if signing.child_name is not None and not claims.is_one_of(signing.child_name, own):
        raise SignatureInvalid("child_name")


async def _desk(
    tx: ConsentTransaction, consult: Consult, seat: Seat, template: ConsentTemplate, asked: Sequence[Purpose]
) -> Desk:
    institution = await tx.institutions.get(consult.institution_id)
    patient = await tx.patients.get(consult.patient_id)
    partners = await partners_of(tx, consult)
    filled = await values_for(tx, consult, partners, template.locale)
    today = local_date(tx.now, institution.time_zone)
    return Desk(
        consult,
        seat,
        institution,
        patient,
        template,
        render(template, filled, asked),
        tuple(partner.id for partner in partners),
        age_on(patient.birth_date, today) if seat.role is Role.PATIENT else None,
        policy.in_force(today),
    )
