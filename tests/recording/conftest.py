"""A world per test, closed afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.recording.world import World, WorldFactory, open_world


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[WorldFactory]:
    made: list[World] = []

    async def make(**policy: Any) -> World:
        made.append(await open_world(tmp_path / str(len(made)), **policy))
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world()
