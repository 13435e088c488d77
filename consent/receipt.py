"""The receipt a patient takes home: one signed JSON file that proves the consent without the server.

`audit.verify.receipt` reads it and shares no code with this. Format: docs/consent-evidence.md.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from audit.errors import MissingRow
from audit.proof import Inclusion, Prover
from audit.reader import TrailSource, events
from audit.transaction import Database
from clinic.documents import canonical, digest
from clinic.people import Institution
from consent.attesting import AttestationKind, ConsentAttestation, EvidenceTransaction, held
from consent.records import ConsentRecord
from consent.transaction import Sealer


@dataclass(frozen=True, slots=True)
class Place:
    """Where the trail says it: log epoch and leaf number."""

    epoch: int
    seq: int


async def receipt(
    db: Database[EvidenceTransaction], prover: Prover, sealer: Sealer, record: ConsentRecord, now: datetime
) -> bytes:
    """Canonical JSON, sealed as a whole. Raises MissingRow when its log was given up before it was signed."""
    async with db.read() as tx:
        institution = await tx.institutions.get(record.institution_id)
        place = await place_of(tx, record)
        attested = await held(tx, record.id)
    leaf, opening = await prover.prove(record.institution_id, place.epoch, (place.seq, 0))
    at = int(now.timestamp())
    content = content_of(record, institution, attested, leaf=leaf, opening=opening, at=at)
    signature = sealer.seal(record.institution_id, digest(canonical(content)), at)
    return canonical({"receipt": content, "signature": signature})


async def place_of(tx: EvidenceTransaction, record: ConsentRecord) -> Place:
    """The leaf written in the transaction that wrote the record. Raises MissingRow."""
    for event in await events(cast(TrailSource, tx), record.institution_id, record.consult_id):
        if any((mark.table, mark.row_id) == ("consent_records", record.id) for mark in event.rows):
            return Place(event.epoch, event.seq)
    raise MissingRow("audit_leaves")


def content_of(
    record: ConsentRecord,
    institution: Institution,
    attested: Mapping[AttestationKind, ConsentAttestation],
    *,
    leaf: Inclusion,
    opening: Inclusion,
    at: int,
) -> dict[str, Any]:
    """Everything under the outer signature."""
    return {
        "type": "huizhen.consent-receipt",
        "v": 1,
        "issued_at": at,
        "institution": {
            "id": institution.id,
            "name": institution.name,
            "name_en": institution.name_en,
            "phone": institution.phone,
        },
        "record": {
            "id": record.id,
            "consult": record.consult_id,
            "seat": record.seat_id,
            "action": record.action,
            "permitted": record.permitted,
            "refused": record.refused,
            "shared_with": record.shared_with,
            "capacity": record.capacity,
            "locale": record.locale,
            "recorded_at": record.recorded_at,
            "withdraws": record.withdraws,
        },
        "evidence": record.evidence,
        "digest": record.digest,
        "seal": record.seal,
        "certificate": _token(attested, AttestationKind.CERTIFICATE),
        "timestamp": _token(attested, AttestationKind.TIMESTAMP),
        "leaf": _proved(leaf),
        "opening": _proved(opening),
    }


def _token(attested: Mapping[AttestationKind, ConsentAttestation], kind: AttestationKind) -> str | None:
    row = attested.get(kind)
    return None if row is None else row.token


def _proved(inclusion: Inclusion) -> dict[str, str]:
    return {"data": base64.b64encode(inclusion.leaf).decode(), "proof": inclusion.text}
