"""The sealed bytes of the ledger: what was shown, decided and by whom, as canonical JSON (RFC 8785)."""

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Consult, Seat, SeatState
from clinic.documents import canonical, digest
from clinic.people import Institution, Patient, Role
from consent import companions
from consent.parties import parties_of
from consent.policy import Policy
from consent.records import (
    Comprehension,
    ConsentAction,
    ConsentRecord,
    ConsentTemplate,
    Purpose,
    SignerCapacity,
)
from consent.signing import Signing, acts_alone
from consent.situation import rests_on
from consent.templates import Rendered, document
from consent.transaction import ConsentTransaction, Sealer


@dataclass(frozen=True, slots=True)
class Desk:
    """The rows one act at the desk reads."""

    consult: Consult
    seat: Seat
    institution: Institution
    patient: Patient
    template: ConsentTemplate
    text: Rendered
    shared_with: tuple[str, ...]
    age: int | None  # the patient's, when the patient's text is on the desk
    policy: Policy

    @property
    def check(self) -> Comprehension | None:
        return next((section.check for section in self.text.sections if section.check is not None), None)


async def signing_evidence(
    tx: ConsentTransaction, desk: Desk, signing: Signing, witness: ConsentRecord | None
) -> dict[str, Any]:
    """One signature: the text word for word, the decisions, the signer, the reading, the room."""
    inside = await tx.seats.find(consult_id=desk.consult.id, state=SeatState.ADMITTED)
    beside = companions.helping(await tx.companions.find(consult_id=desk.consult.id), desk.seat.id)
    return {
        "type": "huizhen.consent",
        "v": 3,
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
        "asked_again_by_signer": signing.again,
        "shared_with": desk.shared_with,
        "rests_on": await rests_on(tx, desk.consult, desk.seat, signing.typed_name),
        "signer": _signer(desk, signing),
        "signature": _signature(signing),
        "reading": _reading(signing),
        "helper": companions.signed_with(beside),
        "comprehension": _comprehension(desk, signing),
        "witness": None if witness is None else {"record": witness.id, "digest": witness.digest},
        "policy": desk.policy.version,
        "consult": desk.consult.id,
        "institution": desk.consult.institution_id,
        "parties": await parties_of(tx, desk.consult, desk.seat.role),
        "participants": [{"seat": seat.id, "role": seat.role} for seat in inside],
        "server_time": tx.now,
        "device": dict(signing.device),
    }


def _signer(desk: Desk, signing: Signing) -> dict[str, Any]:
    patient = desk.seat.role is Role.PATIENT
    return {
        "seat": desk.seat.id,
        "role": desk.seat.role,
        "capacity": signing.capacity,
        "basis": signing.basis,
        "typed_name": signing.typed_name,
        "relation": signing.relation or desk.seat.relation,
        "proof": signing.proof,
        "authorisation": signing.authorisation,
        "child_assents": signing.child_assents,
        "age": desk.age,
        "acts_alone": acts_alone(signing, desk.age, desk.policy),
        # under 14 all data of the patient is sensitive and needs the parent's word, PIPL art. 31
        "parent_consent": desk.age is not None and desk.age < desk.policy.ages["parent_consent"],
        "identity_level": int(desk.patient.identity_level) if patient else 0,
    }


def _signature(signing: Signing) -> dict[str, Any]:
    times = [point[2] for stroke in signing.strokes for point in stroke]
    return {
        "sha256": digest(signing.signature_image),
        "png": base64.b64encode(signing.signature_image).decode(),
        "method": signing.method,
        "strokes": signing.strokes,
        "duration_ms": max(times, default=0) - min(times, default=0),
    }


def _reading(signing: Signing) -> dict[str, Any]:
    return {
        "sections": {
            key: {
                "shown_ms": row.shown_ms,
                "dwell_ms": row.dwell_ms,
                "scrolled": row.scrolled,
                "font_px": row.font_px,
                "read_aloud": row.read_aloud,
                "heard_ms": row.heard_ms,
            }
            for key, row in signing.reading.items()
        },
        "locale_switches": [{"at_ms": each.at_ms, "locale": each.locale} for each in signing.locale_switches],
        "decided_ms": {purpose.value: at for purpose, at in signing.decided_ms.items()},
    }


def understood(desk: Desk, signing: Signing) -> bool | None:
    """Whether the last answer was right; None when there was no question or no answer. It never blocks."""
    if desk.check is None or not signing.answers:
        return None
    return signing.answers[-1] == desk.check.right


def _comprehension(desk: Desk, signing: Signing) -> dict[str, Any]:
    return {"answers": list(signing.answers), "understood": understood(desk, signing)}


def record_of(
    tx: ConsentTransaction,
    sealer: Sealer,
    seat: Seat,
    evidence: dict[str, Any],
    *,
    record_id: str,
    action: ConsentAction,
    capacity: SignerCapacity,
    permitted: tuple[Purpose, ...] = (),
    refused: tuple[Purpose, ...] = (),
    shared_with: tuple[str, ...] = (),
    template_id: str | None = None,
    locale: str = "zh",
    about: str | None = None,
) -> ConsentRecord:
    """The row, its evidence canonical, digested and sealed."""
    data = canonical(evidence)
    return ConsentRecord(
        id=record_id,
        institution_id=seat.institution_id,
        consult_id=seat.consult_id,
        seat_id=seat.id,
        action=action,
        permitted=permitted,
        refused=refused,
        shared_with=shared_with,
        capacity=capacity,
        template_id=template_id,
        locale=locale,
        evidence=data.decode(),
        digest=digest(data),
        seal=sealer.seal(seat.institution_id, digest(data), int(tx.now.timestamp())),
        recorded_at=tx.now,
        withdraws=about,
    )


async def done(tx: ConsentTransaction, record_id: str) -> ConsentRecord | None:
    """The outcome of an operation that was carried out before."""
    try:
        return await tx.consent_records.get(record_id)
    except MissingRow:
        return None


def id_of(seat_id: str, act: str, operation_id: str) -> str:
    """Derived from the operation, so that a resend finds the first outcome."""
    return hashlib.sha256(f"consent:{act}:{seat_id}:{operation_id}".encode()).hexdigest()[:32]


def event(code: EventCode, seat: Seat, actor_id: str, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    return AuditEvent(code, seat.institution_id, actor_id, seat.consult_id, subject_id, public=public)


def values(purposes: Collection[Purpose]) -> list[str]:
    return [purpose.value for purpose in purposes]
