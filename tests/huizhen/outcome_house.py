"""Two institutions on the real store, a panel between them, and the office that files its paper and copies it."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from archive import intake
from audit.verify.copy import CopyReport, verify_copy
from clinic import visit
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.panels import following, referring, reporting
from clinic.panels.outcome import SealedCopy
from clinic.panels.records import Adoption
from clinic.people import Role
from consent.records import Purpose
from huizhen.evidence.certificates import DocumentIdentity, DocumentKeys
from huizhen.evidence.office import Authorities
from huizhen.evidence.paper import Paper
from huizhen.evidence.press import Press
from huizhen.outcome.office import OutcomeOffice, Tools
from huizhen.outcome.vault import Vault
from huizhen.store.blobs import LocalBlobs
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from huizhen.store.proofs import SqlProver
from huizhen.store.seals import KeySealer, verifier_keys
from tests.support import prepared
from tests.support.builders import World
from tests.support.clock import FakeClock
from tests.support.panels import meeting, report

CHAMBER: dict[str, Any] = {}  # made once: keys of 3072 bits, a page


class PlainPress(Press):
    """One empty page, where the test is not about what stands on it."""

    async def set(self, paper: Paper) -> bytes:
        if "page" not in CHAMBER:
            made: Any = PdfFileWriter
            page: Any = PageObject
            writer, target = made(), io.BytesIO()
            writer.insert_page(
                page(contents=writer.add_object(generic.StreamObject(stream_data=b"q Q")), media_box=[0, 0, 99, 99])
            )
            writer.write(target)
            CHAMBER["page"] = target.getvalue()
        return bytes(CHAMBER["page"])


class OneIdentity(DocumentKeys):
    """The same document key for every institution of these tests."""

    def identity(self, institution_id: str, name: str, now: datetime) -> DocumentIdentity:
        if "identity" not in CHAMBER:
            CHAMBER["identity"] = super().identity(institution_id, name, now)
        found: DocumentIdentity = CHAMBER["identity"]
        return found


@dataclass
class House:
    """Two institutions, their store, and the office that files and copies."""

    world: World
    database: SqlDatabase
    office: OutcomeOffice
    blobs: LocalBlobs
    folder: Path

    @property
    def keys(self) -> list[str]:
        return verifier_keys(self.database.keys, "test", {})

    async def closed(self) -> Consult:
        """A panel with everything: two opinions, report, word on it, decision, referral, task; closed."""
        world = self.world
        consult = await meeting(world)
        async with world.db.read() as tx:
            (patient,) = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
        await world.sign(patient)
        await world.opinion(consult, world.experts[0])
        await world.opinion(consult, world.experts[1], dissent=True)
        await report(world, consult)
        second, by = Actor.staff(world.experts[1]), Actor.staff(world.clinic_doctor)
        async with world.db.begin() as tx:
            await reporting.mark_report(tx, world.sealer, consult.id, second, False, "仍建议先行胃镜")
            await referring.refer(tx, consult.id, world.partner.id, "行冠脉造影", by)
            await following.set_task(tx, consult.id, "两周后复查肾功能", tx.now.date(), by)
        return await self._decided(consult)

    async def unshared(self) -> Consult:
        """The patient stops sharing before anybody has signed; the doctor alone ends it."""
        consult = await meeting(self.world)
        async with self.world.db.read() as tx:
            (patient,) = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
        await self.world.sign(patient)
        await self.world.withdraw(patient, Purpose.SHARE_PANEL)
        return await self._decided(consult, Adoption.NOTHING)

    async def terminated(self, opinions: int = 0, *, code: str = "needs_examination") -> Consult:
        """A panel that met, some of whose experts signed, stopped as unsuitable by the inviting doctor."""
        world = self.world
        consult = await meeting(world)
        async with world.db.read() as tx:
            (patient,) = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
        await world.sign(patient)
        for expert in world.experts[:opinions]:
            await world.opinion(consult, expert)
        async with world.db.begin() as tx:
            ended = await visit.terminate(tx, consult.id, Actor.staff(world.clinic_doctor), code)
            await intake.on_consult_over(tx, consult.id)
        return ended

    async def finished(self, consult: Consult) -> Consult:
        """The report and the decision after its opinions; closed."""
        await report(self.world, consult)
        return await self._decided(consult)

    async def _decided(self, consult: Consult, adoption: Adoption = Adoption.ADOPT) -> Consult:
        world, by = self.world, Actor.staff(self.world.clinic_doctor)
        await world.decide(consult, adoption)
        async with world.db.begin() as tx:
            await visit.conclude(tx, consult.id, by)
        async with world.db.begin() as tx:
            closed = await visit.close(tx, consult.id, by)
            await intake.on_consult_over(tx, consult.id)
        return closed

    async def copies(self, consult: Consult) -> dict[str, SealedCopy]:
        async with self.database.read() as tx:
            return {row.institution_id: row for row in await tx.sealed_copies.find(consult_id=consult.id)}

    def proved(self, package: bytes) -> CopyReport:
        return verify_copy(package, self.keys)

    def path(self, copy: SealedCopy) -> Path:
        return self.blobs.directory / copy.blob_key


@asynccontextmanager
async def house_at(tmp_path: Path) -> AsyncIterator[House]:
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    clock = FakeClock()
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    sealer, blobs = KeySealer(database.keys, "test"), LocalBlobs(tmp_path / "blobs")
    tools = Tools(
        db=database,
        prover=SqlProver(database, Checkpointer(database)),
        sealer=sealer,
        press=PlainPress(),
        documents=OneIdentity(tmp_path / "keys"),
        authorities=Authorities(),
        vault=Vault(blobs, database.keys, tmp_path / "spool"),
        clock=clock,
        base_url=lambda: "https://huizhen.example.cn",
    )
    world = await World.create(clock, database, sealer)
    yield House(world, database, OutcomeOffice(tools), blobs, tmp_path)
    await database.close()
