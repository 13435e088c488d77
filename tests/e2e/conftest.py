"""A fresh demo house per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House, chromium_path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    chromium_path()
    house = House(tmp_path / "data")
    house.start()
    yield house
    house.stop()
