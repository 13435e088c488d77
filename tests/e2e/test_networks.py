"""Bad networks: the same call of two Chromium pages behind a relay that the server announces as its only candidate."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.house import House, chromium_path, free_port
from tests.e2e.visit import at_home, clock, impression, protocols, visit
from tests.support.relay import Relay

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def behind_relay(folder: Path) -> Iterator[tuple[House, Relay]]:
    chromium_path()
    media_port = free_port()
    with Relay(media_port, seed=7) as relay, at_home(
        folder, media_port=media_port, announce=f"127.0.0.1:{relay.port}"
    ) as house:
        yield house, relay


async def test_udp_blocked(tmp_path: Path) -> None:
    """Must hold 3: over TCP on the same port number."""
    with behind_relay(tmp_path) as (house, relay):
        relay.up.blocked = relay.down.blocked = True
        async with visit(house) as call:
            for page in call.both:
                assert await protocols(page) == {"tcp"}
        assert relay.up.dropped > 0, "UDP was not even tried"
        assert relay.up.passed == 0


async def test_ten_percent_loss_each_way(tmp_path: Path) -> None:
    """Must hold 4: sound continuous, picture moving, no freeze over 2 s."""
    with behind_relay(tmp_path) as (house, relay):
        async with visit(house) as call:
            relay.up.loss = relay.down.loss = 0.1
            await asyncio.sleep(2)  # the first losses meet bandwidth estimates of a clean line
            since = [await clock(page) for page in call.both]
            await asyncio.sleep(20)
            for who, page, start in zip(("doctor", "patient"), call.both, since, strict=True):
                got = await impression(page, start)
                print(f"10 % loss, {who}: {got}")
                assert got.longest_freeze < 2
                assert got.frames > 5 * got.seconds
                assert got.longest_silence < 1
                assert got.concealed < 0.1
            assert relay.up.dropped / (relay.up.passed + relay.up.dropped) > 0.05
