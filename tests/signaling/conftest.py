import pytest

from tests.signaling.ward import Ward, ward


@pytest.fixture
async def house() -> Ward:
    return await ward()
