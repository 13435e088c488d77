"""Images live and go with the visit record: key first, then objects, then rows."""

import json
from pathlib import Path

import pytest

from archive import holds
from archive.errors import Held
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from imaging.records import ImageFindings, ImageInstance, ImageSeries, ImageStudy, PacsStudy, SeriesOpening
from tests.archive.keep import Kept, kept
from tests.store.samples import sample
from tests.support.builders import World

TABLES = {
    "image_studies": ImageStudy,
    "image_series": ImageSeries,
    "image_instances": ImageInstance,
    "series_openings": SeriesOpening,
    "pacs_studies": PacsStudy,
    "image_findings": ImageFindings,
}


async def with_images(world: World, tmp_path: Path) -> Kept:
    made = await kept(world)
    home = world.home.id
    key = f"{home}/images/st1/a.hzs"
    await made.keyring.create(home, "images-st1")
    (tmp_path / "object").write_bytes(b"sealed")
    await made.blobs.put(key, tmp_path / "object")
    async with world.db.begin() as tx:
        for table, row in TABLES.items():
            more = {"key_id": "images-st1"} if row is ImageStudy else {"blob_key": key} if row is ImageInstance else {}
            row_id = "st1" if row is ImageStudy else "x1"
            await getattr(tx, table).add(sample(row, row_id, home, consult_id=made.consult.id, **more))
        await tx.append(AuditEvent(EventCode.IMAGES_STORED, home, "p", made.consult.id, "st1"))
    world.clock.advance(days=13 * 366)
    return made


async def test_disposal_destroys_their_key_their_objects_and_their_rows(world: World, tmp_path: Path) -> None:
    made = await with_images(world, tmp_path)
    done = await made.purge((await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT, EMR, CONSENT))).id)
    assert [world.db.rows(table) for table in TABLES] == [[]] * 6
    assert await made.blobs.list("") == []
    assert "images-st1" in [key for key, _ in done.tombstones]
    assert done.certificate is not None
    certificate = json.loads(done.certificate)
    assert certificate["images"] == [{"study": "st1", "key": "images-st1"}]
    assert certificate["counts"]["rows_removed"]["image_instances"] == 1


async def test_recordings_alone_leave_them_and_a_hold_keeps_them(world: World, tmp_path: Path) -> None:
    made = await with_images(world, tmp_path)
    await made.purge((await made.approve(await made.propose(PROCESS_AV))).id)
    assert len(world.db.rows("image_instances")) == 1
    approved = await made.approve(await made.propose(EMR))
    async with world.db.begin() as tx:
        await holds.place(tx, Actor.staff(world.archivist), made.consult.id, "complaint 18")
    with pytest.raises(Held):
        await made.purge(approved.id)
    assert len(await made.blobs.list(f"{world.home.id}/images/")) == 1
