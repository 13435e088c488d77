"""The office that hands out consents: papers, receipts, and the words of outside authorities."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.errors import MissingRow
from audit.proof import Prover
from audit.transaction import Database
from clinic.consult import ConsultStatus
from consent import attesting, receipt
from consent.attesting import AttestationKind, Attested, AuthorityFailed, CertificateSigner, TimeStamper
from consent.parties import parties_of
from consent.records import ConsentRecord
from consent.transaction import Sealer
from huizhen import logs
from huizhen.evidence.certificates import DocumentKeys
from huizhen.evidence.pades import Statement, signed
from huizhen.evidence.paper import paper_of
from huizhen.evidence.press import Press
from huizhen.store.tables import StoreTransaction

log = logs.get("evidence")

_PATIENCE = 5.0  # seconds a patient waits for authorities before the receipt comes without their word
_REASONS = {"zh": "机构对知情同意书的电子签章", "en": "The institution's seal on this consent"}


@dataclass(frozen=True, slots=True)
class Authorities:
    """None: not asked."""

    certificates: CertificateSigner | None = None
    stamps: TimeStamper | None = None

    def __bool__(self) -> bool:
        return self.certificates is not None or self.stamps is not None


@dataclass(frozen=True, slots=True)
class EvidenceOffice:
    db: Database[StoreTransaction]
    prover: Prover
    sealer: Sealer
    press: Press
    documents: DocumentKeys
    authorities: Authorities
    clock: Callable[[], datetime]

    async def paper(self, record: ConsentRecord) -> bytes:
        """PDF/A-3b with the evidence attached, PAdES-signed. Raises PaperFailed, PressBusy, CertificateUnusable."""
        async with self.db.read() as tx:
            about = await _about(tx, record)
            parties = await _parties(tx, record, about)
            shared = await _names(tx, record)
            people = await _people(tx, record)
            house = await tx.institutions.get(record.institution_id)
        paper = paper_of(record, parties, shared, about=about, names=people)
        pdf = await self.press.set(paper)
        now = self.clock()
        identity = await asyncio.to_thread(self.documents.identity, house.id, house.name, now)
        statement = Statement(house.name, _REASONS.get(record.locale, _REASONS["zh"]), house.phone)
        return await asyncio.to_thread(signed, pdf, identity, statement, now)

    async def receipt(self, record: ConsentRecord) -> bytes:
        """The signed file for `huizhen verify-receipt`; what the authorities have not said yet is asked for first."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.attest(record)
        except (AuthorityFailed, TimeoutError) as error:
            log.warning("receipt without an authority's word", record=record.id, error=type(error).__name__)
        return await receipt.receipt(self.db, self.prover, self.sealer, record, self.clock())

    async def attest(self, record: ConsentRecord) -> int:
        """Ask each authority that has not said its word. Returns how many are new. Raises AuthorityFailed after all."""
        if not self.authorities or not attesting.attestable(record):
            return 0
        async with self.db.read() as tx:
            known = await attesting.held(tx, record.id)
        claim = attesting.claim_of(record)
        asked: dict[AttestationKind, Callable[[], Awaitable[Attested]]] = {}
        if (signer := self.authorities.certificates) is not None and claim is not None:
            asked[AttestationKind.CERTIFICATE] = lambda: signer.certify(claim)
        if (stamper := self.authorities.stamps) is not None:
            asked[AttestationKind.TIMESTAMP] = lambda: stamper.stamp(attesting.stamped_message(record))
        new, failed = 0, None
        for kind, ask in asked.items():
            if kind in known:
                continue
            try:
                said = await ask()
            except AuthorityFailed as error:
                failed = error
                continue
            async with self.db.begin() as tx:
                await attesting.keep(tx, record, kind, said)
            new += 1
        if failed is not None:
            raise failed
        return new

    async def attest_open(self, *, everything: bool = False) -> int:
        """One pass over the records of consults that are not over (`everything`: of all). Raises AuthorityFailed."""
        if not self.authorities:
            return 0
        new = 0
        for record in await self._unattested(everything):
            new += await self.attest(record)
        return new

    async def _unattested(self, everything: bool) -> list[ConsentRecord]:
        async with self.db.read() as tx:
            if everything:
                return [row for row in await tx.consent_records.find() if attesting.attestable(row)]
            consults = [
                row.id for status in ConsultStatus for row in await tx.consults.find(status=status) if not row.over
            ]
            return [row for each in consults for row in await tx.consent_records.find(consult_id=each)]


async def _about(tx: StoreTransaction, record: ConsentRecord) -> ConsentRecord | None:
    """The record this one withdraws or stands beside."""
    try:
        return None if record.withdraws is None else await tx.consent_records.get(record.withdraws)
    except MissingRow:
        return None


async def _people(tx: StoreTransaction, record: ConsentRecord) -> dict[str, str]:
    """Names of staff the evidence knows by id: who entered a withdrawal, who approved in an emergency."""
    evidence = json.loads(record.evidence)
    ids = {str(evidence[key]) for key in ("entered_by", "approved_by") if evidence.get(key)}
    return {staff_id: row.name for staff_id in ids for row in await tx.staff.find(id=staff_id)}


async def _parties(tx: StoreTransaction, record: ConsentRecord, about: ConsentRecord | None) -> dict[str, Any]:
    """As sealed in the evidence; a withdrawal's are those of the record it withdraws."""
    found = json.loads(record.evidence).get("parties")
    if found is None and about is not None:
        found = json.loads(about.evidence).get("parties")
    if isinstance(found, dict):
        return found
    consult = await tx.consults.get(record.consult_id)
    return await parties_of(tx, consult, (await tx.seats.get(record.seat_id)).role)


async def _names(tx: StoreTransaction, record: ConsentRecord) -> tuple[str, ...]:
    rows = [await tx.institutions.get(each) for each in record.shared_with]
    return tuple((row.name_en or row.name) if record.locale == "en" else row.name for row in rows)
