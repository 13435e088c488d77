"""What pages are told: typed views of a LiveRoom. `plain` makes the JSON; fields at their default are left out."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from clinic.consult import ChatMessage, Consult, SeatState
from clinic.people import Role
from clinic.roles import Action, permits
from clinic.telling import WaitingMessage
from consent import gate, interludes
from consent.companions import Companion, barring, helping
from consent.errors import ConsentMissing
from consent.records import Purpose
from consent.standing import Standing, required_purposes, standing
from recording.records import RecordingState
from rtc.negotiation import Source
from signaling import panel_state
from signaling.panel_views import PanelView, QuorumView, SideView, panel_view
from signaling.room import LiveRoom
from signaling.view import View, plain

__all__ = ["PanelView", "QuorumView", "SideView", "View", "panel_view", "plain"]
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
    Action.INVITE_OBSERVER,
    Action.PRIVACY_PAUSE,
    Action.PRIVACY_RESUME,
    Action.REQUEST_EXAM,
    Action.ANSWER_EXAM,
    Action.END_EXAM,
    Action.DECLARE_PERSON,
    Action.ATTEST_ROOM,
    Action.WITNESS_CONSENT,
    Action.PRESIDE,
    Action.TAKE_CHAIR,
    Action.SIDE_ROOM,
)
SourceName = Literal["mic", "camera", "screen"]
StandingName = Literal["permitted", "refused", "withdrawn", "undecided"]
LevelName = Literal["good", "fair", "poor", "lost"]


class StandingView(View):
    treat: StandingName | None = None
    share_panel: StandingName | None = None
    rec_av: StandingName | None = None
    intimate: StandingName | None = None
    teach: StandingName | None = None
    observe: StandingName | None = None
    research: StandingName | None = None
    ai_transcribe: StandingName | None = None
    ai_assist: StandingName | None = None
    biometric: StandingName | None = None
    xborder: StandingName | None = None


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
    ready: bool = False
    declared_by: str | None = None
    kind: str | None = None
    held: list[str] = Field(default=[], description="consents without which this person cannot be let in yet")


class PauseView(View):
    seat: str
    role: str
    since: AwareDatetime


class ExamView(View):
    state: Literal["asked", "on", "closing"]
    seat: str
    since: AwareDatetime


class PrivacyView(View):
    pauses: list[PauseView] = Field(default_factory=list)
    exam: ExamView | None = None
    exam_declined: bool = False
    ready: bool = False


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
    low_minutes: int = 0
    high_minutes: int = 0
    late_minutes: int = 0
    near: bool = False
    doctor_here: bool = False


class WordsView(View):
    id: str
    text: str
    said_at: AwareDatetime


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
    refused: list[str] = Field(default=[], description="what speaks against the consult while this person waits")
    privacy: PrivacyView | None = None
    words: list[WordsView] = Field(default_factory=list)
    panel: PanelView | None = None


def publishable(room: LiveRoom, seat_id: str) -> frozenset[Source]:
    """What the seat's role may send."""
    role = room.seats[seat_id].role
    if not permits(role, Action.JOIN_MEDIA) or role is Role.OBSERVER:
        return frozenset()
    sources = frozenset({Source.MICROPHONE, Source.CAMERA})
    return sources | {Source.SCREEN} if permits(role, Action.SHARE_SCREEN) and _may_share(room, seat_id) else sources


def _may_share(room: LiveRoom, seat_id: str) -> bool:
    try:
        gate.require_share(room.records, room.consult, room.seats[seat_id], now=room.reckoned_at)
    except ConsentMissing:
        return False
    return True


def standing_of(room: LiveRoom, seat_id: str, purpose: Purpose) -> Standing:
    return standing(room.ledger, seat_id, purpose)


def standing_view(room: LiveRoom, seat_id: str) -> StandingView:
    """Each purpose this seat is asked about, recording for everybody, and whatever else they decided."""
    role = room.seats[seat_id].role
    asked = {*required_purposes(room.consult.kind, role), Purpose.REC_AV}
    asked |= {each for each in Purpose if standing_of(room, seat_id, each) is not Standing.UNDECIDED}
    return StandingView.model_validate({str(p): str(standing_of(room, seat_id, p)) for p in Purpose if p in asked})


