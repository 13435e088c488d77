"""aiosqlite with one thread hop per statement.

SQLAlchemy's adapter asks aiosqlite to make a cursor, execute, fetch and close it: four journeys to the connection's
thread for one statement. Here the statement is executed and its rows fetched in a single journey; the rest is answered
from what came back. Result sets are buffered by SQLAlchemy's adapter anyway. `together` runs several statements in one.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import aiosqlite

_STATEMENTS = 256  # kept prepared per connection: the driver's 128 are fewer than the tables' own


class Order(NamedTuple):
    """A statement with its parameters; `many`: a list of them, one run each."""

    sql: str
    parameters: Sequence[Any]
    many: bool = False


class Answer(NamedTuple):
    """What a statement gave: its rows, or how many it changed."""

    rows: Sequence[Sequence[Any]]
    rowcount: int


class OneHopCursor:
    """What SQLAlchemy's asynchronous adapter uses of a cursor."""

    arraysize = 1

    def __init__(self, connection: "OneHopConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "OneHopCursor":
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> "OneHopCursor":
        await self._connection.in_thread(self._run, sql, parameters, many=False)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> "OneHopCursor":
        await self._connection.in_thread(self._run, sql, parameters, many=True)
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def _run(self, connection: sqlite3.Connection, sql: str, parameters: Any, *, many: bool) -> None:
        """In the connection's thread. The cursor is closed here, so no statement stays open over a COMMIT."""
        cursor = connection.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(sql, parameters)
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()


class OneHopConnection(aiosqlite.Connection):
    def cursor(self) -> OneHopCursor:  # type: ignore[override]  # the adapter accepts a plain cursor
        return OneHopCursor(self)

    async def in_thread(self, work: Callable[..., None], *arguments: Any, many: bool) -> None:
        await self._execute(work, self._conn, *arguments, many=many)  # type: ignore[no-untyped-call]

    def together(self, orders: Sequence[Order]) -> "asyncio.Future[list[Answer]]":
        """One after the other until the first that fails, which raises."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        if not self._running or self._connection is None:
            raise ValueError("Connection closed")  # as aiosqlite says it
        self._tx.put_nowait((future, partial(_in_order, self._connection, orders)))
        return future


def _in_order(connection: sqlite3.Connection, orders: Sequence[Order]) -> list[Answer]:
    """In the connection's thread. Each cursor is closed, so no statement stays open over a COMMIT."""
    answers: list[Answer] = []
    cursor = connection.cursor()
    try:
        for sql, parameters, many in orders:
            (cursor.executemany if many else cursor.execute)(sql, parameters)
            answers.append(Answer(cursor.fetchall() if cursor.description else (), cursor.rowcount))
    finally:
        cursor.close()
    return answers


def connector(path: str) -> Callable[[], Coroutine[Any, Any, OneHopConnection]]:
    """For `create_async_engine(async_creator=...)`. The driver opens no transactions of its own (isolation None)."""

    async def connect() -> OneHopConnection:
        connection = OneHopConnection(
            lambda: sqlite3.connect(path, isolation_level=None, cached_statements=_STATEMENTS), iter_chunk_size=64
        )
        connection._thread.daemon = True  # as SQLAlchemy does: a forgotten connection must not keep the process alive
        await connection
        return connection

    return connect
