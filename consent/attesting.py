"""What outside authorities say of a consent: a CA's event certificate, a time stamp. Ports, rows, and their writing.

Our own seal makes a click evidence (电子签名法 art. 8); a reliable electronic signature (art. 13) needs a certificate
that a licensed authority issues for the signer (art. 16). Both authorities are optional, and asked after the commit.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent, Repository
from consent.errors import ConsentError
from consent.records import ConsentRecord
from consent.transaction import ConsentTransaction


class AttestationKind(StrEnum):
    CERTIFICATE = "certificate"  # compact JWS with x5c, over {digest, at, sub, iat}
    TIMESTAMP = "timestamp"  # base64 of an RFC 3161 TimeStampResp


@dataclass(frozen=True, slots=True)
class ConsentAttestation:
    """One authority's word on one record. Never edited."""

    id: str
    institution_id: str
    consult_id: str
    record_id: str
    kind: AttestationKind
    digest: str  # sha256 hex of what it is over: the evidence (certificate), the seal's text (timestamp)
    token: str
    authority: str  # subject of the certificate that signed, RFC 4514
    made_at: datetime


class EvidenceTransaction(ConsentTransaction, Protocol):
    consent_attestations: Repository[ConsentAttestation]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the authority certifies: this person, in this capacity, said yes or no to evidence of this digest."""

    record_id: str
    institution_id: str
    digest: str  # sha256 hex of the evidence
    at: int  # Unix seconds of the signature
    name: str  # as typed
    capacity: str


@dataclass(frozen=True, slots=True)
class Attested:
    token: str
    authority: str


class CertificateSigner(Protocol):
    """A certificate authority that issues an event certificate per signature."""

    async def certify(self, claim: Claim) -> Attested:
        """Compact JWS with x5c over {digest, at, sub, iat}, checked against a known root. Raises AuthorityFailed."""
        ...


class TimeStamper(Protocol):
    """An RFC 3161 time stamping authority."""

    async def stamp(self, message: bytes) -> Attested:
        """A granted, checked TimeStampResp over SHA-256 of the message, base64. Raises AuthorityFailed."""
        ...


class AuthorityFailed(ConsentError):
    """The authority did not answer, refused, or its answer does not verify. The consent stands without it."""

    code = "authority.failed"


_ON_PAPER = frozenset(
    {
        "huizhen.consent",
        "huizhen.consent-withdrawal",
        "huizhen.consent-assent",
        "huizhen.consent-witness",
        "huizhen.consent-emergency",
    }
)


def attestable(record: ConsentRecord) -> bool:
    """What has a paper: a signature or withdrawal, a child's assent, a witness, an emergency's approval. Notices and
    statements made in the room have none."""
    return json.loads(record.evidence).get("type") in _ON_PAPER


def claim_of(record: ConsentRecord) -> Claim | None:
    """None where nobody draws a signature (a withdrawal, a witness): the server seal and stamp have to do."""
    signer = json.loads(record.evidence).get("signer")
    if not isinstance(signer, dict) or not attestable(record):
        return None
    at = int(record.recorded_at.timestamp())
    name = str(signer.get("typed_name", ""))
    return Claim(record.id, record.institution_id, record.digest, at, name, record.capacity.value)


def stamped_message(record: ConsentRecord) -> bytes:
    """What is stamped: the seal's text. It names the evidence's digest, so both existed at that time."""
    return record.seal.encode("ascii")


async def held(tx: EvidenceTransaction, record_id: str) -> dict[AttestationKind, ConsentAttestation]:
    """The attestations of one record."""
    return {row.kind: row for row in await tx.consent_attestations.find(record_id=record_id)}


async def keep(
    tx: EvidenceTransaction, record: ConsentRecord, kind: AttestationKind, attested: Attested
) -> ConsentAttestation:
    """Write the authority's word, once per record and kind: who comes second gets the first one's."""
    row_id = hashlib.sha256(f"attestation:{kind.value}:{record.id}".encode()).hexdigest()[:32]
    try:
        return await tx.consent_attestations.get(row_id)
    except MissingRow:
        pass
    over = record.digest if kind is AttestationKind.CERTIFICATE else _sha256(stamped_message(record))
    row = ConsentAttestation(
        id=row_id,
        institution_id=record.institution_id,
        consult_id=record.consult_id,
        record_id=record.id,
        kind=kind,
        digest=over,
        token=attested.token,
        authority=attested.authority,
        made_at=tx.now,
    )
    await tx.consent_attestations.add(row)
    public = {"kind": kind.value, "digest": over, "token": _sha256(attested.token.encode("ascii"))}
    await tx.append(
        AuditEvent(
            EventCode.CONSENT_ATTESTED, record.institution_id, "system", record.consult_id, record.id, public=public
        )
    )
    return row


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
