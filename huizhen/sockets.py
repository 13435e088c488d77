"""The Socket.IO door: python-socketio on aiohttp, kept thin. Everything it lets in becomes a signaling Session.

Three methods of AsyncServer are overridden (contract-tested, tests/huizhen/test_sockets.py): messages are handed to
the session's inbox instead of being awaited in the receive loop, and what is malformed, oversized or unauthenticated
is hung up without a trace in memory.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import socketio
from aiohttp import web
from socketio import packet
from socketio.exceptions import ConnectionRefusedError as Refused

from huizhen.tokens import TokenBook
from signaling import handlers, joining
from signaling.errors import TokenRefused
from signaling.live import Live
from signaling.messages import MAX_FRAME, MAX_OFFER_FRAME
from signaling.outcomes import Ack
from signaling.ports import Caller, Counters, NoCounters
from signaling.session import Session

log = logging.getLogger(__name__)

PING_SECONDS = 5
PONG_SECONDS = 10  # together the 15 s lease: a dead socket is noticed within it
KNOCK_SECONDS = 10  # to show a ticket after the connection is made
MOST_KNOCKING = 256  # connections without a ticket yet
MOST_KNOCKING_PER_SOURCE = 64  # one source cannot take all of them; a hospital's pages knock for milliseconds
MOST_PER_SEAT = 16  # sockets with a ticket of one seat; the oldest gives way
KNOCK_BYTES = 4096  # of a message before the ticket was accepted
BACKLOG = 1024  # packets a socket may be behind before it is given up


class _Json:
    """What Socket.IO and Engine.IO parse with: nesting too deep is a ValueError like any other bad JSON."""

    @staticmethod
    def loads(text: str) -> Any:
        try:
            return json.loads(text, parse_int=_integer)
        except RecursionError:
            raise ValueError("nested too deep") from None

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        given: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":"), **options}
        return json.dumps(value, **given)


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("integer too long")
    return int(digits)


class _Server(socketio.AsyncServer):  # type: ignore[misc]
    """AsyncServer that gives events to `edge` at once and answers later."""

    def __init__(self, edge: "SocketEdge", **options: Any) -> None:
        super().__init__(**options)
        self._edge = edge
        self._size = 0

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> bool | None:
        request = environ.get("aiohttp.request")
        if not self._edge.knock(eio_sid, self._edge.source(request) if request is not None else ""):
            return False
        await super()._handle_eio_connect(eio_sid, environ)
        return None

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._edge.gone(eio_sid)
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        if not self._edge.knocking(eio_sid):
            self._edge.hang_up(eio_sid, "second_connect")
            return
        await super()._handle_connect(eio_sid, namespace, data)
        if self._edge.knocking(eio_sid):
            self._edge.hang_up(eio_sid, "no_ticket")

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        limit = KNOCK_BYTES if self._edge.knocking(eio_sid) else MAX_OFFER_FRAME
        binary = not isinstance(data, str) or data[:1] in ("5", "6")  # events with attachments: we have none
        if binary or len(data) > limit:
            self._edge.hang_up(eio_sid, "oversized")
            return
        self._size = len(data)
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:
            log.info("malformed socket packet", extra={"error": type(error).__name__})
            self._edge.hang_up(eio_sid, "malformed")

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        session = self._edge.session(eio_sid)
        if session is None:
            self._edge.hang_up(eio_sid, "no_ticket")
            return
        event, body = (data[0], data[1]) if isinstance(data, list) and len(data) == 2 else (None, None)
        if self._size > MAX_FRAME and event != "media.offer":
            event, body = "", None  # refused as malformed, with an ack
        session.receive(event, body, id)

    async def acknowledge(self, eio_sid: str, ack_id: int, body: Ack) -> None:
        """An ack at a later time than the event."""
        await self._send_packet(eio_sid, self.packet_class(packet.ACK, namespace="/", id=ack_id, data=[body]))


class _SocketWire:
    """signaling.session.Wire over one Socket.IO connection."""

    def __init__(self, edge: "SocketEdge", server: _Server, sid: str, eio_sid: str) -> None:
        self._edge, self._server, self._sid, self._eio_sid = edge, server, sid, eio_sid

    async def emit(self, event: str, body: Mapping[str, Any]) -> None:
        self._check_backlog()
        await self._server.emit(event, body, to=self._sid)

    async def ack(self, ack_id: int, body: Ack) -> None:
        self._check_backlog()
        await self._server.acknowledge(self._eio_sid, ack_id, body)

    async def hang_up(self) -> None:
        await self._server.disconnect(self._sid)
        self._edge.hang_up(self._eio_sid, "closed")

    def _check_backlog(self) -> None:
        connection = self._server.eio.sockets.get(self._eio_sid)
        if connection is None or connection.queue.qsize() > BACKLOG:
            raise ConnectionError("behind")


class SocketEdge:
    """Owns the Socket.IO server, its sessions and one timer. `close` before `Live.close`."""

    def __init__(
        self,
        live: Live,
        book: TokenBook,
        allowed_origins: Sequence[str] | None = None,
        counters: Counters | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        source: Callable[[web.Request], str] = lambda request: request.remote or "",
    ) -> None:
        self.source = source
        self._live = live
        self._book = book
        self._origins = frozenset(allowed_origins or ())
        self._counters: Counters = counters or NoCounters()
        self._clock = clock
        self._knocking: dict[str, float] = {}
        self._from: dict[str, str] = {}  # knocking connection -> its source, never logged
        self._sessions: dict[str, Session] = {}  # by Engine.IO id
        self._by_sid: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.Task[None] | None = None
        self.server = _Server(
            self,
            async_mode="aiohttp",
            async_handlers=False,
            cors_allowed_origins=self._origin_allowed,
            cors_credentials=False,
            max_http_buffer_size=MAX_OFFER_FRAME,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            transports=["websocket", "polling"],
            http_compression=False,
            json=_Json,
            logger=False,
            engineio_logger=False,
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)

    def attach(self, app: web.Application) -> None:
        """Serve /socket.io/ on this application."""
        self.server.attach(app)

    async def start(self) -> None:
        """Begin to hang up on connections that show no ticket in time."""
        if self._timer is None:
            self._timer = asyncio.create_task(self._watch(), name="socket-knocks")

    async def close(self) -> None:
        """Hang up on everybody (they come back after a restart). Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await timer
        sessions = list(self._sessions.values())
        for session in sessions:
            session.close("shutdown")
        await asyncio.gather(*(asyncio.wait_for(each.finished(), 5) for each in sessions), return_exceptions=True)
        for eio_sid in list(self._knocking):
            self.hang_up(eio_sid, "shutdown")
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)
        with contextlib.suppress(Exception):
            await self.server.shutdown()

    # -- what the server asks ----------------------------------------------------------------------------------------

    def knock(self, eio_sid: str, source: str = "") -> bool:
        """A new connection without a ticket yet. False when there are too many, in all or from one source."""
        same = sum(each == source for each in self._from.values())
        if len(self._knocking) >= MOST_KNOCKING or same >= MOST_KNOCKING_PER_SOURCE:
            self._counters.count("signaling_refused", "session.busy")
            return False
        self._knocking[eio_sid] = self._clock() + KNOCK_SECONDS
        self._from[eio_sid] = source
        return True

    def _known(self, eio_sid: str) -> None:
        """It knocks no more: let in, or gone."""
        self._knocking.pop(eio_sid, None)
        self._from.pop(eio_sid, None)

    def knocking(self, eio_sid: str) -> bool:
        return eio_sid in self._knocking

    def session(self, eio_sid: str) -> Session | None:
        return self._sessions.get(eio_sid)

    def gone(self, eio_sid: str) -> None:
        self._known(eio_sid)

    def hang_up(self, eio_sid: str, reason: str) -> None:
        """Close the connection itself, soon; never waits for the other side."""
        self._counters.count("signaling_hung_up", reason)
        self._spawn(self._hang_up(eio_sid))

    async def _hang_up(self, eio_sid: str) -> None:
        connection = self.server.eio.sockets.get(eio_sid)
        if connection is None:
            return
        with contextlib.suppress(Exception):
            await connection.close(wait=False, reason=self.server.eio.reason.SERVER_DISCONNECT)
            await connection.queue.put(None)  # ends the writer, which closes the websocket whatever the client does
        self.server.eio.sockets.pop(eio_sid, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _origin_allowed(self, origin: str | None, environ: Mapping[str, Any]) -> bool:
        """The page's own host, or one that is configured. No Origin = no browser page; the ticket decides."""
        if origin is None or origin in self._origins:
            return True
        try:
            host = urlsplit(origin).netloc
        except ValueError:
            return False
        return host != "" and host == environ.get("HTTP_HOST")

    # -- connections -------------------------------------------------------------------------------------------------

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        del environ
        eio_sid = self.server.manager.eio_sid_from_sid(sid, "/")
        try:
            ticket = self._book.redeem_ticket(auth.get("ticket") if isinstance(auth, dict) else None)
        except TokenRefused as refusal:
            self._counters.count("signaling_refused", refusal.code)
            raise Refused(refusal.code, {"code": refusal.code}) from None
        caller = Caller(ticket.seat_id, ticket.consult_id, ticket.institution_id, ticket.role, ticket.device_id)
        self._known(eio_sid)
        self._make_room(ticket.seat_id)
        self._by_sid[sid] = eio_sid
        self._sessions[eio_sid] = Session(
            sid,
            caller,
            _SocketWire(self, self.server, sid, eio_sid),
            lambda session, event, body: handlers.handle(self._live, session, event, body),
            gone=self._session_gone,
            time=self._clock,
        )
        self._counters.gauge("signaling_sessions", len(self._sessions))

    def _make_room(self, seat_id: str) -> None:
        of_seat = [session for session in self._sessions.values() if session.caller.seat_id == seat_id]
        for session in of_seat[: max(0, len(of_seat) - MOST_PER_SEAT + 1)]:
            session.close("too_many")

    async def _disconnect(self, sid: str, reason: str) -> None:
        del reason
        eio_sid = self._by_sid.pop(sid, None)
        session = self._sessions.pop(eio_sid, None) if eio_sid is not None else None
        if session is not None:
            session.over()
            self._spawn(session.finished())
        self._counters.gauge("signaling_sessions", len(self._sessions))

    def _session_gone(self, session: Session) -> None:
        joining.disconnected(self._live, session)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = self._clock()
            for eio_sid in [known for known, until in self._knocking.items() if now >= until]:
                self._known(eio_sid)
                self.hang_up(eio_sid, "no_ticket")
