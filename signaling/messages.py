"""What a page may say: one strict, bounded model per event, version 1. `parse` is the only way in.

Unknown fields, wrong types, over-long strings, control characters and unknown events raise `Malformed`; nothing is
coerced. The TypeScript types are made from these models (`signaling.schema`).
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from signaling import panel_messages
from signaling.errors import Malformed, UnknownEvent
from signaling.message import Message, Mutation, OpId, SeatId, plain_text, said_text

__all__ = ["EVENTS", "Message", "Mutation", "parse"]
VERSION = 1
MAX_FRAME = 65_536  # bytes of one socket message; an offer may be larger
MAX_OFFER_FRAME = 196_608
MAX_SDP = 180_000  # characters; an offer for eight people from Chromium has about 80,000


Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,64}$")]
Mid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
SourceName = Literal["mic", "camera", "screen"]
Locale = Literal["zh", "en"]
PurposeName = Literal[
    "treat",
    "share_panel",
    "rec_av",
    "intimate",
    "teach",
    "observe",
    "research",
    "ai_transcribe",
    "ai_assist",
    "biometric",
    "xborder",
]
RemovalCode = Literal["not_invited", "disturbing", "asked_to_leave", "no_longer_needed", "withdrew_consent"]
TerminationCode = Literal["condition_changed", "needs_examination", "first_visit", "emergency", "unsuitable_other"]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(said_text)]
ShortText = Annotated[str, StringConstraints(max_length=200), AfterValidator(plain_text)]
Name = Annotated[str, StringConstraints(max_length=40), AfterValidator(said_text)]


class ResumePoint(Message):
    epoch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    seq: Annotated[int, Field(ge=0, le=2**53 - 1)]


class Join(Mutation):
    v: Literal[1]
    resume: ResumePoint | None = None
    takeover: bool = False
    locale: Locale = "zh"


class Leave(Mutation):
    pass


class Admit(Mutation):
    seat: SeatId


class Remove(Mutation):
    seat: SeatId
    reason: RemovalCode = "asked_to_leave"


class End(Mutation):
    pass


class Terminate(Mutation):
    reason_code: TerminationCode
    advice: Annotated[str, StringConstraints(max_length=2000), AfterValidator(plain_text)] = ""


class MediaOffer(Message):
    sdp: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SDP)]
    sources: Annotated[dict[Mid, SourceName], Field(max_length=16)]


class ShownVideo(Message):
    """What the page shows of one video: CSS pixels times the device's ratio; 0 x 0 = not shown."""

    seat: SeatId
    source: SourceName
    width: Annotated[int, Field(ge=0, le=16_384)]
    height: Annotated[int, Field(ge=0, le=16_384)]


class MediaView(Message):
    demands: Annotated[list[ShownVideo], Field(max_length=64)]


class MediaMute(Message):
    source: SourceName
    muted: bool


class Ready(Mutation):
    ready: bool


class Hand(Message):
    raised: bool


class Chat(Mutation):
    text: Text


class RecordingStart(Mutation):
    pass


class RecordingStop(Mutation):
    reason: Code = "stopped"


class ConsentWithdraw(Mutation):
    purposes: Annotated[list[PurposeName], Field(min_length=1, max_length=11)]
    reason: ShortText | None = None


class ConsentSpoken(Mutation):
    """The doctor asks a person to say aloud that they agree: where it begins, where it ends, or that it is dropped."""

    seat: SeatId
    phase: Literal["begin", "end", "cancel"]


class GuestInvite(Mutation):
    role: Literal["family", "interpreter", "guardian", "observer"]
    display_name: Name
    relation: Annotated[str, StringConstraints(max_length=40), AfterValidator(plain_text)]


class PrivacyPause(Mutation):
    pass


class PrivacyResume(Mutation):
    pass


class ExamRequest(Mutation):
    pass


class ExamAnswer(Mutation):
    agrees: bool


class ExamEnd(Mutation):
    pass


class PersonDeclare(Mutation):
    display_name: Name
    kind: Literal["doctor", "nurse", "student", "technician", "family", "other"]
    on_camera: bool = False
    agrees: bool | None = None  # to being recorded, as they said it; None = not asked yet


class PersonAnswer(Mutation):
    seat: SeatId
    agrees: bool


class PersonGone(Mutation):
    seat: SeatId


class RoomAttest(Mutation):
    seats: Annotated[list[SeatId], Field(max_length=64)]


RowId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]


