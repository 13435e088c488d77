"""One outgoing numbering fed by changing incoming streams: sequence, timestamp, VP8 picture id and TL0PICIDX.

A `Segment` is a stretch of outgoing packets with constant offsets to one incoming stream. A new one begins when the
source changes (gated on a key frame, numbering continues without a seam) and when a packet that carried nothing is
left out (the gap is closed). Segments map outgoing numbers back to the cache of the incoming stream, so a packet is
kept once however many viewers have it. An outgoing sequence number is used for one packet only, ever: the newest
packet advances, a late one must fall into the current source's segments, and the stream has dropped duplicates.
"""

from collections import deque

from rtc.cache import Packet
from rtc.receive_stream import ReceiveStream
from rtc.vp8 import Descriptor

_MAX_SEGMENTS = 64
_JUMP = 2000  # incoming numbers a sink tolerates as loss; beyond it the source began anew
_REPLAY = 128  # packets behind a late key frame start that are handed out at once
_MAX_IDLE_NS = 60_000_000_000


class Segment:
    """`start` and `out_start` are extended numbers of its first packet; the offsets are added to incoming values."""

    __slots__ = ("out_start", "picture", "sequence", "start", "stream", "timestamp", "tl0")

    def __init__(  # noqa: PLR0917
        self, stream: ReceiveStream, start: int, out_start: int, timestamp: int, picture: int = 0, tl0: int = 0
    ) -> None:
        self.stream = stream
        self.start = start
        self.out_start = out_start
        self.sequence = out_start - start
        self.timestamp = timestamp
        self.picture = picture
        self.tl0 = tl0


