"""A receive section of one viewer: shows one producer at a time, in one layer, under one SSRC for ever.

Closing: the viewer's `Viewer` empties a consumer (`show(None)`) when its producer ends, and drops it when the section
goes or the viewer leaves. A consumer closes nothing.
"""

from collections import OrderedDict

from rtc.errors import ParseError
from rtc.layers import Key
from rtc.meter import RateMeter
from rtc.negotiation import Codec, Kind, ReceiveSection
from rtc.producer import Producer
from rtc.receive_stream import ReceiveStream
from rtc.rtcp import ReportBlock, SenderReport
from rtc.sink import Sink
from rtc.slot import RESEND_FLOOR, EgressPath, Slot, SlotSpec

_S = 1_000_000_000
_FREEZE_NS = 2 * _S
_WARM_NS = 300_000_000  # a key frame older than this would bring too long a burst behind it
_STALE_REPORT_NS = 12 * _S
_REMEMBERED_REPORTS = 8
_RESEND_SHARE = {Kind.AUDIO: 1.0, Kind.VIDEO: 0.35}  # of the media rate: enough for 10 % loss, too little for a storm
_CONGESTED_SHARE = 0.2  # still above what 10 % of random loss needs: the guess may be wrong
_RED_ON = ((0.08, 2), (0.01, 1))
_RED_OFF = 0.3  # so much is lost only where the link is too narrow, and the copies fill it


def watch(sink: Sink, stream: ReceiveStream) -> None:
    """List the sink at the stream. Lists are replaced, never changed: a packet may be on its way through them."""
    if sink not in stream.sinks:
        stream.sinks = [*stream.sinks, sink]


def unwatch(sink: Sink, stream: ReceiveStream) -> None:
    if sink in stream.sinks:
        stream.sinks = [item for item in stream.sinks if item is not sink]


