"""SqlDatabase: the real audit.transaction.Database. SQLite by default, PostgreSQL by URL."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from huizhen.store import dialects, migrate
from huizhen.store.errors import SchemaOutdated, StoreError
from huizhen.store.keys import FileKeyRing, Tombstone
from huizhen.store.schema import MAPPED
from huizhen.store.seals import KeySealer
from huizhen.store.trail import TrailSettings
from huizhen.store.transaction import SqlTransaction, settled

Clock = Callable[[], datetime]
_CLOSE_SECONDS = 5.0
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")


def utc_now() -> datetime:
    return datetime.now(UTC)


class SqlDatabase:
    """Hands out transactions. Open with `SqlDatabase.open`, close with `close`; it owns engines and key ring."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, settings: TrailSettings, clock: Clock) -> None:
        self.settings = settings
        self.keys = settings.keys
        self.sealer = KeySealer(settings.keys, settings.deployment)
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._latest: datetime | None = None
        self._lock: asyncio.Lock | None = asyncio.Lock() if writer.dialect.name == "sqlite" else None
        self._owner: asyncio.Task[Any] | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(
        cls,
        url: str,
        keys_dir: Path,
        *,
        clock: Clock = utc_now,
        deployment: str = "huizhen",
        node: str | None = None,
        readers: int = 4,
        busy_ms: int = dialects.BUSY_MS,
    ) -> "SqlDatabase":
        """Raises SchemaOutdated, KeysUnreadable, StoreUnavailable. Tombstones in the database are replayed on the keys.

        `deployment` names the logs and seals and must never change. `node` is this machine's name in leaves.
        """
        if not _NAME.match(deployment):
            raise ValueError("deployment: lower-case letters, digits, dot and hyphen")
        parsed = dialects.async_url(url)
        if not dialects.present(parsed):
            raise SchemaOutdated(f"no database at {parsed.database}")
        keys = FileKeyRing(keys_dir)
        settings = TrailSettings(deployment, node or _node_name(), keys)
        writer, reader = dialects.write_engine(parsed, busy_ms), dialects.read_engine(parsed, readers, busy_ms)
        database = cls(writer, reader, settings, clock)
        try:
            await database._check_schema()
            await database._replay_tombstones()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Transactions under way may end first, for a few seconds: a pool forgets what is still out when it closes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._idle.wait()
        await self._reader.dispose()
        await self._writer.dispose()
        self.keys.close()

    def time(self) -> datetime:
        """The clock in aware UTC, never earlier than it was before in this process."""
        now = self._clock().astimezone(UTC)
        self._latest = now if self._latest is None else max(now, self._latest)
        return self._latest

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqlTransaction]:
        """Read-write. Raises StoreFull, StoreBusy, StoreUnavailable: in each case nothing was kept."""
        task = asyncio.current_task()
        if self._owner is not None and self._owner is task:
            raise RuntimeError("begin() inside begin(): one task holds at most one write transaction")
        if self._lock is None:
            async with self._writing() as transaction:
                yield transaction
            return
        async with self._lock:
            self._owner = task
            try:
                async with self._writing() as transaction:
                    yield transaction
            finally:
                self._owner = None

    @asynccontextmanager
    async def _lent(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection inside a transaction, given back however the block ends."""
        self._under_way += 1
        self._idle.clear()
        try:
            connection = await _translated(_opened(engine))
            try:
                yield connection
            finally:
                await settled(connection.close())
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[SqlTransaction]:
        async with self._lent(self._writer) as connection:
            try:
                transaction = SqlTransaction(connection, self.settings, self.time(), writable=True)
                yield transaction
                await transaction.finish()
                await settled(connection.commit())
            except BaseException as error:
                await _rolled_back(connection)
                known = dialects.translate(error)
                if known is not None:
                    raise known from error
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlTransaction]:
        """Read-only snapshot."""
        async with self._lent(self._reader) as connection:
            try:
                yield SqlTransaction(connection, self.settings, self.time(), writable=False)
            except BaseException as error:
                known = dialects.translate(error)
                if known is not None:
                    raise known from error
                raise
            finally:
                await _rolled_back(connection)

    async def _check_schema(self) -> None:
        async with self.read() as tx:
            found = await tx.call(migrate.revision_of)
        wanted = migrate.head_revision()
        if found != wanted:
            raise SchemaOutdated(f"database is at {found or 'nothing'}, this version needs {wanted}")

    async def _replay_tombstones(self) -> None:
        """A key ring restored from an old backup forgets again what the database knows to be destroyed."""
        table = MAPPED["disposals"]
        async with self.read() as tx:
            rows = (await tx.execute(select(table.sql.c.id))).scalars().all()
            disposals = [await tx.disposals.get(row_id) for row_id in rows]
        self.keys.replay(
            Tombstone(disposal.institution_id, key_id, fingerprint, (disposal.done_at or self.time()).isoformat())
            for disposal in disposals
            for key_id, fingerprint in disposal.tombstones
        )


async def _opened(engine: AsyncEngine) -> AsyncConnection:
    """A connection inside a transaction; the lock is taken here, not at the first write.

    A caller cancelled meanwhile would leak it, lock and all: then it is closed before the cancellation goes on.
    """
    opening = asyncio.ensure_future(_begun(engine))
    try:
        return await settled(opening)
    except asyncio.CancelledError:
        if not opening.cancelled() and opening.exception() is None:
            await settled(opening.result().close())  # closing rolls back
        raise


async def _begun(engine: AsyncEngine) -> AsyncConnection:
    connection = await engine.connect()
    try:
        await connection.begin()
    except BaseException:
        await connection.close()
        raise
    return connection


async def _rolled_back(connection: AsyncConnection) -> None:
    """Rollback that never hides the error it follows: a connection that cannot roll back is thrown away."""
    try:
        await settled(connection.rollback())
    except asyncio.CancelledError:
        raise
    except Exception:
        await settled(connection.invalidate())


async def _translated(work: Awaitable[AsyncConnection]) -> AsyncConnection:
    try:
        return await work
    except StoreError:
        raise
    except Exception as error:
        known = dialects.translate(error)
        if known is not None:
            raise known from error
        raise


def _node_name() -> str:
    name = re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower()).strip("-.")
    return name[:63] or "node"
