"""What pages are told: typed views of a LiveRoom. `plain` makes the JSON; fields at their default are left out."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from clinic.consult import ChatMessage, Consult, SeatState
from clinic.roles import Action, permits
from consent.companions import Companion, barring, helping
from consent.records import Purpose
from consent.standing import Standing, required_purposes, standing
from recording.records import RecordingState
from rtc.negotiation import Source
from signaling.room import LiveRoom

LIVE_ACTIONS = (
    Action.CHAT,
    Action.SHARE_SCREEN,
    Action.INVITE_GUEST,
    Action.ADMIT,
    Action.REMOVE,
    Action.END,
    Action.TERMINATE,
    Action.SEE_CHART,
    Action.WITHDRAW_CONSENT,
    Action.START_RECORDING,
    Action.STOP_RECORDING,
    Action.WITNESS_CONSENT,
)
SourceName = Literal["mic", "camera", "screen"]
StandingName = Literal["permitted", "refused", "withdrawn", "undecided"]
LevelName = Literal["good", "fair", "poor", "lost"]


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class StandingView(View):
    treat: StandingName | None = None
    share_panel: StandingName | None = None
    rec_av: StandingName | None = None


class HelperView(View):
    """Who helps at the same device; `permits_recording` null = neither seen nor heard, so not asked."""

    name: str
    relation: str
    in_call: bool
    permits_recording: bool | None


class SeatView(View):
    id: str
    role: str
    display_name: str
    institution: str
    state: Literal["expected", "waiting", "admitted", "left", "removed"]
    online: bool
    publishing: list[SourceName]
    muted: list[SourceName]
    hand: bool
    consent: StandingView
    recorded: bool
    helper: HelperView | None = None
    quality: LevelName | None = None
    waiting_since: AwareDatetime | None = None


class RecordingView(View):
    id: str
    state: Literal["requested", "active", "paused", "finalizing", "sealed", "failed"]
    waiting_for: list[str]
    reason: str | None = None
    started_at: AwareDatetime | None = None
    asking: str | None = Field(None, description="seat whose spoken agreement is being asked for")
    spoken: list[str] = Field(default_factory=list, description="seats whose spoken agreement is marked in it")


class ConsultView(View):
    id: str
    kind: str
    status: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime


class MeView(View):
    seat: str
    role: str
    may: list[str]
    publish: list[SourceName]


class ChatView(View):
    id: str
    seat: str
    text: str
    sent_at: AwareDatetime


class QueueView(View):
    position: int = Field(description="1 = next")
    ahead: int
    estimate_minutes: int


class SnapshotView(View):
    epoch: str
    seq: int
    consult: ConsultView
    me: MeView
    seats: list[SeatView]
    recording: RecordingView | None
    chat: list[ChatView]
    speaker: str | None
    server_time: AwareDatetime
    queue: QueueView | None = None


def plain(view: View) -> dict[str, Any]:
    """JSON values; optional fields that are not set are left out, nullable ones stay."""
    return view.model_dump(mode="json", exclude_defaults=True)


def publishable(room: LiveRoom, seat_id: str) -> frozenset[Source]:
    """What the seat's role may send."""
    role = room.seats[seat_id].role
    sources = {Source.MICROPHONE, Source.CAMERA} if permits(role, Action.JOIN_MEDIA) else set[Source]()
    return frozenset(sources | {Source.SCREEN} if sources and permits(role, Action.SHARE_SCREEN) else sources)


def standing_of(room: LiveRoom, seat_id: str, purpose: Purpose) -> Standing:
    return standing(room.records, seat_id, purpose)


def standing_view(room: LiveRoom, seat_id: str) -> StandingView:
    """Each purpose this seat is asked about, and recording for everybody."""
    role = room.seats[seat_id].role
    asked = {*required_purposes(room.consult.kind, role), Purpose.REC_AV}
    return StandingView.model_validate({str(p): str(standing_of(room, seat_id, p)) for p in Purpose if p in asked})


