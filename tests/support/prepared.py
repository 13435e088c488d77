"""A database of this version, migrated once per process and copied for each test that wants a fresh one.

The migrations themselves are proved by tests/store/test_migrations.py.
"""

import tempfile
from pathlib import Path

from huizhen.store import dialects, migrate

_migrated: list[bytes] = []


async def database_at(url: str) -> None:
    """As `migrate.upgrade(url)` leaves a SQLite file that was not there before."""
    if not _migrated:
        with tempfile.TemporaryDirectory() as folder:
            await migrate.upgrade(f"sqlite:///{folder}/huizhen.db")
            _migrated.append((Path(folder) / "huizhen.db").read_bytes())
    place = dialects.async_url(url)
    dialects.prepare_place(place)
    Path(str(place.database)).write_bytes(_migrated[0])
    dialects.make_private(place)
