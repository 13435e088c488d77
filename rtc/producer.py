"""A stream sent to us, with its simulcast layers. It outlives transports: a reconnecting publisher continues it.

Closing: `Uplink` ends a producer (unpublished, left, not granted any more); the room then empties the viewers' slots
and ends the taps. Nobody closes a producer from below.
"""

from collections.abc import Iterator

from rtc import keyframes
from rtc.errors import ParseError
from rtc.ingress import Repair
from rtc.keyframe_requests import KeyframeRequests
from rtc.layers import Layer
from rtc.meter import RateMeter
from rtc.negotiation import Codec, Kind, PublishSection, Source
from rtc.ntp import SenderClock
from rtc.receive_stream import ReceiveStream
from rtc.rtcp import build_fir, build_pli

_ACTIVE_NS = 800_000_000  # a layer behind by more has been switched off by its sender; must stay well under a freeze
_FULL_HEIGHT = {Source.MICROPHONE: 0, Source.CAMERA: 720, Source.SCREEN: 1080}
_DEFAULT_BPS = ((200, 130_000.0), (400, 450_000.0), (1 << 30, 1_300_000.0))


class ProducerLayer:
    """One encoding: its stream once learnt, its measured rate, its picture size, its key frame requests."""

    __slots__ = ("_seen_given_up", "_seen_keyframes", "height", "meter", "repair", "requests", "rid", "stream", "width")

    def __init__(self, rid: str, height: int) -> None:
        self.rid = rid
        self.stream: ReceiveStream | None = None
        self.repair: Repair | None = None
        self.requests = KeyframeRequests()
        self.meter = RateMeter()
        self.height = height
        self.width = height * 16 // 9
        self._seen_keyframes = 0
        self._seen_given_up = 0

    def active(self, now_ns: int) -> bool:
        return self.stream is not None and now_ns - self.stream.last_ns < _ACTIVE_NS

    def offer(self, now_ns: int, *, lowest: bool) -> Layer:
        """This layer as the allocation sees it; rates are guessed by size until measured.

        The lowest is guessed small: a picture must not wait for its first measurement.
        """
        guess = next(bps for height, bps in _DEFAULT_BPS if lowest or self.height < height)
        return Layer(self.meter.bps or guess, self.height, self.active(now_ns))

    def refresh(self, codec: str, now_ns: int) -> bool:
        """Rates, key frames seen, losses given up since the last call. True when repair has failed anew."""
        stream = self.stream
        if stream is None:
            return False
        self.meter.update(stream.bytes, now_ns)
        if stream.keyframes != self._seen_keyframes:
            self._seen_keyframes = stream.keyframes
            self.requests.arrived()
            self._learn_size(codec, stream)
        failed = stream.given_up > self._seen_given_up
        self._seen_given_up = stream.given_up
        return failed

    def adopt(self, stream: ReceiveStream) -> None:
        self.stream = stream
        self.meter = RateMeter()
        self._seen_keyframes = self._seen_given_up = 0

    def _learn_size(self, codec: str, stream: ReceiveStream) -> None:
        try:
            size = keyframes.frame_size(codec, stream.key)
        except ParseError:
            return
        if size is not None and size[0] and size[1]:
            self.width, self.height = size


