"""One unit of work on SQL: repositories over the mapped tables, and the events that cover their writes."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.ext.asyncio import AsyncConnection

from audit.errors import AppendOnly, DuplicateOperation, MissingRow, ReadOnly, StaleRow, UnrecordedWrite
from audit.leaf import SALT_SIZE, RowMark, row_digest
from audit.reader import StoredLeaf
from audit.transaction import After, AuditEvent, Query
from huizhen.store.dialects import insert_new
from huizhen.store.direct import Known, Values, driver_of, through_sqlalchemy
from huizhen.store.one_hop import Answer
from huizhen.store.rows import utc_text
from huizhen.store.schema import MAPPED, Mapped, operations, removals
from huizhen.store.tables import StoreTransaction, tenant
from huizhen.store.trail import TrailSettings, TrailWriter, read_trail

T = TypeVar("T")
R = TypeVar("R")


async def settled(work: Awaitable[R]) -> R:
    """Await to the end even when the caller is cancelled, then pass the cancellation on.

    A statement or commit broken off in the middle would leave the only writing connection in an unknown state.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # seen: the cancellation goes first
        raise cancelled
    return task.result()


Shape = tuple[tuple[str, str], ...]  # columns asked for, each with how it is compared


@dataclass(frozen=True, slots=True)
class Statements:
    """Built once per table: making a statement costs more than running it."""

    get: Known
    find: Any
    insert: Known
    update: Known
    delete: Known
    finds: dict[Shape, Known] = field(default_factory=dict)

    def finding(self, mapped: Mapped, shape: Shape) -> Known:
        """The query for columns asked for like this."""
        if shape not in self.finds:
            wanted = [_COMPARED[how](mapped.sql.c[name], bindparam(f"is_{name}")) for name, how in shape]
            self.finds[shape] = Known(self.find.where(*wanted) if wanted else self.find)
        return self.finds[shape]


_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "null": lambda column, _: column.is_(None),
    "equal": lambda column, value: column == value,
    "after": lambda column, value: column > value,
}


def _statements(mapped: Mapped, backend: str) -> Statements:
    table = mapped.sql
    columns = [table.c[column.name] for column in mapped.codec.columns] + [table.c.rev]
    found = select(*columns)
    same = (table.c.id == bindparam("row_id"), table.c.rev == bindparam("old_rev"))
    kept = (*mapped.codec.named, "rev", *(("salt",) if mapped.spec.evidential else ()))
    changed: dict[str, Any] = {name: bindparam(f"new_{name}") for name in kept if name != "id"}
    return Statements(
        get=Known(found.where(table.c.id == bindparam("row_id"))),
        find=found.order_by(table.c.pos),
        insert=Known(insert_new(table, backend), kept),
        update=Known(update(table).where(*same).values(changed)),
        delete=Known(delete(table).where(*same)),
    )


_STATEMENTS: dict[tuple[str, str], Statements] = {}


def statements_for(mapped: Mapped, backend: str) -> Statements:
    key = (backend, mapped.spec.name)
    if key not in _STATEMENTS:
        _STATEMENTS[key] = _statements(mapped, backend)
    return _STATEMENTS[key]


@cache
def _inserting(table: SqlTable, backend: str) -> Known:
    return Known(insert_new(table, backend), tuple(table.c.keys()))


