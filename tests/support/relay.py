"""A bad network without root: a seeded UDP/TCP relay that the media server announces as its only candidate.

Clients send to the relay's port; the relay sends on to the server from one socket per client, so the server sees
distinct addresses. Loss, delay, jitter and rate can change in mid-call. Runs in a thread with its own loop.
"""

import asyncio
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Link:
    """One direction's weather. Fields may be changed at any time."""

    loss: float = 0.0  # probability, 0..1
    delay: float = 0.0  # seconds
    jitter: float = 0.0  # seconds, uniform, may reorder
    rate: float | None = None  # bytes per second; a queue longer than `queue` seconds drops
    queue: float = 0.2
    blocked: bool = False
    passed: int = 0
    dropped: int = 0
    _busy_until: float = 0.0

    def schedule(self, size: int, now: float, chance: random.Random) -> float | None:
        """When a packet of `size` bytes leaves; None = lost."""
        if self.blocked or chance.random() < self.loss:
            self.dropped += 1
            return None
        start = max(now, self._busy_until)
        if self.rate is not None:
            if start - now > self.queue:
                self.dropped += 1
                return None
            self._busy_until = start = start + size / self.rate
        self.passed += 1
        return start + self.delay + chance.uniform(0, self.jitter)


@dataclass
class Relay:
    """`with Relay(server_port) as relay:` then announce 127.0.0.1:relay.port."""

    server_port: int
    seed: int = 1
    port: int = 0
    up: Link = field(default_factory=Link)  # client to server
    down: Link = field(default_factory=Link)
    tcp: bool = True

    def __enter__(self) -> "Relay":
        self._chance = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._clients: dict[Any, asyncio.DatagramTransport] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        started.set()
        self._loop.run_forever()
        if self._server is not None:
            self._server.close()
        left = asyncio.all_tasks(self._loop)  # first packets and TCP pumps
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        for client in self._clients.values():
            client.close()
        self._front.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _open(self) -> None:
        self._front, _ = await self._loop.create_datagram_endpoint(
            lambda: _Inbound(self), local_addr=("127.0.0.1", self.port)
        )
        self.port = self._front.get_extra_info("sockname")[1]
        if self.tcp:
            self._server = await asyncio.start_server(self._on_tcp, "127.0.0.1", self.port, family=socket.AF_INET)

    def forward(self, link: Link, size: int, send: Callable[[], None]) -> None:
        now = self._loop.time()
        leaves = link.schedule(size, now, self._chance)
        if leaves is None:
            return
        if leaves <= now:
            send()
        else:
            self._loop.call_at(leaves, send)

    async def upstream(self, client: Any) -> asyncio.DatagramTransport:
        known = self._clients.get(client)
        if known is None:
            known, _ = await self._loop.create_datagram_endpoint(
                lambda: _Outbound(self, client), remote_addr=("127.0.0.1", self.server_port)
            )
            if client in self._clients:  # two first packets raced
                known.close()
                return self._clients[client]
            self._clients[client] = known
        return known

    async def _on_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, far_writer, self.up), self._pump(far_reader, writer, self.down))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        """Bytes of a TCP connection are never lost, only late."""
        try:
            while data := await reader.read(65536):
                if link.delay:
                    await asyncio.sleep(link.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class _Inbound(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: Any) -> None:
        known = self._relay._clients.get(addr)
        if known is not None:
            self._relay.forward(self._relay.up, len(data), lambda: known.sendto(data))
            return
        task = self._relay._loop.create_task(self._first(data, addr))
        self._relay._pumps.add(task)
        task.add_done_callback(self._relay._pumps.discard)

    async def _first(self, data: bytes, addr: Any) -> None:
        far = await self._relay.upstream(addr)
        self._relay.forward(self._relay.up, len(data), lambda: far.sendto(data))


class _Outbound(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, client: Any) -> None:
        self._relay = relay
        self._client = client

    def datagram_received(self, data: bytes, addr: Any) -> None:
        relay = self._relay
        relay.forward(relay.down, len(data), lambda: relay._front.sendto(data, self._client))

    def error_received(self, exc: Exception) -> None:
        """The server is down for a moment (a test killed it): packets are lost, nothing else."""
