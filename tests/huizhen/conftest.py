"""Fixtures of the server's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.huizhen.outcome_house import House, house_at
from tests.huizhen.world import World, world_at
from tests.support.orthanc import Orthanc, missing, orthanc


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_at(tmp_path / "data") as made:
        yield made


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(tmp_path) as made:
        yield made


@pytest.fixture
async def pacs(tmp_path: Path) -> AsyncIterator[Orthanc]:
    if missing():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    async with orthanc(tmp_path / "orthanc") as made:
        yield made
