"""The media server: one port, its rooms, one timer, and every offer/answer exchange."""

import asyncio
import contextlib
import logging
import secrets
import socket
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from rtc import addresses, answertext, sdp
from rtc.aiortc_seam import Certificate
from rtc.answerer import Answerer, Peer, Permit, judge_peer
from rtc.errors import MediaError, OfferRefused, RoomClosed, UnknownParticipant
from rtc.front import Front
from rtc.icelite import Credentials
from rtc.negotiation import Answer, Offer
from rtc.participant import Participant
from rtc.room import Room, RoomListener
from rtc.tcplink import TcpPort, bind_tcp
from rtc.transport import Transport, TransportState
from rtc.udp import UdpPort, bind_udp

log = logging.getLogger(__name__)

TICK_SECONDS = 0.02
_GONE = (TransportState.CLOSED, TransportState.FAILED)


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Where media is received. Port 0 takes a free one, the same number for UDP and TCP, IPv4 and IPv6.

    `announce` replaces the interface addresses in our candidates: "ip", "ip:port", "[ip6]:port", and "udp:..." or
    "tcp:..." for one protocol only.
    """

    host: str = "0.0.0.0"  # noqa: S104 media has to come in from everywhere; the guard is in `front`
    host6: str | None = "::"
    port: int = 0
    announce: tuple[str, ...] = ()
    tcp: bool = True


class PortTaken(MediaError):
    """The media port is not to be had."""

    code = "media.port_taken"


class TransportGone(OfferRefused):
    """A re-offer of a peer connection whose path has ended: the client has to make a new peer connection."""

    code = "media.transport_gone"


@dataclass(slots=True)
class _Connection:
    """One client peer connection as negotiated so far."""

    peer: Peer
    transport: Transport
    answerer: Answerer
    session_id: int
    version: int = 0


class MediaServer:
    """Owns the sockets, the certificate, the rooms' timer and the transports. Made by `start`."""

    def __init__(self, config: MediaConfig) -> None:
        self.front = Front()
        self.candidates: tuple[answertext.Candidate, ...] = ()
        self.port = 0
        self._config = config
        self._certificate = Certificate()
        self._tcp = TcpPort(self.front)
        self._udp: list[UdpPort] = []
        self._rooms: dict[str, Room] = {}
        self._connections: weakref.WeakKeyDictionary[Participant, _Connection] = weakref.WeakKeyDictionary()
        self._transports: set[Transport] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._next_log_ns = 0

    @classmethod
    async def start(cls, config: MediaConfig) -> "MediaServer":
        """Bind. Raises PortTaken or BadAddress."""
        server = cls(config)
        hosts, udp, tcp = _bind(config)
        server.port = int(udp[0].getsockname()[1])
        try:
            server.candidates = (
                addresses.announced(config.announce, server.port, tcp=config.tcp)
                if config.announce
                else addresses.local(hosts, server.port, tcp=config.tcp)
            )
        except MediaError:
            for sock in (*udp, *tcp):
                sock.close()
            raise
        server._udp = [UdpPort(server.front, sock) for sock in udp]
        for sock in tcp:
            await server._tcp.listen(sock)
        return server

    # -- rooms -----------------------------------------------------------------------------------------------------

    def open_room(self, room_id: str, listener: RoomListener) -> Room:
        """The live room of that id, made if there is none."""
        if self._closed:
            raise RoomClosed("server closed")
        room = self.room(room_id)
        if room is None:
            room = self._rooms[room_id] = Room(room_id, listener)
            self._arm()
        return room

    def room(self, room_id: str) -> Room | None:
        """The live room of that id; a closed one is forgotten."""
        room = self._rooms.get(room_id)
        if room is not None and room.closed:
            del self._rooms[room_id]
            return None
        return room

    # -- negotiation -----------------------------------------------------------------------------------------------

    async def negotiate(self, participant: Participant, offer: Offer) -> Answer:
        """Answer a client's offer. A refused offer changes nothing.

        The first makes the Transport; the same ufrag again grows the pool or adds publish sections; a new ufrag in the
        same peer connection is an ICE restart; another peer connection replaces the former one.
        Raises ParseError, OfferRefused (TransportGone), NotGranted, RoomClosed, UnknownParticipant.
        """
        if self._closed or participant.room.closed:
            raise RoomClosed
        if participant.closed:
            raise UnknownParticipant
        description = sdp.parse(offer.sdp)
        peer = judge_peer(description)
        permit = Permit(participant.grants.publish, participant.grants.subscribe)
        former = self._connections.get(participant)
        if former is not None and not _same_connection(former.peer, peer):
            former = None
        if former is not None and former.transport.state in _GONE:
            raise TransportGone
        answerer = former.answerer.clone() if former else Answerer()
        sections, negotiated = answerer.answer(description, offer.sources, permit)
        connection = self._continue(former, peer) if former else self._begin(participant, peer)
        connection.answerer = answerer
        connection.version += 1
        participant.bind(connection.transport, negotiated, time.monotonic_ns())
        local = answertext.Local(
            session_id=connection.session_id,
            version=connection.version,
            credentials=connection.transport.local,
            fingerprint=self._certificate.fingerprint,
            role=connection.transport.role,
            candidates=self.candidates,
        )
        return Answer(answertext.write(sections, local), negotiated)

    def _begin(self, participant: Participant, peer: Peer) -> _Connection:
        transport = Transport(
            self.front,
            self._certificate,
            local=Credentials.random(),
            remote_ufrag=peer.ufrag,
            fingerprints=peer.fingerprints,
            role=peer.role,
            clock=time.monotonic_ns,
        )
        self._transports.add(transport)
        self._arm()
        connection = _Connection(peer, transport, Answerer(), session_id=secrets.randbits(62))
        self._connections[participant] = connection
        return connection  # a former transport is closed by `participant.bind`

    def _continue(self, connection: _Connection, peer: Peer) -> _Connection:
        if (peer.ufrag, peer.pwd) != (connection.peer.ufrag, connection.peer.pwd):
            connection.transport.restart_ice(Credentials.random(), peer.ufrag)
            connection.peer = peer
        return connection

    # -- time ------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Tick as long as there is anything to tick for: waking up 50 times a second is 1 % of a core by itself."""
        if self._timer is None and not self._closed and (self._rooms or self._transports):
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now_ns = time.monotonic_ns()
        for transport in list(self._transports):
            with self._contained(now_ns):
                transport.tick(now_ns)
            if transport.state in _GONE:
                self._transports.discard(transport)
        for room in list(self._rooms.values()):
            if room.closed:
                del self._rooms[room.id]
                continue
            with self._contained(now_ns):
                room.tick(now_ns)
        self._arm()

    @contextlib.contextmanager
    def _contained(self, now_ns: int) -> Iterator[None]:
        """A defect in one room or path must not stop the others' clock."""
        try:
            yield
        except Exception:
            self.front.counters.handler_errors += 1
            if now_ns >= self._next_log_ns:
                self._next_log_ns = now_ns + 1_000_000_000
                log.exception("a tick failed")

    async def close(self) -> None:
        """Close rooms, then transports (each says goodbye), then the sockets. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for room in list(self._rooms.values()):
            room.close("server_closed")
        self._rooms.clear()
        for transport in list(self._transports):
            transport.close("server_closed")
        self._transports.clear()
        await asyncio.sleep(0)  # lets TCP connections write the goodbyes
        await self._tcp.close()
        for port in self._udp:
            port.close()


def _same_connection(former: Peer, peer: Peer) -> bool:
    """Whether an offer continues a peer connection. A reloaded page has another o= session id and certificate."""
    return former.session == peer.session and former.fingerprints == peer.fingerprints


def _bind(config: MediaConfig) -> tuple[list[str], list[socket.socket], list[socket.socket]]:
    """The hosts really bound, UDP and TCP sockets, all of one port number."""
    for _ in range(32 if config.port == 0 else 1):
        with contextlib.suppress(OSError):
            return _bind_once(config)
    raise PortTaken(str(config.port))


def _bind_once(config: MediaConfig) -> tuple[list[str], list[socket.socket], list[socket.socket]]:
    hosts, udp, tcp = [config.host], list[socket.socket](), list[socket.socket]()
    try:
        udp.append(bind_udp(config.host, config.port))
        port = int(udp[0].getsockname()[1])
        if config.host6 is not None and socket.has_ipv6 and _speaks_ipv6(config.host6):
            udp.append(bind_udp(config.host6, port))
            hosts.append(config.host6)
        if config.tcp:
            tcp += [bind_tcp(host, port) for host in hosts]
    except OSError:
        for sock in (*udp, *tcp):
            sock.close()
        raise
    return hosts, udp, tcp


def _speaks_ipv6(host: str) -> bool:
    """Whether this machine has the address at all: many containers have no IPv6."""
    try:
        bind_udp(host, 0).close()
    except OSError:
        return False
    return True
