"""The whole server, and the ward on fakes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.huizhen.world import World, world_at
from tests.signaling.ward import Ward, ward


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_at(tmp_path / "data", request_seconds=0.5) as made:
        yield made


@pytest.fixture
async def house() -> Ward:
    return await ward()
