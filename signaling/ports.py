"""What the live use cases need from outside, each as small as its use. The real ones are wired in huizhen."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from audit.transaction import Database
from clinic.actor import Actor
from clinic.consult import Seat
from clinic.people import Role
from consent.gate import Effect
from recording.records import Recording
from rtc.negotiation import Answer, Offer, Source
from rtc.participant import Grants
from rtc.room import RoomListener
from rtc.sink import Tap
from rtc.viewer import Demand

Clock = Callable[[], datetime]
LiveDatabase = Database[Any]
"""Its transactions satisfy archive.ports.ArchiveTransaction; `Any`, as Protocols with attributes are invariant."""


class MediaParticipant(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def grants(self) -> Grants: ...
    def set_grants(self, grants: Grants) -> None: ...
    def set_paused(self, source: Source, paused: bool) -> None: ...
    def view(self, demands: Sequence[Demand]) -> None: ...


class MediaRoom(Protocol):
    @property
    def participants(self) -> Mapping[str, MediaParticipant]: ...
    def join(self, participant_id: str, grants: Grants) -> MediaParticipant: ...
    def leave(self, participant_id: str, reason: str) -> None: ...
    def attach(self, tap: Tap) -> None: ...
    def detach(self, tap: Tap) -> None: ...
    def refresh_taps(self) -> None: ...
    def spotlight(self, participant_id: str | None) -> None: ...
    def close(self, reason: str) -> None: ...


class MediaRooms(Protocol):
    """rtc.server.MediaServer, as far as it concerns us. A room's id is its consult's id."""

    def open_room(self, room_id: str, listener: RoomListener) -> MediaRoom: ...
    def room(self, room_id: str) -> MediaRoom | None: ...
    async def negotiate(self, participant: Any, offer: Offer) -> Answer: ...


class Recorder(Protocol):
    """recording.recorder.Recorder."""

    async def start(self, consult_id: str, requested_by_seat: str) -> Recording: ...
    def state(self, consult_id: str) -> Recording | None: ...
    def people_changed(self, consult_id: str) -> Coroutine[Any, Any, None]: ...
    def withdraw(self, consult_id: str, seat_id: str, effect: Effect) -> Coroutine[Any, Any, None]: ...
    def stop(self, consult_id: str, reason: str) -> Coroutine[Any, Any, None]: ...
    def bar(self, consult_id: str, act: str, reason: str) -> None: ...
    def unbar(self, consult_id: str, act: str) -> None: ...
    def set_aside(self, consult_id: str, seats: Mapping[str, datetime]) -> None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a ticket let in: one seat of one consult, from one device (a stable pseudonym of the browser)."""

    seat_id: str
    consult_id: str
    institution_id: str
    role: Role
    device_id: str


class Line(Protocol):
    """One authenticated connection. Neither call blocks; after `close` nothing is sent any more."""

    @property
    def id(self) -> str: ...
    @property
    def alive(self) -> bool: ...
    @property
    def caller(self) -> Caller: ...
    def send(self, event: str, body: Mapping[str, Any]) -> None: ...
    def close(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class InviteLink:
    """A fresh patient-page link, told once to the person who invited."""

    url: str
    qr_svg: str
    expires_at: datetime
    code: str | None = None


LinkIssuer = Callable[[Any, Seat, Actor], Awaitable[InviteLink]]
"""Called inside the transaction (a ClinicTransaction) that made the seat; writes the link's row and its event there."""

OverHook = Callable[[Any, str], Awaitable[object]]
"""Called inside the transaction (an ArchiveTransaction) that ends a consult for good, with the consult's id."""


class Counters(Protocol):
    """Where numbers go; names are listed in the operations docs."""

    def count(self, name: str, label: str = "") -> None: ...
    def gauge(self, name: str, value: float) -> None: ...


class NoCounters:
    def count(self, name: str, label: str = "") -> None:
        """Nobody counts."""

    def gauge(self, name: str, value: float) -> None:
        """Nobody measures."""
