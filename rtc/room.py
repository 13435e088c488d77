"""One live consult's media: who is in it, who sees whom, who is recorded by which tap.

Closing, from the top: `Room.close` → every participant leaves (producers end → taps told `ended`, slots emptied;
consumers stop; transport closed) → taps detached. `docs/closures.md` has the whole order. All of it is idempotent.
"""

import random
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from rtc.errors import RoomClosed
from rtc.negotiation import Kind, Source
from rtc.participant import Grants, Participant
from rtc.producer import Producer
from rtc.quality import Quality
from rtc.receive_stream import ReceiveStream
from rtc.sink import Tap
from rtc.slots import Occupant, Shortage
from rtc.speaker import SpeakerDetector
from rtc.tap_sink import TapSink
from rtc.transport import TransportState
from rtc.viewer import Demand, SlotMapping

__all__ = ["Demand", "Grants", "Quality", "Room", "RoomListener", "SlotMapping", "Tap"]

_MS = 1_000_000
_SPEAKER_NS = 100 * _MS
_QUALITY_NS = 500 * _MS


class RoomListener(Protocol):
    """Called synchronously on the event loop; must not block."""

    def on_slots(self, room: "Room", participant_id: str, slots: Sequence[SlotMapping]) -> None:
        """The viewer's full table, on each change, before the first packet of a new occupant."""

    def on_pool_short(self, room: "Room", participant_id: str, audio: int, video: int) -> None:
        """How many receive sections of each kind this viewer needs in all; it has fewer."""

    def on_speaker(self, room: "Room", participant_id: str | None) -> None: ...
    def on_transport(self, room: "Room", participant_id: str, state: TransportState) -> None: ...
    def on_producer(self, room: "Room", participant_id: str, source: Source, live: bool) -> None: ...
    def on_quality(self, room: "Room", participant_id: str, quality: Quality) -> None:
        """On change only, at most once a second."""


