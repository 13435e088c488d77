"""A log of one institution in memory with real keys: receipts, true and forged, made by the product's own code."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, proof
from audit.checkpoint import Checkpoint, sign, vkey
from audit.leaf import LeafContext, RowMark, leaf_bytes
from audit.transaction import AuditEvent
from clinic.documents import canonical, digest
from consent.attesting import AttestationKind, Attested, ConsentAttestation
from consent.receipt import content_of
from consent.records import ConsentRecord
from tests.support.builders import World

DEPLOYMENT = "memory"


class JwsSealer:
    """consent.transaction.Sealer with one key for every institution."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def seal(self, institution_id: str, digest: str, at: int) -> str:
        claims = {"digest": digest, "at": at, "iss": f"{DEPLOYMENT}/seal/{institution_id}"}
        return jwt.encode(claims, self.key, "EdDSA", headers={"kid": "k"})

    def holds(self, institution_id: str, digest: str, jws: str) -> bool:
        return self.seal(institution_id, digest, 0) == jws


@dataclass
class Log:
    """Leaves of one institution, the opening first."""

    institution_id: str
    sealer: JwsSealer
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    leaves: list[bytes] = field(default_factory=list)
    seal_vkey: str = ""

    @property
    def origin(self) -> str:
        return f"{DEPLOYMENT}/audit/{self.institution_id}/1"

    @property
    def vkeys(self) -> list[str]:
        return [vkey(self.origin, self.key.public_key().public_bytes_raw())]

    def own_seal_vkey(self) -> str:
        public = self.sealer.key.public_key().public_bytes_raw()
        return vkey(f"{DEPLOYMENT}/seal/{self.institution_id}", public)

    def open(self) -> None:
        from audit.events import EventCode

        public = {"epoch": 1, "seal_vkey": self.seal_vkey or self.own_seal_vkey()}
        self.append(AuditEvent(EventCode.LOG_OPENED, self.institution_id, "system", public=public), ())

    def append(self, event: AuditEvent, rows: tuple[RowMark, ...]) -> int:
        context = LeafContext(self.origin, f"{len(self.leaves):032x}", 1_700_000_000_000, "n1", len(self.leaves), rows)
        self.leaves.append(leaf_bytes(event, context))
        return len(self.leaves) - 1

    def note(self) -> bytes:
        return sign(Checkpoint(self.origin, len(self.leaves), merkle.fold(self._peaks()[1])), self.key)

    def _peaks(self) -> tuple[dict[merkle.Coordinate, bytes], list[bytes]]:
        nodes: dict[merkle.Coordinate, bytes] = {}
        peaks: list[bytes] = []
        for size, leaf in enumerate(self.leaves):
            fresh, peaks = merkle.append(size, peaks, merkle.leaf_hash(leaf))
            nodes |= dict(fresh)
        return nodes, peaks

    def prove(self, *seqs: int) -> tuple[proof.Inclusion, ...]:
        leaves = dict(enumerate(self.leaves))
        return proof.inclusions(leaves, seqs, self.note(), self._peaks()[0])


@dataclass
class Case:
    """One consent of the builders' world, its log, and the receipt's content before it is sealed."""

    world: World
    record: ConsentRecord
    log: Log
    content: dict[str, Any]

    @classmethod
    async def create(cls, record: ConsentRecord, world: World, sealer: JwsSealer, others: int = 11) -> "Case":
        log = Log(record.institution_id, sealer)
        log.open()
        event = next(each for each in world.db.recorded if each.event.subject_id == record.id)
        marks = (RowMark("consent_records", record.id, 1, "ab" * 32),)
        for number in range(others):
            if number == others // 2:
                place = log.append(event.event, marks)
            log.append(world.db.events[0], ())
        leaf, opening = log.prove(place, 0)
        content = content_of(record, world.home, {}, leaf=leaf, opening=opening, at=1_700_000_100)
        return cls(world, record, log, json.loads(canonical(content)))

    def attest(self, kind: AttestationKind, attested: Attested) -> None:
        row = ConsentAttestation(
            "a",
            "i",
            "c",
            self.record.id,
            kind,
            "",
            attested.token,
            attested.authority,
            datetime(2026, 3, 2, tzinfo=UTC),
        )
        self.content[kind.value] = row.token

    def sealed(self, **changes: Any) -> bytes:
        """The file, sealed over these contents: what only the institution itself could forge."""
        content = self.content | changes
        at = content["issued_at"]
        return canonical(
            {
                "receipt": content,
                "signature": self.log.sealer.seal(self.log.institution_id, digest(canonical(content)), at),
            }
        )

    def with_record(self, **changes: Any) -> bytes:
        return self.sealed(record=self.content["record"] | changes)

    def with_leaf(self, **changes: Any) -> bytes:
        """The leaf rewritten, the log rebuilt and signed again."""
        index = next(i for i, leaf in enumerate(self.log.leaves) if json.loads(leaf)["sub"] == self.record.id)
        leaf = json.loads(self.log.leaves[index])
        self.log.leaves[index] = canonical(leaf | changes)
        return self._proved_again(index)

    def with_opening(self, **changes: Any) -> bytes:
        index = next(i for i, leaf in enumerate(self.log.leaves) if json.loads(leaf)["sub"] == self.record.id)
        self.log.leaves[0] = canonical(json.loads(self.log.leaves[0]) | changes)
        return self._proved_again(index)

    def _proved_again(self, index: int) -> bytes:
        leaf, opening = self.log.prove(index, 0)
        proved = [{"data": base64.b64encode(each.leaf).decode(), "proof": each.text} for each in (leaf, opening)]
        return self.sealed(leaf=proved[0], opening=proved[1])
