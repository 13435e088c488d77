"""Counting attempts and requests per source, in memory: a restart forgives, an attacker gains a minute."""

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from huizhen.auth.errors import TooManyAttempts
from huizhen.settings import Settings


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
    """A ceiling on requests per source."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(settings.requests_per_minute)

    def allow(self, source: str) -> bool:
        return self._limiter.hit(self._limit, source)
