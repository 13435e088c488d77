"""One behaviour, two databases: each test runs on the in-memory twin and on SQLite."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from archive.ports import ArchiveTransaction
from audit import reader
from audit.errors import (
    AppendOnly,
    DuplicateOperation,
    InvalidEvent,
    MissingRow,
    ReadOnly,
    StaleRow,
    UnrecordedWrite,
)
from audit.events import EventCode
from audit.transaction import After, AuditEvent, Database
from clinic.consult import ChatMessage, Consult, Seat, SeatState
from huizhen.store.database import SqlDatabase
from huizhen.store.tables import TABLES, StoreTransaction, Table
from tests.store.samples import sample
from tests.support.clock import FakeClock
from tests.support.memory import MemoryDatabase

AnyDatabase = MemoryDatabase | SqlDatabase


def event(code: EventCode = EventCode.CONSULT_BOOKED, institution: str = "i1", **more: Any) -> AuditEvent:
    return AuditEvent(code, institution, "staff1", **more)


async def put(database: AnyDatabase, table: str, *rows: Any) -> None:
    async with database.begin() as tx:
        for row in rows:
            await getattr(tx, table).add(row)
        await tx.append(event())


async def codes(database: AnyDatabase, institution: str = "i1") -> list[str]:
    """Events of the institution, without the log's own."""
    async with database.read() as tx:
        found = await reader.events(tx, institution)
    return [read.code for read in found if not read.code.startswith(("log.", "clock."))]


def conforms(
    sql: SqlDatabase, memory: MemoryDatabase
) -> tuple[Database[ArchiveTransaction], Database[StoreTransaction]]:
    """Checked by mypy: both databases satisfy the ports."""
    both: tuple[Database[ArchiveTransaction], Database[ArchiveTransaction]] = (sql, memory)
    return both[0], memory


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_each_table_keeps_finds_changes_and_removes_its_rows(database: AnyDatabase, table: Table) -> None:
    first, second = sample(table.row, "i1"), sample(table.row, "i1", id="r2")
    rows = (first,) if table.name == "institutions" else (first, second)  # an institution's log is its own
    await put(database, table.name, *rows)
    async with database.begin() as tx:
        repository = getattr(tx, table.name)
        assert await repository.get("i1") == first
        assert list(await repository.find()) == list(rows)
        if table.append_only:
            with pytest.raises(AppendOnly):
                await repository.save(first)
        else:
            await repository.save(first)
        await repository.remove("i1")
        with pytest.raises(MissingRow):
            await repository.get("i1")
        await tx.append(event())
    async with database.read() as tx:
        assert list(await getattr(tx, table.name).find()) == list(rows[1:])


async def test_find_matches_columns_and_null_and_keeps_the_order_of_insertion(database: AnyDatabase) -> None:
    rows = [
        sample(Seat, f"s{number}", consult_id=f"c{number % 2}", state=SeatState.WAITING, person_id=None)
        for number in (3, 1, 2, 5)
    ]
    await put(database, "seats", *rows)
    async with database.begin() as tx:
        changed = replace(await tx.seats.get("s3"), person_id="p")
        await tx.seats.save(changed)
        await tx.append(event())
    async with database.read() as tx:
        assert list(await tx.seats.find(consult_id="c1")) == [changed, rows[1], rows[3]]
        assert list(await tx.seats.find(consult_id="c1", person_id=None)) == [rows[1], rows[3]]
        assert list(await tx.seats.find(state=SeatState.ADMITTED)) == []
        assert list(await tx.seats.find(created_at=rows[0].created_at, consult_id="c0")) == [rows[2]]
        with pytest.raises(TypeError):
            await tx.seats.find(colour="red")


async def test_find_takes_what_comes_after_a_moment_and_never_null(database: AnyDatabase) -> None:
    first = sample(Seat, "s1", waiting_since=None)
    noon = first.created_at
    later, latest = (sample(Seat, f"s{n}", waiting_since=noon + timedelta(microseconds=n)) for n in (2, 3))
    await put(database, "seats", latest, first, later)
    async with database.read() as tx:
        assert list(await tx.seats.find(waiting_since=After(noon))) == [latest, later]
        assert list(await tx.seats.find(waiting_since=After(later.waiting_since))) == [latest]
        assert list(await tx.seats.find(waiting_since=After(noon), id="s2")) == [later]
        assert list(await tx.seats.find(waiting_since=After(latest.waiting_since))) == []


