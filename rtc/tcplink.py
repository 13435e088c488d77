"""The TCP side of the front (RFC 6544 passive candidates): for hospitals whose firewall drops UDP.

A connection is nobody's until an authenticated check arrived on it: such ones are limited in number, per remote host,
in bytes and in time. Afterwards a slow reader loses packets, it never makes us buffer.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Hashable
from typing import cast

from rtc.errors import ParseError
from rtc.front import Front
from rtc.tcpframing import MAX_FRAME, FrameReader, frame

MAX_STRANGERS = 512  # connections without an authenticated check, in all
MAX_STRANGERS_PER_HOST = 64  # a hospital's many browsers share one address
MAX_STRANGER_BYTES = 64 * 1024
STRANGER_SECONDS = 10.0
GOODBYE_SECONDS = 2.0  # for a peer that does not take the last bytes
MAX_UNSENT = 256 * 1024  # bytes in the write buffer above which packets are dropped: 0.5-2 s of video


class TcpPort:
    """The listening sockets' shared state: who is not authenticated yet."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self._links: set[TcpLink] = set()
        self._strangers: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []

    async def listen(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: TcpLink(self), sock=sock, backlog=256))

    @property
    def strangers(self) -> int:
        return self._strangers.total()

    def admit(self, link: "TcpLink") -> bool:
        """Count a new connection; False when there are too many that never authenticated."""
        if self.strangers >= MAX_STRANGERS or self._strangers[link.host] >= MAX_STRANGERS_PER_HOST:
            self.front.counters.tcp_refused += 1
            return False
        self._links.add(link)
        self._strangers[link.host] += 1
        return True

    def known(self, host: str) -> None:
        """A connection from `host` authenticated, or ended before it did."""
        self._strangers[host] -= 1
        if self._strangers[host] <= 0:
            del self._strangers[host]

    def discard(self, link: "TcpLink") -> None:
        self._links.discard(link)

    async def close(self) -> None:
        """Stop listening and cut every connection. Idempotent."""
        for server in self._servers:
            server.close()
        for link in list(self._links):
            link.abort()
        self._servers.clear()


class TcpLink(asyncio.Protocol):
    """One accepted connection; it is also the Route back to its peer."""

    def __init__(self, port: TcpPort) -> None:
        self._port = port
        self._front = port.front
        self._reader = FrameReader()
        self._scratch = bytearray(MAX_FRAME)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._authenticated = False
        self._received = 0
        self.host, self.port = "", 0

    @property
    def key(self) -> Hashable:
        return self  # the connection, not the address: an address may come back with another connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.host, self.port = transport.get_extra_info("peername", ("", 0))[:2]
        if not self.host or not self._port.admit(self):
            self._transport.abort()
            self._transport = None
            return
        self._deadline = asyncio.get_running_loop().call_later(STRANGER_SECONDS, self._expire)

    def data_received(self, data: bytes) -> None:
        if not self._authenticated:
            self._received += len(data)
            if self._received > MAX_STRANGER_BYTES:
                self._expire()
                return
        try:
            for packet in self._reader.feed(data):
                self._packet(packet)
        except ParseError:
            self._front.counters.malformed += 1
            self.abort()

    def _packet(self, packet: memoryview) -> None:
        now_ns, length = time.monotonic_ns(), len(packet)
        if packet[0] <= 3:
            if self._front.check(bytes(packet), self, now_ns) and not self._authenticated:
                self._authenticated = self._front.endpoints.get(self) is not None
                if self._authenticated:
                    self._stop_clock()
                    self._port.known(self.host)
        else:
            self._scratch[:length] = packet
            self._front.datagram(self._scratch, length, self, now_ns)

    def send(self, packet: bytes | memoryview) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            self._front.counters.send_failed += 1
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self._front.counters.send_congested += 1
            return False
        transport.write(frame(packet))
        return True

    def _expire(self) -> None:
        self._front.counters.tcp_expired += 1
        self.abort()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def close(self) -> None:
        """Its participant is gone, or has nearer ways: end it once the goodbye is written, soon in any case."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._stop_clock()
            self._deadline = asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self.abort)

    def abort(self) -> None:
        """Cut the connection; what was not sent is lost. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        if self._transport is None:
            return  # never admitted
        self._transport = None
        if not self._authenticated:
            self._port.known(self.host)
        self._port.discard(self)
        self._front.route_closed(self)


def bind_tcp(host: str, port: int) -> socket.socket:
    """A non-blocking listening-ready socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # restart without waiting for TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        with contextlib.suppress(OSError):
            sock.close()
        raise
    return sock
