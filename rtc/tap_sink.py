"""A recording tap seen as one more sink: plain RTP in one numbering of its own, gated on key frames like a viewer's.

Closing: `Room.detach`, the producer's end, or the room's close stop it; `ended` is told exactly once per start.
"""

from struct import Struct

from rtc.cache import Packet
from rtc.consumer import unwatch, watch
from rtc.negotiation import Codec, Kind
from rtc.ntp import to_unix
from rtc.producer import Producer
from rtc.receive_stream import ReceiveStream
from rtc.rewrite import Rewriter
from rtc.sink import Tap, TapClock, TapPacket

_S = 1_000_000_000
_KEYFRAME_NS = 10 * _S

_head = Struct("!BBHII")
_u16 = Struct("!H")


class TapSink(Rewriter):
    """One producer for one tap, always its highest layer that flows."""

    __slots__ = ("_codecs", "_keyframe_ns", "_ssrc", "_streams", "_wall_offset_ns", "producer", "tap")

    def __init__(self, tap: Tap, producer: Producer, ssrc: int, wall_offset_ns: int) -> None:
        super().__init__(first_sequence=0)
        self.tap = tap
        self.producer = producer
        self._ssrc = ssrc
        self._wall_offset_ns = wall_offset_ns
        self._streams: list[ReceiveStream] = []
        self._codecs: dict[int, Codec] = {}
        self._keyframe_ns = 0

    def forward(self, stream: ReceiveStream, packet: Packet, now_ns: int) -> None:
        codec = self._codecs.get(packet[2] & 0x7F)
        if codec is None:
            return
        switches = self.switches
        segment = self.place(stream, packet, now_ns)
        if segment is None:
            return
        if switches != self.switches:
            self.report_clock(now_ns)
        extended, timestamp, octet, payload, _, descriptor = packet
        rtp = bytearray(
            _head.pack(
                0x80,
                octet,
                (extended + segment.sequence) & 0xFFFF,
                (timestamp + segment.timestamp) & 0xFFFFFFFF,
                self._ssrc,
            )
        )
        rtp += payload
        if descriptor[0]:
            _u16.pack_into(rtp, 12 + descriptor[0], 0x8000 | (descriptor[1] + segment.picture) & 0x7FFF)
        if descriptor[2]:
            rtp[12 + descriptor[2]] = (descriptor[3] + segment.tl0) & 0xFF
        producer = self.producer
        self.tap.write(
            TapPacket(producer.participant_id, producer.source, codec, bytes(rtp), (now_ns + self._wall_offset_ns) / _S)
        )
        if switches != self.switches and stream.high > extended:
            for overtaken in self.behind_late_start(stream, packet):
                self.forward(stream, overtaken, now_ns)

    def report_clock(self, now_ns: int) -> None:
        """The newest sender report in the tap's numbering; nothing before there is one."""
        stream, segment = self.current, self.segment
        if stream is None or segment is None or segment.stream is not stream or stream.last_sr is None:
            return
        self.tap.clock(
            TapClock(
                self.producer.participant_id,
                self.producer.source,
                (stream.last_sr[1] + segment.timestamp) & 0xFFFFFFFF,
                to_unix(stream.last_sr[0]),
                (stream.last_sr_ns + self._wall_offset_ns) / _S,
            )
        )

    def tick(self, now_ns: int) -> None:
        """Follow the highest layer that flows; a key frame every ten seconds, for seeking and new segments."""
        producer = self.producer
        self._codecs = {codec.payload_type: codec for codec in producer.codecs}
        index = producer.best_active(now_ns)
        stream = producer.layers[index].stream if index is not None else None
        if stream is not None and stream is not self.target:
            self.target = stream
            watch(self, stream)
            self._streams.append(stream)
            self._keyframe_ns = now_ns
            producer.want_keyframe(stream, new_viewer=True)
        waiting = self.current is not self.target
        if not waiting and len(self._streams) > 1:
            for former in self._streams:
                if former is not self.current:
                    unwatch(self, former)
            self._streams = [former for former in self._streams if former is self.current]
        if producer.kind is not Kind.VIDEO or self.target is None:
            return
        if waiting or now_ns - self._keyframe_ns >= _KEYFRAME_NS:
            self._keyframe_ns = now_ns
            producer.want_keyframe(self.target)

    def stop(self) -> None:
        for stream in self._streams:
            unwatch(self, stream)
        self._streams = []
        self.detach()
