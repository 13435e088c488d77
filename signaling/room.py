"""One consult's live state in this process: who is connected, what everybody was told, cached rows for the views.

The database is the truth; `consult`, `seats`, `records` are copies refreshed after each commit. Only `tell` numbers
events, only `sync` announces seats, and both reach exactly the seats in `listening` (admitted, snapshot delivered).
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clinic.actor import Actor
from clinic.consult import ChatMessage, Consult, ConsultStatus, Seat, SeatState
from clinic.people import Role
from consent import validity
from consent.companions import Companion
from consent.records import ConsentRecord
from imaging.pointers import Pointers
from imaging.table import Table
from recording.records import Recording
from rtc.negotiation import Source
from rtc.quality import Level
from signaling.errors import NotJoined
from signaling.panel_state import PanelState
from signaling.ports import Line
from signaling.presence import Presence
from signaling.room_log import RoomEvent, RoomLog

if TYPE_CHECKING:
    from clinic.telling import WaitingMessage
    from signaling.listening import GatedTap
    from signaling.views import PrivacyView, QueueView, RecordingView, SeatView

CHAT_KEPT = 200  # messages in a snapshot


@dataclass(slots=True)
class Person:
    """Live facts of one participant (a seat or a device) that no row holds."""

    publishing: set[Source] = field(default_factory=set)
    muted: set[Source] = field(default_factory=set)
    hand: bool = False
    hand_at: datetime | None = None  # when it was raised: hands are taken in this order
    ready: bool = False  # in the waiting room: knocked, and there
    knocked: bool = False
    quality: Level | None = None
    quality_noted: Level | None = None  # last level on the trail
    quality_noted_at: datetime | None = None
    stats: Mapping[str, int] | None = None
    stats_at: datetime | None = None
    video_limited: bool = False
    slots: list[dict[str, Any]] | None = None  # told again after a resume
    pool: dict[str, int] | None = None
    queue: "QueueView | None" = None
    visible_from: int | None = None  # room events are replayed only from here on


@dataclass(frozen=True, slots=True)
class SpokenAsk:
    """The doctor is asking this person to say aloud that they agree."""

    seat_id: str
    asked_by: str  # seat id
    recording_id: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """A stream of a device (WHIP in, WHEP out) on behalf of one seat."""

    participant_id: str  # "<seat>.<8 hex>"
    seat_id: str
    kind: str  # "whip" | "whep"
    label: str
    resource: str  # unguessable part of its URL


def owner_of(participant_id: str) -> str:
    """The seat a media participant belongs to: itself, or the seat that let the device in."""
    return participant_id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """Something one seat asked for, before any row says so."""

    seat_id: str
    role: str
    at: datetime


@dataclass(slots=True)
class LiveRoom:
    """Mutated only on the event loop; steps that must not interleave hold `lock`."""

    consult: Consult
    seats: dict[str, Seat]
    institutions: dict[str, str]
    log: RoomLog
    chat: deque[ChatMessage]
    reckoned_at: datetime  # the moment the ledger was last read at
    heeded_at: datetime  # every yes that ran out until then has been acted upon
    records: Sequence[ConsentRecord] = ()  # the ledger, whole
    ledger: Sequence[ConsentRecord] = ()  # what of it holds at `reckoned_at`
    basis: str = "consent"  # the institution's, for recording
    lapse_at: datetime | None = None  # when the next yes runs out
    recording: Recording | None = None
    recording_reason: str | None = None
    speaker: str | None = None
    ended: bool = False
    presence: Presence = field(default_factory=Presence)
    lines: dict[str, Line] = field(default_factory=dict)
    listening: set[str] = field(default_factory=set)  # seats that get room events
    in_call: set[str] = field(default_factory=set)  # seats that hold media or are about to: who the recorder must ask
    devices: dict[str, Device] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    companions: Sequence[Companion] = ()
    asking: "SpokenAsk | None" = None  # whose spoken agreement is being asked for
    spoken: set[tuple[str, str]] = field(default_factory=set)  # (recording, seat) with a mark
    told: "dict[str, SeatView]" = field(default_factory=dict)  # each seat as last announced
    told_status: ConsultStatus | None = None
    told_recording: "RecordingView | None" = None
    refused: tuple[str, ...] = ()  # what speaks against the consult now, as the waiting and the doctor were told
    asked_pauses: dict[str, Asked] = field(default_factory=dict)  # privacy pauses in force, not committed yet
    exam_asked: Asked | None = None  # the patient has not answered yet
    exam_closing: bool = False  # the doctor is done; the patient has not said that they are covered
    veils: set[str] = field(default_factory=set)  # exam views being prepared
    ears: "list[GatedTap]" = field(default_factory=list)  # transcribers
    told_privacy: "PrivacyView | None" = None
    words: "list[WaitingMessage]" = field(default_factory=list)  # what the waiting were told last
    barred: set[str] = field(default_factory=set)  # put out while the commit is being retried; devices for good
    panel: PanelState = field(default_factory=PanelState)
    images: Table = field(default_factory=Table)
    pointers: Pointers = field(default_factory=Pointers)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def keep(self, records: Sequence[ConsentRecord], now: datetime) -> None:
        """The ledger as just read."""
        self.records, self.reckoned_at = records, now
        self.ledger = validity.in_force(records, now)
        self.lapse_at = validity.next_lapse(records, self.heeded_at)

    def person(self, participant_id: str) -> Person:
        return self.people.setdefault(participant_id, Person())

    def line_of(self, seat_id: str) -> Line | None:
        attendance = self.presence.get(seat_id)
        return self.lines.get(attendance.line_id) if attendance is not None and attendance.line_id is not None else None

    def actor(self, seat_id: str) -> Actor:
        return Actor.seated(self.seats[seat_id])

    def tell(self, kind: str, **body: Any) -> RoomEvent:
        """A numbered event for everybody who is in the consult."""
        event = self.log.append(kind, body)
        for seat_id in sorted(self.listening):
            line = self.line_of(seat_id)
            if line is not None:
                line.send("room", event)
        return event

    def whisper(self, seat_id: str, kind: str, **body: Any) -> None:
        """For one seat's connection only; lost when there is none."""
        line = self.line_of(seat_id)
        if line is not None:
            line.send("direct", {**body, "type": kind})

    def whisper_all(self, kind: str, **body: Any) -> None:
        """Fleeting news (speaker, quality): to everybody listening, neither numbered nor replayed."""
        for seat_id in sorted(self.listening):
            self.whisper(seat_id, kind, **body)

    def require_joined(self, line: Line) -> Seat:
        """The seat this connection holds now. Raises NotJoined."""
        attendance = self.presence.get(line.caller.seat_id)
        if attendance is None or attendance.line_id != line.id:
            raise NotJoined
        return self.seats[line.caller.seat_id]

    def hang_up(self, seat_id: str, reason: str) -> None:
        """Forget the seat's connection and close it."""
        line_id = self.presence.forget(seat_id)
        self.listening.discard(seat_id)
        line = self.lines.pop(line_id, None) if line_id is not None else None
        if line is not None:
            line.close(reason)

    @property
    def present(self) -> tuple[str, ...]:
        """Every human there: who holds media or is about to, and whom they declared at their side."""
        sides = [seat.id for seat in self.seats.values() if self._at_a_side(seat)]
        return tuple(sorted(self.in_call.union(sides)))

    def _at_a_side(self, seat: Seat) -> bool:
        here = seat.role is Role.DECLARED and seat.state is SeatState.ADMITTED
        return here and seat.created_by in self.in_call

    @property
    def waiting(self) -> tuple[str, ...]:
        """Connected seats in the waiting room, longest first."""
        here = [self.seats[a.seat_id] for a in self.presence if a.line_id is not None]
        queue = [seat for seat in here if seat.state is SeatState.WAITING]
        return tuple(s.id for s in sorted(queue, key=lambda s: (s.waiting_since or s.created_at, s.id)))
