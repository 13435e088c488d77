"""Small writes nobody waits for (quality evidence, "camera on" on the trail), done one after the other by one task."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from signaling.errors import is_coded
from signaling.ports import Counters

log = logging.getLogger(__name__)
LIMIT = 1000  # waiting chores; a further one is dropped and counted

Chore = Callable[[], Awaitable[object]]


class Chores:
    """Owned by Live. A chore that fails is logged and gone: nothing that must not be lost belongs here."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._waiting: deque[tuple[str, Chore]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, name: str, chore: Chore) -> None:
        if len(self._waiting) >= LIMIT:
            self._counters.count("signaling_chores_dropped", name)
            return
        self._waiting.append((name, chore))
        self._wake.set()

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="signaling-chores")

    async def drain(self) -> None:
        """Do what is waiting now."""
        while self._waiting:
            name, chore = self._waiting.popleft()
            try:
                await chore()
            except Exception as error:
                self._counters.count("signaling_chores_failed", name)
                log.warning("chore failed", extra={"chore": name, "code": getattr(error, "code", type(error).__name__)})
                if not is_coded(error):
                    log.debug("chore traceback", exc_info=True)

    async def close(self) -> None:
        """Do what is left, then stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.drain()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.drain()