class SqlRepository(Generic[T]):
    """audit.transaction.Repository over one table."""

    def __init__(self, mapped: Mapped, transaction: "SqlTransaction") -> None:
        self._mapped = mapped
        self._name = mapped.spec.name
        self._tx = transaction
        self._sql = statements_for(mapped, transaction.backend)
        self._seen: dict[str, tuple[int, str | None]] = {}  # id -> (rev, institution) as read in this transaction

    async def get(self, row_id: str) -> T:
        rows = (await self._tx.run(self._sql.get, {"row_id": row_id})).rows
        if not rows:
            raise MissingRow(self._name)
        return self._loaded(rows[0])

    async def find(self, **equal: Any) -> Sequence[T]:
        return self.taken(await self._tx.run(*self.asked(equal)))

    def query(self, **equal: Any) -> Query[T]:
        return Query(self._name, equal)

    def asked(self, equal: Mapping[str, Any]) -> tuple[Known, dict[str, Any]]:
        """For `SqlTransaction.fetch`: the statement of a query, and its values."""
        shape: list[tuple[str, str]] = []
        values: dict[str, Any] = {}
        for name, wanted in equal.items():
            after = isinstance(wanted, After)
            stored = self._mapped.codec.encode_one(name, wanted.value if after else wanted)
            shape.append((name, "after" if after else "null" if stored is None else "equal"))
            if stored is not None:
                values[f"is_{name}"] = stored
        return self._sql.finding(self._mapped, tuple(shape)), values

    def taken(self, answer: Answer) -> Sequence[T]:
        """For `SqlTransaction.fetch`: the rows of an answer."""
        return [self._loaded(row) for row in answer.rows]

    async def add(self, row: T) -> None:
        self._tx.check_writable()
        values = self._encoded(row)
        salt = self._salt()
        answer = await self._tx.run(self._sql.insert, {**values, "rev": 1, **salt})
        if answer.rowcount == 0:
            raise StaleRow(f"{self._name} exists")
        self._tx.forget(self._name, values["id"])
        self._written(row, values, 1, salt)

    async def save(self, row: T) -> None:
        self._tx.check_writable()
        if self._mapped.spec.append_only:
            raise AppendOnly(self._name)
        values = self._encoded(row)
        row_id = values["id"]
        if row_id not in self._seen:
            raise StaleRow(f"{self._name}: not read in this transaction")
        rev, institution = self._seen[row_id]
        if institution != tenant(row):
            raise StaleRow(f"{self._name}: a row never changes its institution")
        salt = self._salt()
        changed = {f"new_{name}": value for name, value in {**values, "rev": rev + 1, **salt}.items() if name != "id"}
        answer = await self._tx.run(self._sql.update, {"row_id": row_id, "old_rev": rev, **changed})
        if answer.rowcount == 0:
            raise StaleRow(self._name)
        self._written(row, values, rev + 1, salt)

    async def remove(self, row_id: str) -> None:
        self._tx.check_writable()
        row = await self.get(row_id)
        rev, institution = self._seen.pop(row_id)
        if self._mapped.spec.append_only:
            announced = {"table_name": self._name, "row_id": row_id}
            await self._tx.run(_inserting(removals, self._tx.backend), announced)
        answer = await self._tx.run(self._sql.delete, {"row_id": row_id, "old_rev": rev})
        if answer.rowcount == 0:
            raise StaleRow(self._name)
        if self._mapped.spec.evidential:
            self._tx.touched(institution or tenant(row), RowMark(self._name, row_id, rev + 1, None))

    def _encoded(self, row: T) -> dict[str, Any]:
        if type(row) is not self._mapped.spec.row:
            raise TypeError(f"{self._name} holds {self._mapped.spec.row.__name__}, not {type(row).__name__}")
        return self._mapped.codec.encode(row)

    def _loaded(self, values: Sequence[Any]) -> T:
        """A row as the statements above select it: the columns of its type, then `rev`."""
        row: T = self._mapped.codec.decode(values)
        self._seen[row.id] = (values[-1], tenant(row))  # type: ignore[attr-defined]
        return row

    def _salt(self) -> dict[str, bytes]:
        """A fresh salt at each revision: a digest in the log says nothing about a later one."""
        return {"salt": os.urandom(SALT_SIZE)} if self._mapped.spec.evidential else {}

    def _written(self, row: T, values: dict[str, Any], rev: int, salt: dict[str, bytes]) -> None:
        owner = tenant(row)
        self._seen[values["id"]] = (rev, owner)
        if self._mapped.spec.evidential:
            mark = RowMark(self._name, values["id"], rev, row_digest(salt["salt"], values))
            self._tx.touched(owner, mark)


