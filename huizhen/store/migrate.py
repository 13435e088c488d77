"""Bring a database to this version's schema (Alembic, migrations shipped inside the package)."""

import functools
from collections.abc import Callable
from pathlib import Path

from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from huizhen.store import dialects

Progress = Callable[[str], None]
_SCRIPTS = Path(__file__).with_name("migrations")


def config() -> Config:
    """No ini file: everything is here."""
    settings = Config()
    settings.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return settings


@functools.cache
def head_revision() -> str:
    """The revision this version of the code needs. Reading it compiles every migration: once a process."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    if head is None:
        raise RuntimeError("no migrations are installed")
    return head


def revision_of(connection: Connection) -> str | None:
    """The database's revision; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


async def upgrade(url: str, revision: str = "head") -> str:
    """Create or upgrade the database; returns its revision. Each migration is one transaction."""
    parsed = dialects.async_url(url)
    dialects.prepare_place(parsed)
    engine = dialects.write_engine(parsed)
    try:
        async with engine.begin() as connection:
            reached = await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()
    dialects.make_private(parsed)
    return reached


def _upgrade(connection: Connection, revision: str) -> str:
    settings = config()
    settings.attributes["connection"] = connection
    alembic_upgrade(settings, revision)
    return revision_of(connection) or ""