class Producer:
    """One source of one participant. `granted` and `paused` decide whether its packets are taken at all."""

    def __init__(self, participant_id: str, section: PublishSection, clock: SenderClock) -> None:
        self.participant_id = participant_id
        self.source = section.source
        self.section = section
        self.clock = clock
        self.layers: list[ProducerLayer] = []
        self.told_live = False
        self.started = False  # a packet has come, over this transport or a former one
        self._granted = True
        self._paused = False
        self._fir_command = 0
        self.negotiate(section)

    @property
    def kind(self) -> Kind:
        return self.source.kind

    @property
    def granted(self) -> bool:
        return self._granted

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def live(self) -> bool:
        """Packets have come and are allowed: it may be shown. A pause keeps it live."""
        return self._granted and self.started

    @property
    def codecs(self) -> list[Codec]:
        """What may really be carried (RED is only a wrapping)."""
        return [codec for codec in self.section.codecs if codec.name.lower() != "red"]

    def negotiate(self, section: PublishSection) -> None:
        """A new offer for the same source; layers that stay keep their streams."""
        rids = section.rids or ("",)
        if [layer.rid for layer in self.layers] != list(rids):
            full = _FULL_HEIGHT[self.source]
            self.layers = [ProducerLayer(rid, full >> (len(rids) - 1 - i)) for i, rid in enumerate(rids)]
        self.section = section

    def allow(self, *, granted: bool | None = None, paused: bool | None = None) -> None:
        """Takes effect with the next packet. What was not taken is not counted as loss afterwards."""
        self._granted = self._granted if granted is None else granted
        self._paused = self._paused if paused is None else paused
        blocked = self._paused or not self._granted
        for layer in self.layers:
            if layer.stream is not None and layer.stream.blocked != blocked:
                layer.stream.blocked = blocked
                layer.stream.restart()

    def make_stream(self, index: int, ssrc: int, now_ns: int) -> ReceiveStream:
        """The stream row of a layer whose SSRC has just been learnt."""
        red = next((c.payload_type for c in self.section.codecs if c.name.lower() == "red"), None)
        codecs = self.codecs
        stream = ReceiveStream(
            ssrc,
            self.kind,
            codecs[0].clock_rate if codecs else 90_000,
            {codec.payload_type: keyframes.inspector(codec.name) for codec in codecs},
            wants_nack=any("nack" in codec.feedback for codec in codecs),
            owner=self.participant_id,
            red_payload_type=red,
        )
        stream.blocked = self._paused or not self._granted
        stream.last_ns = now_ns
        self.started = True
        self.layers[index].adopt(stream)
        return stream

    def forget_streams(self) -> None:
        """Another transport: every SSRC has to be learnt again."""
        for layer in self.layers:
            if layer.stream is not None:
                layer.stream.sinks = []
            layer.stream = layer.repair = None

    def best_active(self, now_ns: int) -> int | None:
        """The highest layer that flows; for taps."""
        active = [i for i, layer in enumerate(self.layers) if layer.active(now_ns)]
        return active[-1] if active else None

    def layer_of(self, stream: ReceiveStream | None) -> ProducerLayer | None:
        return next((layer for layer in self.layers if stream is not None and layer.stream is stream), None)

    def want_keyframe(self, stream: ReceiveStream | None, *, new_viewer: bool = False) -> None:
        layer = self.layer_of(stream)
        if layer is not None and self.kind is Kind.VIDEO:
            layer.requests.want(new_viewer=new_viewer)

    def refresh(self, now_ns: int) -> None:
        """Once a tick: meters, key frames, and a key frame wanted where repair has failed for somebody who watches."""
        codec = self.codecs[0].name if self.codecs else ""
        for layer in self.layers:
            if layer.refresh(codec, now_ns) and layer.stream is not None and layer.stream.sinks:
                self.want_keyframe(layer.stream)

    def due_requests(self, sender_ssrc: int, now_ns: int) -> Iterator[bytes]:
        """The PLI or FIR packets to send now. None while nothing of this producer is taken."""
        if self.kind is not Kind.VIDEO or self._paused or not self._granted:
            return
        feedback = {item for codec in self.codecs for item in codec.feedback}
        for layer in self.layers:
            if layer.stream is None or not layer.requests.due(now_ns):
                continue
            if "nack pli" in feedback or "ccm fir" not in feedback:
                yield build_pli(sender_ssrc, layer.stream.ssrc)
            else:
                self._fir_command = (self._fir_command + 1) & 0xFF
                yield build_fir(sender_ssrc, layer.stream.ssrc, self._fir_command)
