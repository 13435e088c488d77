"""Statements run all the time: compiled once, and on SQLite several of them in one journey to the connection's thread.

SQLAlchemy prepares a known statement for longer than SQLite runs it, and a journey to the thread costs as much again.
On SQLite a `Known` therefore goes to the driver as plain text, inside the transaction SQLAlchemy opened; what is
stored are texts, integers, floats and bytes, which the driver takes and gives as they are. Elsewhere it is an ordinary
statement of SQLAlchemy's, one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from huizhen.store.one_hop import Answer, OneHopConnection, Order

Values = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Known:
    """A statement with named parameters. `sets`: the columns an INSERT without `values` is given."""

    statement: Any
    sets: tuple[str, ...] | None = None

    def ordered(self, values: Values) -> Order:
        """For the driver: its text and the values in the order of their question marks; many rows, many times."""
        text, names, fixed = self._text
        if isinstance(values, Mapping):
            return Order(text, [values[name] if name in values else fixed[name] for name in names], many=False)
        return Order(text, [[row[name] if name in row else fixed[name] for name in names] for row in values], many=True)

    @cached_property
    def _text(self) -> tuple[str, Sequence[str], Mapping[str, Any]]:
        compiled = self.statement.compile(dialect=_DIALECT, column_keys=self.sets)
        fixed = {name: value.effective_value for name, value in compiled.binds.items() if not value.required}
        return str(compiled), compiled.positiontup or (), fixed


_DIALECT = sqlite.dialect(paramstyle="qmark")


def driver_of(connection: AsyncConnection) -> OneHopConnection | None:
    """SQLite's own connection under this one; None on another database."""
    if connection.dialect.name != "sqlite":
        return None
    driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]
    return driver if isinstance(driver, OneHopConnection) else None


async def through_sqlalchemy(connection: AsyncConnection, known: Known, values: Values) -> Answer:
    result = await connection.execute(known.statement, values)
    return Answer([tuple(row) for row in result] if result.returns_rows else [], result.rowcount)
