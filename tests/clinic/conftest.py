import pytest

from clinic.admission import AdmissionFacts, facts_of
from tests.clinic.houses import Region, region
from tests.support.builders import World


@pytest.fixture
async def world() -> World:
    return await World.create()


@pytest.fixture
async def known(world: World) -> AdmissionFacts:
    """A follow-up that meets every gate."""
    booked = await world.book()
    async with world.db.read() as tx:
        return await facts_of(tx, booked.consult)


@pytest.fixture
async def at() -> Region:
    """A county and three houses it has agreements with."""
    return await region()
