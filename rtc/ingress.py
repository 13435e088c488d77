"""The packet path in lean Python, incoming side: transports and streams as tables, one function per received packet.

Policy stays outside: it sets `Slot.target`, `ReceiveStream.blocked` and `ReceiveStream.sinks`, and reads counters on
its own timer. What a packet costs is one header unpack, one pass over the extension block, one payload copy, and per
viewer one `Slot.forward`. Another implementation (C, tables by integer) must pass `tests/rtc/golden` unchanged.
"""

from collections.abc import Callable
from struct import Struct, error

from rtc.cache import Packet
from rtc.errors import ParseError
from rtc.negotiation import Kind
from rtc.receive_stream import ReceiveStream
from rtc.rtp import ONE_BYTE, Octets, RedBlock, elements, parse_red, scan
from rtc.twcc import ArrivalLog
from rtc.vp8 import ABSENT

MAX_PACKET = 1600  # octets; nothing a browser sends is longer, and every buffer downstream relies on it
_MAX_UNKNOWN = 64  # SSRCs we are willing to remember as strangers

_head = Struct("!BBHII")
_extension = Struct("!HH")

Learn = Callable[[int, memoryview, int, int], "ReceiveStream | Repair | None"]
"""(ssrc, packet, header end, now_ns) -> what this unknown SSRC is; None = drop it."""


class Repair:
    """An RTX SSRC: whose packets it carries, and which payload type each of its own stands for."""

    __slots__ = ("packets", "payload_types", "ssrc", "stream")

    def __init__(self, ssrc: int, stream: ReceiveStream, payload_types: dict[int, int]) -> None:
        self.ssrc = ssrc
        self.stream = stream
        self.payload_types = payload_types
        self.packets = 0


