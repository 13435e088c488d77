"""One outgoing SSRC of one viewer: header template, rewrite, retransmission twin. A row of the core's table.

Per packet it packs four fields into a preallocated buffer, copies the payload behind a constant header and hands the
buffer to the transport, which encrypts it in place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from rtc.cache import Packet
from rtc.negotiation import Extensions
from rtc.receive_stream import ReceiveStream
from rtc.rewrite import Rewriter, Segment
from rtc.rtp import RedBlock, build_red

Send = Callable[[bytearray, int], None]

CAPACITY = 2048
_MAX_RED = 1150  # a RED packet must still fit a common MTU
_FORGET_RESENT = 512
_RESEND_BURST = 24_000.0  # octets; a key frame's worth
RESEND_FLOOR = 6_000.0  # octets/s

_head = Struct("!BHI")
_u16 = Struct("!H")
_stamp = Struct("!I")


class EgressPath:
    """What the slots of one viewer share: the send function and the transport-wide sequence counter."""

    __slots__ = ("record", "send", "sequence")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.sequence = 0
        self.record: Callable[[int, int, int], None] | None = None  # (transport-wide sequence, octets, now_ns)


@dataclass(frozen=True, slots=True)
class SlotSpec:
    """`payload_types` maps a source's payload types to (ours, our RTX type or None)."""

    ssrc: int
    rtx_ssrc: int | None
    extensions: Extensions
    mid: str


