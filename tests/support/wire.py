"""An in-memory wire: virtual time, seeded loss, delay, jitter and reordering between fake browsers and a Room.

No sockets, no sleeps, no encryption. `WirePath` stands for the transport: it scrambles the buffer it was given, as
encrypting in place would, and fails the test when two different packets go out under one SSRC and sequence number.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc.transport import PacketReceiver, TransportState

MS = 1_000_000


class VirtualClock:
    """Runs callbacks in time order; an hour passes in as long as its callbacks take."""

    def __init__(self, start_ns: int = 1_000_000 * MS) -> None:
        self.now_ns = start_ns
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when_ns: int, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(when_ns, self.now_ns), self._count, call))

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        self.at(self.now_ns + delay_ns, call)

    def every(self, interval_ns: int, call: Callable[[], None]) -> None:
        def again() -> None:
            call()
            self.after(interval_ns, again)

        self.after(interval_ns, again)

    def run(self, duration_ns: int) -> None:
        end = self.now_ns + duration_ns
        while self._queue and self._queue[0][0] <= end:
            when, _, call = heapq.heappop(self._queue)
            self.now_ns = when
            call()
        self.now_ns = end


@dataclass(slots=True)
class Link:
    """One direction. `loss` 0..1; `jitter_ns` is uniform and so reorders; `rate_bps` adds a queue of 300 ms at most."""

    clock: VirtualClock
    rng: random.Random
    loss: float = 0.0
    delay_ns: int = 20 * MS
    jitter_ns: int = 0
    rate_bps: float = 0.0
    sent: int = 0
    dropped: int = 0
    octets: int = 0
    _free_ns: int = 0

    def send(self, octets: int, deliver: Callable[[], None]) -> None:
        self.sent += 1
        if self.rng.random() < self.loss:
            self.dropped += 1
            return
        start = self.clock.now_ns
        if self.rate_bps:
            start = max(start, self._free_ns)
            if start - self.clock.now_ns > 300 * MS:
                self.dropped += 1
                return
            start = self._free_ns = start + int(octets * 8e9 / self.rate_bps)
        self.octets += octets
        self.clock.at(start + self.delay_ns + self.rng.randrange(self.jitter_ns + 1), deliver)


class WirePath:
    """A `MediaPath`: what the Room sends goes down to `peer`, what the peer sends comes up to `receiver`."""

    def __init__(self, clock: VirtualClock, up: Link, down: Link) -> None:
        self.rtt: float | None = None
        self.receiver: PacketReceiver | None = None
        self.state = TransportState.NEW
        self.silent = False
        self.close_reason: str | None = None
        self.peer_rtp: Callable[[bytes], None] = lambda packet: None
        self.peer_rtcp: Callable[[bytes], None] = lambda compound: None
        self.up, self.down = up, down
        self._clock = clock
        self._used: dict[tuple[int, int], tuple[int, int]] = {}

    def connect(self) -> None:
        self.state = TransportState.CONNECTED
        if self.receiver is not None:
            self.receiver.on_transport(self.state, self._clock.now_ns)

    # -- what the Room calls

    def send_rtp(self, buffer: bytearray, length: int) -> None:
        if self.state is not TransportState.CONNECTED:
            return
        packet = bytes(buffer[:length])
        self._forbid_reuse(packet)
        header = 12 + (4 + 4 * int.from_bytes(packet[14:16], "big") if packet[0] & 0x10 else 0)
        buffer[header : length + 16] = bytes(b ^ 0x5A for b in buffer[header : length + 16])
        self.down.send(length, lambda: self.peer_rtp(packet))

    def send_rtcp(self, compound: bytes) -> None:
        if self.state is TransportState.CONNECTED:
            self.down.send(len(compound), lambda: self.peer_rtcp(compound))

    def close(self, reason: str) -> None:
        self.close_reason = self.close_reason or reason
        self.state = TransportState.CLOSED

    # -- what the peer calls

    def upload_rtp(self, packet: bytes) -> None:
        def deliver() -> None:
            if self.receiver is not None and self.state is TransportState.CONNECTED:
                self.receiver.on_rtp(memoryview(packet), self._clock.now_ns)

        self.up.send(len(packet), deliver)

    def upload_rtcp(self, compound: bytes) -> None:
        def deliver() -> None:
            if self.receiver is not None and self.state is TransportState.CONNECTED:
                self.receiver.on_rtcp(compound, self._clock.now_ns)

        self.up.send(len(compound), deliver)

    def _forbid_reuse(self, packet: bytes) -> None:
        """(SSRC, sequence) may return only after a whole cycle of 65536 packets (another ROC)."""
        key = (int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big"))
        count = self._used.get((key[0], -1), (0, 0))[0] + 1
        self._used[key[0], -1] = (count, 0)
        before = self._used.get(key)
        assert before is None or count - before[0] > 30_000, f"SSRC {key[0]:x} sequence {key[1]} used twice"
        self._used[key] = (count, 0)


@dataclass(slots=True)
class Network:
    """Defaults for new links."""

    clock: VirtualClock
    rng: random.Random
    loss: float = 0.0
    delay_ns: int = 20 * MS
    jitter_ns: int = 0
    paths: list[WirePath] = field(default_factory=list)

    def path(self) -> WirePath:
        up, down = (Link(self.clock, self.rng, self.loss, self.delay_ns, self.jitter_ns) for _ in range(2))
        path = WirePath(self.clock, up, down)
        self.paths.append(path)
        return path
