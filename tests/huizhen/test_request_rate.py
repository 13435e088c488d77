"""The ceiling on requests: each source has a minute of its own, and who went away is forgotten."""

from pathlib import Path

from huizhen.auth.limiter import RequestRate
from tests.huizhen.world import settings_for
from tests.support.clock import FakeClock


def test_the_minute_begins_with_the_first_request_and_is_the_sources_own(tmp_path: Path) -> None:
    clock = FakeClock()
    rate = RequestRate(settings_for(tmp_path, requests_per_minute=10), clock.seconds)
    assert [rate.allow("ward") for _ in range(12)] == [True] * 10 + [False] * 2
    clock.advance(30)
    assert not rate.allow("ward")
    assert all(rate.allow("home") for _ in range(10)) and not rate.allow("home")
    clock.advance(30)  # the ward's minute is over, that of the home is not
    assert rate.allow("ward") and not rate.allow("home")
    clock.advance(30)
    assert rate.allow("home")


def test_sources_that_went_away_take_no_memory(tmp_path: Path) -> None:
    clock = FakeClock()
    rate = RequestRate(settings_for(tmp_path), clock.seconds)
    for number in range(100):
        rate.allow(f"2001:db8::{number}")
    clock.advance(60)
    rate.allow("ward")
    assert list(rate._windows) == ["ward"]
