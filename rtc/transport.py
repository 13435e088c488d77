"""One participant's path: ICE-lite + DTLS-SRTP. Packets are handled in place, without copies."""

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rtc import stun
from rtc.aiortc_seam import Certificate, DtlsFailed, DtlsRole, DtlsSession, SrtpKeys
from rtc.errors import MediaError, ParseError
from rtc.front import Front
from rtc.icelite import CheckResult, Credentials, IceLite, Route
from rtc.sdp import Fingerprint
from rtc.srtp import TRAILER, SrtpSession

log = logging.getLogger(__name__)

HANDSHAKE_NS = 30_000_000_000  # from negotiation to keys; a client that takes longer starts over


class TransportState(StrEnum):
    NEW = "new"  # negotiated, nothing heard
    CONNECTING = "connecting"  # an authenticated check arrived, DTLS under way
    CONNECTED = "connected"  # keys agreed, media flows
    CLOSED = "closed"  # closed by us or by the peer's close_notify
    FAILED = "failed"  # handshake failed, never came about, or 30 s of silence


_MOVES: dict[TransportState, frozenset[TransportState]] = {
    TransportState.NEW: frozenset({TransportState.CONNECTING, TransportState.CLOSED, TransportState.FAILED}),
    TransportState.CONNECTING: frozenset({TransportState.CONNECTED, TransportState.CLOSED, TransportState.FAILED}),
    TransportState.CONNECTED: frozenset({TransportState.CLOSED, TransportState.FAILED}),
    TransportState.CLOSED: frozenset(),
    TransportState.FAILED: frozenset(),
}


class IllegalMove(MediaError):
    code = "media.transport_state"


class PacketReceiver(Protocol):
    """Gets the plaintext. Called on the event loop, must not block."""

    def on_rtp(self, packet: memoryview, now_ns: int) -> None:
        """One RTP packet; the view is valid only during the call."""
        ...

    def on_rtcp(self, compound: bytes, now_ns: int) -> None: ...
    def on_transport(self, state: TransportState, now_ns: int) -> None: ...


@dataclass(slots=True)
class TransportCounters:
    """Packets and bytes (SRTP, without IP and UDP) of one path, and why some were dropped."""

    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0
    refused_in: int = 0  # SRTP authentication or replay failures, malformed plaintext
    early_in: int = 0  # media before the keys
    dropped_out: int = 0  # not connected, no route, or libsrtp refused


