"""Uploaded papers live and go with the visit record."""

import json
from pathlib import Path

import pytest

from archive import holds
from archive.errors import Held
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.upload import EvidenceFile
from tests.archive.keep import Kept, kept
from tests.store.samples import sample
from tests.support.builders import World


async def with_paper(world: World, tmp_path: Path) -> tuple[Kept, EvidenceFile]:
    made = await kept(world)
    home = world.home.id
    key = f"{home}/evidence/f1/paper.hzs"
    paper: EvidenceFile = sample(
        EvidenceFile, "f1", home, consult_id=made.consult.id, key_id="evidence-f1", blob_key=key
    )
    await made.keyring.create(home, paper.key_id)
    (tmp_path / "paper").write_bytes(b"sealed")
    await made.blobs.put(key, tmp_path / "paper")
    async with world.db.begin() as tx:
        await tx.evidence_files.add(paper)
        await tx.append(AuditEvent(EventCode.EVIDENCE_UPLOADED, home, "p", made.consult.id, paper.id))
    world.clock.advance(days=13 * 366)
    return made, paper


async def test_disposal_destroys_their_key_their_object_and_their_row(world: World, tmp_path: Path) -> None:
    made, paper = await with_paper(world, tmp_path)
    proposed = await made.propose(PROCESS_AV, PROCESS_TEXT, EMR, CONSENT)
    done = await made.purge((await made.approve(proposed)).id)
    assert world.db.rows("evidence_files") == []
    assert await made.blobs.list("") == []
    assert made.keyring.keys == {}
    assert paper.key_id in [key for key, _ in done.tombstones]
    assert done.certificate is not None
    certificate = json.loads(done.certificate)
    assert certificate["papers"] == [{"file": "f1", "key": paper.key_id, "sha256": paper.blob_sha256}]
    assert certificate["counts"]["rows_removed"]["evidence_files"] == 1


async def test_recordings_alone_leave_them_where_they_are(world: World, tmp_path: Path) -> None:
    made, paper = await with_paper(world, tmp_path)
    await made.purge((await made.approve(await made.propose(PROCESS_AV))).id)
    assert world.db.rows("evidence_files") == [paper]
    assert await made.blobs.list("") == [paper.blob_key]


async def test_a_hold_keeps_them(world: World, tmp_path: Path) -> None:
    made, paper = await with_paper(world, tmp_path)
    approved = await made.approve(await made.propose(EMR))
    async with world.db.begin() as tx:
        await holds.place(tx, Actor.staff(world.archivist), made.consult.id, "投诉")
    with pytest.raises(Held):
        await made.purge(approved.id)
    assert world.db.rows("evidence_files") == [paper]
    assert await made.blobs.list(paper.blob_key.rpartition("/")[0]) != []
