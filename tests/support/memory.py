"""The in-memory twin of huizhen.store: same Protocol, same refusals, no files. Rows of every type in `TABLES`.

    db = MemoryDatabase(FakeClock())
    async with db.begin() as tx:
        await tx.consults.add(consult)
        await tx.append(AuditEvent(EventCode.CONSULT_BOOKED, "inst", "staff1", consult.id))
    assert db.codes() == ["visit.booked"]

`register(Table(...))` adds a row type that is not in `TABLES`. Rows without a transaction: `db.rows("seats")`.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from audit.errors import AppendOnly, DuplicateOperation, MissingRow, ReadOnly, StaleRow, UnrecordedWrite
from audit.leaf import LeafContext, RowMark, canonical, check, leaf_bytes, milliseconds, new_event_id
from audit.reader import StoredLeaf
from audit.transaction import After, AuditEvent, Query
from huizhen.store.tables import TABLES, StoreTransaction, Table, tenant
from tests.support.clock import FakeClock

T = TypeVar("T")
Stored = tuple[Any, int]  # row, rev


@dataclass(frozen=True, slots=True)
class Recorded:
    """One committed event with what the log would add to it."""

    event_id: str
    at: datetime
    event: AuditEvent
    number: int  # per consult (or institution), from 0
    rows: tuple[RowMark, ...]  # digests are not computed in memory


class MemoryRepository(Generic[T]):
    def __init__(self, table: Table, transaction: "MemoryTransaction", rows: dict[str, Stored]) -> None:
        self._table = table
        self._tx = transaction
        self._rows = rows
        self._seen: dict[str, int] = {}

    async def get(self, row_id: str) -> T:
        if row_id not in self._rows:
            raise MissingRow(self._table.name)
        row, rev = self._rows[row_id]
        self._seen[row_id] = rev
        found: T = row
        return found

    async def find(self, **equal: Any) -> Sequence[T]:
        if unknown := set(equal) - _columns(self._table):
            raise TypeError(f"{self._table.name} has no column {sorted(unknown)}")
        found: list[T] = []
        for row_id, (row, rev) in self._rows.items():
            if all(_matches(getattr(row, name), value) for name, value in equal.items()):
                self._seen[row_id] = rev
                found.append(row)
        return found

    def query(self, **equal: Any) -> Query[T]:
        return Query(self._table.name, equal)

    async def add(self, row: T) -> None:
        self._tx.check_writable()
        row_id = self._id_of(row)
        if row_id in self._rows:
            raise StaleRow(f"{self._table.name} exists")
        self._tx.added(self._table, row_id)
        self._put(row_id, row, 1)

    async def save(self, row: T) -> None:
        self._tx.check_writable()
        row_id = self._id_of(row)
        if self._table.append_only:
            raise AppendOnly(self._table.name)
        if row_id not in self._seen or row_id not in self._rows or self._rows[row_id][1] != self._seen[row_id]:
            raise StaleRow(f"{self._table.name}: not read in this transaction")
        if tenant(self._rows[row_id][0]) != tenant(row):
            raise StaleRow(f"{self._table.name}: a row never changes its institution")
        self._put(row_id, row, self._rows[row_id][1] + 1)

    async def remove(self, row_id: str) -> None:
        self._tx.check_writable()
        if row_id not in self._rows:
            raise MissingRow(self._table.name)
        row, rev = self._rows.pop(row_id)
        self._seen.pop(row_id, None)
        self._tx.touched(self._table, row, row_id, rev + 1, removed=True)

    def _id_of(self, row: T) -> str:
        if type(row) is not self._table.row:
            raise TypeError(f"{self._table.name} holds {self._table.row.__name__}, not {type(row).__name__}")
        row_id: str = row.id  # type: ignore[attr-defined]
        return row_id

    def _put(self, row_id: str, row: T, rev: int) -> None:
        self._rows[row_id] = (row, rev)
        self._seen[row_id] = rev
        self._tx.touched(self._table, row, row_id, rev, removed=False)


@functools.cache
def _columns(table: Table) -> frozenset[str]:
    return frozenset(field.name for field in fields(table.row))


def _matches(held: Any, wanted: Any) -> bool:
    if isinstance(wanted, After):
        return held is not None and bool(held > wanted.value)
    return bool(held == wanted)


class MemoryTransaction(StoreTransaction):
    """One unit of work on a private copy of every table, made when the table is first named."""

    def __init__(self, database: "MemoryDatabase", *, writable: bool) -> None:
        self._database = database
        self._writable = writable
        self._now = database.time()
        self._pending: dict[tuple[str, str], tuple[str | None, RowMark]] = {}
        self._before = database.state  # a commit puts another in its place: this one stays as it was
        self.state: dict[str, dict[str, Stored]] = {}  # of the tables that were named
        self.operations: set[tuple[str, str]] = set()
        self.recorded: list[Recorded] = []

    def __getattr__(self, name: str) -> Any:
        table = self._database.tables.get(name)
        if table is None:
            raise AttributeError(name)
        self.state[name] = dict(self._before[name])
        repository: MemoryRepository[Any] = MemoryRepository(table, self, self.state[name])
        setattr(self, name, repository)
        return repository

    @property
    def now(self) -> datetime:
        return self._now

    async def fetch(self, *queries: Query[Any]) -> None:
        for query in queries:
            query.rows = await getattr(self, query.table).find(**query.equal)

    async def append(self, event: AuditEvent) -> str:
        self.check_writable()
        check(event)
        canonical(event.private)
        marks = [key for key, (owner, _) in self._pending.items() if owner in (None, event.institution_id)]
        rows = tuple(self._pending.pop(key)[1] for key in marks)
        scope = (event.institution_id, event.consult_id)
        before = [*self._database.recorded, *self.recorded]
        number = sum((known.event.institution_id, known.event.consult_id) == scope for known in before)
        kept = replace(event, public=dict(event.public), private=dict(event.private))
        event_id = new_event_id(milliseconds(self._now))
        self.recorded.append(Recorded(event_id, self._now, kept, number, rows))
        return event_id

    async def operation(self, operation_id: str, actor_id: str) -> None:
        self.check_writable()
        key = (actor_id, operation_id)
        if key in self._database.operations or key in self.operations:
            raise DuplicateOperation(operation_id)
        self.operations.add(key)

    async def trail(
        self, institution_id: str, consult_id: str | None = None, *, after: tuple[int, int] = (0, -1), limit: int = 1000
    ) -> list[StoredLeaf]:
        """audit.reader.TrailSource; one epoch, numbered from 0, private parts never erased."""
        known = [*self._database.recorded, *self.recorded]
        own = [recorded for recorded in known if recorded.event.institution_id == institution_id]
        leaves = [_leaf(seq, recorded) for seq, recorded in enumerate(own)]
        places = [
            seq
            for seq, recorded in enumerate(own)
            if consult_id in (None, recorded.event.consult_id) and (1, seq) > after
        ]
        return [leaves[seq] for seq in places[:limit]]

    def check_writable(self) -> None:
        if not self._writable:
            raise ReadOnly()

    def added(self, table: Table, row_id: str) -> None:
        """A new row stands in the leaf where it was added, also when its id was removed just before."""
        self._pending.pop((table.name, row_id), None)

    def touched(self, table: Table, row: Any, row_id: str, rev: int, *, removed: bool) -> None:
        if table.evidential:
            mark = RowMark(table.name, row_id, rev, None if removed else "")
            self._pending[(table.name, row_id)] = (tenant(row), mark)

    def finish(self) -> None:
        if self._pending:
            raise UnrecordedWrite(", ".join(sorted({name for name, _ in self._pending})))
        self._database.state = self._database.state | self.state
        self._database.operations |= self.operations
        self._database.recorded += self.recorded


def _leaf(seq: int, recorded: Recorded) -> StoredLeaf:
    event = recorded.event
    context = LeafContext(
        log=f"memory/audit/{event.institution_id}/1",
        event_id=recorded.event_id,
        at_ms=milliseconds(recorded.at),
        node="memory",
        number=recorded.number,
        rows=recorded.rows,
        commitment="" if event.private else None,
    )
    return StoredLeaf(1, seq, leaf_bytes(event, context), canonical(event.private) if event.private else None)


class MemoryDatabase:
    """`clock` gives aware UTC; a FakeClock when left out. `fail_next_commit` makes one commit raise."""

    def __init__(self, clock: Callable[[], datetime] | None = None, tables: Sequence[Table] = TABLES) -> None:
        self.clock = clock or FakeClock()
        self.tables: dict[str, Table] = {}
        self.state: dict[str, dict[str, Stored]] = {}
        self.operations: set[tuple[str, str]] = set()
        self.recorded: list[Recorded] = []
        self.fail_next_commit: Exception | None = None
        self._latest: datetime | None = None
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        for table in tables:
            self.register(table)

    def register(self, table: Table) -> None:
        self.tables[table.name] = table
        self.state[table.name] = {}

    @property
    def events(self) -> list[AuditEvent]:
        """Committed events in order (the log's own opening is not among them)."""
        return [recorded.event for recorded in self.recorded]

    def codes(self) -> list[str]:
        return [str(event.code) for event in self.events]

    def rows(self, table: str) -> list[Any]:
        """Committed rows of one table, oldest first."""
        return [row for row, _ in self.state[table].values()]

    def time(self) -> datetime:
        """The clock, never earlier than it was before."""
        now = self.clock()
        self._latest = now if self._latest is None else max(now, self._latest)
        return self._latest

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        task = asyncio.current_task()
        if self._owner is not None and self._owner is task:
            raise RuntimeError("begin() inside begin(): one task holds at most one write transaction")
        async with self._lock:
            self._owner = task
            try:
                transaction = MemoryTransaction(self, writable=True)
                yield transaction
                if self.fail_next_commit is not None:
                    failure, self.fail_next_commit = self.fail_next_commit, None
                    raise failure
                transaction.finish()
            finally:
                self._owner = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[MemoryTransaction]:
        yield MemoryTransaction(self, writable=False)