class IngressPath:
    """One transport's incoming side. Header extension ids are shared by a whole BUNDLE group (RFC 8843 section 9)."""

    __slots__ = (
        "_learn",
        "arrivals",
        "audio_level_id",
        "bytes",
        "malformed",
        "packets",
        "probes",
        "strangers",
        "streams",
        "transport_cc_id",
        "unknown",
    )

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self.streams: dict[int, ReceiveStream | Repair] = {}
        self.strangers: dict[int, int] = {}
        self.arrivals = ArrivalLog()
        self.transport_cc_id = 0
        self.audio_level_id = 0
        self.packets = self.bytes = self.malformed = self.probes = self.unknown = 0

    def receive(self, packet: memoryview, now_ns: int) -> None:
        """One plaintext RTP packet. Never raises for what the network sent: malformed packets are counted."""
        try:
            self._receive(packet, now_ns)
        except (ParseError, IndexError, error):
            self.malformed += 1

    def _receive(self, packet: memoryview, now_ns: int) -> None:  # noqa: PLR0912 - the hot path, one pass
        size = len(packet)
        first, second, sequence, timestamp, ssrc = _head.unpack_from(packet)
        end = 12 + ((first & 15) << 2)
        wide = level = -1
        if first & 0x10:
            profile, words = _extension.unpack_from(packet, end)
            start = end + 4
            end = start + (words << 2)
            if end <= size:
                if profile == ONE_BYTE:
                    wide, level = scan(packet, start, end, self.transport_cc_id, self.audio_level_id)
                else:
                    wide, level = self._scan_two_byte(packet, end)
        if first & 0xC0 != 0x80 or not end <= size <= MAX_PACKET:
            self.malformed += 1
            return
        self.packets += 1
        self.bytes += size
        if wide >= 0:
            self.arrivals.arrivals.append((wide, now_ns))
        stream = self.streams.get(ssrc)
        if stream is None:
            stream = self._meet(ssrc, packet, end, now_ns)
            if stream is None:
                return
        if first & 0x20:
            padding = packet[size - 1]
            if not 0 < padding <= size - end:
                self.malformed += 1
                return
            size -= padding
        if isinstance(stream, Repair):
            self._repair(stream, second, timestamp, packet[end:size], now_ns)
            return
        if stream.blocked:
            stream.refused += 1
            return
        extended = stream.accept(sequence, now_ns)
        if extended < 0:
            return
        stream.packets += 1
        if extended == stream.high and timestamp != stream.timestamp:
            stream.measure(timestamp, now_ns)
        if level >= 0:
            stream.last_level = level
        self._deliver(stream, extended, timestamp, second, bytearray(packet[end:size]), now_ns)

    def _deliver(  # noqa: PLR0917
        self, stream: ReceiveStream, extended: int, timestamp: int, second: int, payload: bytearray, now_ns: int
    ) -> None:
        stream.last_ns = now_ns
        descriptor, start = ABSENT, False
        if payload:
            inspect = stream.formats.get(second & 0x7F)
            if inspect is not None:
                try:
                    descriptor, start = inspect(payload)
                except ParseError:
                    stream.malformed += 1
                    payload = bytearray()
            elif second & 0x7F == stream.red_payload_type:
                self._red(stream, extended, timestamp, second, payload, now_ns)
                return
            else:
                payload = bytearray()  # comfort noise, DTMF: nobody downstream negotiated it
            stream.bytes += len(payload)
        else:
            self.probes += 1
        item: Packet = (extended, timestamp, second, payload, start, descriptor)
        cache = stream.cache
        cache.ring[extended & cache.mask] = item
        if start and stream.kind is Kind.VIDEO:
            stream.keyframes += 1
            stream.key, stream.key_number, stream.key_ns = payload, extended, now_ns
        for sink in stream.sinks:
            sink.forward(stream, item, now_ns)

    def _repair(self, repair: Repair, second: int, timestamp: int, body: memoryview, now_ns: int) -> None:
        """RFC 4588: the original is restored as if it had come late. A body of padding alone is a bandwidth probe."""
        repair.packets += 1
        stream = repair.stream
        original = repair.payload_types.get(second & 0x7F)
        if stream.blocked:
            stream.refused += 1
            return
        if len(body) < 3 or original is None or stream.fresh:
            self.probes += 1
            return
        sequence = body[0] << 8 | body[1]
        extended = stream.high + ((sequence - stream.high + 0x8000) & 0xFFFF) - 0x8000
        if extended > stream.high or stream.missing.pop(extended, None) is None:
            stream.duplicates += 1  # Chromium probes with old packets; they must not advance the numbering
            return
        stream.recovered += 1
        self._deliver(stream, extended, timestamp, second & 0x80 | original, bytearray(body[2:]), now_ns)

    def _red(  # noqa: PLR0917
        self, stream: ReceiveStream, extended: int, timestamp: int, second: int, payload: bytearray, now_ns: int
    ) -> None:
        """RFC 2198: older blocks first, where they fill holes, then the primary under its own payload type."""
        blocks = parse_red(payload)
        for distance, block in zip(range(len(blocks) - 1, 0, -1), blocks, strict=False):
            self._fill(stream, extended - distance, timestamp, block, now_ns)
        primary = blocks[-1]
        if primary.payload_type == stream.red_payload_type:
            raise ParseError("RED inside RED")
        self._deliver(
            stream, extended, timestamp, second & 0x80 | primary.payload_type, bytearray(primary.payload), now_ns
        )

    def _fill(self, stream: ReceiveStream, extended: int, timestamp: int, block: RedBlock, now_ns: int) -> None:
        if block.payload_type not in stream.formats or not block.payload:
            return
        if stream.missing.pop(extended, None) is None:
            return
        stream.recovered += 1
        when = (timestamp - block.timestamp_offset) & 0xFFFFFFFF
        self._deliver(stream, extended, when, block.payload_type, bytearray(block.payload), now_ns)

    def _meet(self, ssrc: int, packet: memoryview, end: int, now_ns: int) -> ReceiveStream | Repair | None:
        stream = self._learn(ssrc, packet, end, now_ns)
        if stream is not None:
            self.streams[ssrc] = stream
            self.strangers.pop(ssrc, None)
            return stream
        self.unknown += 1
        if len(self.strangers) < _MAX_UNKNOWN or ssrc in self.strangers:
            self.strangers[ssrc] = self.strangers.get(ssrc, 0) + 1
        return None

    def _scan_two_byte(self, packet: Octets, end: int) -> tuple[int, int]:
        found = elements(packet, end)
        wide, level = found.get(self.transport_cc_id, b""), found.get(self.audio_level_id, b"")
        return (int.from_bytes(wide, "big") if len(wide) == 2 else -1), (level[0] if level else -1)
