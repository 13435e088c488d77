"""What outside authorities say of a consult's papers: the same CA and stamp as of consents, asked after the commit.

An opinion, a countersignature, a joint report and a decision are sealed when signed; a licensed authority's event
certificate (电子签名法 art. 13, 16) and time stamp come beside the seal where the operator has them.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent, Repository
from clinic.documents import canonical, digest
from clinic.panels.documents import (
    countersign_document,
    decision_document,
    mark_document,
    opinion_document,
    report_document,
)
from clinic.panels.outcome import Countersignature, JointReport, ReportMark
from clinic.panels.papers import papers_of
from clinic.panels.records import DecisionNote, Opinion
from consent.attesting import AttestationKind, Attested, Claim
from consent.transaction import ConsentTransaction


@dataclass(frozen=True, slots=True)
class PaperAttestation:
    """One authority's word on one signed paper. Never edited."""

    id: str
    institution_id: str
    consult_id: str
    record_id: str  # of the opinion, countersignature, report, mark or decision
    kind: AttestationKind
    digest: str  # sha256 hex of what it is over: the document (certificate), the seal's text (timestamp)
    token: str
    authority: str
    made_at: datetime


Signed = Opinion | Countersignature | JointReport | ReportMark | DecisionNote


class PanelPapersTransaction(ConsentTransaction, Protocol):
    paper_attestations: Repository[PaperAttestation]


@dataclass(frozen=True, slots=True)
class SealedPaper:
    """A signed paper as an authority is asked about it."""

    id: str
    institution_id: str
    consult_id: str
    capacity: str  # expert, senior, chair, deciding
    name: str
    digest: str
    seal: str
    signed_at: datetime

    @property
    def claim(self) -> Claim:
        at = int(self.signed_at.timestamp())
        return Claim(self.id, self.institution_id, self.digest, at, self.name, self.capacity)

    @property
    def stamped(self) -> bytes:
        """The seal's text: it names the document's digest, so both existed at that time."""
        return self.seal.encode("ascii")


async def sealed_papers(tx: PanelPapersTransaction, consult_id: str) -> tuple[SealedPaper, ...]:
    """Every signed paper of a consult that says who signed it."""
    papers = await papers_of(tx, consult_id)
    opinions = {row.id: row for row in papers.opinions}
    found: list[SealedPaper | None] = [
        _paper(row, "expert", opinion_document(row)) for row in papers.opinions if row.signed_at
    ]
    for word in papers.countersignatures:
        found.append(_paper(word, "senior", countersign_document(word, opinions[word.opinion_id])))
    report, decision = papers.report, papers.decision
    if report is not None and report.signed_at:
        found.append(_paper(report, "chair", report_document(report)))
        for mark in await tx.report_marks.find(consult_id=consult_id):
            found.append(_paper(mark, "expert", mark_document(mark, report)))
    if decision is not None and decision.signed_at:
        found.append(_paper(decision, "deciding", decision_document(decision, papers.counted, report)))
    return tuple(paper for paper in found if paper is not None)


def _paper(row: Signed, capacity: str, document: dict[str, object]) -> SealedPaper | None:
    if row.author is None or row.signed_at is None or row.signature is None:
        return None  # of a time when papers did not name their signer
    return SealedPaper(
        row.id,
        row.institution_id,
        row.consult_id,
        capacity,
        row.author.name,
        digest(canonical(document)),
        row.signature,
        row.signed_at,
    )


async def held(tx: PanelPapersTransaction, record_id: str) -> dict[AttestationKind, PaperAttestation]:
    """The attestations of one paper."""
    return {row.kind: row for row in await tx.paper_attestations.find(record_id=record_id)}


async def keep(
    tx: PanelPapersTransaction, paper: SealedPaper, kind: AttestationKind, attested: Attested
) -> PaperAttestation:
    """Write the authority's word, once per paper and kind: who comes second gets the first one's."""
    row_id = hashlib.sha256(f"attestation:{kind.value}:{paper.id}".encode()).hexdigest()[:32]
    try:
        return await tx.paper_attestations.get(row_id)
    except MissingRow:
        pass
    over = paper.digest if kind is AttestationKind.CERTIFICATE else hashlib.sha256(paper.stamped).hexdigest()
    row = PaperAttestation(
        row_id,
        paper.institution_id,
        paper.consult_id,
        paper.id,
        kind,
        over,
        attested.token,
        attested.authority,
        tx.now,
    )
    await tx.paper_attestations.add(row)
    public = {"kind": kind.value, "digest": over, "token": digest(attested.token.encode("ascii"))}
    await tx.append(
        AuditEvent(
            EventCode.OPINION_ATTESTED, paper.institution_id, "system", paper.consult_id, paper.id, public=public
        )
    )
    return row
