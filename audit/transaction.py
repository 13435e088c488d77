"""The one door through which evidence is written: state and trace commit together or not at all.

Every evidential row carries `rev` (starts at 1, +1 per save) and a random 32-byte salt that only the store sees.
`append(event)` binds the event to every evidential write made in this transaction since the last append:
the leaf lists `{table, id, rev, digest}` per row, digest = SHA-256("huizhen-row-v1" || 0x00 || salt || JCS(row)).
So the trail vouches for the rows, the leaf holds no personal data, and erasing a row (with its salt) erases it.
Committing a write that no later `append` covers raises `UnrecordedWrite`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from audit.errors import MissingRow
from audit.events import EventCode

T = TypeVar("T")
TX_co = TypeVar("TX_co", covariant=True)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened, to be made a leaf. Ids are random pseudonyms; anything personal goes into `private`.

    consult_id None = an institution-level event. `public` must be JSON with strings, integers, booleans and lists
    of them only (no floats, no free text, no names, no addresses). `private` is salted, committed to by the leaf,
    encrypted with the consult's (or institution's) key, and erasable.
    """

    code: EventCode
    institution_id: str
    actor_id: str  # staff, patient or seat id; "system"; "anonymous"
    consult_id: str | None = None
    subject_id: str | None = None  # whom or what it is about (seat, recording, consent record...)
    outcome: str = "ok"  # "ok" or a refusal's stable code
    public: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class After:
    """In `find`: the column is greater than this, NULL never is. Times compare as moments."""

    value: Any


@dataclass(slots=True)
class Query(Generic[T]):
    """Rows asked for; `Transaction.fetch` reads several such in one journey to the database and fills `rows`."""

    table: str
    equal: Mapping[str, Any]
    rows: Sequence[T] = ()

    def one(self) -> T:
        """The row. Raises MissingRow."""
        if not self.rows:
            raise MissingRow(self.table)
        return self.rows[0]

    def last(self) -> T | None:
        """The newest, or None."""
        return self.rows[-1] if self.rows else None


class Repository(Protocol[T]):
    """Rows of one evidential or operational type inside one transaction."""

    async def get(self, row_id: str) -> T:
        """The row. Raises MissingRow."""
        ...

    async def find(self, **equal: Any) -> Sequence[T]:
        """Rows whose named columns equal the given values (None matches NULL) or are `After` them, oldest first."""
        ...

    def query(self, **equal: Any) -> Query[T]:
        """The same question, to be read together with others (`Transaction.fetch`)."""
        ...

    async def add(self, row: T) -> None:
        """Insert. Raises StaleRow when the id exists."""
        ...

    async def save(self, row: T) -> None:
        """Replace the row read in this transaction with a changed copy. Raises StaleRow when it changed meanwhile."""
        ...

    async def remove(self, row_id: str) -> None:
        """Delete (disposal, expired operational rows). The covering event must say so."""
        ...


class Transaction(Protocol):
    """Unit of work. Obtained from `Database.begin()`; leaving the block normally commits, an exception rolls back."""

    @property
    def now(self) -> datetime:
        """The transaction's time (aware UTC, never earlier than the last leaf of this process)."""
        ...

    async def fetch(self, *queries: Query[Any]) -> None:
        """Read them as `find` would, one after the other."""
        ...

    async def append(self, event: AuditEvent) -> str:
        """Record the event; returns its id (uuid7 hex). Covers the evidential writes made since the last append."""
        ...

    async def operation(self, operation_id: str, actor_id: str) -> None:
        """Claim a client operation id. Raises DuplicateOperation when it was used (with any outcome)."""
        ...


class Database(Protocol[TX_co]):
    """Hands out transactions; implemented by huizhen.store (SQL) and tests.support (memory)."""

    def begin(self) -> AbstractAsyncContextManager[TX_co]:
        """Read-write. One writer at a time on SQLite."""
        ...

    def read(self) -> AbstractAsyncContextManager[TX_co]:
        """Read-only snapshot; writes raise."""
        ...