async def test_queries_read_together_are_what_find_gives_and_count_as_read(database: AnyDatabase) -> None:
    seat, message = sample(Seat, "s1"), sample(ChatMessage, "m1")
    await put(database, "seats", seat)
    await put(database, "chat_messages", message)
    async with database.begin() as tx:
        seats, messages, nobody = tx.seats.query(id="s1"), tx.chat_messages.query(), tx.seats.query(id="s2")
        await tx.fetch(seats, messages, nobody)
        await tx.fetch()
        assert (seats.one(), list(messages.rows), messages.last(), nobody.last()) == (seat, [message], message, None)
        with pytest.raises(MissingRow, match="seats"):
            nobody.one()
        with pytest.raises(TypeError, match="colour"):
            await tx.fetch(tx.seats.query(colour="red"))
        await tx.seats.save(replace(seats.one(), display_name="new"))
        await tx.fetch(seats)
        assert seats.one().display_name == "new"
        await tx.append(event())


async def test_an_uncovered_write_rolls_everything_back(database: AnyDatabase) -> None:
    message = sample(ChatMessage, "m1")
    with pytest.raises(UnrecordedWrite):
        async with database.begin() as tx:
            await tx.append(event(EventCode.CHAT_SENT))  # before the write: covers nothing
            await tx.chat_messages.add(message)
    with pytest.raises(UnrecordedWrite):
        async with database.begin() as tx:
            await tx.chat_messages.add(message)
            await tx.append(event(EventCode.CHAT_SENT, "another-institution"))
    async with database.read() as tx:
        assert not await tx.chat_messages.find()
    assert await codes(database) == []


async def test_each_event_lists_the_writes_since_the_one_before(database: AnyDatabase) -> None:
    async with database.begin() as tx:
        await tx.seats.add(sample(Seat, "s1"))
        await tx.seats.save(sample(Seat, "s1", role=sample(Seat, "s1").role, display_name="other"))
        await tx.append(event(EventCode.SEAT_ADDED))
        await tx.seats.remove("s1")
        await tx.append(event(EventCode.DISPOSED))
        await tx.append(event(EventCode.CHART_VIEWED))
    async with database.read() as tx:
        found = [read for read in await reader.events(tx, "i1") if read.code != EventCode.LOG_OPENED]
    marks = [[(m.table, m.row_id, m.rev, m.digest is None) for m in read.rows] for read in found]
    assert marks == [[("seats", "s1", 2, False)], [("seats", "s1", 3, True)], []]


async def test_an_exception_rolls_back_rows_events_and_operations(database: AnyDatabase) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.begin() as tx:
            await tx.operation("op1", "a")
            await tx.seats.add(sample(Seat, "s1"))
            await tx.append(event())
            raise ZeroDivisionError
    async with database.begin() as tx:
        await tx.operation("op1", "a")  # free again: nothing had happened
        with pytest.raises(MissingRow):
            await tx.seats.get("s1")
    assert await codes(database) == []


async def test_an_operation_is_claimed_once_per_actor(database: AnyDatabase) -> None:
    async with database.begin() as tx:
        await tx.operation("op1", "a")
        with pytest.raises(DuplicateOperation):
            await tx.operation("op1", "a")
    async with database.begin() as tx:
        await tx.operation("op1", "b")
        with pytest.raises(DuplicateOperation):
            await tx.operation("op1", "a")
        await tx.append(event())  # the transaction can go on
    assert await codes(database) == ["visit.booked"]


async def test_a_row_must_be_read_in_the_transaction_that_saves_it(database: AnyDatabase) -> None:
    seat = sample(Seat, "s1")
    await put(database, "seats", seat)
    async with database.begin() as tx:
        with pytest.raises(StaleRow):
            await tx.seats.save(seat)
        with pytest.raises(StaleRow):
            await tx.seats.add(seat)
        with pytest.raises(MissingRow):
            await tx.seats.remove("s2")
        await tx.seats.get("s1")
        with pytest.raises(StaleRow):
            await tx.seats.save(replace(seat, institution_id="i2"))
        await tx.seats.save(replace(seat, display_name="new"))
        await tx.seats.save(replace(seat, display_name="newer"))
        await tx.append(event())
    async with database.read() as tx:
        assert (await tx.seats.get("s1")).display_name == "newer"


async def test_a_row_removed_may_come_back_as_a_new_one(database: AnyDatabase) -> None:
    await put(database, "chat_messages", sample(ChatMessage, "m1"), sample(ChatMessage, "m2"))
    async with database.begin() as tx:
        await tx.chat_messages.remove("m1")
        await tx.chat_messages.add(sample(ChatMessage, "m1", text="again"))
        await tx.append(event())
    async with database.read() as tx:
        assert [message.id for message in await tx.chat_messages.find()] == ["m2", "m1"]