class SqlTransaction(StoreTransaction):
    """Implements audit.transaction.Transaction with a repository per table; made by SqlDatabase only."""

    def __init__(self, connection: AsyncConnection, settings: TrailSettings, now: datetime, *, writable: bool) -> None:
        self.backend: str = connection.dialect.name
        self._connection = connection
        self._settings = settings
        self._now = now
        self._writable = writable
        self._pending: dict[tuple[str, str], tuple[str | None, RowMark]] = {}
        self._driver = driver_of(connection)
        self._trail = TrailWriter(self.run_all, settings, now)

    def __getattr__(self, name: str) -> Any:
        """StoreTransaction are made when first used: a transaction touches a few of some thirty tables."""
        mapped = MAPPED.get(name)
        if mapped is None:
            raise AttributeError(name)
        repository = SqlRepository[Any](mapped, self)
        setattr(self, name, repository)
        return repository

    @property
    def now(self) -> datetime:
        return self._now

    async def append(self, event: AuditEvent) -> str:
        self.check_writable()
        covered = [key for key, (owner, _) in self._pending.items() if owner in (None, event.institution_id)]
        event_id = await self._trail.add(event, [self._pending[key][1] for key in covered])
        for key in covered:
            del self._pending[key]
        return event_id

    async def operation(self, operation_id: str, actor_id: str) -> None:
        self.check_writable()
        values = {"actor_id": actor_id, "operation_id": operation_id, "used_at": utc_text(self._now)}
        answer = await self.run(_inserting(operations, self.backend), values)
        if answer.rowcount == 0:
            raise DuplicateOperation(operation_id)

    async def trail(
        self, institution_id: str, consult_id: str | None = None, *, after: tuple[int, int] = (0, -1), limit: int = 1000
    ) -> list[StoredLeaf]:
        """audit.reader.TrailSource."""
        await self._trail.flush()
        return await read_trail(self.execute, self._settings.keys, institution_id, consult_id, after=after, limit=limit)

    async def open_epoch(self, institution_id: str, epoch: int, public: dict[str, Any]) -> None:
        """Begin a further log (see store.checkpoints)."""
        self.check_writable()
        await self._trail.open_epoch(institution_id, epoch, public)

    async def fetch(self, *queries: Query[Any]) -> None:
        repositories: list[SqlRepository[Any]] = [getattr(self, query.table) for query in queries]
        asked = [repository.asked(query.equal) for repository, query in zip(repositories, queries, strict=True)]
        answers = await self.run_all(*asked)
        for query, repository, answer in zip(queries, repositories, answers, strict=True):
            query.rows = repository.taken(answer)

    async def run(self, known: Known, values: Values) -> Answer:
        """For the store's own modules: one known statement."""
        return (await self.run_all((known, values)))[0]

    async def run_all(self, *known: tuple[Known, Values]) -> list[Answer]:
        """For the store's own modules: known statements in this order, never broken off half-way; on SQLite at once."""
        if self._driver is None:
            return [await self._settled(through_sqlalchemy(self._connection, *each)) for each in known]
        orders = [each.ordered(values) for each, values in known]
        return await self._settled(self._driver.together(orders))

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """For the store's own modules: a statement on this connection, never broken off half-way."""
        return await self._settled(self._connection.execute(statement, parameters))

    async def _settled(self, work: Awaitable[R]) -> R:
        return await (settled(work) if self._writable else work)

    async def call(self, work: Callable[[Connection], R]) -> R:
        """For the store's own modules: a synchronous function on this connection."""
        return await self._connection.run_sync(work)

    def check_writable(self) -> None:
        if not self._writable:
            raise ReadOnly()

    def touched(self, institution: str | None, mark: RowMark) -> None:
        self._pending[(mark.table, mark.row_id)] = (institution, mark)

    def forget(self, table: str, row_id: str) -> None:
        """A new row stands in the leaf where it was added, also when its id was removed just before."""
        self._pending.pop((table, row_id), None)

    async def finish(self) -> None:
        """Before commit: refuse uncovered writes, then append the buffered events."""
        if self._pending:
            raise UnrecordedWrite(", ".join(sorted({table for table, _ in self._pending})))
        await self._trail.flush()
