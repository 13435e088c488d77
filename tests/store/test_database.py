"""SQLite under stress: full, locked, cancelled, killed. Acknowledged means kept; refused means nothing was kept."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from archive.records import Disposal
from audit import reader
from audit.errors import StaleRow
from audit.events import EventCode
from audit.leaf import payload_key_id
from audit.verify import verify
from clinic.consult import ChatMessage, Seat
from huizhen.store import database
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from huizhen.store.errors import StoreBusy, StoreFull, StoreUnavailable
from huizhen.store.transaction import settled
from recording.errors import KeyDestroyed
from tests.store.samples import sample
from tests.store.test_repository import event, put
from tests.support import prepared
from tests.support.clock import FakeClock

DB = "data/huizhen.db"


async def test_the_connections_are_as_durable_as_promised(sql: SqlDatabase) -> None:
    async with sql.begin() as tx:
        pragmas = [
            (await tx._connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        ]
    assert pragmas == ["wal", 2, 1, 1]
    async with sql.read() as tx:
        assert (await tx._connection.exec_driver_sql("PRAGMA query_only")).scalar() == 1
    with pytest.raises(StoreUnavailable):
        async with sql.read() as tx:
            await tx._connection.exec_driver_sql("DELETE FROM seats")


async def test_a_full_disk_is_told_and_nothing_is_kept(sql: SqlDatabase) -> None:
    await put(sql, "seats", sample(Seat, "s1"))
    async with sql.begin() as tx:
        pages = (await tx._connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await tx._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        async with sql.begin() as tx:
            await tx.chat_messages.add(sample(ChatMessage, "m1", text="x" * 50_000))
            await tx.append(event())
    with pytest.raises(StoreFull):
        await put(sql, "chat_messages", *(sample(ChatMessage, f"m{n}", text="y" * 900) for n in range(200)))
    async with sql.begin() as tx:
        await tx._connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
        assert not await tx.chat_messages.find()
    await put(sql, "chat_messages", sample(ChatMessage, "m1"))  # room again: it goes on


async def test_a_lock_held_by_another_process_is_told(url: str, tmp_path: Path) -> None:
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", busy_ms=50)
    other = sqlite3.connect(tmp_path / DB, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        await put(database, "seats", sample(Seat, "s1"))
    async with database.read() as tx:
        assert not await tx.seats.find()  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    await put(database, "seats", sample(Seat, "s1"))
    await database.close()


async def test_a_row_changed_by_another_process_is_stale(sql: SqlDatabase, tmp_path: Path) -> None:
    await put(sql, "seats", sample(Seat, "s1"))
    with pytest.raises(StaleRow):
        async with sql.begin() as tx:
            seat = await tx.seats.get("s1")
            await tx._connection.exec_driver_sql("UPDATE seats SET rev = rev + 1")  # as another node would
            await tx.seats.save(seat)


async def test_a_file_that_is_no_database_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / DB).write_bytes(b"not a database " * 100)
    with pytest.raises(StoreUnavailable):
        await SqlDatabase.open(url, tmp_path / "keys")


async def test_cancellation_anywhere_leaves_all_or_nothing(sql: SqlDatabase) -> None:
    done: list[str] = []

    async def write(name: str) -> None:
        async with sql.begin() as tx:
            await tx.seats.add(sample(Seat, name))
            await tx.chat_messages.add(sample(ChatMessage, name))
            await tx.append(event(consult_id=name))
        done.append(name)

    chance = random.Random(7)
    began = time.monotonic()
    await write("whole")
    whole = time.monotonic() - began  # on this machine, now
    for number in range(60):
        task = asyncio.ensure_future(write(f"s{number}"))
        for _ in range(number):  # from before the connection is open until long after the commit
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice((0, chance.random() * 3 * whole)))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5):  # no connection and no lock was leaked
        await put(sql, "seats", sample(Seat, "last"))
    async with sql.read() as tx:
        seats = {seat.id for seat in await tx.seats.find()} - {"last"}
        assert seats == {message.id for message in await tx.chat_messages.find()}
        assert seats == {read.consult_id for read in await reader.events(tx, "i1") if read.consult_id}
        assert set(done) <= seats
    assert 0 < len(seats - {"whole"}) < 60


async def test_a_reader_cancelled_while_it_ends_gives_its_connection_back(
    sql: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolling_back = asyncio.Event()
    real = database._rolled_back

    async def cancelled_meanwhile(connection: AsyncConnection) -> None:
        rolling_back.set()
        await asyncio.sleep(0)  # the cancellation arrives here
        await real(connection)

    monkeypatch.setattr(database, "_rolled_back", cancelled_meanwhile)

    async def look() -> None:
        async with sql.read():
            pass

    for _ in range(10):  # more than there are readers
        rolling_back.clear()
        task = asyncio.ensure_future(look())
        await rolling_back.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5), sql.read() as tx:
        assert await tx.seats.find() == []


async def test_closing_lets_a_transaction_under_way_end(sql: SqlDatabase) -> None:
    inside, release = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with sql.begin() as tx:
            inside.set()
            await release.wait()
            await tx.seats.add(sample(Seat, "kept"))
            await tx.append(event(consult_id="kept"))

    writing = asyncio.ensure_future(write())
    await inside.wait()
    closing = asyncio.ensure_future(sql.close())
    await asyncio.sleep(0)
    assert not closing.done()
    release.set()
    await asyncio.gather(writing, closing)


async def test_settled_work_finishes_before_the_cancellation_goes_on() -> None:
    finished = asyncio.Event()
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()
        finished.set()

    task = asyncio.ensure_future(settled(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    assert not finished.is_set()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()


async def test_private_parts_die_with_their_key_and_the_trail_still_verifies(sql: SqlDatabase, tmp_path: Path) -> None:
    async with sql.begin() as tx:
        await tx.append(event(EventCode.CHAT_SENT, consult_id="c1", private={"name": "张三"}))
        await tx.append(event(EventCode.CHAT_SENT, consult_id="c2", private={"name": "李四"}))
    assert "张三".encode() not in (tmp_path / f"{DB}-wal").read_bytes()
    await sql.keys.destroy("i1", payload_key_id("c1"))
    async with sql.read() as tx:
        (gone,), (kept,) = await reader.events(tx, "i1", "c1"), await reader.events(tx, "i1", "c2")
    assert (gone.private, gone.erased) == (None, True)
    assert (kept.private, kept.erased) == ({"name": "李四"}, False)
    with pytest.raises(KeyDestroyed):
        async with sql.begin() as tx:
            await tx.append(event(EventCode.CHAT_SENT, consult_id="c1", private={"name": "again"}))
    assert verify(tmp_path / DB, None, [], []).findings == []


async def test_a_clock_that_went_back_between_runs_is_put_on_record(url: str, tmp_path: Path) -> None:
    await prepared.database_at(url)
    clock = FakeClock()
    for step in (0, -3600, -1):
        clock.advance(step)
        database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, node="n1")
        async with database.begin() as tx:
            await tx.append(event())
        async with database.read() as tx:
            found = await reader.events(tx, "i1")
        await database.close()
    assert [read.code for read in found] == ["log.opened", "visit.booked", "clock.skew", "visit.booked", "visit.booked"]
    assert found[2].public == {"behind_ms": 3_600_000}
    assert verify(tmp_path / DB, None, [], []).findings == []


async def test_disposals_in_the_database_are_replayed_on_a_restored_key_ring(url: str, tmp_path: Path) -> None:
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys")
    await database.keys.create("i1", "rec1")
    await put(database, "disposals", sample(Disposal, "d1", tombstones=(("rec1", "ab" * 32),)))
    await database.close()
    again = await SqlDatabase.open(url, tmp_path / "keys")
    with pytest.raises(KeyDestroyed):
        await again.keys.get("i1", "rec1")
    await again.close()


# Each run is a process of its own, forked from one that has loaded everything; what it acknowledges is one line each.
NURSERY = """
import asyncio, os, sys
from pathlib import Path
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import ChatMessage
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from tests.store.samples import sample

