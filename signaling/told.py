"""Everything the server says by itself, as types: sequenced `room` events and fleeting `direct` ones.

The TypeScript types are made from here; the test pages check every event they hear against it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from signaling.messages import TableMeasurement
from signaling.views import (
    ChatView,
    LevelName,
    MeView,
    PanelView,
    PrivacyView,
    QueueView,
    RecordingView,
    SeatView,
    SnapshotView,
    SourceName,
    StandingView,
    View,
    WordsView,
)


class Sequenced(View):
    epoch: str
    seq: int


class SeatTold(Sequenced):
    type: Literal["seat"]
    seat: SeatView


class ConsultTold(Sequenced):
    type: Literal["consult"]
    status: str


class RecordingTold(Sequenced):
    type: Literal["recording"]
    recording: RecordingView | None


class ConsentTold(Sequenced):
    type: Literal["consent"]
    seat: str
    standing: StandingView


class PrivacyTold(Sequenced):
    type: Literal["privacy"]
    privacy: PrivacyView


class PanelTold(Sequenced):
    """The room of a panel, whole: chair, order, hands, side-room, quorum."""

    type: Literal["panel"]
    panel: PanelView


class ChatTold(Sequenced):
    type: Literal["chat"]
    message: ChatView


class EndedTold(Sequenced):
    type: Literal["ended"]
    reason: str


class SlotView(View):
    mid: str
    seat: str | None
    source: SourceName | None


class SlotsTold(View):
    type: Literal["slots"]
    slots: list[SlotView]


class PoolTold(View):
    type: Literal["pool"]
    audio: int
    video: int


class SpeakerTold(View):
    type: Literal["speaker"]
    seat: str | None


class QualityTold(View):
    type: Literal["quality"]
    seat: str
    level: LevelName
    reason: str | None = None
    rtt_ms: int | None = None
    loss_up: float | None = None
    loss_down: float | None = None


class QueueTold(QueueView):
    type: Literal["queue"]


class AdmittedTold(View):
    type: Literal["admitted"]
    snapshot: SnapshotView


class ReplacedTold(View):
    type: Literal["replaced"]


class RemovedTold(View):
    type: Literal["removed"]
    reason: str


class VideoLimitedTold(View):
    type: Literal["video_limited"]
    on: bool


class AskedTold(View):
    type: Literal["asked"]
    what: Literal["privacy_resume", "mute"]
    by: str


class MeTold(View):
    """What I may do has changed: the chair came to me, or went."""

    type: Literal["me"]
    me: MeView


class WordsTold(WordsView):
    type: Literal["waiting_words"]


class NoticeTold(View):
    type: Literal["notice"]
    code: str


class AdmissionTold(View):
    """The rules were asked again while people wait (or a small child is seen): what speaks against it now."""

    type: Literal["admission"]
    allowed: bool
    reasons: list[str]


class TableActView(View):
    """imaging/form.py; what does not belong to the kind is left out."""

    kind: Literal["show", "scroll", "window", "place", "lead", "follow", "put", "take"]
    series: str | None = None
    at: int | None = None
    centre: float | None = None
    width: float | None = None
    zoom: float | None = None
    x: float | None = None
    y: float | None = None
    to: str | None = None
    on: bool | None = None
    id: str | None = None
    measurement: TableMeasurement | None = None


class TableTold(View):
    """An operation of the shared view with its number; to whoever may see the images."""

    type: Literal["table"]
    epoch: str
    version: int
    seat: str
    op: str
    act: TableActView


class PointerTold(View):
    """Where somebody's hand is, in their colour; neither numbered nor kept."""

    type: Literal["pointer"]
    seat: str
    colour: str
    instance: str
    frame: int
    x: float
    y: float


RoomTold = Annotated[
    SeatTold | ConsultTold | RecordingTold | ConsentTold | PrivacyTold | PanelTold | ChatTold | EndedTold,
    Field(discriminator="type"),
]
DirectTold = Annotated[
    SlotsTold
    | PoolTold
    | SpeakerTold
    | QualityTold
    | QueueTold
    | AdmittedTold
    | ReplacedTold
    | RemovedTold
    | VideoLimitedTold
    | AskedTold
    | MeTold
    | WordsTold
    | NoticeTold
    | AdmissionTold
    | TableTold
    | PointerTold,
    Field(discriminator="type"),
]
ROOM: TypeAdapter[Any] = TypeAdapter(RoomTold)
DIRECT: TypeAdapter[Any] = TypeAdapter(DirectTold)


def validate(event: str, body: Mapping[str, Any]) -> None:
    """Raises ValidationError when an event is not what the types say (extra fields included)."""
    adapter = ROOM if event == "room" else DIRECT
    parsed = adapter.validate_python(dict(body))
    if unknown := set(body) - set(type(parsed).model_fields):
        raise ValueError(f"{body.get('type')}: {sorted(unknown)} is not in the types")
