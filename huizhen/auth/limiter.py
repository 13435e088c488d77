"""Counting attempts and requests per source, in memory: a restart forgives, an attacker gains a minute."""

import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from huizhen.auth.errors import TooManyAttempts
from huizhen.settings import Settings

_MINUTE = 60.0


class Attempts:
    """Failed logins and links: only failures count, so a ward behind one address is not locked out by logging in."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._account = RateLimitItemPerMinute(settings.login_failures_per_minute)
        self._source = RateLimitItemPerMinute(settings.login_failures_per_minute * 4)

    def check(self, what: str, source: str, account: str) -> None:
        """Raises TooManyAttempts when this source, or this account from anywhere, failed too often."""
        if not all(self._limiter.test(limit, *keys) for limit, keys in self._keys(what, source, account)):
            raise TooManyAttempts

    def failed(self, what: str, source: str, account: str) -> None:
        for limit, keys in self._keys(what, source, account):
            self._limiter.hit(limit, *keys)

    def _keys(self, what: str, source: str, account: str) -> tuple[tuple[RateLimitItem, tuple[str, ...]], ...]:
        return ((self._account, (what, "account", account)), (self._source, (what, "source", source)))


class RequestRate:
    """A ceiling on requests per source, in a minute that begins with its first.

    Not by `limits`, whose storage in memory starts a thread for nearly every request.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = settings.requests_per_minute
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}  # by source: when its minute ends, requests in it
        self._sweep_at = 0.0

    def allow(self, source: str) -> bool:
        now = self._clock()
        if now >= self._sweep_at:  # sources that went away are forgotten
            self._windows = {key: kept for key, kept in self._windows.items() if kept[0] > now}
            self._sweep_at = now + _MINUTE
        ends, count = self._windows.get(source, (0.0, 0))
        if now >= ends:
            ends, count = now + _MINUTE, 0
        self._windows[source] = (ends, count + 1)
        return count < self._most
