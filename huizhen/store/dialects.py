"""The one module that knows which database is underneath: connections, locking, triggers, error names."""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from huizhen.store.errors import StoreBusy, StoreError, StoreFull, StoreUnavailable
from huizhen.store.one_hop import connector

BUSY_MS = 5_000


def async_url(url: str) -> URL:
    """`sqlite:///path` or `postgresql://...` with the asynchronous driver named."""
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    if parsed.get_backend_name() not in drivers:
        raise ValueError(f"unsupported database: {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("SQLite needs a file: readers and the writer are separate connections")
    return parsed.set(drivername=drivers[parsed.get_backend_name()])


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def present(url: URL) -> bool:
    """False when SQLite's file is not there (connecting would silently make an empty one)."""
    return not is_sqlite(url) or Path(str(url.database)).exists()


def prepare_place(url: URL) -> None:
    if is_sqlite(url):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def make_private(url: URL) -> None:
    """The database file is its owner's only; SQLite gives its journal files the same mode."""
    if is_sqlite(url):
        Path(str(url.database)).chmod(0o600)


def write_engine(url: URL, busy_ms: int = BUSY_MS) -> AsyncEngine:
    """SQLite: exactly one connection, its transactions take the write lock at BEGIN."""
    if not is_sqlite(url):
        return create_async_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    engine = _sqlite_engine(url, pool_size=1)
    pragmas = (
        f"busy_timeout={busy_ms}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "recursive_triggers=ON",  # or INSERT OR REPLACE would delete past the guards
    )
    _sqlite_hooks(engine, pragmas, "BEGIN IMMEDIATE")
    return engine


def read_engine(url: URL, readers: int = 4, busy_ms: int = BUSY_MS) -> AsyncEngine:
    """Connections that cannot write; each transaction sees one snapshot."""
    if not is_sqlite(url):
        return create_async_engine(
            url,
            isolation_level="REPEATABLE READ",
            pool_pre_ping=True,
            execution_options={"postgresql_readonly": True},
        )
    engine = _sqlite_engine(url, pool_size=readers)
    _sqlite_hooks(engine, (f"busy_timeout={busy_ms}", "foreign_keys=ON", "query_only=ON"), "BEGIN")
    return engine


def _sqlite_engine(url: URL, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        async_creator=connector(str(url.database)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_reset_on_return=None,  # SqlDatabase ends each transaction itself
    )


def _sqlite_hooks(engine: AsyncEngine, pragmas: Iterable[str], begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def translate(error: BaseException) -> StoreError | None:
    """The store's own error for a driver's, or None when it is not about the store (a constraint, a bug)."""
    original: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, (asyncio.TimeoutError, ConnectionError)):
        return StoreUnavailable(type(original).__name__)
    code = _sqlite_name(original) or str(getattr(original, "sqlstate", None) or "")
    for prefixes, kind in _MEANINGS:
        if code.startswith(prefixes):
            return kind(code)
    return None


_MEANINGS: tuple[tuple[tuple[str, ...], type[StoreError]], ...] = (
    (("SQLITE_FULL", "53100"), StoreFull),  # 53100 disk_full
    (("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40P01", "40001"), StoreBusy),  # lock timeout, deadlock, serialization
    (("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY"), StoreUnavailable),
    (("08", "53", "57P", "58"), StoreUnavailable),  # connection, resources, operator, system
)


def _sqlite_name(error: BaseException | None) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = cause.__cause__
    return str(getattr(cause, "sqlite_errorname", "")) if cause is not None else ""


def insert_new(table: Table, backend: str) -> Any:
    """INSERT that leaves an existing row alone; `rowcount` 0 says that there was one."""
    if backend == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def guard_statements(backend: str, log: Sequence[str], rows: Sequence[str]) -> list[str]:
    """DDL that refuses rewriting: no UPDATE or DELETE of the log, no UPDATE of append-only rows, no unannounced DELETE.

    `log` tables are never touched again; `rows` tables lose a row only after its line in `removals`, itself never
    deleted. A log's head may only grow.
    """
    make = _sqlite_guard if backend == "sqlite" else _postgres_guard
    statements = [] if backend == "sqlite" else [_POSTGRES_REFUSE]
    for table in log:
        statements += [*make(table, "UPDATE", ""), *make(table, "DELETE", "")]
    statements += row_guard_statements(backend, rows)
    shrinks = "NEW.size < OLD.size OR NEW.origin <> OLD.origin OR NEW.institution_id <> OLD.institution_id"
    return [*statements, *make("audit_logs", "UPDATE", shrinks), *make("audit_logs", "DELETE", "")]


def row_guard_statements(backend: str, rows: Sequence[str]) -> list[str]:
    """The guards of append-only rows alone: what a migration that adds such a table installs."""
    make = _sqlite_guard if backend == "sqlite" else _postgres_guard
    statements: list[str] = []
    for table in rows:
        unannounced = f"NOT EXISTS (SELECT 1 FROM removals WHERE table_name = '{table}' AND row_id = OLD.id)"  # noqa: S608
        statements += [*make(table, "UPDATE", ""), *make(table, "DELETE", unannounced)]
    return statements


def _sqlite_guard(table: str, verb: str, condition: str) -> list[str]:
    when = f" WHEN {condition}" if condition else ""
    return [
        f"CREATE TRIGGER guard_{table}_{verb.lower()} BEFORE {verb} ON {table}{when} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: append-only'); END"
    ]


_POSTGRES_REFUSE = (
    "CREATE OR REPLACE FUNCTION huizhen_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': append-only'; END $$"
)


def _postgres_guard(table: str, verb: str, condition: str) -> list[str]:
    """A trigger's WHEN holds no subquery in PostgreSQL: a condition on `removals` needs a function of its own."""
    name = f"guard_{table}_{verb.lower()}"
    trigger = f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW"
    if "SELECT" not in condition:
        when = f" WHEN ({condition})" if condition else ""
        return [f"{trigger}{when} EXECUTE FUNCTION huizhen_refuse()"]
    function = (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition} THEN RAISE EXCEPTION '{table}: append-only'; END IF; RETURN OLD; END $$"
    )
    return [function, f"{trigger} EXECUTE FUNCTION {name}()"]


def install_guards(connection: Connection, log: Sequence[str], rows: Sequence[str]) -> None:
    for statement in guard_statements(connection.dialect.name, log, rows):
        connection.exec_driver_sql(statement)


def install_row_guards(connection: Connection, rows: Sequence[str]) -> None:
    for statement in row_guard_statements(connection.dialect.name, rows):
        connection.exec_driver_sql(statement)
