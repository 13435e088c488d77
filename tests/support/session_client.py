"""A page without a network: it holds a Line, speaks through the handler table, and keeps what it was told.

It also does what a real page must: applies room events in order (a hole or a repeat fails at once), resumes from its
last number, and knows its snapshot.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any

from clinic.consult import Seat
from signaling import handlers, joining, told
from signaling.live import Live
from signaling.ports import Caller

_numbers = count(1)


class FakeLine:
    def __init__(self, client: "SessionClient", caller: Caller) -> None:
        self.id = f"line{next(_numbers)}"
        self.caller = caller
        self.alive = True
        self.closed_for: str | None = None
        self._client = client

    def send(self, event: str, body: Mapping[str, Any]) -> None:
        if self.alive and self.closed_for is None:
            self._client.hear(self, event, dict(body))

    def close(self, reason: str) -> None:
        if self.closed_for is None:
            self.closed_for, self.alive = reason, False


class SessionClient:
    def __init__(self, live: Live, seat: Seat, device: str = "phone") -> None:
        self.live, self.seat, self.device = live, seat, device
        self.line: FakeLine | None = None
        self.epoch = ""
        self.seq = 0
        self.room_events: list[dict[str, Any]] = []
        self.direct: list[dict[str, Any]] = []
        self.seats: dict[str, dict[str, Any]] = {}
        self.snapshot: dict[str, Any] | None = None
        self.recording: dict[str, Any] | None = None
        self.privacy: dict[str, Any] = {}
        self.panel: dict[str, Any] = {}

    @property
    def caller(self) -> Caller:
        seat = self.seat
        return Caller(seat.id, seat.consult_id, seat.institution_id, seat.role, self.device)

    @property
    def connected(self) -> bool:
        return self.line is not None and self.line.alive

    def connect(self) -> FakeLine:
        self.line = FakeLine(self, self.caller)
        return self.line

    async def emit(self, event: str, **body: Any) -> dict[str, Any]:
        assert self.line is not None
        return await handlers.handle(self.live, self.line, event, body)

    async def act(self, event: str, **body: Any) -> dict[str, Any]:
        """A mutation with a fresh operation id."""
        return await self.emit(event, op=new_op(), **body)

    async def join(self, *, resume: bool = False, takeover: bool = False, op: str | None = None) -> dict[str, Any]:
        """A fresh socket and `join` on it."""
        self.connect()
        body: dict[str, Any] = {"v": 1, "op": op or new_op(), "locale": "zh", "takeover": takeover}
        if resume and self.epoch:
            body["resume"] = {"epoch": self.epoch, "seq": self.seq}
        ack = await self.emit("join", **body)
        if ack["ok"]:
            self.absorb(ack)
        return ack

    def absorb(self, ack: dict[str, Any]) -> None:
        if "snapshot" in ack:
            self._take(ack["snapshot"])
        for event in ack.get("replay", []):
            self._apply(event)

    def lose(self) -> None:
        """The network is gone: the server notices."""
        line, self.line = self.line, None
        if line is not None:
            line.alive = False
            joining.disconnected(self.live, line)

    def vanish(self) -> None:
        """The network is gone and the server has not noticed yet."""
        if self.line is not None:
            self.line.alive = False
        self.line = None

    def reload(self) -> None:
        """Everything the page knew is gone."""
        self.lose()
        self.epoch, self.seq, self.snapshot = "", 0, None

    def hear(self, line: FakeLine, event: str, body: dict[str, Any]) -> None:
        assert line is self.line, "told over a connection that was replaced"
        told.validate(event, body)
        if event == "room":
            self._apply(body)
            return
        self.direct.append(body)
        if body["type"] == "admitted":
            self._take(body["snapshot"])

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.direct if event["type"] == kind]

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.room_events if event["type"] == kind]

    def _take(self, snapshot: dict[str, Any]) -> None:
        self.snapshot, self.epoch, self.seq = snapshot, snapshot["epoch"], snapshot["seq"]
        self.seats = {seat["id"]: seat for seat in snapshot["seats"]}
        self.recording = snapshot["recording"]
        self.privacy = snapshot.get("privacy", {})
        self.panel = snapshot.get("panel", {})

    def _apply(self, event: dict[str, Any]) -> None:
        assert event["epoch"] == self.epoch, "an event of another epoch without a snapshot"
        assert event["seq"] == self.seq + 1, f"a hole or a repeat: {event['seq']} after {self.seq}"
        self.seq = event["seq"]
        self.room_events.append(event)
        if event["type"] == "seat":
            self.seats[event["seat"]["id"]] = event["seat"]
        elif event["type"] == "recording":
            self.recording = event["recording"]
        elif event["type"] == "privacy":
            self.privacy = event["privacy"]
        elif event["type"] == "panel":
            self.panel = event["panel"]


def new_op() -> str:
    return f"operation-{next(_numbers):08d}"