class TableMeasurement(Message):
    """imaging/measurement.py; points in pixels of the picture."""

    id: RowId
    by: RowId
    instance: RowId
    frame: Annotated[int, Field(ge=0, le=100_000)]
    shape: Literal["point", "length", "angle", "rectangle", "ellipse", "arrow"]
    points: Annotated[list[Annotated[list[Pixels], Field(max_length=2)]], Field(max_length=3)]
    label: ShortText = ""


class TableAct(Message):
    """One operation of the shared view (imaging/viewer.py): its kind, and what belongs to the kind.

    Many a second: the table itself knows an operation that comes again, the memory of outcomes is not filled with them.
    """

    op: OpId
    kind: Literal["show", "scroll", "window", "place", "lead", "follow", "put", "take"]
    series: RowId | None = None
    at: int | None = None
    centre: Pixels | None = None
    width: Pixels | None = None
    zoom: Pixels | None = None
    x: Pixels | None = None
    y: Pixels | None = None
    to: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] | None = None
    on: bool | None = None
    id: RowId | None = None
    measurement: TableMeasurement | None = None


class TableSince(Message):
    """What the page has of the shared view; "" and 0 when nothing."""

    epoch: Annotated[str, StringConstraints(max_length=64)]
    version: Annotated[int, Field(ge=0, le=2**53 - 1)]


class TablePoint(Message):
    """Where the hand is. `count`: the page's own, so that an older one is known."""

    instance: RowId
    frame: Annotated[int, Field(ge=0, le=100_000)]
    x: Pixels
    y: Pixels
    count: Annotated[int, Field(ge=0, le=2**53 - 1)]


_Count = Annotated[int, Field(ge=0, le=10_000_000)]


class Stats(Message):
    """Quality as the page sees it since its last report."""

    freezes: _Count
    concealed_ms: _Count
    rtt_ms: _Count
    kbps_in: _Count
    kbps_out: _Count
    fps: Annotated[int, Field(ge=0, le=1000)]
    width: Annotated[int, Field(ge=0, le=16_384)]


EVENTS: dict[str, type[Message]] = {
    "join": Join,
    "leave": Leave,
    "admit": Admit,
    "remove": Remove,
    "end": End,
    "terminate": Terminate,
    "media.offer": MediaOffer,
    "media.view": MediaView,
    "media.mute": MediaMute,
    "hand": Hand,
    "ready": Ready,
    "chat": Chat,
    "recording.start": RecordingStart,
    "recording.stop": RecordingStop,
    "consent.withdraw": ConsentWithdraw,
    "consent.spoken": ConsentSpoken,
    "guest.invite": GuestInvite,
    "privacy.pause": PrivacyPause,
    "privacy.resume": PrivacyResume,
    "exam.request": ExamRequest,
    "exam.answer": ExamAnswer,
    "exam.end": ExamEnd,
    "person.declare": PersonDeclare,
    "person.answer": PersonAnswer,
    "person.gone": PersonGone,
    "room.attest": RoomAttest,
    "table.act": TableAct,
    "table.since": TableSince,
    "table.point": TablePoint,
    "panel.open": panel_messages.PanelOpen,
    "panel.order": panel_messages.PanelOrder,
    "panel.word": panel_messages.PanelWord,
    "panel.next": panel_messages.PanelNext,
    "panel.spotlight": panel_messages.PanelSpotlight,
    "panel.chair": panel_messages.PanelChair,
    "panel.take": panel_messages.PanelTake,
    "panel.ask": panel_messages.PanelAsk,
    "side.start": panel_messages.SideStart,
    "side.enter": panel_messages.SideEnter,
    "side.leave": panel_messages.SideLeave,
    "side.listen": panel_messages.SideListen,
    "side.end": panel_messages.SideEnd,
    "stats": Stats,
}


def parse(event: object, body: object) -> tuple[str, Message]:
    """The typed message. Raises UnknownEvent or Malformed (its `field` names the first bad field, never its value)."""
    if not isinstance(event, str) or event not in EVENTS:
        raise UnknownEvent()
    if not isinstance(body, dict):
        raise Malformed("body")
    version = body.get("v", VERSION)
    if event == "join" and (type(version) is not int or version != VERSION):
        raise Malformed("v")
    try:
        return event, EVENTS[event].model_validate(body)
    except ValidationError as error:
        raise Malformed(_place(error)) from None


def _place(error: ValidationError) -> str:
    """Which field was bad. Names from our models only: keys a client made up are not echoed."""
    first: dict[str, Any] = dict(error.errors(include_url=False, include_context=False, include_input=False)[0])
    if first["type"] == "extra_forbidden":
        return "unknown_field"
    return str(first["loc"][0]) if first["loc"] else "body"
