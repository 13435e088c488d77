"""The same life on the real store: rows, keys, seals and trail survive it, and the independent verifier agrees."""

import json
from pathlib import Path

import pytest

from archive import disposal, intake, purge, retention
from archive.policy import PROCESS_AV, PROCESS_TEXT
from archive.records import DisposalState, RetainedState
from audit.verify import verify
from clinic import visit
from clinic.actor import Actor
from huizhen.store.blobs import LocalBlobs
from huizhen.store.database import SqlDatabase
from huizhen.store.seals import KeySealer, verifier_keys
from recording.errors import KeyDestroyed
from tests.support import prepared
from tests.support.builders import FakeBlobs, World
from tests.support.clock import FakeClock


async def test_from_booking_to_destruction(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    clock = FakeClock()
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    try:
        await _life(await World.create(clock, database, KeySealer(database.keys, "test")), database, tmp_path)
        keys = verifier_keys(database.keys, "test", {})
    finally:
        await database.close()
    report = verify(tmp_path / "data" / "huizhen.db", tmp_path / "blobs", keys, [])
    assert [str(finding) for finding in report.findings] == []
    assert report.seals > 0


async def _life(world: World, database: SqlDatabase, tmp_path: Path) -> None:
    keyring, blobs, memory = database.keys, LocalBlobs(tmp_path / "blobs"), FakeBlobs()
    booked = await world.book()
    consult = await world.call(booked)
    async with database.begin() as tx:
        await visit.say(tx, booked.patient_seat.id, "您好", "op-1")
    recording = await world.recorded(consult, (booked.patient_seat,), keyring, memory)  # type: ignore[arg-type]
    for key, data in memory.objects.items():
        (tmp_path / "spool").write_bytes(data)
        await blobs.put(key, tmp_path / "spool")
    async with database.begin() as tx:
        await intake.on_recording_sealed(tx, recording.id)
    await world.finish(consult)
    async with database.begin() as tx:
        await intake.on_consult_over(tx, consult.id)
    world.clock.advance(days=3 * 366)
    async with database.begin() as tx:
        due = await retention.due_list(tx, world.home.id)
        wanted = [item.record.id for item in due if item.record.record_class in (PROCESS_AV, PROCESS_TEXT)]
        assert len(wanted) == len(due) == 2
        proposed = await disposal.propose(tx, Actor.staff(world.archivist), wanted, "保存期满")
    for person in (world.approver, world.approver2):
        async with database.begin() as tx:
            await disposal.approve(tx, Actor.staff(person), proposed.id, proposed.list_sha256, world.clock())
    done = await purge.purge(database, keyring, blobs, world.sealer, proposed.id)
    assert done.state is DisposalState.DONE
    with pytest.raises(KeyDestroyed):
        await keyring.get(world.home.id, recording.key_id)
    assert await blobs.list(f"{world.home.id}/") == []
    async with database.read() as tx:
        assert await tx.chat_messages.find(consult_id=consult.id) == []
        states = {row.record_class: row.state for row in await tx.retained_records.find(consult_id=consult.id)}
        kept = await tx.disposals.get(proposed.id)
    assert states[PROCESS_AV] is states[PROCESS_TEXT] is RetainedState.DISPOSED
    assert json.loads(kept.certificate or "")["counts"]["rows_removed"] == {"chat_messages": 1}
    assert await purge.purge(database, keyring, blobs, world.sealer, proposed.id) == kept