class Room:
    """Made by `MediaServer.open_room`. `now_ns` is monotonic; unix time is `now_ns + wall_offset_ns`."""

    def __init__(
        self,
        room_id: str,
        listener: RoomListener,
        *,
        wall_offset_ns: int | None = None,
        now_ns: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.id = room_id
        self.closed = False
        self.now_ns = time.monotonic_ns() if now_ns is None else now_ns
        self.wall_offset_ns = time.time_ns() - time.monotonic_ns() if wall_offset_ns is None else wall_offset_ns
        self._listener = listener
        self._rng = rng or random.SystemRandom()
        self._participants: dict[str, Participant] = {}
        self._taps: list[Tap] = []
        self._tapped: dict[Producer, list[TapSink]] = {}
        self._short: dict[str, Shortage | None] = {}
        self._speaker = SpeakerDetector()
        self._told_speaker: str | None = None
        self._spotlit: str | None = None
        self._levels_ns: dict[ReceiveStream, int] = {}
        self._speaker_ns = self._quality_ns = 0

    @property
    def participants(self) -> Mapping[str, Participant]:
        return self._participants

    # -- people

    def join(self, participant_id: str, grants: Grants) -> Participant:
        """An id that is present keeps its media and gets the new grants (a resumed session)."""
        if self.closed:
            raise RoomClosed(self.id)
        present = self._participants.get(participant_id)
        if present is not None:
            present.set_grants(grants)
            return present
        participant = Participant(participant_id, self, grants, self._rng)
        participant.viewer.spotlit = self._spotlit
        self._participants[participant_id] = participant
        return participant

    def leave(self, participant_id: str, reason: str) -> None:
        """Idempotent. The others' slots of this person are emptied and told; nobody else moves."""
        participant = self._participants.pop(participant_id, None)
        if participant is None:
            return
        self._short.pop(participant_id, None)
        self._speaker.forget(participant_id)
        participant.close(reason)
        self._refresh_slots()
        self._tell_speaker()

    def close(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        for participant_id in list(self._participants):
            self.leave(participant_id, reason)
        for tap in list(self._taps):
            self.detach(tap)

    def request_keyframes(self, participant_ids: Collection[str] | None = None) -> None:
        """Of every watched layer of these people (None = all), merged with requests already under way."""
        for participant in self._participants.values():
            if participant_ids is not None and participant.id not in participant_ids:
                continue
            for producer, stream in participant.uplink.streams():
                if stream.sinks:
                    producer.want_keyframe(stream, new_viewer=True)
            participant.flush_keyframe_requests(self.now_ns)

    def spotlight(self, participant_id: str | None) -> None:
        """Everybody is shown this person large: their camera comes before all other cameras. None = nobody."""
        if participant_id == self._spotlit:
            return
        self._spotlit = participant_id
        for participant in self._participants.values():
            participant.viewer.spotlit = participant_id
            participant.viewer.dirty = True

    # -- recording

    def attach(self, tap: Tap) -> None:
        if tap not in self._taps:
            self._taps.append(tap)
            self.refresh_taps()

    def detach(self, tap: Tap) -> None:
        """Not one packet more, from now on. Idempotent."""
        if tap not in self._taps:
            return
        self._taps.remove(tap)
        for producer in list(self._tapped):
            self._untap(producer, "detached", only=tap)

    def refresh_taps(self) -> None:
        """Ask every tap again what it wants, e.g. when consent has changed."""
        for participant in list(self._participants.values()):
            for producer in list(participant.uplink.producers.values()):
                self._tap(producer)

    def _tap(self, producer: Producer) -> None:
        sinks = self._tapped.setdefault(producer, [])
        for tap in list(self._taps):
            held = next((sink for sink in sinks if sink.tap is tap), None)
            wanted = producer.live and tap.wants(producer.participant_id, producer.source)
            if wanted and held is None:
                sink = TapSink(tap, producer, self._rng.randrange(1, 1 << 32), self.wall_offset_ns)
                sinks.append(sink)
                sink.tick(self.now_ns)
            elif not wanted and held is not None:
                self._untap(producer, "unwanted" if producer.live else "not_granted", only=tap)
        if not sinks:
            self._tapped.pop(producer, None)

    def _untap(self, producer: Producer, reason: str, only: Tap | None = None) -> None:
        sinks = self._tapped.get(producer, [])
        for sink in [sink for sink in sinks if only is None or sink.tap is only]:
            sinks.remove(sink)
            sink.stop()
            sink.tap.ended(producer.participant_id, producer.source, reason)
        if not sinks:
            self._tapped.pop(producer, None)

    # -- what participants report (ParticipantOwner)

    def changed(self, participant: Participant, *, slots: bool = False, fresh: bool = False) -> None:
        """Producers started, were granted or refused, or the pool was negotiated."""
        if fresh:
            self._short.pop(participant.id, None)  # a reloaded page does not know what was told before
        for producer in list(participant.uplink.producers.values()):
            if producer.live != producer.told_live:
                producer.told_live = producer.live
                self._listener.on_producer(self, participant.id, producer.source, producer.live)
            self._tap(producer)
            for sink in self._tapped.get(producer, ()):
                sink.tick(self.now_ns)
        self._refresh_slots(tell=participant.id if slots else None)
        if fresh:
            self._flush_keyframe_requests()

    def on_transport(self, participant: Participant, state: TransportState) -> None:
        if state is TransportState.CONNECTED:
            self._flush_keyframe_requests()
        self._listener.on_transport(self, participant.id, state)

    def _flush_keyframe_requests(self) -> None:
        for participant in self._participants.values():
            participant.flush_keyframe_requests(self.now_ns)

    def on_clock(self, producer: Producer, stream: ReceiveStream) -> None:
        for sink in self._tapped.get(producer, ()):
            if sink.current is stream:
                sink.report_clock(self.now_ns)

    def ended(self, producer: Producer, reason: str) -> None:
        """A producer is gone for good."""
        self._untap(producer, reason)
        if producer.told_live:
            producer.told_live = False
            self._listener.on_producer(self, producer.participant_id, producer.source, False)

    # -- slots

    def _refresh_slots(self, tell: str | None = None) -> None:
        published: dict[Occupant, Producer] = {}
        expected: list[Occupant] = []
        for participant in self._participants.values():
            for source, producer in participant.uplink.producers.items():
                if producer.granted:
                    expected.append((participant.id, source))
                if producer.live:
                    published[participant.id, source] = producer
        for viewer in list(self._participants.values()):
            self._refresh_viewer(viewer, published, expected, told=viewer.id == tell)

    def _refresh_viewer(
        self, viewer: Participant, published: Mapping[Occupant, Producer], expected: list[Occupant], *, told: bool
    ) -> None:
        subscribed = viewer.grants.subscribe and viewer.transport is not None
        hidden = viewer.grants.hidden
        seen = (
            {who: p for who, p in published.items() if who[0] != viewer.id and who not in hidden} if subscribed else {}
        )
        if viewer.viewer.publish(seen) or told:
            self._listener.on_slots(self, viewer.id, viewer.viewer.mapping())
        viewer.viewer.allocate(self.now_ns)
        wanted = [who for who in expected if who[0] != viewer.id and who not in hidden]
        shortage = viewer.viewer.shortage(wanted) if subscribed else None
        if shortage != self._short.get(viewer.id):
            self._short[viewer.id] = shortage
            if shortage is not None:
                self._listener.on_pool_short(self, viewer.id, shortage.audio, shortage.video)

    # -- time

    def tick(self, now_ns: int) -> None:
        """Every 20 ms."""
        self.now_ns = now_ns
        for sinks in list(self._tapped.values()):
            for sink in sinks:
                sink.tick(now_ns)
        for participant in list(self._participants.values()):
            participant.tick(now_ns)
        self._hear(now_ns)
        if now_ns - self._quality_ns >= _QUALITY_NS:
            self._quality_ns = now_ns
            self._judge_quality(now_ns)

    def _hear(self, now_ns: int) -> None:
        for participant in self._participants.values():
            microphone = participant.uplink.producers.get(Source.MICROPHONE)
            if microphone is None or microphone.paused:
                self._speaker.forget(participant.id)
                continue
            for layer in microphone.layers:
                stream = layer.stream
                if stream is not None and stream.kind is Kind.AUDIO and self._levels_ns.get(stream) != stream.last_ns:
                    self._levels_ns[stream] = stream.last_ns
                    self._speaker.hear(participant.id, stream.last_level, now_ns)
        if now_ns - self._speaker_ns >= _SPEAKER_NS:
            self._speaker_ns = now_ns
            self._speaker.decide(now_ns)
            self._tell_speaker()

    def _tell_speaker(self) -> None:
        speaker = self._speaker.current
        if speaker == self._told_speaker:
            return
        self._told_speaker = speaker
        for participant in self._participants.values():
            participant.viewer.speaker = speaker
        self._listener.on_speaker(self, speaker)

    def _judge_quality(self, now_ns: int) -> None:
        present = {stream for p in self._participants.values() for _, stream in p.uplink.streams()}
        self._levels_ns = {stream: when for stream, when in self._levels_ns.items() if stream in present}
        for participant in list(self._participants.values()):
            path = participant.transport
            if path is None or path.state in (TransportState.NEW, TransportState.CONNECTING):
                continue
            quality = participant.quality.update(participant.signs(), now_ns)
            if quality is not None:
                self._listener.on_quality(self, participant.id, quality)