class Transport:
    """One ICE-lite + DTLS-SRTP association. Made by MediaServer; `close` is idempotent."""

    def __init__(
        self,
        front: Front,
        certificate: Certificate,
        *,
        local: Credentials,
        remote_ufrag: str,
        fingerprints: Sequence[Fingerprint],
        role: DtlsRole,
        clock: Callable[[], int],
    ) -> None:
        self.rtt: float | None = None
        self.receiver: PacketReceiver | None = None
        self.counters = TransportCounters()
        self.close_reason: str | None = None
        self._state = TransportState.NEW
        self._front = front
        self._clock = clock
        now_ns = clock()
        self._ice = IceLite(local, remote_ufrag, now_ns)
        self._deadline_ns = now_ns + HANDSHAKE_NS
        self._dtls = DtlsSession(
            certificate, role, fingerprints, send=self._send, on_keys=self._on_keys, on_end=self._on_dtls_end
        )
        self._inbound: SrtpSession | None = None
        self._outbound: SrtpSession | None = None
        front.register(local.ufrag, self)

    # -- what the participant uses ---------------------------------------------------------------------------------

    @property
    def state(self) -> TransportState:
        return self._state

    @property
    def silent(self) -> bool:
        """Nothing authenticated arrived for 5 s, or no way to the peer is left (its TCP connection ended).

        The peer has probably lost its network; over TCP also how a closed page looks, as its close_notify may be lost
        with the connection.
        """
        return self._ice.selected is None or self._ice.silent(self._clock())

    @property
    def last_heard_ns(self) -> int:
        return self._ice.last_heard_ns

    @property
    def over_tcp(self) -> bool:
        """Whether media goes over a TCP connection at present."""
        return self._ice.selected is not None and not isinstance(self._ice.selected.key, tuple)

    def send_rtp(self, buffer: bytearray, length: int) -> None:
        """Protect `buffer[:length]` in place and send it at once; `buffer` is consumed and has 32 bytes to spare.

        Drops silently unless connected. The caller never sends two different packets under one SSRC and sequence.
        """
        outbound, route = self._outbound, self._ice.selected
        if outbound is None or route is None:
            self.counters.dropped_out += 1
            return
        try:
            size = outbound.protect_rtp(buffer, length)
        except ParseError:
            self.counters.dropped_out += 1
            return
        if route.send(memoryview(buffer)[:size]):
            self.counters.packets_out += 1
            self.counters.bytes_out += size

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send one compound RTCP packet. Drops silently unless connected."""
        outbound, route = self._outbound, self._ice.selected
        if outbound is None or route is None:
            self.counters.dropped_out += 1
            return
        buffer = bytearray(len(compound) + TRAILER)
        buffer[: len(compound)] = compound
        try:
            size = outbound.protect_rtcp(buffer, len(compound))
        except ParseError:
            self.counters.dropped_out += 1
            return
        if route.send(memoryview(buffer)[:size]):
            self.counters.packets_out += 1
            self.counters.bytes_out += size

    def close(self, reason: str) -> None:
        """Say goodbye (close_notify) and forget everything. Idempotent."""
        self._end(TransportState.CLOSED, reason)

    # -- what the server uses ----------------------------------------------------------------------------------------

    @property
    def local(self) -> Credentials:
        return self._ice.local

    @property
    def role(self) -> DtlsRole:
        return self._dtls.role

    def restart_ice(self, local: Credentials, remote_ufrag: str) -> None:
        """New credentials, same keys: media goes on along the old way until the client nominates a new one."""
        dead = self._ice.restart(local, remote_ufrag, self._clock())
        if dead is not None:
            self._front.unregister(dead.ufrag)
        self._front.register(local.ufrag, self)

    def tick(self, now_ns: int) -> None:
        """Timeouts; every 20 ms or so."""
        if self._state in (TransportState.CLOSED, TransportState.FAILED):
            return
        dead = self._ice.retire(now_ns)
        if dead is not None:
            self._front.unregister(dead.ufrag)
        if self._state is TransportState.CONNECTED:
            if self._ice.expired(now_ns):
                self._end(TransportState.FAILED, "consent_expired")
        elif now_ns >= self._deadline_ns:
            self._end(TransportState.FAILED, "handshake_timeout")
        else:
            self._dtls.tick(now_ns)

    # -- Endpoint: what the front calls --------------------------------------------------------------------------------

    def on_check(self, request: stun.BindingRequest, route: Route, now_ns: int) -> CheckResult:
        result = self._ice.check(request, route, now_ns)
        if result.validated and self._state is TransportState.NEW:
            self._move(TransportState.CONNECTING, now_ns)
            self._dtls.start()
        return result

    def on_media(self, buffer: bytearray, length: int, now_ns: int) -> None:
        inbound, receiver, counters = self._inbound, self.receiver, self.counters
        if inbound is None or receiver is None:
            counters.early_in += 1
            return
        try:
            if 192 <= buffer[1] <= 223:  # RTCP (RFC 5761 section 4)
                size = inbound.unprotect_rtcp(buffer, length)
                self._ice.last_heard_ns = now_ns
                receiver.on_rtcp(bytes(memoryview(buffer)[:size]), now_ns)
            else:
                size = inbound.unprotect_rtp(buffer, length)
                self._ice.last_heard_ns = now_ns
                receiver.on_rtp(memoryview(buffer)[:size], now_ns)
        except ParseError:
            counters.refused_in += 1
            return
        counters.packets_in += 1
        counters.bytes_in += length

    def on_dtls(self, datagram: bytes, route_key: Hashable) -> None:
        self._ice.follow(route_key)
        self._dtls.feed(datagram)

    def on_route_closed(self, route: Route) -> None:
        self._ice.forget(route)

    def active(self, now_ns: int) -> bool:
        return self._state in (TransportState.CONNECTING, TransportState.CONNECTED) and not self._ice.silent(now_ns)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _send(self, datagram: bytes) -> None:
        route = self._ice.selected
        if route is not None:
            route.send(datagram)

    def _on_keys(self, keys: SrtpKeys) -> None:
        self._inbound = SrtpSession(keys.profile, keys.inbound, inbound=True)
        self._outbound = SrtpSession(keys.profile, keys.outbound, inbound=False)
        self._move(TransportState.CONNECTED, self._clock())

    def _on_dtls_end(self, failure: DtlsFailed | None) -> None:
        if failure is None:
            self._end(TransportState.CLOSED, "peer_closed")
        else:
            self._end(TransportState.FAILED, failure.code)

    def _end(self, state: TransportState, reason: str) -> None:
        if self._state in (TransportState.CLOSED, TransportState.FAILED):
            return
        self.close_reason = reason
        self._dtls.close()  # its farewell still needs the route
        self._inbound = self._outbound = None
        self._front.release(self)
        self._move(state, self._clock())

    def _move(self, state: TransportState, now_ns: int) -> None:
        if state not in _MOVES[self._state]:
            raise IllegalMove(f"{self._state} -> {state}")
        self._state = state
        if self.receiver is not None:
            self.receiver.on_transport(state, now_ns)
