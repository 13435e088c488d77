"""One authenticated socket: a bounded inbox worked off by one task, a bounded outbox written by another.

`receive` never blocks, so pings are answered while an admission is slow. More than the allowed events per second are
refused, not queued. Acks and events leave through the same outbox: whatever is told after a join comes after its ack.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from signaling.errors import Busy, TooFast, ack_of
from signaling.outcomes import Ack
from signaling.ports import Caller

log = logging.getLogger(__name__)

EVENTS_PER_SECOND = 20
POINTS_PER_SECOND = 30  # a hand over a picture, beside them: what is too much is dropped and nothing is lost
INBOX = 32  # messages not yet begun
OUTBOX = 512  # a page this far behind is hung up; it resumes by replay
HANDS_BEHIND = 16  # messages to a page not yet written; behind them a pointer is told where it is now, or not at all
AckId = int | None
Item = list[Any]  # event, body, ack id


class Wire(Protocol):
    """The socket as the session sees it."""

    async def emit(self, event: str, body: Mapping[str, Any]) -> None: ...
    async def ack(self, ack_id: int, body: Ack) -> None: ...
    async def hang_up(self) -> None: ...


class RateLimit:
    """A token bucket: bursts of `per_second`, refilled at that rate. Time in seconds of any monotonic clock."""

    def __init__(self, per_second: float, now: float) -> None:
        self._rate = per_second
        self._tokens = per_second
        self._at = now

    def allow(self, now: float) -> bool:
        self._tokens = min(self._rate, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


Handle = Callable[["Session", object, object], Awaitable[Ack]]


class Session:
    """Implements `signaling.ports.Line`. `gone` is called once when the session has ended for whatever reason."""

    def __init__(
        self,
        session_id: str,
        caller: Caller,
        wire: Wire,
        handle: Handle,
        *,
        gone: Callable[["Session"], None],
        time: Callable[[], float],
    ) -> None:
        self._id = session_id
        self._caller = caller
        self._wire = wire
        self._handle = handle
        self._gone = gone
        self._time = time
        self._limit = RateLimit(EVENTS_PER_SECOND, time())
        self._points = RateLimit(POINTS_PER_SECOND, time())
        self._inbox: asyncio.Queue[Item | None] = asyncio.Queue(INBOX + 1)
        self._point: Item | None = None  # the hand's latest place, not yet begun: a newer one stands in for it
        self._outbox: asyncio.Queue[Callable[[], Awaitable[None]] | None] = asyncio.Queue(OUTBOX + 2)
        self._closing = False
        self._over = False
        self._last_word = False
        self._worker = asyncio.create_task(self._work(), name="session-inbox")
        self._writer = asyncio.create_task(self._write(), name="session-outbox")

    @property
    def id(self) -> str:
        return self._id

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def alive(self) -> bool:
        return not self._closing

    def receive(self, event: object, body: object, ack_id: AckId) -> None:
        """From the socket; returns at once."""
        if self._closing:
            return
        limit = self._points if event == "table.point" else self._limit
        if not limit.allow(self._time()):
            self._acknowledge(ack_id, ack_of(TooFast()), droppable=True)
            return
        if event == "table.point" and self._point is not None:
            self._acknowledge(self._point[2], {"ok": True}, droppable=True)
            self._point[1:] = [body, ack_id]
            return
        if self._inbox.qsize() >= INBOX:
            self._acknowledge(ack_id, ack_of(Busy()), droppable=True)
            return
        item: Item = [event, body, ack_id]
        if event == "table.point":
            self._point = item
        self._inbox.put_nowait(item)

    def send(self, event: str, body: Mapping[str, Any]) -> None:
        """To the page, in order; nothing after `close`."""
        late = body.get("type") == "pointer" and self._outbox.qsize() > HANDS_BEHIND
        if not self._closing and not late:
            self._put(lambda: self._wire.emit(event, body))

    def close(self, reason: str) -> None:
        """Say what is still to be said, then hang up. The message under way is worked off to its end. Idempotent."""
        if self._closing:
            return
        self._closing = True
        log.debug("session closed", extra={"reason": reason})
        _empty(self._inbox)
        self._inbox.put_nowait(None)
        if self._outbox.qsize() >= OUTBOX:
            _empty(self._outbox)  # too far behind to hear the rest
        if asyncio.current_task() is self._worker:
            self._last_word = True  # closed by its own message (end, leave): that one is still answered
        else:
            self._outbox.put_nowait(None)

    def over(self) -> None:
        """The socket is gone. Reported once; what was under way is finished without an ack."""
        self.close("gone")
        self._writer.cancel()
        if not self._over:
            self._over = True
            self._gone(self)

    async def finished(self) -> None:
        """Until both tasks have ended."""
        await asyncio.gather(self._worker, self._writer, return_exceptions=True)

    def _acknowledge(self, ack_id: AckId, ack: Ack, *, droppable: bool = False) -> None:
        if ack_id is None or (droppable and self._outbox.qsize() > OUTBOX // 2):
            return
        self._put(lambda: self._wire.ack(ack_id, ack))

    def _put(self, item: Callable[[], Awaitable[None]]) -> None:
        if self._outbox.qsize() >= OUTBOX:
            self.close("slow")
            return
        self._outbox.put_nowait(item)

    async def _work(self) -> None:
        while (item := await self._inbox.get()) is not None:
            if item is self._point:
                self._point = None
            event, body, ack_id = item
            ack = await self._handle(self, event, body)
            if not self._closing:
                self._acknowledge(ack_id, ack)
            elif self._last_word:
                if ack_id is not None:
                    self._outbox.put_nowait(partial(self._wire.ack, ack_id, ack))
                self._outbox.put_nowait(None)

    async def _write(self) -> None:
        try:
            while (item := await self._outbox.get()) is not None:
                await item()
        except Exception as error:
            log.info("a socket stopped taking", extra={"error": type(error).__name__})
            self.close("wire")
        await self._wire.hang_up()


def _empty(queue: "asyncio.Queue[Any]") -> None:
    while not queue.empty():
        queue.get_nowait()
