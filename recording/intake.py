"""One tapped RTP stream inside the recorder child: reorder, depacketise, put on the server's clock."""

from dataclasses import dataclass

from recording.containers import Lane
from recording.depacketise import CodedFrame, VideoShape, depacketiser, opus_duration_us
from recording.rtp_frames import Lost, ReorderBuffer, RtpPacket, parse_rtp
from recording.timeline import StreamClock
from rtc.errors import ParseError

HOLD_SECONDS = 2.0  # how long the first frames wait for a sender report: leaves a second of the 3 s start deadline
LATE_HOLD_SECONDS = 0.2  # for a stream joining a running segment: waiting longer would put the running one at risk
MAX_HELD_BYTES = 8 * 1024 * 1024
_VIDEO_FRAME_US = 33_333


@dataclass(frozen=True, slots=True)
class TimedFrame:
    lane: Lane
    time_us: int  # server clock, unix microseconds
    duration_us: int
    data: bytes
    key: bool
    arrival: float  # unix seconds
    shape: VideoShape | None


class StreamIntake:
    """Feed packets, take timed frames. Malformed payload counts as a loss and never stops the stream."""

    def __init__(self, lane: Lane, codec: str, clock: StreamClock) -> None:
        self.lane = lane
        self._clock = clock
        self._reorder = ReorderBuffer()
        self._format = depacketiser(codec)
        self._held: list[tuple[int, CodedFrame]] = []
        self._held_bytes = 0
        self._first_arrival: float | None = None
        self._fallback = False
        self.last_arrival = 0.0
        self.newest_us = 0  # of the frames handed out
        self.lost = 0
        self.malformed = 0

    @property
    def recordable(self) -> bool:
        return self._format is not None

    @property
    def wants_key(self) -> bool:
        return self._format is not None and self._format.wants_key and self._first_arrival is not None

    @property
    def waiting(self) -> bool:
        """A hole holds packets back."""
        return self._reorder.waiting

    @property
    def holding(self) -> bool:
        """Frames wait for the first sender report."""
        return self._first_arrival is not None and not self._clock.reported and not self._fallback

    def alive(self, now: float, within: float) -> bool:
        return now - self.last_arrival < within

    def packet(self, rtp: bytes, arrival: float) -> None:
        if self._format is None:
            return
        try:
            packet = parse_rtp(rtp, arrival)
        except ParseError:
            self.malformed += 1
            return
        if self._first_arrival is None:
            self._first_arrival = arrival
        self.last_arrival = max(self.last_arrival, arrival)
        for item in self._reorder.push(packet):
            self._take(item)

    def ready(self, now: float, *, hold: float = HOLD_SECONDS, end: bool = False) -> list[TimedFrame]:
        """Frames whose time is known. `hold`: seconds to wait for the first sender report; `end`: give everything."""
        for item in self._reorder.flush() if end else self._reorder.due(now):
            self._take(item)
        if self._first_arrival is None:
            return []
        if now - self._first_arrival >= hold or end:
            self._fallback = True
        if self.holding:
            return []
        held, self._held, self._held_bytes = self._held, [], 0
        return [self._timed(extended, frame) for extended, frame in held]

    def _take(self, item: RtpPacket | Lost) -> None:
        if self._format is None:
            return
        if isinstance(item, Lost):
            self.lost += item.count
            self._format.lost()
            return
        try:
            frames = self._format.push(item)
        except ParseError:
            self.malformed += 1
            self._format.lost()
            return
        for frame in frames:
            extended = self._clock.extend(frame.timestamp)
            self._clock.seen(extended, frame.arrival)
            self._held.append((extended, frame))
            self._held_bytes += len(frame.data)
        if self._held_bytes > MAX_HELD_BYTES:
            self._held, self._held_bytes = [], 0
            self._format.lost()

    def _timed(self, extended: int, frame: CodedFrame) -> TimedFrame:
        time_us = round(self._clock.at(extended) * 1_000_000)
        self.newest_us = max(self.newest_us, time_us)
        duration = opus_duration_us(frame.data) if self.lane is Lane.AUDIO else _VIDEO_FRAME_US
        return TimedFrame(self.lane, time_us, duration, frame.data, frame.key, frame.arrival, frame.shape)
