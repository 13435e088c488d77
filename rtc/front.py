"""The one port: every datagram and every TCP frame of every participant comes in here, and the guard is here.

Demultiplexing is by first byte (RFC 7983), for STUN by ufrag, for all else by remote address. Nothing reaches DTLS,
SRTP or a parser of ours unless its address passed an authenticated STUN check before. Strangers get silence and
no memory: nothing is queued for an address that is not known. Sockets: `udp`, `tcplink`.
"""

import logging
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Protocol

from rtc import stun
from rtc.errors import ParseError
from rtc.icelite import CheckResult, Route

log = logging.getLogger(__name__)
_LOG_EVERY_NS = 1_000_000_000


class Endpoint(Protocol):
    """What a validated address is connected to: a Transport."""

    def on_check(self, request: stun.BindingRequest, route: Route, now_ns: int) -> CheckResult: ...
    def on_media(self, buffer: bytearray, length: int, now_ns: int) -> None:
        """SRTP or SRTCP in the first `length` bytes of `buffer`, which may be changed and is reused afterwards."""
        ...

    def on_dtls(self, datagram: bytes, route_key: Hashable) -> None: ...
    def on_route_closed(self, route: Route) -> None: ...
    def active(self, now_ns: int) -> bool:
        """Whether its peer was heard lately: then nobody else may claim its addresses."""
        ...


@dataclass(slots=True)
class FrontCounters:
    """Why packets were dropped. Only ever grows."""

    received: int = 0  # packets from validated addresses, all kinds
    checks: int = 0  # authenticated STUN requests answered
    stranger: int = 0  # media or DTLS from an address that never passed a check
    malformed: int = 0  # empty, oversized, unknown first byte, broken STUN
    unauthenticated: int = 0  # well-formed STUN, unknown ufrag or wrong password
    claimed: int = 0  # authenticated check from an address that belongs to another live participant
    send_failed: int = 0  # EAGAIN, ENOBUFS, EHOSTUNREACH, closed connection
    send_congested: int = 0  # TCP connection with a full write buffer
    tcp_refused: int = 0  # over the limit of unauthenticated connections
    tcp_expired: int = 0  # unauthenticated too long, or too much sent before authentication
    handler_errors: int = 0  # a defect of ours, contained

    def as_dict(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


class Front:
    """Routing tables shared by the UDP sockets and the TCP connections."""

    def __init__(self) -> None:
        self.counters = FrontCounters()
        self.endpoints: dict[Hashable, Endpoint] = {}  # validated remote address -> endpoint: the fast path's lookup
        self._by_ufrag: dict[str, Endpoint] = {}
        self._routes: dict[Endpoint, dict[Hashable, Route]] = {}
        self._next_log_ns = 0

    def register(self, ufrag: str, endpoint: Endpoint) -> None:
        """From now on checks that name `ufrag` are for `endpoint`."""
        self._by_ufrag[ufrag] = endpoint

    def unregister(self, ufrag: str) -> None:
        self._by_ufrag.pop(ufrag, None)

    def release(self, endpoint: Endpoint) -> None:
        """Forget everything about `endpoint`: its ufrags and addresses. Its packets are a stranger's from now on."""
        for key, route in self._routes.pop(endpoint, {}).items():
            if self.endpoints.get(key) is endpoint:
                del self.endpoints[key]
                route.close()
        for ufrag in [u for u, e in self._by_ufrag.items() if e is endpoint]:
            del self._by_ufrag[ufrag]

    def datagram(self, buffer: bytearray, length: int, route_key: Hashable, now_ns: int) -> bool:
        """A packet that is not STUN, from `route_key`. False: a stranger or noise; nothing happened."""
        endpoint = self.endpoints.get(route_key)
        if endpoint is None:
            self.counters.stranger += 1
            return False
        first = buffer[0]
        self.counters.received += 1
        try:
            if 127 < first < 192:
                endpoint.on_media(buffer, length, now_ns)
            elif 19 < first < 64:
                endpoint.on_dtls(bytes(buffer[:length]), route_key)
            else:
                self.counters.malformed += 1
                return False
        except Exception:  # one participant's packet must never end everybody's reading
            self._defect(now_ns)
            return False
        return True

    def check(self, datagram: bytes, route: Route, now_ns: int) -> bool:
        """A STUN packet. Answers through `route` if authenticated; True then."""
        counters = self.counters
        try:
            request = stun.parse_binding_request(datagram)
        except ParseError:
            counters.malformed += 1
            return False
        endpoint = self._by_ufrag.get(request.local_ufrag)
        if endpoint is None:
            counters.unauthenticated += 1
            return False
        try:
            return self._answer(endpoint, request, route, now_ns)
        except Exception:
            self._defect(now_ns)
            return False

    def _answer(self, endpoint: Endpoint, request: stun.BindingRequest, route: Route, now_ns: int) -> bool:
        holder = self.endpoints.get(route.key)
        if holder is not None and holder is not endpoint and holder.active(now_ns):
            # a participant forging another one's source address must not take over (or cut off) that address
            self.counters.claimed += 1
            return False
        result = endpoint.on_check(request, route, now_ns)
        if result.response is None:
            self.counters.unauthenticated += 1
            return False
        self.counters.checks += 1
        if result.validated:
            if holder is not None and holder is not endpoint:
                self._drop(holder, route)
            if result.displaced is not None:
                self._drop(endpoint, result.displaced)
                result.displaced.close()  # else one participant could hold any number of TCP connections open
            self.endpoints[route.key] = endpoint
            self._routes.setdefault(endpoint, {})[route.key] = route
        route.send(result.response)
        return True

    def _drop(self, endpoint: Endpoint, route: Route) -> None:
        self._routes.get(endpoint, {}).pop(route.key, None)
        if self.endpoints.get(route.key) is endpoint:
            del self.endpoints[route.key]

    def route_closed(self, route: Route) -> None:
        """A TCP connection ended."""
        endpoint = self.endpoints.get(route.key)
        if endpoint is not None:
            self._drop(endpoint, route)
            endpoint.on_route_closed(route)

    def _defect(self, now_ns: int) -> None:
        self.counters.handler_errors += 1
        if now_ns >= self._next_log_ns:  # hostile input must not be able to flood the log
            self._next_log_ns = now_ns + _LOG_EVERY_NS
            log.exception("a packet handler failed; the packet was dropped")
