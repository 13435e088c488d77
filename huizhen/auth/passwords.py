"""argon2id off the event loop, with the same work for a login that does not exist."""

import asyncio
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from huizhen.auth.errors import PasswordTooWeak
from huizhen.settings import Settings

MAX_LENGTH = 256
_AT_ONCE = 2  # each hash takes its memory cost; more at once would let a login flood exhaust the machine


class Passwords:
    """Hashes and checks passwords. One per process."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
        )
        self._shortest = settings.password_length
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._nobody: str | None = None  # a hash of nothing, so that unknown logins cost the same

    async def hash(self, password: str) -> str:
        """PHC string. Raises PasswordTooWeak."""
        if not self._shortest <= len(password) <= MAX_LENGTH or len(set(password)) < 3:
            raise PasswordTooWeak(f"{self._shortest}-{MAX_LENGTH} characters, not all the same")
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str, allowed: Callable[[], None] = lambda: None) -> bool:
        """Whether the password is right; `stored` None (no such login) takes as long as a wrong password.

        `allowed` raises when there were too many failures. It is asked when the turn has come, not when the request
        arrived: a burst of guesses waits here, and those before it have failed meanwhile.
        """
        async with self._gate:
            allowed()
            return await asyncio.to_thread(self._check, stored, password)

    def _check(self, stored: str | None, password: str) -> bool:
        if stored is None and self._nobody is None:
            self._nobody = self._hasher.hash("nobody has this password")
        try:
            right = self._hasher.verify(stored or self._nobody or "", password[:MAX_LENGTH])
        except (VerificationError, InvalidHashError):
            return False
        return right and stored is not None
