"""Random sequences of operations leave the in-memory twin and SQLite in the same state, with the same errors."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.errors import AuditError
from audit.events import EventCode
from audit.reader import events
from audit.transaction import AuditEvent
from clinic.consult import ChatMessage, Seat
from huizhen.store.database import SqlDatabase
from tests.store.samples import sample
from tests.support import prepared
from tests.support.clock import FakeClock
from tests.support.memory import MemoryDatabase

STEP = st.tuples(
    st.sampled_from(["add", "save", "get", "remove", "append", "append_other", "operation", "add_chat", "save_chat"]),
    st.sampled_from(["r1", "r2", "r3"]),
    st.integers(0, 3),
)
PROGRAM = st.lists(st.tuples(st.lists(STEP, max_size=8), st.booleans()), min_size=1, max_size=5)


async def step(tx: Any, kind: str, row_id: str, number: int) -> object:
    seat = sample(Seat, row_id, display_name=f"n{number}")
    match kind:
        case "add":
            return await tx.seats.add(seat)
        case "save":
            return await tx.seats.save(seat)
        case "get":
            return await tx.seats.get(row_id)
        case "remove":
            return await tx.seats.remove(row_id)
        case "append":
            await tx.append(AuditEvent(EventCode.SEAT_ADDED, "i1", "a", f"c{number}"))
        case "append_other":
            await tx.append(AuditEvent(EventCode.SEAT_ADDED, "i2", "a"))
        case "operation":
            await tx.operation(f"op{number}", row_id)
        case "add_chat":
            await tx.chat_messages.add(sample(ChatMessage, row_id))
        case "save_chat":
            await tx.chat_messages.save(sample(ChatMessage, row_id))
    return None


async def run(database: Any, program: list[tuple[list[tuple[str, str, int]], bool]]) -> list[object]:
    """What happened, step by step, and what is there at the end."""
    outcome: list[object] = []
    for steps, fails in program:
        try:
            async with database.begin() as tx:
                for kind, row_id, number in steps:
                    try:
                        outcome.append(await step(tx, kind, row_id, number))
                    except AuditError as error:
                        outcome.append(error.code)
                if fails:
                    raise ZeroDivisionError
        except (AuditError, ZeroDivisionError) as error:
            outcome.append(type(error).__name__)
    async with database.read() as tx:
        outcome += [await tx.seats.find(), await tx.chat_messages.find()]
        for institution in ("i1", "i2"):
            found = [e for e in await events(tx, institution) if e.code != EventCode.LOG_OPENED]
            outcome.append([[(m.table, m.row_id, m.rev, m.digest is None) for m in e.rows] for e in found])
            outcome.append([(e.consult_id, e.number) for e in found if e.consult_id])
    return [list(part) if isinstance(part, (list, tuple)) else part for part in outcome]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAM)
def test_memory_and_sql_agree(program: list[tuple[list[tuple[str, str, int]], bool]]) -> None:
    async def both() -> None:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            await prepared.database_at(f"sqlite:///{place}/x.db")
            sql = await SqlDatabase.open(f"sqlite:///{place}/x.db", place / "keys", clock=FakeClock())
            try:
                assert await run(sql, program) == await run(MemoryDatabase(FakeClock()), program)
            finally:
                await sql.close()

    asyncio.run(both())
