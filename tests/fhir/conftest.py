import pytest

from tests.support.builders import World


@pytest.fixture
async def world() -> World:
    return await World.create()
