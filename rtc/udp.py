"""The UDP sockets of the front: read in a bounded drain loop straight from the event loop's reader.

No asyncio DatagramProtocol: it allocates a bytes object and makes three Python calls for each packet, which costs more
than decrypting it.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Hashable
from typing import Any

from rtc.front import Front, FrontCounters

BUFFER = 2048  # bytes; the longest packet read, a longer one is dropped
_DRAIN = 64  # packets per wake-up: bounds how long signalling waits for media
_SOCKET_BUFFER = 4 * 1024 * 1024  # bytes; what the kernel grants may be less


class UdpRoute:
    """One remote address as seen from one socket."""

    __slots__ = ("_counters", "_sendto", "address")

    def __init__(self, sock: socket.socket, address: tuple[Any, ...], counters: FrontCounters) -> None:
        self.address = address
        self._sendto = sock.sendto
        self._counters = counters

    @property
    def key(self) -> Hashable:
        return self.address

    @property
    def host(self) -> str:
        return str(self.address[0])

    @property
    def port(self) -> int:
        return int(self.address[1])

    def send(self, packet: bytes | memoryview) -> bool:
        try:
            self._sendto(packet, self.address)
        except OSError:
            # EAGAIN, ENOBUFS: the network is slower than we are; EHOSTUNREACH and friends: it is gone. Media is not
            # worth waiting for, retransmission and rate control see the loss.
            self._counters.send_failed += 1
            return False
        return True

    def close(self) -> None:
        """Nothing to end: the socket is everybody's."""


class UdpPort:
    """One bound socket, read by the running event loop until `close`."""

    def __init__(self, front: Front, sock: socket.socket) -> None:
        self._front = front
        self._socket = sock
        self._buffer = bytearray(BUFFER)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._drain)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def _drain(self) -> None:
        front, buffer, receive = self._front, self._buffer, self._socket.recvfrom_into
        clock, datagram = time.monotonic_ns, front.datagram
        for _ in range(_DRAIN):
            try:
                length, address = receive(buffer)
            except BlockingIOError:
                return
            except OSError as error:
                # ICMP errors of earlier sends surface here; nothing was read and others' packets may wait
                if error.errno == errno.EBADF:
                    return
                continue
            if not 0 < length < BUFFER:
                front.counters.malformed += 1
            elif buffer[0] > 3:
                datagram(buffer, length, address, clock())
            else:
                route = UdpRoute(self._socket, address, front.counters)
                front.check(bytes(buffer[:length]), route, clock())

    def close(self) -> None:
        """Idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


def bind_udp(host: str, port: int) -> socket.socket:
    """A non-blocking bound socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
