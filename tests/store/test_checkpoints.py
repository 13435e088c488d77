"""Checkpoints are signed by the cadence, kept outside, and never over a log that lost or changed anything."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit.checkpoint import parse, parse_vkey, verify
from audit.errors import LogDiverged
from audit.verify import verify as verify_all
from clinic.people import Institution
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from tests.store.samples import sample
from tests.store.test_repository import event
from tests.support.clock import FakeClock

DB = "data/huizhen.db"


@pytest.fixture
def signer(sql: SqlDatabase) -> Checkpointer:
    return Checkpointer(sql)


async def record(sql: SqlDatabase, count: int = 1, institution: str = "i1") -> None:
    for _ in range(count):
        async with sql.begin() as tx:
            await tx.append(event(institution=institution))


@contextmanager
def tampering(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """As a database administrator would: triggers out of the way first."""
    raw = sqlite3.connect(tmp_path / DB, isolation_level=None)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    yield raw
    raw.close()


async def test_the_first_event_of_an_institution_opens_its_log(sql: SqlDatabase, signer: Checkpointer) -> None:
    async with sql.begin() as tx:
        await tx.institutions.add(sample(Institution, "i9"))
        await tx.append(event(institution="i9"))
    note = await signer.sign("i9")
    assert note is not None
    public = sql.keys.signing_key("i9", "checkpoint").public_key().public_bytes_raw()
    found = verify(note, {"test/audit/i9/1": public})
    assert (found.origin, found.size) == ("test/audit/i9/1", 2)
    exported = (sql.keys.directory / "public.vkeys").read_text().splitlines()
    assert ("test/audit/i9/1", public) in [parse_vkey(line) for line in exported]


async def test_the_cadence(sql: SqlDatabase, signer: Checkpointer, clock: FakeClock) -> None:
    assert await signer.sign("nobody") is None and await signer.sign_due() == []
    await record(sql)
    await record(sql, institution="i2")
    assert await signer.sign_due() == ["i1", "i2"]
    await record(sql)
    clock.advance(59)
    assert await signer.sign_due() == []
    clock.advance(1)
    assert await signer.sign_due() == ["i1"]
    clock.advance(600)
    assert await signer.sign_due() == []
    assert parse(signer.note_path("i1", 1).read_bytes())[0].size == 3


async def test_signing_again_without_new_leaves_gives_the_same_note(sql: SqlDatabase, signer: Checkpointer) -> None:
    await record(sql, 5)
    first = await signer.sign("i1")
    assert await signer.sign("i1") == first == signer.note_path("i1", 1).read_bytes()
    await record(sql)
    assert await signer.sign("i1") != first
    await signer.check()


async def test_the_background_signer_reports_failures_and_goes_on(sql: SqlDatabase, signer: Checkpointer) -> None:
    await record(sql)
    signer.note_path("i1", 1).parent.mkdir()
    signer.note_path("i1", 1).write_bytes(b"damaged")
    told: list[Exception] = []
    task = asyncio.ensure_future(signer.run(told.append, poll_seconds=0))
    while len(told) < 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(isinstance(error, LogDiverged) for error in told)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaves SET data = CAST(replace(data, 'visit.booked', 'visit.hooked') AS BLOB) WHERE seq = 3",
        "DELETE FROM audit_leaves WHERE seq = 3",
        "UPDATE audit_nodes SET hash = zeroblob(32) WHERE level = 2 AND idx = 0",
        "UPDATE audit_logs SET peaks = zeroblob(64)",
        "DELETE FROM audit_logs",
        "UPDATE audit_nodes SET hash = zeroblob(32) WHERE level = 0 AND idx = 5",
        "UPDATE audit_leaves SET data = CAST(data AS TEXT) WHERE seq = 3",
        "UPDATE audit_logs SET peaks = 'text'",
    ],
)
async def test_tampering_is_noticed_at_the_start(
    sql: SqlDatabase, signer: Checkpointer, tmp_path: Path, statement: str
) -> None:
    await record(sql, 5)
    await signer.sign("i1")
    await signer.check()
    with tampering(tmp_path) as raw:
        raw.execute(statement)
    with pytest.raises(LogDiverged):
        await signer.check()


async def test_a_restored_backup_is_refused_until_a_new_epoch_says_why(
    sql: SqlDatabase, signer: Checkpointer, tmp_path: Path, url: str, clock: FakeClock
) -> None:
    await record(sql, 3)
    await signer.sign("i1")
    with sqlite3.connect(tmp_path / DB) as raw:
        raw.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    raw.close()
    await record(sql, 4)
    lost = await signer.sign("i1")
    assert lost is not None
    await sql.close()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"{DB}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", tmp_path / DB)

    restored = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    again = Checkpointer(restored)
    with pytest.raises(LogDiverged, match="8 were signed"):
        await again.check()
    with pytest.raises(LogDiverged):
        await again.sign("i1")
    with pytest.raises(ValueError, match="code"):
        await again.open_epoch("i1", "Free text")
    head = await again.open_epoch("i1", "restored_from_backup")
    assert (head.epoch, head.size) == (2, 1)
    await again.check()
    await record(restored, 2)
    assert await again.sign("i1") is not None
    notes = [lost, again.note_path("i1", 2).read_bytes()]
    vkeys = (tmp_path / "keys" / "public.vkeys").read_text().splitlines()
    report = verify_all(tmp_path / DB, None, vkeys, notes)
    assert report.findings == [] and any("lost" in remark for remark in report.remarks)
    assert [finding.code for finding in verify_all(tmp_path / DB, None, vkeys, [notes[0] + b"\n"]).findings] != []
    with tampering(tmp_path) as raw:
        raw.execute("DELETE FROM audit_leaves WHERE epoch = 1 AND seq = 3")
        raw.execute("DELETE FROM audit_nodes WHERE origin LIKE '%/1' AND idx >= 3 AND level = 0")
    assert "epoch.mismatch" in {finding.code for finding in verify_all(tmp_path / DB, None, vkeys, notes).findings}
    await restored.close()
