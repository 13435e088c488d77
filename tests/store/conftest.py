"""`database`: the same tests on the in-memory twin and on SQLite. `sql`: SQLite only."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from huizhen.store.database import SqlDatabase
from tests.support import prepared
from tests.support.clock import FakeClock
from tests.support.memory import MemoryDatabase


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"


@pytest.fixture
async def sql(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqlDatabase]:
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    yield database
    await database.close()


@pytest.fixture(params=["memory", "sqlite"])
async def database(
    request: pytest.FixtureRequest, url: str, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[MemoryDatabase | SqlDatabase]:
    if request.param == "memory":
        yield MemoryDatabase(clock)
        return
    await prepared.database_at(url)
    opened = await SqlDatabase.open(url, tmp_path / "keys", clock=clock, deployment="test", node="n1")
    yield opened
    await opened.close()