async def test_only_rows_of_the_table_go_in(database: AnyDatabase) -> None:
    with pytest.raises(TypeError):
        async with database.begin() as tx:
            await tx.seats.add(sample(ChatMessage, "m1"))
    async with database.begin() as tx:
        with pytest.raises(AttributeError):
            getattr(tx, "no_such_" + "table")


async def test_a_read_transaction_refuses_every_write(database: AnyDatabase) -> None:
    await put(database, "seats", sample(Seat, "s1"))
    async with database.read() as tx:
        seat = await tx.seats.get("s1")
        for write in (
            lambda: tx.seats.save(seat),
            lambda: tx.seats.add(sample(Seat, "s2")),
            lambda: tx.seats.remove("s1"),
            lambda: tx.append(event()),
            lambda: tx.operation("o", "a"),
        ):
            with pytest.raises(ReadOnly):
                await write()


async def test_a_read_transaction_is_a_snapshot(database: AnyDatabase) -> None:
    await put(database, "seats", sample(Seat, "s1"))
    async with database.read() as tx:
        assert len(await tx.seats.find()) == 1
        await put(database, "seats", sample(Seat, "s2"))
        assert len(await tx.seats.find()) == 1
    async with database.read() as tx:
        assert len(await tx.seats.find()) == 2


async def test_writers_take_turns_and_a_task_holds_one_transaction(database: AnyDatabase) -> None:
    consult = sample(Consult, "c1", fee_cents=0)
    await put(database, "consults", consult)

    async def add_one() -> None:
        async with database.begin() as tx:
            current = await tx.consults.get("c1")
            await asyncio.sleep(0)
            await tx.consults.save(replace(current, fee_cents=current.fee_cents + 1))
            await tx.append(event())

    await asyncio.gather(*(add_one() for _ in range(10)))
    async with database.begin() as tx:
        assert (await tx.consults.get("c1")).fee_cents == 10
        with pytest.raises(RuntimeError, match="inside"):
            async with database.begin():
                pass


async def test_the_trail_numbers_events_per_consult_and_decrypts_private_parts(database: AnyDatabase) -> None:
    async with database.begin() as tx:
        await tx.append(event(EventCode.CHAT_SENT, consult_id="c1", private={"name": "张三", "n": 1.5}))
        await tx.append(event(EventCode.CHAT_SENT, consult_id="c2", subject_id="s", public={"list": ["a", 1, True]}))
        last = await tx.append(event(EventCode.CHAT_SENT, consult_id="c1", outcome="refused"))
        assert [read.number for read in await reader.events(tx, "i1", "c1")] == [0, 1]  # own events are seen
    async with database.read() as tx:
        one, two = await reader.events(tx, "i1", "c1")
        (other,) = await reader.events(tx, "i1", "c2")
        assert await reader.events(tx, "i2") == []
        assert (await reader.events(tx, "i1", "c1", after=(one.epoch, one.seq))) == [two]
        assert len(await reader.events(tx, "i1", limit=2)) == 2
    assert (one.private, one.erased, one.number) == ({"name": "张三", "n": 1.5}, False, 0)
    assert (two.event_id, two.number, two.outcome, two.private) == (last, 1, "refused", None)
    assert (other.number, other.subject_id, other.public) == (0, "s", {"list": ["a", 1, True]})


async def test_an_event_with_personal_data_in_public_is_refused(database: AnyDatabase) -> None:
    async with database.begin() as tx:
        with pytest.raises(InvalidEvent):
            await tx.append(event(public={"name": "张三"}))
        with pytest.raises(InvalidEvent):
            await tx.append(event(private={"at": object()}))


async def test_time_never_runs_backwards_in_a_process(database: AnyDatabase, clock: FakeClock) -> None:
    async with database.begin() as tx:
        before = tx.now
    clock.advance(-3600)
    async with database.begin() as tx:
        assert tx.now == before
    clock.advance(7200)
    async with database.read() as tx:
        assert (tx.now - before).total_seconds() == 3600


async def test_the_memory_twin_shows_its_events_and_can_fail_a_commit(clock: FakeClock) -> None:
    memory = MemoryDatabase(clock)
    memory.fail_next_commit = OSError("disk")
    with pytest.raises(OSError, match="disk"):
        await put(memory, "seats", sample(Seat, "s1"))
    assert (memory.rows("seats"), memory.codes()) == ([], [])
    await put(memory, "seats", sample(Seat, "s1"))
    assert memory.rows("seats") == [sample(Seat, "s1")] and memory.codes() == ["visit.booked"]
    assert memory.events[0].actor_id == "staff1"
