"""One ICE-lite agent (RFC 8445): answers the checks of a full agent and remembers where it may be reached.

Pure: STUN requests and a clock in, response bytes out. A lite agent never checks by itself, so an address counts as
validated once an authenticated request came from it, the nominated one is where media goes, and consent (RFC 7675)
is judged by inbound silence: browsers check us every 2-5 s as long as they want to be reached.
"""

import hmac
import secrets
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from rtc import stun

SILENCE_NS = 5_000_000_000  # a hint: the peer is probably away
CONSENT_NS = 30_000_000_000  # RFC 7675 section 5.1: after this nothing may be sent any more
RESTART_OVERLAP_NS = 30_000_000_000  # how long former credentials stay good while an ICE restart settles
MAX_ROUTES = 16  # validated addresses kept for one agent; the oldest unused one gives way
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Route(Protocol):
    """The way back to one remote address over one local socket."""

    @property
    def key(self) -> Hashable: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    def send(self, packet: bytes | memoryview) -> bool:
        """Send at once or drop; never raises. False: dropped."""
        ...

    def close(self) -> None:
        """Nobody's any more: a TCP connection ends when its last words are written. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """One side's username fragment and password for one ICE generation."""

    ufrag: str
    pwd: str

    @classmethod
    def random(cls) -> "Credentials":
        """48 bits of ufrag (demux only), 168 bits of password (RFC 8445 wants 24 and 128)."""
        return cls(*("".join(secrets.choice(_ALPHABET) for _ in range(size)) for size in (8, 28)))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What to do with one check: answer it or stay silent, and which address it opened or displaced."""

    response: bytes | None = None
    validated: bool = False
    displaced: Route | None = None


_SILENCE = CheckResult()


class IceLite:
    """The server's side of one ICE session."""

    def __init__(self, local: Credentials, remote_ufrag: str, now_ns: int) -> None:
        self.local = local
        self.remote_ufrag = remote_ufrag
        self.selected: Route | None = None
        self.last_heard_ns = now_ns
        self._nominated = False
        self._routes: dict[Hashable, Route] = {}
        self._former: tuple[Credentials, str] | None = None
        self._former_until_ns = 0

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(self._routes.values())

    def restart(self, local: Credentials, remote_ufrag: str, now_ns: int) -> Credentials | None:
        """Begin a new generation. The present one stays good until the new one is heard, or for 30 s, so that media
        flows meanwhile. Returns credentials of a still older generation, now dead, if there were any.
        """
        dead = self._former[0] if self._former else None
        self._former = (self.local, self.remote_ufrag)
        self._former_until_ns = now_ns + RESTART_OVERLAP_NS
        self.local, self.remote_ufrag = local, remote_ufrag
        self._nominated = False
        self.last_heard_ns = now_ns
        return dead

    def check(self, request: stun.BindingRequest, route: Route, now_ns: int) -> CheckResult:
        """Judge one binding request that names one of our ufrags."""
        current = request.local_ufrag == self.local.ufrag
        credentials, remote_ufrag = self._generation(request.local_ufrag, now_ns)
        if credentials is None or not request.verify(key := credentials.pwd.encode()):
            return _SILENCE
        # the other half of the username came with the offer: also has to be right
        if not hmac.compare_digest(request.remote_ufrag.encode(), remote_ufrag.encode()):
            return _SILENCE
        if request.unknown:
            return CheckResult(stun.binding_error(request.transaction, 420, key, request.unknown))
        if request.controlled:
            # RFC 8445 7.3.1.1: a lite agent can not take the controlling role, so the peer has to
            return CheckResult(stun.binding_error(request.transaction, 487, key))
        self.last_heard_ns = now_ns
        displaced = self._remember(route)
        if current or self._former is None:
            self._select(route, request.use_candidate)
        response = stun.binding_success(request.transaction, route.host, route.port, key)
        return CheckResult(response, validated=True, displaced=displaced)

    def _generation(self, ufrag: str, now_ns: int) -> tuple[Credentials | None, str]:
        if ufrag == self.local.ufrag:
            return self.local, self.remote_ufrag
        if self._former and ufrag == self._former[0].ufrag and now_ns < self._former_until_ns:
            return self._former
        return None, ""

    def _remember(self, route: Route) -> Route | None:
        displaced = None
        known = self._routes.pop(route.key, None)
        if known is None and len(self._routes) >= MAX_ROUTES:
            oldest = next(key for key, r in self._routes.items() if r is not self.selected)
            displaced = self._routes.pop(oldest)
        self._routes[route.key] = known or route  # most recently heard last
        return displaced

    def _select(self, route: Route, nominate: bool) -> None:
        if nominate:
            # the last nomination wins: this is how a client moves from Wi-Fi to cellular
            self.selected, self._nominated = self._routes[route.key], True
        elif self.selected is None:
            self.selected = self._routes[route.key]

    def follow(self, key: Hashable) -> None:
        """The peer sends along this validated way. Until it nominates one, answers take the same way back.

        The first way a check came by may be dead in the other direction (a multi-homed client, our wildcard socket
        answering from another address), and Chromium's nomination may come seconds after its first DTLS record.
        """
        if not self._nominated:
            self.selected = self._routes.get(key, self.selected)

    def retire(self, now_ns: int) -> Credentials | None:
        """Drop and return former credentials once the new generation has nominated, or their overlap is over."""
        if self._former is None or not (self._nominated or now_ns >= self._former_until_ns):
            return None
        dead, self._former = self._former[0], None
        return dead

    def heard(self, now_ns: int) -> None:
        """An authenticated packet arrived (SRTP counts as much as STUN)."""
        self.last_heard_ns = now_ns

    def forget(self, route: Route) -> None:
        """This way is gone (its TCP connection closed)."""
        self._routes.pop(route.key, None)
        if self.selected is route:
            self.selected = None
            self._nominated = False
            if self._routes:  # the most recently heard other way, until the client nominates again
                self.selected = next(reversed(self._routes.values()))

    def silent(self, now_ns: int) -> bool:
        return now_ns - self.last_heard_ns > SILENCE_NS

    def expired(self, now_ns: int) -> bool:
        return now_ns - self.last_heard_ns > CONSENT_NS
