"""Readiness, part by part. Liveness is not here: it asks nobody."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from huizhen import logs
from huizhen.metrics import Metrics
from huizhen.settings import Settings

log = logs.get("health")
Probe = Callable[[], Awaitable[bool]]

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    failing: tuple[str, ...]

    @property
    def ready(self) -> bool:
        return not self.failing


class Health:
    """Named probes; each has two seconds, and an exception counts as failing."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._probes: dict[str, Probe] = {}
        self._alarms: dict[str, str] = {}

    def watch(self, part: str, probe: Probe) -> None:
        self._probes[part] = probe

    def alarm(self, part: str, code: str) -> None:
        """A part reports its own failure (the checkpoint signer); it stays until `clear`."""
        self._alarms[part] = code

    def clear(self, part: str) -> None:
        self._alarms.pop(part, None)

    async def report(self) -> Report:
        results = await asyncio.gather(*(self._ask(part, probe) for part, probe in self._probes.items()))
        failing = {part for part, works in zip(self._probes, results, strict=True) if not works} | set(self._alarms)
        for part in {*self._probes, *self._alarms}:
            self._metrics.ready(part, part not in failing)
        return Report(tuple(sorted(failing)))

    async def _ask(self, part: str, probe: Probe) -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                return await probe()
        except Exception as error:
            log.warning("part not ready", where=part, error=type(error).__name__)
            return False


def free_space(settings: Settings) -> Probe:
    async def probe() -> bool:
        free = await asyncio.to_thread(shutil.disk_usage, settings.data_dir)
        return free.free > settings.free_space_floor_mb * 1024 * 1024

    return probe
