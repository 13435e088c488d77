"""Known statements on SQLite's driver: compiled once, in order, all or the first error, and seen by SQLAlchemy too."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select

from clinic.consult import Seat
from huizhen.store.database import SqlDatabase
from huizhen.store.direct import Known
from huizhen.store.one_hop import Order, connector
from huizhen.store.schema import operations
from tests.store.samples import sample
from tests.store.test_repository import event

ADD = Known(insert(operations), ("actor_id", "operation_id", "used_at"))
FIRST = Known(
    select(operations.c.operation_id)
    .where(operations.c.actor_id == bindparam("actor"), operations.c.used_at > bindparam("actor"))
    .order_by(operations.c.operation_id)
    .limit(1)
)


def values(operation: str, actor: str = "a") -> dict[str, str]:
    return {"actor_id": actor, "operation_id": operation, "used_at": "z"}


def test_values_stand_in_the_order_of_their_marks_and_none_is_left_out() -> None:
    order = FIRST.ordered({"actor": "x"})
    assert order.sql.count("?") == len(order.parameters)
    assert list(order.parameters[:3]) == ["x", "x", 1]
    assert ADD.ordered([values("1"), values("2")]) == (
        ADD.ordered(values("1")).sql,
        [["a", "1", "z"], ["a", "2", "z"]],
        True,
    )
    with pytest.raises(KeyError, match="actor"):
        FIRST.ordered({})
    with pytest.raises(KeyError, match="used_at"):
        ADD.ordered({"actor_id": "a", "operation_id": "1"})


async def test_several_run_in_order_and_are_one_transaction_with_the_rest(sql: SqlDatabase) -> None:
    async with sql.begin() as tx:
        added, first = await tx.run_all((ADD, [values("2"), values("1")]), (FIRST, {"actor": "a"}))
        assert (added.rowcount, first.rows) == (2, [("1",)])
        assert (await tx.execute(select(operations.c.operation_id))).scalars().all() == ["1", "2"]
    with pytest.raises(ZeroDivisionError):
        async with sql.begin() as tx:
            await tx.run(ADD, values("3"))
            raise ZeroDivisionError
    async with sql.read() as tx:
        assert len((await tx.execute(select(operations.c.operation_id))).all()) == 2
        assert await tx.run_all() == []


async def test_what_follows_a_failure_is_not_run_and_nothing_is_kept(sql: SqlDatabase) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        async with sql.begin() as tx:
            await tx.seats.add(sample(Seat, "s1"))
            await tx.append(event())
            await tx.run_all((ADD, values("1")), (ADD, values("1")), (ADD, values("2")))
    async with sql.begin() as tx:
        assert (await tx.run(FIRST, {"actor": "a"})).rows == []
        assert await tx.seats.find() == []


async def test_a_closed_connection_says_so(tmp_path: Path) -> None:
    connection = await connector(str(tmp_path / "x.db"))()
    assert [answer.rows for answer in await connection.together([Order("SELECT 1", ())])] == [[(1,)]]
    await connection.close()
    with pytest.raises(ValueError, match="closed"):
        connection.together([Order("SELECT 1", ())])