class Consumer:
    """Policy over one `Slot` row: which producer, which layer, its sender reports and what the viewer reports back."""

    def __init__(self, section: ReceiveSection, path: EgressPath, first_sequence: int, rtx_sequence: int) -> None:
        self.section = section
        self.producer: Producer | None = None
        self.index: int | None = None
        self.changed_ns = 0
        self.loss = 0.0
        self.jitter_ms = 0.0
        self.freezes = 0
        self.meter = RateMeter()  # with retransmissions
        self.media = RateMeter()
        self.congested = False
        spec = SlotSpec(section.ssrc, section.rtx_ssrc, section.extensions, section.mid)
        self.slot = Slot(
            path,
            spec,
            audio=section.kind is Kind.AUDIO,
            first_sequence=first_sequence,
            rtx_sequence=rtx_sequence,
        )
        red = next((codec for codec in section.codecs if codec.name.lower() == "red"), None)
        self.slot.red_payload_type = red.payload_type if red is not None else None
        self._streams: list[ReceiveStream] = []
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._reported_switches = 0
        self._highest: int | None = None
        self._holes = 0
        self._frozen_at = 0
        self._seen_packets = 0
        self._moved_ns = 0

    @property
    def key(self) -> Key | None:
        return (self.producer.participant_id, self.producer.source) if self.producer is not None else None

    @property
    def waiting(self) -> bool:
        """A layer is wanted that has not begun yet: it takes a key frame."""
        return self.slot.target is not None and self.slot.current is not self.slot.target

    # -- what is shown

    def show(self, producer: Producer | None) -> None:
        """Re-map: the numbering goes on, the next producer begins on a key frame."""
        if producer is self.producer:
            return
        self.stop()
        self.producer = producer
        self.connect()

    def connect(self) -> None:
        """Match payload types anew (the producer's or our section's codecs may have been negotiated again)."""
        types = {}
        for codec in self.producer.codecs if self.producer is not None else ():
            ours = _match(codec, self.section.codecs)
            if ours is not None:
                types[codec.payload_type] = (ours.payload_type, ours.rtx_payload_type)
        self.slot.connect(types)

    def aim(self, index: int | None, now_ns: int) -> None:
        """Choose the layer; None = send nothing. A running layer is shown until the new one's key frame."""
        producer = self.producer
        stream = producer.layers[index].stream if producer is not None and index is not None else None
        if index != self.index:
            self.changed_ns = now_ns
        self.index = index if stream is not None else None
        if stream is None:
            self.stop()
            return
        if self.slot.target is stream:
            return
        self.slot.target = stream
        self._moved_ns = now_ns
        watch(self.slot, stream)
        self._streams.append(stream)
        if self.slot.current is None:
            self._begin_from_cache(stream, now_ns)
        if producer is not None and self.slot.current is not stream:
            producer.want_keyframe(stream, new_viewer=True)

    def _begin_from_cache(self, stream: ReceiveStream, now_ns: int) -> None:
        """A key frame that has just passed is as good as the next one: what followed it is handed out behind it."""
        if stream.key_ns and not stream.blocked and now_ns - stream.key_ns <= _WARM_NS:
            first = stream.cache.get(stream.key_number)
            if first is not None:
                self.slot.forward(stream, first, now_ns)

    def stop(self) -> None:
        """Nothing more until `aim`."""
        for stream in self._streams:
            unwatch(self.slot, stream)
        self._streams = []
        self.index = None
        self.slot.detach()

    def tick(self, now_ns: int) -> None:
        """Drop finished layers, repeat what is waited for, notice standstill."""
        slot = self.slot
        if len(self._streams) > 1 and not self.waiting:
            for stream in self._streams:
                if stream is not slot.current:
                    unwatch(slot, stream)
            self._streams = [stream for stream in self._streams if stream is slot.current]
        if self.waiting and self.producer is not None:
            self.producer.want_keyframe(slot.target)
        self.meter.update(slot.octets + slot.resent_bytes, now_ns)
        self.media.update(slot.octets, now_ns)
        lean = self.congested and self.section.kind is Kind.VIDEO
        share = _CONGESTED_SHARE if lean else _RESEND_SHARE[self.section.kind]
        slot.resend_rate = max(RESEND_FLOOR, share * self.media.bps / 8)
        self._watch_standstill(now_ns)

    def _watch_standstill(self, now_ns: int) -> None:
        if self.slot.packets != self._seen_packets:
            self._seen_packets, self._moved_ns = self.slot.packets, now_ns
            return
        idle = self.section.kind is Kind.AUDIO or self.slot.target is None or self.producer is None
        if idle or (self.producer is not None and self.producer.paused):
            self._moved_ns = now_ns
        elif now_ns - self._moved_ns > _FREEZE_NS and self._frozen_at != self._moved_ns:
            self._frozen_at = self._moved_ns
            self.freezes += 1

    # -- reports

    @property
    def switched(self) -> bool:
        """A source has begun since the last sender report: the viewer needs the new clock soon."""
        return self.slot.switches != self._reported_switches

    def sender_report(self, now_ns: int) -> SenderReport | None:
        """The producer's own (NTP, RTP) line in our numbering, carried forward to now; None before its first report."""
        slot, segment = self.slot, self.slot.segment
        if slot.current is None or segment is None or self.producer is None or self.producer.clock.offset is None:
            return None
        stream = segment.stream
        elapsed = now_ns - stream.last_sr_ns
        if stream.last_sr is None or stream is not slot.current or elapsed > _STALE_REPORT_NS:
            return None
        self._reported_switches = slot.switches
        ntp = stream.last_sr[0] + self.producer.clock.offset + (elapsed << 32) // _S
        rtp = stream.last_sr[1] + segment.timestamp + elapsed * stream.clock_rate // _S
        self._sent[ntp >> 16 & 0xFFFFFFFF] = now_ns
        while len(self._sent) > _REMEMBERED_REPORTS:
            self._sent.popitem(last=False)
        ntp &= 0xFFFFFFFFFFFFFFFF
        return SenderReport(self.section.ssrc, ntp, rtp & 0xFFFFFFFF, slot.packets & 0xFFFFFFFF, slot.octets)

    def on_report(self, block: ReportBlock, now_ns: int) -> tuple[int | None, int]:
        """(round trip in ns where it can be told, packets the viewer should have had since its last report)."""
        rate = 48_000 if self.section.kind is Kind.AUDIO else 90_000
        self.jitter_ms = block.jitter * 1000 / rate
        expected = (block.highest - self._highest) & 0xFFFFFFFF if self._highest is not None else 0
        expected = expected if expected < 1 << 16 else 0
        # Numbers we left out because the packet never reached us are the publisher's loss, not this viewer's.
        holes = max(0, self.slot.holes - self._holes)
        self._highest, self._holes = block.highest, self.slot.holes
        lost = max(0.0, expected * block.fraction_lost / 256 - holes)
        expected = max(0, expected - holes)
        self.loss = lost / expected if expected else 0.0
        sent_ns = self._sent.get(block.lsr)
        rtt = None
        if sent_ns is not None:
            rtt = max(0, now_ns - sent_ns - block.dlsr * _S // 65536)
        return rtt, expected

    def protect_voice(self, loss: float) -> None:
        """Redundant audio (RFC 2198) as the viewer's loss demands; only where RED is negotiated."""
        if self.section.kind is Kind.AUDIO:
            wanted = 0 if loss >= _RED_OFF else next((count for above, count in _RED_ON if loss >= above), 0)
            if wanted or loss >= _RED_OFF or loss < _RED_ON[-1][0] / 2:
                self.slot.redundancy = wanted

    def frame_height(self) -> int | None:
        """Pixels of the layer shown now; None when nothing is."""
        if self.producer is None:
            return None
        layer = self.producer.layer_of(self.slot.current)
        return layer.height if layer is not None else None


def _match(codec: Codec, offered: tuple[Codec, ...]) -> Codec | None:
    """Our payload type for a producer's codec. H.264 levels may differ; packetization mode and profile may not."""
    try:
        return next((ours for ours in offered if ours.key == codec.key), None)
    except (ValueError, ParseError):
        return None
