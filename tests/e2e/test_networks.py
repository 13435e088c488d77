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
    with (
        Relay(media_port, seed=7) as relay,
        at_home(folder, media_port=media_port, announce=f"127.0.0.1:{relay.port}") as house,
    ):
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


async def test_narrow_downlink_keeps_the_voice(tmp_path: Path) -> None:
    """The patient's page gets 90 kbit/s: faces go, and both sides are told; the voice goes on. Then faces come back."""
    with behind_relay(tmp_path) as (house, relay):
        async with visit(house) as call:
            relay.down.rate, relay.down.queue = 2 * 70_000 / 8, 0.4  # one relay carries both people's downlinks
            words = call.patient.get_by_text("已暂停画面来保证声音")
            await expect(words).to_be_visible(timeout=40_000)
            await expect(call.doctor.get_by_text("为保住声音已暂停部分画面")).to_be_visible(timeout=40_000)
            await asyncio.sleep(1)  # what the faces left in the relay's queue
            since = [await clock(page) for page in call.both]
            await asyncio.sleep(6)
            for who, page, start in zip(("doctor", "patient"), call.both, since, strict=True):
                got = await impression(page, start)
                print(f"narrow link, {who}: {got}")
                assert got.longest_silence < 1.5
                assert got.concealed < 0.25
            relay.down.rate = None
            await expect(words).to_be_hidden(timeout=60_000)
            await call.flows(60)


async def test_five_seconds_of_nothing(tmp_path: Path) -> None:
    """A black hole for media: nobody leaves, nobody taps, the call heals."""
    with behind_relay(tmp_path) as (house, relay):
        async with visit(house) as call:
            relay.up.blocked = relay.down.blocked = True
            await asyncio.sleep(5)
            relay.up.blocked = relay.down.blocked = False
            since = [await clock(page) for page in call.both]
            await call.flows(30)
            for page, start in zip(call.both, since, strict=True):
                healed = await page.evaluate("since => __frames.find(t => t > since) - since", start)
                print(f"black hole of 5 s: moving again after {healed / 1000:.2f} s")
                assert healed < 10_000
            assert call.rows("SELECT COUNT(*) FROM seats WHERE consult_id = ? AND state = 'admitted'") == [(2,)]
