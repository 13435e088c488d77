"""What one participant receives: its slot pool, the layer of each video, and what it reports back.

Closing: `close` stops every consumer. Producers end on their own side; `publish` without them empties their slots.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtc.bandwidth import Downlink, UpgradeWatch, VideoGate
from rtc.consumer import Consumer
from rtc.errors import ParseError
from rtc.layers import Key, Wish, allocate
from rtc.negotiation import Kind, ReceiveSection, Source
from rtc.producer import Producer
from rtc.rtcp import KeyframeRequest, Nack, Remb, ReportBlock, SenderReport, TransportFeedback
from rtc.slot import EgressPath, Send
from rtc.slots import Occupant, Shortage, SlotTable
from rtc.twcc import parse_feedback

_MS = 1_000_000
_S = 1000 * _MS
_ALLOCATE_NS = 200 * _MS
_REPORT_NS = 1000 * _MS
_DWELL_NS = 2 * _S  # between upgrades of one video, unless the page asked for another size
_AUDIO_BPS = 40_000.0  # set aside per voice, before any video
_DEFAULT_HEIGHT = {Source.CAMERA: 360, Source.SCREEN: 1080}
_SPOTLIT_HEIGHT = 720
_MIN_EXPECTED = 10  # packets before a loss figure means anything (DTX sends few)


@dataclass(frozen=True, slots=True)
class Demand:
    """One video the page shows: CSS pixels times device pixel ratio."""

    participant_id: str
    source: Source
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """Who is in the receive section `mid`; None, None = nobody."""

    mid: str
    participant_id: str | None
    source: Source | None


def _drop(_buffer: bytearray, _length: int) -> None:
    """Before there is a transport."""


class Viewer:
    """One per participant. `connected` gates everything: a key frame sent before the keys are agreed is lost."""

    def __init__(self, rng: random.Random) -> None:
        self.consumers: dict[str, Consumer] = {}
        self.downlink = Downlink()
        self.gate = VideoGate()
        self._upgrade = UpgradeWatch()
        self.rtt_ns: int | None = None
        self.connected = False
        self._anticipating = False  # a new path is being agreed and nothing was asked for it yet
        self.speaker: str | None = None
        self.spotlit: str | None = None  # whom the room shows everybody large
        self.dirty = False
        self.voices = 0
        self.starved = False  # a video that is shown cannot be afforded, not even its lowest layer
        self._rng = rng
        self._path = EgressPath(_drop)
        self._table = SlotTable()
        self._producers: Mapping[Occupant, Producer] = {}
        self._by_ssrc: dict[int, Consumer] = {}
        self._demands: dict[Occupant, int] | None = None
        self._resized: set[Occupant] = set()
        self._expected = 0
        self._lost = 0.0
        self._allocate_ns = self._report_ns = 0

    # -- the pool

    def bind(self, sections: Sequence[ReceiveSection], send: Send, *, fresh: bool) -> None:
        """A negotiation. Sections that stay keep their numbering; over a fresh transport all begin anew."""
        if fresh:
            for consumer in self.consumers.values():
                consumer.stop()
            self.consumers = {}
            self.connected, self._anticipating = False, True
            self._path = EgressPath(send)
            self.downlink, self.gate, self.rtt_ns = Downlink(), VideoGate(), None
        kept: dict[str, Consumer] = {}
        for section in sections:
            held = self.consumers.pop(section.mid, None)
            if held is None or held.section != section:
                held = self._make(section, held)
            kept[section.mid] = held
        for consumer in self.consumers.values():
            consumer.stop()
        self.consumers = kept
        self._by_ssrc = {section.ssrc: kept[section.mid] for section in sections}
        self._table.resize(sections)
        self._seat()

    def _make(self, section: ReceiveSection, former: Consumer | None) -> Consumer:
        """A changed section goes on where its former self stopped: SSRC and keys are the same."""
        made = Consumer(section, self._path, self._rng.randrange(1, 1 << 14), self._rng.randrange(1, 1 << 14))
        if former is not None:
            former.stop()
            made.slot.succeed(former.slot)
        return made

    def publish(self, producers: Mapping[Occupant, Producer]) -> bool:
        """Everything that is live for this viewer; True when the table changed."""
        self._producers = producers
        changed = self._table.update(producers.keys())
        self._seat()
        return bool(changed)

    def _seat(self) -> None:
        occupants = self._table.occupants
        for mid, consumer in self.consumers.items():
            who = occupants.get(mid)
            consumer.show(self._producers.get(who) if who is not None else None)
            consumer.connect()
        self.dirty = True

    def mapping(self) -> list[SlotMapping]:
        """The full table, in slot order."""
        occupants = self._table.occupants
        ordered = sorted(self._table.sections.values(), key=lambda section: (section.slot, section.kind, section.mid))
        return [SlotMapping(s.mid, *occupants.get(s.mid, (None, None))) for s in ordered]

    def shortage(self, published: Sequence[Occupant]) -> Shortage | None:
        return self._table.shortage(published) if self.consumers else None

    # -- what is shown

    def view(self, demands: Sequence[Demand]) -> None:
        """What the page shows from now on; a video that is not demanded is not sent."""
        before = self._demands or {}
        wanted: dict[Occupant, int] = {}
        for demand in demands:
            if demand.width > 0 and demand.height > 0:
                who = (demand.participant_id, demand.source)
                wanted[who] = max(wanted.get(who, 0), demand.height, demand.width * 9 // 16)
        self._resized |= {who for who, height in wanted.items() if before.get(who) != height}
        self._demands = wanted
        self.dirty = True

    def allocate(self, now_ns: int) -> None:
        """Aim every consumer: voices first, then layers within the estimate. Pure choice in `rtc.layers`."""
        self.dirty = False
        self._allocate_ns = now_ns
        wishes: list[Wish] = []
        videos: dict[Key, Consumer] = {}
        voices = 0
        for consumer in self.consumers.values():
            producer = consumer.producer
            if producer is None:
                consumer.aim(None, now_ns)
            elif consumer.section.kind is Kind.AUDIO:
                consumer.aim(0 if self.connected else None, now_ns)
                voices += self.connected
            elif self.gate.open and (height := self._height(producer)):
                key = (producer.participant_id, producer.source.value)
                videos[key] = consumer
                wishes.append(self._wish(key, consumer, producer, height, now_ns))
            else:
                consumer.aim(None, now_ns)
        self.voices = voices
        chosen = allocate(wishes, self.downlink.bps)
        if not self.connected:
            self._anticipate(videos, chosen, now_ns)
            return
        self.starved = any(chosen[w.key] is None and any(layer.active for layer in w.layers) for w in wishes)
        before_bps = sum(wish.layers[wish.current].bps for wish in wishes if wish.current is not None)
        for wish in wishes:
            self._aim(videos[wish.key], wish, chosen[wish.key], before_bps, now_ns)
        self._resized.clear()

    def _anticipate(self, videos: Mapping[Key, Consumer], chosen: Mapping[Key, int | None], now_ns: int) -> None:
        """The path is still being agreed. The key frames it will begin with are asked for once, now: they wait in the
        streams' caches (`Consumer.aim`), so that the first picture does not have to wait for them."""
        for key, consumer in videos.items():
            index, producer = chosen[key], consumer.producer
            if self._anticipating and index is not None and producer is not None:
                producer.want_keyframe(producer.layers[index].stream, new_viewer=True)
            consumer.aim(None, now_ns)
        self._anticipating = self._anticipating and not videos

    def _height(self, producer: Producer) -> int:
        if self._demands is None:
            large = producer.participant_id == self.spotlit and producer.source is Source.CAMERA
            return _SPOTLIT_HEIGHT if large else _DEFAULT_HEIGHT[producer.source]
        return self._demands.get((producer.participant_id, producer.source), 0)

    def _wish(self, key: Key, consumer: Consumer, producer: Producer, height: int, now_ns: int) -> Wish:
        who = producer.participant_id
        priority = 2 * (producer.source is Source.SCREEN or who == self.spotlit) or int(who == self.speaker)
        layers = tuple(layer.offer(now_ns, lowest=i == 0) for i, layer in enumerate(producer.layers))
        return Wish(key, layers, height, priority, consumer.index)

    def _aim(self, consumer: Consumer, wish: Wish, index: int | None, before_bps: float, now_ns: int) -> None:
        producer = consumer.producer
        if producer is None:
            return
        if not any(layer.active for layer in wish.layers):
            # Nothing flows (muted, still screen, outage): stay aimed, so that its return needs no decision.
            started = [i for i, layer in enumerate(producer.layers) if layer.stream is not None]
            index = wish.current if wish.current is not None else (started[0] if started else None)
        current = wish.current
        if index is not None and current is not None and index > current and wish.layers[current].active:
            resized = (producer.participant_id, producer.source) in self._resized
            starting = not consumer.slot.started or consumer.waiting
            if now_ns - consumer.changed_ns < _DWELL_NS and not resized and not starting:
                index = current
            elif not starting:  # the first picture is no trial: nothing flowed that one could go back to
                self._upgrade.begin(before_bps, now_ns)
        consumer.aim(index, now_ns)

    # -- time

    def tick(self, now_ns: int) -> tuple[list[SenderReport], bool]:
        """(sender reports due, whether the video gate moved)."""
        squeezed = self.downlink.squeezed(now_ns)
        for consumer in self.consumers.values():
            consumer.congested = squeezed
            consumer.tick(now_ns)
        moved = False
        if now_ns - self._allocate_ns >= _ALLOCATE_NS:
            self.downlink.tick(self.video_bps, now_ns)
            moved = self.connected and self.gate.judge(self.downlink, self.voices * _AUDIO_BPS, now_ns)
            self.dirty = True
        slots = [c.slot for c in self.consumers.values() if c.section.kind is Kind.VIDEO]
        nacked, sent = sum(slot.nacked for slot in slots), sum(slot.packets for slot in slots)
        back = self._upgrade.check(nacked, sent, now_ns)
        if back is not None:
            self.downlink.fail_trial(back, now_ns)
            self.dirty = True
        if self.dirty:
            self.allocate(now_ns)
        due = now_ns - self._report_ns >= _REPORT_NS
        if due:
            self._report_ns = now_ns
            self._flush_loss(now_ns)
        reports = [c.sender_report(now_ns) for c in self.consumers.values() if due or c.switched]
        return [report for report in reports if report is not None], moved

    @property
    def video_off_reason(self) -> str:
        """Why pictures are held back; "" while they are not."""
        if not self.gate.open:
            return self.gate.reason
        return "downlink_bandwidth" if self.starved else ""

    @property
    def sent_bps(self) -> float:
        return sum(consumer.meter.bps for consumer in self.consumers.values())

    @property
    def video_bps(self) -> float:
        """The part of it that REMB is about."""
        return sum(c.meter.bps for c in self.consumers.values() if c.section.kind is Kind.VIDEO)

    def close(self) -> None:
        for consumer in self.consumers.values():
            consumer.show(None)
        self._producers = {}

    # -- what the viewer tells us

    def on_nack(self, nack: Nack, now_ns: int) -> None:
        consumer = self._by_ssrc.get(nack.media)
        if consumer is not None:
            consumer.slot.retransmit(nack.sequences, now_ns, self.rtt_ns or 50 * _MS)

    def on_keyframe_request(self, request: KeyframeRequest) -> None:
        consumer = self._by_ssrc.get(request.media)
        if consumer is not None and consumer.producer is not None:
            consumer.producer.want_keyframe(consumer.slot.current or consumer.slot.target)

    def on_remb(self, remb: Remb, now_ns: int) -> None:
        self.downlink.on_remb(float(remb.bitrate), self.video_bps, now_ns)

    def on_transport_feedback(self, feedback: TransportFeedback, now_ns: int) -> None:
        """Only its loss is used; REMB carries the rate."""
        try:
            arrivals = parse_feedback(feedback.fci).arrivals
        except ParseError:
            return
        self._expected += len(arrivals)
        self._lost += sum(1 for when in arrivals.values() if when is None)

    def on_report(self, blocks: Sequence[ReportBlock], now_ns: int) -> None:
        for block in blocks:
            consumer = self._by_ssrc.get(block.ssrc)
            if consumer is None:
                continue
            rtt, expected = consumer.on_report(block, now_ns)
            self._expected += expected
            self._lost += expected * consumer.loss
            if rtt is not None:
                self.rtt_ns = rtt if self.rtt_ns is None else self.rtt_ns + (rtt - self.rtt_ns) // 4

    def _flush_loss(self, now_ns: int) -> None:
        if self._expected < _MIN_EXPECTED:
            return
        self.downlink.on_loss(min(1.0, self._lost / self._expected), now_ns)
        self._expected, self._lost = 0, 0.0
        for consumer in self.consumers.values():
            consumer.protect_voice(self.downlink.loss)