async def main(url, keys, run):
    database = await SqlDatabase.open(url, Path(keys), node="n1")
    signer = Checkpointer(database)
    await signer.check()
    for number in range(100000):
        name = f"{run}-{number}"
        async with database.begin() as tx:
            await tx.chat_messages.add(sample(ChatMessage, name))
            await tx.append(AuditEvent(EventCode.CHAT_SENT, "i1", "a", "c1", name, private={"n": number}))
        print(name, flush=True)
        if number % 10 == 9:
            await signer.sign("i1")

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(main(*sys.argv[1:], line.strip()))
    print("born", child, flush=True)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""


async def killed(nursery: "subprocess.Popen[str]", run: int, wanted: int, pause: float) -> list[str]:
    """What one run acknowledged before SIGKILL, sent some time after `wanted` lines."""
    assert nursery.stdin is not None and nursery.stdout is not None
    print(run, file=nursery.stdin, flush=True)
    lines: list[str] = []
    child = 0
    while len(lines) < wanted or not child:
        word, _, number = nursery.stdout.readline().strip().partition(" ")
        assert word not in ("", "ended"), "it died by itself"
        if word == "born":
            child = int(number)
        else:
            lines.append(word)
    await asyncio.sleep(pause)
    os.kill(child, signal.SIGKILL)
    while not (line := nursery.stdout.readline().strip()).startswith("ended"):
        assert line
        lines.append(line)
    assert line == f"ended {int(signal.SIGKILL)}" and len(lines) >= wanted
    return lines


async def test_fifteen_kills_lose_no_acknowledged_event(url: str, tmp_path: Path) -> None:
    await prepared.database_at(url)
    chance = random.Random(3)
    acknowledged: list[str] = []
    nursery = subprocess.Popen(
        [sys.executable, "-c", NURSERY, url, str(tmp_path / "keys")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with nursery:  # its input ends with the block, and so does it
        for run in range(15):
            acknowledged += await killed(nursery, run, chance.randrange(1, 40), chance.random() * 0.01)
    assert nursery.returncode == 0
    database = await SqlDatabase.open(url, tmp_path / "keys")
    signer = Checkpointer(database)
    await signer.check()
    await signer.sign("i1")
    async with database.read() as tx:
        events = [read.subject_id for read in await reader.events(tx, "i1", "c1")]
        rows = [message.id for message in await tx.chat_messages.find()]
    await database.close()
    assert events == rows and set(acknowledged) <= set(rows) and len(acknowledged) > 100
    vkeys = (tmp_path / "keys" / "public.vkeys").read_text().splitlines()
    report = verify(tmp_path / DB, None, vkeys, [signer.note_path("i1", 1).read_bytes()])
    assert report.findings == [] and report.rows == len(rows)
    assert report.logs["huizhen/audit/i1/1"].signed_size == len(rows) + 1
