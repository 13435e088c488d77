"""The migrations make exactly the schema of the models, guards included, on a database that keeps to itself."""

import re
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from clinic.consult import ChatMessage
from huizhen.store import dialects, migrate, schema
from huizhen.store.database import SqlDatabase
from huizhen.store.errors import SchemaOutdated
from tests.store.samples import sample
from tests.store.test_repository import event, put
from tests.support import render_migration


async def test_models_equal_migrations(url: str, tmp_path: Path) -> None:
    assert await migrate.upgrade(url) == migrate.head_revision()
    assert await migrate.upgrade(url) == migrate.head_revision()  # again: nothing to do
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine.dispose()
    assert stat.S_IMODE((tmp_path / "data" / "huizhen.db").stat().st_mode) == 0o600


def test_the_migrations_have_the_guards_of_the_models() -> None:
    texts = [path.read_text() for path in sorted(render_migration.TARGET.parent.glob("0*.py"))]
    guards = "".join(re.split(r"(?:install_guards|guard_statements)\(", text, maxsplit=1)[-1] for text in texts)
    for table in (*schema.APPEND_ONLY_LOG, *schema.APPEND_ONLY_ROWS):
        assert f'"{table}"' in guards


async def test_the_schema_can_be_taken_down_again(url: str) -> None:
    await migrate.upgrade(url)

    def down(connection: Connection) -> None:
        settings = migrate.config()
        settings.attributes["connection"] = connection
        downgrade(settings, "base")

    engine = create_engine(url)
    with engine.begin() as connection:
        down(connection)
    with engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    engine.dispose()
    assert set(names) == {"alembic_version"}


async def test_a_database_of_another_version_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaOutdated, match="no database"):
        await SqlDatabase.open(url, tmp_path / "keys")
    await migrate.upgrade(url)
    with sqlite3.connect(tmp_path / "data" / "huizhen.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    raw.close()
    with pytest.raises(SchemaOutdated, match="0000"):
        await SqlDatabase.open(url, tmp_path / "keys")


def test_the_schema_compiles_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        assert all(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
    statements = dialects.guard_statements("postgresql", schema.APPEND_ONLY_LOG, schema.APPEND_ONLY_ROWS)
    assert (
        sum("CREATE TRIGGER" in s for s in statements) == 2 * len(schema.APPEND_ONLY_LOG + schema.APPEND_ONLY_ROWS) + 2
    )


def test_only_known_databases_and_files_are_accepted() -> None:
    assert dialects.async_url("postgresql://h/db").drivername == "postgresql+asyncpg"
    for url in ("sqlite://", "sqlite:///:memory:", "mysql://h/db"):
        with pytest.raises(ValueError, match=r"SQLite|unsupported"):
            dialects.async_url(url)


GUARDED = [
    ("UPDATE audit_leaves SET data = x'00'", "audit_leaves"),
    ("DELETE FROM audit_leaves", "audit_leaves"),
    ("INSERT OR REPLACE INTO audit_nodes SELECT * FROM audit_nodes", "audit_nodes"),
    ("UPDATE audit_logs SET size = 0", "audit_logs"),
    ("DELETE FROM audit_logs", "audit_logs"),
    ("UPDATE chat_messages SET text = 'other'", "chat_messages"),
    ("DELETE FROM chat_messages", "chat_messages"),
]


@pytest.mark.parametrize(("statement", "table"), GUARDED)
async def test_triggers_refuse_rewriting(sql: SqlDatabase, statement: str, table: str) -> None:
    await put(sql, "chat_messages", sample(ChatMessage, "m1"))
    with pytest.raises(IntegrityError, match=f"{table}: append-only"):
        async with sql.begin() as tx:
            await tx._connection.exec_driver_sql(statement)
            await tx.append(event())
