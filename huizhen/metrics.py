"""Figures for Prometheus. Labels are route templates and codes: never ids, names or addresses."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Live:
    """What is going on right now; read when the figures are asked for."""

    rooms: int = 0
    people: int = 0
    recordings: int = 0
    sockets: int = 0


class Metrics:
    """One per server (its own registry, so that tests can run several in one process)."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "huizhen_http_requests", "Answered requests", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "huizhen_http_seconds", "Time to answer", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self._refusals = Counter("huizhen_refusals", "Coded refusals", ("code",), registry=self.registry)
        self._job_seconds = Histogram("huizhen_job_seconds", "One run of a job", ("job",), registry=self.registry)
        self._job_failures = Counter("huizhen_job_failures", "Failed runs of a job", ("job",), registry=self.registry)
        self._ready = Gauge("huizhen_part_ready", "1 when the part works", ("part",), registry=self.registry)

    def watch(self, live: Callable[[], Live]) -> None:
        """Figures read at scrape time."""
        for name, text, read in (
            ("huizhen_rooms", "Open rooms", lambda: live().rooms),
            ("huizhen_participants", "People in rooms", lambda: live().people),
            ("huizhen_recordings", "Recordings being written", lambda: live().recordings),
            ("huizhen_sockets", "Open sockets", lambda: live().sockets),
        ):
            Gauge(name, text, registry=self.registry).set_function(read)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        self._refusals.labels(code).inc()

    def job(self, name: str, seconds: float, failed: bool) -> None:
        self._job_seconds.labels(name).observe(seconds)
        if failed:
            self._job_failures.labels(name).inc()

    def ready(self, part: str, works: bool) -> None:
        self._ready.labels(part).set(1 if works else 0)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class LiveCounters:
    """signaling.ports.Counters on Prometheus. Names and label values come from code, never from people."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}

    def count(self, name: str, label: str = "") -> None:
        counter = self._counters.get(name)
        if counter is None:
            counter = Counter(f"huizhen_{name}", name.replace("_", " "), ("label",), registry=self._registry)
            self._counters[name] = counter
        counter.labels(label).inc()

    def gauge(self, name: str, value: float) -> None:
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(f"huizhen_{name}", name.replace("_", " "), registry=self._registry)
        gauge.set(value)