def seat_view(room: LiveRoom, seat_id: str) -> SeatView:
    seat, person = room.seats[seat_id], room.person(seat_id)
    attendance = room.presence.get(seat_id)
    permitted = standing_of(room, seat_id, Purpose.REC_AV) is Standing.PERMITTED
    active = room.recording is not None and room.recording.state is RecordingState.ACTIVE
    declared = seat.role is Role.DECLARED
    return SeatView(
        id=seat.id,
        role=str(seat.role),
        display_name=seat.display_name,
        institution=room.institutions.get(seat.home_institution_id, ""),
        state=seat.state.value,
        online=(attendance is not None and attendance.line_id is not None) or (declared and seat_id in room.present),
        publishing=_names(person.publishing),
        muted=_names(person.muted),
        hand=person.hand,
        consent=standing_view(room, seat_id),
        recorded=active and permitted and seat_id in room.in_call and seat_id not in panel_state.aside(room),
        helper=helper_view(helping(room.companions, seat_id)),
        quality=person.quality.value if person.quality is not None else None,
        waiting_since=seat.waiting_since if seat.state is SeatState.WAITING else None,
        declared_by=seat.created_by if declared else None,
        kind=seat.relation if declared else None,
        ready=person.ready and seat.state is SeatState.WAITING,
        held=_held(room, seat_id),
    )


def _held(room: LiveRoom, seat_id: str) -> list[str]:
    """What the door says of somebody who is not in yet: an observer the patient did not allow, a house not named."""
    seat = room.seats[seat_id]
    if seat.state not in (SeatState.EXPECTED, SeatState.WAITING, SeatState.LEFT):
        return []
    try:
        gate.require(room.records, room.consult, seat, room.basis, now=room.reckoned_at)
    except ConsentMissing as refusal:
        return [str(purpose) for purpose in refusal.purposes]
    return []


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
    undecided = {s for s in room.present if standing_of(room, s, Purpose.REC_AV) is not Standing.PERMITTED}
    missing = sorted(undecided | set(barring(room.companions, room.present)))
    return RecordingView(
        id=recording.id,
        state=recording.state.value,
        waiting_for=[] if recording.over or recording.state is RecordingState.FINALIZING else missing,
        reason=room.recording_reason or recording.stop_reason,
        started_at=recording.started_at,
        asking=room.asking.seat_id if room.asking and room.asking.recording_id == recording.id else None,
        spoken=sorted(seat for each, seat in room.spoken if each == recording.id),
    )


def privacy_view(room: LiveRoom) -> PrivacyView:
    """Pauses in force (committed or being committed) and the exam view, asked for or on."""
    held = [(each.seat_id, each.since) for each in interludes.pauses(room.records)]
    asked = [(each.seat_id, each.at) for each in room.asked_pauses.values()]
    pauses = dict((*asked, *held))
    return PrivacyView(
        pauses=[PauseView(seat=s, role=str(room.seats[s].role), since=since) for s, since in sorted(pauses.items())],
        exam=_exam_view(room),
        exam_declined=interludes.exam_declined(room.records),
    )


def _exam_view(room: LiveRoom) -> ExamView | None:
    open_exam = interludes.exam(room.records)
    if open_exam is not None:
        state: Literal["on", "closing"] = "closing" if room.exam_closing else "on"
        return ExamView(state=state, seat=open_exam.seat_id, since=open_exam.since)
    if room.exam_asked is not None:
        return ExamView(state="asked", seat=room.exam_asked.seat_id, since=room.exam_asked.at)
    return None


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


def words_view(message: WaitingMessage) -> WordsView:
    return WordsView(id=message.id, text=message.text, said_at=message.said_at)


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
        refused=list(room.refused),
        privacy=privacy_view(room) if admitted else None,
        panel=panel_view(room, now) if admitted else None,
        words=[] if admitted else [words_view(message) for message in room.words],
    )


def _names(sources: frozenset[Source] | set[Source]) -> list[SourceName]:
    return [source.value for source in Source if source in sources]