class Rewriter:
    """The numbering state of one sink. `target` is what policy wants shown, `current` what is shown now."""

    __slots__ = (
        "_floor",
        "_last_ns",
        "_last_picture",
        "_last_tl0",
        "_last_ts",
        "_next_out",
        "_segments",
        "current",
        "high",
        "segment",
        "started",
        "switches",
        "target",
    )

    def __init__(self, first_sequence: int) -> None:
        self.target: ReceiveStream | None = None
        self.current: ReceiveStream | None = None
        self.segment: Segment | None = None
        self.switches = 0  # sources begun; policy compares it to see that a switch happened
        self.high = 0  # newest incoming extended number of `current`
        self.started = False
        self._segments: deque[Segment] = deque(maxlen=_MAX_SEGMENTS)
        self._floor = 0  # late packets below it belong to before the switch
        self._next_out = 0x10000 + first_sequence
        self._last_ts = 0
        self._last_ns = 0
        self._last_picture = -1
        self._last_tl0 = -1

    def place(self, stream: ReceiveStream, packet: Packet, now_ns: int) -> Segment | None:  # noqa: PLR0911 - hot
        """The segment whose offsets apply to this packet, state advanced; None = not for this sink."""
        extended = packet[0]
        if stream is not self.current:
            if stream is not self.target or not packet[4] or not packet[3]:
                return None
            return self._switch(stream, packet, now_ns)
        segment = self.segment
        if segment is None:
            return None
        if extended > self.high:
            if extended - self.high > _JUMP:
                self.current = None
                return self.place(stream, packet, now_ns)
            self.high = extended
            if not packet[3]:
                self._close_gap(segment, extended)
                return None
            self._next_out = extended + segment.sequence + 1
            self._last_ns = now_ns
            self._last_ts = packet[1] + segment.timestamp
            descriptor = packet[5]
            if descriptor[0]:
                self._last_picture = descriptor[1] + segment.picture
            if descriptor[2]:
                self._last_tl0 = descriptor[3] + segment.tl0
            return segment
        if not packet[3] or extended < self._floor:
            return None
        for segment in reversed(self._segments):
            if extended >= segment.start:
                return segment
        return None

    def inherit(self, former: "Rewriter") -> None:
        """Go on where another stopped that had the same SSRC and keys: no number may come twice."""
        self._next_out, self._segments, self.segment = former._next_out, former._segments, former.segment
        self._last_ts, self._last_ns = former._last_ts, former._last_ns
        self._last_picture, self._last_tl0 = former._last_picture, former._last_tl0
        self.started = former.started

    def detach(self) -> None:
        """Stop showing anything; the next packet begins at a key frame of whatever is the target then."""
        self.current = None
        self.target = None

    def original(self, out_sequence: int) -> tuple[Segment, Packet] | None:
        """The cached packet behind an outgoing 16-bit number, with the segment that rewrites it."""
        newest = self._next_out - 1
        out = newest + ((out_sequence - newest + 0x8000) & 0xFFFF) - 0x8000
        if out > newest:
            return None
        for segment in reversed(self._segments):
            if out >= segment.out_start:
                packet = segment.stream.cache.get(out - segment.sequence)
                return (segment, packet) if packet is not None and packet[3] else None
        return None

    def behind_late_start(self, stream: ReceiveStream, packet: Packet) -> list[Packet]:
        """After a switch on a recovered packet: those that overtook it, for handing out behind it."""
        first = packet[0] + 1
        overtaken = range(first, min(stream.high + 1, first + _REPLAY))
        return [item for extended in overtaken if (item := stream.cache.get(extended)) is not None]

    def _switch(self, stream: ReceiveStream, packet: Packet, now_ns: int) -> Segment:
        extended, timestamp, _, _, _, descriptor = packet
        picture, tl0 = self._continue_picture(descriptor)
        offset = self._continue_time(stream, timestamp, now_ns)
        segment = Segment(stream, extended, self._next_out, offset, picture, tl0)
        self._segments.append(segment)
        self.segment = segment
        self.current = stream
        self.started = True
        self.switches += 1
        self.high = self._floor = extended
        self._next_out += 1
        self._last_ns = now_ns
        self._last_ts = timestamp + segment.timestamp
        if descriptor[0]:
            self._last_picture = descriptor[1] + picture
        if descriptor[2]:
            self._last_tl0 = descriptor[3] + tl0
        return segment

    def _continue_picture(self, descriptor: Descriptor) -> tuple[int, int]:
        picture = self._last_picture + 1 - descriptor[1] if self._last_picture >= 0 and descriptor[0] else 0
        tl0 = self._last_tl0 + 1 - descriptor[3] if self._last_tl0 >= 0 and descriptor[2] else 0
        return picture & 0x7FFF, tl0 & 0xFF

    def _continue_time(self, stream: ReceiveStream, timestamp: int, now_ns: int) -> int:
        """The timestamp offset: by sender reports between layers of one sender, else by the time passed meanwhile."""
        before = self.segment
        if before is None:
            return 0
        least = stream.clock_rate // 100  # a frame apart, at least
        passed = min(_MAX_IDLE_NS, now_ns - self._last_ns) * stream.clock_rate // 1_000_000_000
        wanted = self._last_ts + max(least, passed)
        aligned = self._aligned(before, stream)
        if aligned is not None:
            ahead = (timestamp + aligned - self._last_ts + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            drift = (timestamp + aligned - wanted + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            if ahead >= least and abs(drift) < stream.clock_rate:
                return aligned
        return (wanted - timestamp) & 0xFFFFFFFF

    def _aligned(self, before: Segment, stream: ReceiveStream) -> int | None:
        """The offset that keeps the outgoing timestamp on the old line against the sender's NTP clock."""
        old = before.stream
        if old is stream:
            return before.timestamp
        if old.owner != stream.owner or old.clock_rate != stream.clock_rate:
            return None
        if old.last_sr is None or stream.last_sr is None:
            return None
        passed = (stream.last_sr[0] - old.last_sr[0]) * stream.clock_rate >> 32
        return (old.last_sr[1] + before.timestamp + passed - stream.last_sr[1]) & 0xFFFFFFFF

    def _close_gap(self, segment: Segment, extended: int) -> None:
        follow = Segment(
            segment.stream,
            extended + 1,
            extended + segment.sequence,
            segment.timestamp,
            segment.picture,
            segment.tl0,
        )
        self._segments.append(follow)
        self.segment = follow
        self._next_out = follow.out_start  # not lower: a lost number in between may still be recovered and used