class _Header:
    """A constant RTP header with its extension block; says where the changing elements stand (0 = not there)."""

    __slots__ = ("level_at", "prefix", "size", "stamp_at", "wide_at")

    def __init__(self, ssrc: int, spec: SlotSpec, *, level: bool) -> None:
        block = bytearray()
        self.stamp_at = self.wide_at = self.level_at = 0
        ids = spec.extensions
        if ids.abs_send_time:
            self.stamp_at = 16 + len(block)
            block += bytes((ids.abs_send_time << 4 | 2, 0, 0, 0))
        if ids.transport_cc:
            self.wide_at = 17 + len(block)
            block += bytes((ids.transport_cc << 4 | 1, 0, 0))
        if level and ids.audio_level:
            self.level_at = 17 + len(block)
            block += bytes((ids.audio_level << 4, 127))
        mid = spec.mid.encode("ascii", "ignore")
        if ids.mid and 0 < len(mid) <= 16:
            block += bytes((ids.mid << 4 | (len(mid) - 1),)) + mid
        block += bytes(-len(block) % 4)
        head = bytes((0x90 if block else 0x80, 0, 0, 0, 0, 0, 0, 0)) + ssrc.to_bytes(4, "big")
        if block:
            head += b"\xbe\xde" + _u16.pack(len(block) // 4)
        self.prefix = head + bytes(block)
        self.size = len(self.prefix)


class Slot(Rewriter):
    """Consumer of one receive section. `connect` says which payload types it takes; policy sets `target`."""

    __slots__ = (
        "_at",
        "_buffer",
        "_first_octets",
        "_header",
        "_path",
        "_resent",
        "_rtx_buffer",
        "_rtx_header",
        "_rtx_sequence",
        "_rtx_types",
        "_stamp_head",
        "_tokens",
        "_tokens_ns",
        "bytes",
        "frames",
        "nacked",
        "octets",
        "packets",
        "red_payload_type",
        "redundancy",
        "resend_rate",
        "resent",
        "resent_bytes",
        "spec",
        "unanswered",
    )

    def __init__(
        self, path: EgressPath, spec: SlotSpec, *, audio: bool, first_sequence: int, rtx_sequence: int
    ) -> None:
        super().__init__(first_sequence)
        self.spec = spec
        self._path = path
        self._header = _Header(spec.ssrc, spec, level=audio)
        self._buffer = bytearray(CAPACITY)
        self._buffer[: self._header.size] = self._header.prefix
        self._at = self._header.size
        self._stamp_head = (spec.extensions.abs_send_time or 0) << 28 | 2 << 24
        self._first_octets: Mapping[int, int] = {}
        self._rtx_types: Mapping[int, int] = {}
        self._rtx_header = _Header(spec.rtx_ssrc or 0, spec, level=False)
        self._rtx_buffer = bytearray(CAPACITY)
        self._rtx_buffer[: self._rtx_header.size] = self._rtx_header.prefix
        self._rtx_sequence = rtx_sequence
        self._resent: dict[int, int] = {}
        self._tokens = _RESEND_BURST
        self._tokens_ns = 0
        self.red_payload_type: int | None = None
        self.resend_rate = RESEND_FLOOR  # octets/s; policy sets it
        self.redundancy = 0  # how many earlier audio payloads travel along (RFC 2198)
        self.packets = self.octets = self.bytes = self.frames = 0
        self.resent = self.resent_bytes = self.unanswered = 0
        self.nacked = 0  # packets we had sent, asked for the first time

    def succeed(self, former: "Slot") -> None:
        """Take over the numbering of a section that was negotiated anew on the same transport."""
        self.inherit(former)
        self._rtx_sequence = former._rtx_sequence

    @property
    def holes(self) -> int:
        """Grows by each number that no packet was sent under; shrinks when a late one fills it. For differences."""
        return self._next_out - self.packets

    def connect(self, payload_types: Mapping[int, tuple[int, int | None]]) -> None:
        """Which payload types of the source we take, and under what names of ours."""
        octets: dict[int, int] = {}
        repairs: dict[int, int] = {}
        for theirs, (ours, rtx) in payload_types.items():
            octets[theirs] = ours
            octets[theirs | 0x80] = ours | 0x80
            if rtx is not None:
                repairs[theirs] = rtx
        self._first_octets = octets
        self._rtx_types = repairs

    def forward(self, stream: ReceiveStream, packet: Packet, now_ns: int) -> None:  # noqa: PLR0912 - the hot path
        """The fast path of a viewer. See `Rewriter.place` for what is admitted."""
        second = self._first_octets.get(packet[2])
        if second is None:
            return
        switches = self.switches
        segment = self.place(stream, packet, now_ns)
        if segment is None:
            return
        payload = packet[3]
        if self.redundancy and self.red_payload_type is not None:
            payload = self._red(stream, packet, second)
            if payload is not packet[3]:
                second = second & 0x80 | self.red_payload_type
        buffer = self._buffer
        at = self._at
        end = at + len(payload)
        _head.pack_into(
            buffer, 1, second, (packet[0] + segment.sequence) & 0xFFFF, (packet[1] + segment.timestamp) & 0xFFFFFFFF
        )
        buffer[at:end] = payload
        descriptor = packet[5]
        if descriptor[0]:
            _u16.pack_into(buffer, at + descriptor[0], 0x8000 | (descriptor[1] + segment.picture) & 0x7FFF)
        if descriptor[2]:
            buffer[at + descriptor[2]] = (descriptor[3] + segment.tl0) & 0xFF
        header = self._header
        if header.level_at:
            buffer[header.level_at] = stream.last_level
        path = self._path
        if header.stamp_at:
            _stamp.pack_into(buffer, header.stamp_at, self._stamp_head | (now_ns << 18) // 1_000_000_000 & 0xFFFFFF)
        if header.wide_at:
            sequence = path.sequence = (path.sequence + 1) & 0xFFFF
            _u16.pack_into(buffer, header.wide_at, sequence)
            if path.record is not None:
                path.record(sequence, end, now_ns)
        self.packets += 1
        self.octets += end - at
        if second & 0x80:
            self.frames += 1
        path.send(buffer, end)
        if switches != self.switches and stream.high > packet[0]:
            for overtaken in self.behind_late_start(stream, packet):
                self.forward(stream, overtaken, now_ns)

    def retransmit(self, sequences: tuple[int, ...], now_ns: int, rtt_ns: int) -> int:
        """Answer a viewer's NACK on the RTX SSRC; how many packets went out. Repeats within a round trip are
        ignored, and a token bucket bounds the rest: repairs must not feed the congestion they come from."""
        if self.spec.rtx_ssrc is None:
            return 0
        rate = self.resend_rate
        self._tokens = min(max(_RESEND_BURST, rate), self._tokens + (now_ns - self._tokens_ns) * rate / 1e9)
        self._tokens_ns = now_ns
        sent = 0
        for sequence in sequences:
            last = self._resent.get(sequence)
            if last is not None and now_ns - last < rtt_ns - rtt_ns // 8:  # asked before our answer can have come
                continue
            found = self.original(sequence)
            rtx_type = self._rtx_types.get(found[1][2] & 0x7F) if found is not None else None
            if found is None or rtx_type is None:
                self.unanswered += 1  # not lost on the way down: it has not come up to us
                continue
            if last is None:
                self.nacked += 1
            if self._tokens < 0:
                break
            self._tokens -= len(found[1][3])
            self._resent.pop(sequence, None)
            self._resent[sequence] = now_ns
            self._send_rtx(sequence, rtx_type, found[0], found[1], now_ns)
            sent += 1
        while len(self._resent) > _FORGET_RESENT:
            del self._resent[next(iter(self._resent))]
        self.resent += sent
        return sent

    def _send_rtx(self, sequence: int, rtx_type: int, segment: Segment, packet: Packet, now_ns: int) -> None:
        _, timestamp, octet, payload, _, descriptor = packet
        buffer, header, path = self._rtx_buffer, self._rtx_header, self._path
        _head.pack_into(
            buffer, 1, octet & 0x80 | rtx_type, self._rtx_sequence, (timestamp + segment.timestamp) & 0xFFFFFFFF
        )
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        _u16.pack_into(buffer, header.size, sequence)
        at = header.size + 2
        end = at + len(payload)
        buffer[at:end] = payload
        if descriptor[0]:
            _u16.pack_into(buffer, at + descriptor[0], 0x8000 | (descriptor[1] + segment.picture) & 0x7FFF)
        if descriptor[2]:
            buffer[at + descriptor[2]] = (descriptor[3] + segment.tl0) & 0xFF
        if header.stamp_at:
            _stamp.pack_into(buffer, header.stamp_at, self._stamp_head | (now_ns << 18) // 1_000_000_000 & 0xFFFFFF)
        if header.wide_at:
            wide = path.sequence = (path.sequence + 1) & 0xFFFF
            _u16.pack_into(buffer, header.wide_at, wide)
            if path.record is not None:
                path.record(wide, end, now_ns)
        self.resent_bytes += end
        path.send(buffer, end)

    def _red(self, stream: ReceiveStream, packet: Packet, second: int) -> bytearray:
        """The payload with earlier ones in front (RFC 2198), from the cache; unchanged when none is at hand."""
        ours = second & 0x7F
        blocks = []
        for distance in range(self.redundancy, 0, -1):
            earlier = stream.cache.get(packet[0] - distance)
            offset = (packet[1] - earlier[1]) & 0xFFFFFFFF if earlier is not None else 0
            if earlier is not None and 0 < offset < 1 << 14 and self._first_octets.get(earlier[2] & 0x7F) == ours:
                blocks.append(RedBlock(ours, offset, bytes(earlier[3])))
        if not blocks or sum(len(b.payload) for b in blocks) + len(packet[3]) > _MAX_RED:
            return packet[3]
        return bytearray(build_red([*blocks, RedBlock(ours, 0, bytes(packet[3]))]))
