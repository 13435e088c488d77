"""Background tasks with an owner: each runs at its own pace, says when it fails, and ends with the server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from huizhen import logs
from huizhen.metrics import Metrics

log = logs.get("jobs")


@dataclass(frozen=True, slots=True)
class Job:
    """`run` is one pass; a failed pass is logged and the next one comes at its time."""

    name: str
    every: float  # seconds between the ends of two passes
    run: Callable[[], Awaitable[object]]
    at_once: bool = False  # first pass at start, not after `every`


class Jobs:
    """Owns the tasks of its jobs. `close` cancels them and waits."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, jobs: list[Job]) -> None:
        self._tasks += [asyncio.create_task(self._keep(job), name=f"job-{job.name}") for job in jobs]

    async def close(self) -> None:
        """Idempotent. A pass in a transaction rolls back or, once committing, commits."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, job: Job) -> None:
        if not job.at_once:
            await asyncio.sleep(job.every)
        while True:
            await self.once(job)
            await asyncio.sleep(job.every)

    async def once(self, job: Job) -> bool:
        """One pass; False when it failed."""
        started = time.monotonic()
        failed = False
        try:
            await job.run()
        except Exception as error:
            failed = True
            log.error(  # noqa: TRY400 messages of exceptions stay out of logs
                "job failed", job=job.name, error=type(error).__name__, code=getattr(error, "code", "")
            )
        self._metrics.job(job.name, time.monotonic() - started, failed)
        return not failed
