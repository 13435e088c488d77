"""The office that files a consult's paper and makes its copies, in the background and after any crash."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from archive import intake
from audit.proof import Prover
from audit.transaction import Database
from clinic.consult import PANELS, Consult, ConsultStatus
from clinic.documents import canonical, digest
from clinic.errors import PapersMissing
from clinic.panels import copying
from clinic.panels.dossier import dossier
from clinic.panels.outcome import CopyState, OpinionPaper, SealedCopy
from consent import panel_papers
from consent.attesting import AttestationKind, Attested, AuthorityFailed
from consent.panel_papers import SealedPaper
from consent.transaction import Sealer
from huizhen import logs
from huizhen.evidence.certificates import DocumentKeys
from huizhen.evidence.office import Authorities
from huizhen.evidence.pades import Statement, signed
from huizhen.evidence.paper import verification_code
from huizhen.evidence.press import Press
from huizhen.outcome import contents, opinion_paper
from huizhen.outcome.package import packed
from huizhen.outcome.vault import Place, Vault
from huizhen.store.tables import StoreTransaction

log = logs.get("outcome")

_WRITTEN_IN = (ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING)  # when opinions are signed
_REASONS = {"zh": "机构对会诊意见书的电子签章", "en": "The institution's seal on this consultation opinion"}


@dataclass(frozen=True, slots=True)
class Tools:
    """What the office works with."""

    db: Database[StoreTransaction]
    prover: Prover
    sealer: Sealer
    press: Press
    documents: DocumentKeys
    authorities: Authorities
    vault: Vault
    clock: Callable[[], datetime]
    base_url: Callable[[], str]


def _printable(document: Mapping[str, Any]) -> bool:
    """Something was signed; a panel ended before that leaves no paper."""
    return bool(document["opinions"] or document["decision"])


class OutcomeOffice:
    """One per process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._one_at_a_time = asyncio.Lock()

    async def make_due(self) -> int:
        """One pass over the copies that were ordered; how many were made. One that fails keeps none waiting.

        Raises the last failure after all were tried: the rows stay due, the next pass goes on with them.
        """
        async with self._tools.db.read() as tx:
            waiting = await copying.due(tx)
        made, failed = 0, None
        for copy in waiting:
            try:
                await self.make(copy)
            except Exception as error:
                log.warning(
                    "a copy could not be made yet", copy=copy.id, error=getattr(error, "code", type(error).__name__)
                )
                failed = error
            else:
                made += 1
        if failed is not None:
            raise failed
        return made

    async def make(self, copy: SealedCopy) -> SealedCopy:
        """Package, seal, encrypt, store; then the row, its event and its clock in one transaction.

        One that was made meanwhile is left as it is: its object belongs to its row.
        """
        tools = self._tools
        async with self._one_at_a_time:
            async with tools.db.read() as tx:
                copy = await tx.sealed_copies.get(copy.id)
            if copy.state is CopyState.SEALED:
                return copy
            paper = await self._file(copy.consult_id)
            content = await self._content(copy, paper)
            async with tools.db.read() as tx:
                holder = await tx.institutions.get(copy.institution_id)
            package = packed(tools.sealer, copy, holder.name, content, tools.clock())
            stored = await tools.vault.put(place_of(copy), package.data, "application/zip")
            done = replace(
                copy,
                blob_sha256=stored,
                package_sha256=package.sha256,
                manifest_sha256=package.manifest_sha256,
                seal=package.seal,
                size=len(package.data),
            )
            async with tools.db.begin() as tx:
                sealed = await copying.sealed(tx, done)
                await intake.on_copy_sealed(tx, sealed)
        return sealed

    async def read(self, copy: SealedCopy) -> bytes:
        """A copy's package. Raises SegmentDamaged, KeyDestroyed, BlobMissing."""
        return await self._tools.vault.read(place_of(copy), copy.package_sha256)

    async def paper(self, consult: Consult, locale: str) -> bytes:
        """会诊意见书: as filed once the consult is closed; before that, or in English, set anew from what is signed.

        Raises PapersMissing, PaperFailed, PressBusy, CertificateUnusable.
        """
        async with self._tools.db.read() as tx:
            filed = await tx.opinion_papers.find(consult_id=consult.id)
            document = None if filed and locale == "zh" else await dossier(tx, consult)
        if document is None:
            return await self._tools.vault.read(place_of(filed[0]), filed[0].pdf_sha256)
        if not _printable(document):
            raise PapersMissing(("opinion",))
        return await self._print(consult, document, locale)

    async def attest_open(self) -> int:
        """Ask the authorities for what they have not said of papers of consults not closed yet; a closing consult is
        asked about once more before its paper is filed.
        """
        authorities = self._tools.authorities
        if not authorities:
            return 0
        async with self._tools.db.read() as tx:
            open_now = [row for status in _WRITTEN_IN for row in await tx.consults.find(status=status)]
            consults = sorted(row.id for row in open_now if row.kind in PANELS)
            papers = [paper for each in consults for paper in await panel_papers.sealed_papers(tx, each)]
            known = {paper.id: await panel_papers.held(tx, paper.id) for paper in papers}
        new = 0
        for paper in papers:
            new += await self._attest(paper, set(known[paper.id]))
        return new

    async def _attest(self, paper: SealedPaper, known: set[AttestationKind]) -> int:
        asked: dict[AttestationKind, Callable[[], Awaitable[Attested]]] = {}
        if (signer := self._tools.authorities.certificates) is not None:
            asked[AttestationKind.CERTIFICATE] = lambda: signer.certify(paper.claim)
        if (stamper := self._tools.authorities.stamps) is not None:
            asked[AttestationKind.TIMESTAMP] = lambda: stamper.stamp(paper.stamped)
        new = 0
        for kind, ask in asked.items():
            if kind in known:
                continue
            try:
                said = await ask()
            except AuthorityFailed as error:
                log.warning("an authority said nothing of a paper", paper=paper.id, error=error.detail)
                continue
            async with self._tools.db.begin() as tx:
                await panel_papers.keep(tx, paper, kind, said)
            new += 1
        return new

    async def _file(self, consult_id: str) -> OpinionPaper | None:
        """The paper's row; the paper made, signed and stored first where there is none yet. None: nothing to print."""
        tools = self._tools
        async with tools.db.read() as tx:
            known = await tx.opinion_papers.find(consult_id=consult_id)
            if known:
                return known[0]
            consult = await tx.consults.get(consult_id)
            document = await dossier(tx, consult)
            if not _printable(document):
                return None
            papers = await panel_papers.sealed_papers(tx, consult_id)
            held = {paper.id: await panel_papers.held(tx, paper.id) for paper in papers}
        for each in papers:  # a last word of the authorities, before the copies are made of it
            await self._attest(each, set(held[each.id]))
        pdf = await self._print(consult, document, "zh")
        named = digest(canonical(document))
        paper = _row(consult, named, pdf, tools)
        stored = await tools.vault.put(place_of(paper), pdf, "application/pdf")
        async with tools.db.begin() as tx:
            return await copying.file_paper(tx, replace(paper, blob_sha256=stored))

    async def _print(self, consult: Consult, document: dict[str, Any], locale: str) -> bytes:
        tools = self._tools
        code = verification_code(digest(canonical(document)))
        pdf = await tools.press.set(opinion_paper.paper_of(document, f"{tools.base_url()}/v#{code}", locale))
        async with tools.db.read() as tx:
            house = await tx.institutions.get(consult.institution_id)
        now = tools.clock()
        identity = await asyncio.to_thread(tools.documents.identity, house.id, house.name, now)
        statement = Statement(house.name, _REASONS.get(locale, _REASONS["zh"]), house.phone)
        return await asyncio.to_thread(signed, pdf, identity, statement, now)

    async def _content(self, copy: SealedCopy, paper: OpinionPaper | None) -> dict[str, bytes]:
        tools = self._tools
        async with tools.db.read() as tx:
            consult = await tx.consults.get(copy.consult_id)
            content = {
                "consult.json": await contents.record_of(tx, consult),
                "dossier.json": canonical(await dossier(tx, consult)),
                "consents.json": await contents.consents_of(tx, consult),
                "attestations.json": await contents.attestations_of(tx, consult),
                "materials.json": await contents.materials_of(tx, consult),
            }
            trail = await contents.trail_of(tx, (copy.inviting_institution_id, copy.institution_id), consult.id)
        content["trail.json"] = await contents.proved(tools.prover, trail)
        if paper is not None:
            content["paper.pdf"] = await tools.vault.read(place_of(paper), paper.pdf_sha256)
        return content


def _row(consult: Consult, named: str, pdf: bytes, tools: Tools) -> OpinionPaper:
    """One per consult: its id is computed, so that what a crash left is written over."""
    paper_id = hashlib.sha256(f"opinion-paper:{consult.id}".encode()).hexdigest()[:32]
    now = tools.clock()
    return OpinionPaper(
        id=paper_id,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        code=verification_code(named),
        document_sha256=named,
        seal=tools.sealer.seal(consult.institution_id, named, int(now.timestamp())),
        pdf_sha256=digest(pdf),
        size=len(pdf),
        key_id=f"paper-{paper_id}",
        blob_key=f"{consult.institution_id}/opinions/{paper_id}/paper.hzs",
        blob_sha256="",
        made_at=now,
    )


def place_of(thing: OpinionPaper | SealedCopy) -> Place:
    track = "opinion-paper" if isinstance(thing, OpinionPaper) else "consult-copy"
    return Place(thing.institution_id, thing.consult_id, thing.id, track, thing.key_id, thing.blob_key)