def seat_view(room: LiveRoom, seat_id: str) -> SeatView:
    seat, person = room.seats[seat_id], room.person(seat_id)
    attendance = room.presence.get(seat_id)
    permitted = standing_of(room, seat_id, Purpose.REC_AV) is Standing.PERMITTED
    active = room.recording is not None and room.recording.state is RecordingState.ACTIVE
    return SeatView(
        id=seat.id,
        role=str(seat.role),
        display_name=seat.display_name,
        institution=room.institutions.get(seat.home_institution_id, ""),
        state=seat.state.value,
        online=attendance is not None and attendance.line_id is not None,
        publishing=_names(person.publishing),
        muted=_names(person.muted),
        hand=person.hand,
        consent=standing_view(room, seat_id),
        recorded=active and permitted and seat_id in room.in_call,
        helper=helper_view(helping(room.companions, seat_id)),
        quality=person.quality.value if person.quality is not None else None,
        waiting_since=seat.waiting_since if seat.state is SeatState.WAITING else None,
    )


def helper_view(row: Companion | None) -> HelperView | None:
    if row is None:
        return None
    return HelperView(
        name=row.name, relation=row.relation, in_call=row.in_call, permits_recording=row.permits_recording
    )


def device_view(room: LiveRoom, participant_id: str) -> SeatView:
    """A device's stream shown as a seat of its own; consent and recording are its owner's."""
    device, person = room.devices[participant_id], room.person(participant_id)
    owner = seat_view(room, device.seat_id)
    return SeatView(
        id=participant_id,
        role="device",
        display_name=device.label,
        institution=owner.institution,
        state="admitted",
        online=True,
        publishing=_names(person.publishing),
        muted=[],
        hand=False,
        consent=owner.consent,
        recorded=False,  # docs/decisions/0007
        quality=person.quality.value if person.quality is not None else None,
    )


def all_seats(room: LiveRoom) -> list[SeatView]:
    return [seat_view(room, seat_id) for seat_id in room.seats] + [device_view(room, each) for each in room.devices]


def recording_view(room: LiveRoom) -> RecordingView | None:
    """None before the first request; "active" is said only of a recording with bytes on disk."""
    recording = room.recording
    if recording is None:
        return None
    undecided = {s for s in room.in_call if standing_of(room, s, Purpose.REC_AV) is not Standing.PERMITTED}
    missing = sorted(undecided | set(barring(room.companions, room.in_call)))
    return RecordingView(
        id=recording.id,
        state=recording.state.value,
        waiting_for=[] if recording.over or recording.state is RecordingState.FINALIZING else missing,
        reason=room.recording_reason or recording.stop_reason,
        started_at=recording.started_at,
        asking=room.asking.seat_id if room.asking and room.asking.recording_id == recording.id else None,
        spoken=sorted(seat for each, seat in room.spoken if each == recording.id),
    )


def consult_view(consult: Consult) -> ConsultView:
    return ConsultView(
        id=consult.id,
        kind=str(consult.kind),
        status=str(consult.status),
        starts_at=consult.starts_at,
        ends_at=consult.ends_at,
    )


def chat_view(message: ChatMessage) -> ChatView:
    return ChatView(id=message.id, seat=message.seat_id, text=message.text, sent_at=message.sent_at)


def me_view(room: LiveRoom, seat_id: str) -> MeView:
    role = room.seats[seat_id].role
    return MeView(
        seat=seat_id,
        role=str(role),
        may=[action.value for action in LIVE_ACTIONS if permits(role, action)],
        publish=_names(publishable(room, seat_id)),
    )


def snapshot(room: LiveRoom, seat_id: str, now: datetime) -> SnapshotView:
    """All there is to know for this seat; somebody waiting sees only their own seat and the queue."""
    admitted = room.seats[seat_id].state is SeatState.ADMITTED
    return SnapshotView(
        epoch=room.log.epoch,
        seq=room.log.seq,
        consult=consult_view(room.consult),
        me=me_view(room, seat_id),
        seats=all_seats(room) if admitted else [seat_view(room, seat_id)],
        recording=recording_view(room) if admitted else None,
        chat=[chat_view(message) for message in room.chat] if admitted else [],
        speaker=room.speaker if admitted else None,
        server_time=now,
        queue=None if admitted else room.person(seat_id).queue,
    )


def _names(sources: frozenset[Source] | set[Source]) -> list[SourceName]:
    return [source.value for source in Source if source in sources]
