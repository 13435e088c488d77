"""What the media plane reports, turned into room and direct events. Called on the event loop; never blocks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from audit.events import EventCode
from clinic.people import Role
from clinic.visit import record_room_event
from rtc.negotiation import Source
from rtc.quality import Level, Quality
from rtc.transport import TransportState
from rtc.viewer import SlotMapping
from signaling import panel_state
from signaling.room import LiveRoom, Person, owner_of

if TYPE_CHECKING:
    from signaling.live import Live


class RoomName(Protocol):
    @property
    def id(self) -> str: ...


class MediaEvents:
    """The RoomListener of every live room (its id is the consult's id)."""

    def __init__(self, live: "Live") -> None:
        self._live = live

    def on_slots(self, room: RoomName, participant_id: str, slots: Sequence[SlotMapping]) -> None:
        live, person = self._find(room, participant_id)
        if live is None or person is None:
            return
        person.slots = [
            {"mid": s.mid, "seat": s.participant_id, "source": s.source.value if s.source is not None else None}
            for s in slots
        ]
        live.whisper(participant_id, "slots", slots=person.slots)

    def on_pool_short(self, room: RoomName, participant_id: str, audio: int, video: int) -> None:
        live, person = self._find(room, participant_id)
        if live is not None and person is not None:
            person.pool = {"audio": audio, "video": video}
            live.whisper(participant_id, "pool", audio=audio, video=video)

    def on_speaker(self, room: RoomName, participant_id: str | None) -> None:
        live = self._live.rooms.get(room.id)
        if live is not None and participant_id in (aside := panel_state.aside(live)):
            for seat_id in sorted(aside.keys() & live.listening):  # who speaks in the side-room is told there only
                live.whisper(seat_id, "speaker", seat=participant_id)
        elif live is not None and live.speaker != participant_id:
            live.speaker = participant_id
            live.whisper_all("speaker", seat=participant_id)

    def on_transport(self, room: RoomName, participant_id: str, state: TransportState) -> None:
        live, person = self._find(room, participant_id)
        self._live.counters.count("signaling_transports", state.value)
        if live is None or person is None or state not in (TransportState.CLOSED, TransportState.FAILED):
            return
        if participant_id in live.devices:
            from signaling import devices

            devices.forget(self._live, live, participant_id, "transport")
        elif person.publishing:
            person.publishing.clear()
            self._live.sync(live)

    def on_producer(self, room: RoomName, participant_id: str, source: Source, live: bool) -> None:
        found, person = self._find(room, participant_id)
        if found is None or person is None:
            return
        (person.publishing.add if live else person.publishing.discard)(source)
        self._live.sync(found)
        code = EventCode.MEDIA_PUBLISHED if live else EventCode.MEDIA_STOPPED
        if source is Source.CAMERA and (seat := found.seats.get(participant_id)) and seat.role is Role.GUARDIAN:
            self._look_again(found)
        self._note(participant_id, code, {"source": source.value, "device": participant_id in found.devices})

    def _look_again(self, room: LiveRoom) -> None:
        """A guardian came into the picture or left it (CN-10, HZ-04): the rules are asked again."""
        from signaling import seen

        self._live.chores.add("recheck", lambda: seen.recheck_room(self._live, room))

    def on_quality(self, room: RoomName, participant_id: str, quality: Quality) -> None:
        live, person = self._find(room, participant_id)
        if live is None or person is None:
            return
        person.quality = quality.level
        body: dict[str, Any] = {"seat": participant_id, "level": quality.level.value}
        if quality.reason:
            body["reason"] = quality.reason
        if quality.rtt_ms is not None:
            body["rtt_ms"] = quality.rtt_ms
        body |= {"loss_up": quality.uplink_loss, "loss_down": quality.downlink_loss}
        live.whisper_all("quality", **body)
        if person.video_limited != quality.video_off:
            person.video_limited = quality.video_off
            live.whisper(participant_id, "video_limited", on=quality.video_off)
        self._evidence(live, participant_id, person, quality)

    def _evidence(self, live: LiveRoom, participant_id: str, person: Person, quality: Quality) -> None:
        """Onto the trail when the level changed, at most once a minute per person."""
        now = self._live.clock()
        noted_at = person.quality_noted_at
        if person.quality_noted is quality.level or (person.quality_noted is None and quality.level is Level.GOOD):
            return
        if noted_at is not None and (now - noted_at).total_seconds() < self._live.limits.quality_every:
            return
        person.quality_noted, person.quality_noted_at = quality.level, now
        public: dict[str, Any] = {
            "level": quality.level.value,
            "reason": quality.reason,
            "rtt_ms": quality.rtt_ms if quality.rtt_ms is not None else -1,
            "loss_up_permille": round(quality.uplink_loss * 1000),
            "loss_down_permille": round(quality.downlink_loss * 1000),
            **(person.stats or {}),
        }
        self._note(participant_id, EventCode.MEDIA_QUALITY, public)

    def _note(self, participant_id: str, code: EventCode, public: dict[str, Any]) -> None:
        async def write() -> None:
            async with self._live.db.begin() as tx:
                await record_room_event(tx, owner_of(participant_id), code, public)

        self._live.chores.add(code.value, write)

    def _find(self, room: RoomName, participant_id: str) -> tuple[LiveRoom | None, Person | None]:
        """The live room and the participant's state; news of somebody who is out already is dropped."""
        live = self._live.rooms.get(room.id)
        if live is None or not (participant_id in live.in_call or participant_id in live.devices):
            return None, None
        return live, live.person(participant_id)
