"""The streams of one person's track merged into a row of self-contained segments."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recording.containers import Lane, Layout
from recording.depacketise import VideoShape
from recording.intake import HOLD_SECONDS, LATE_HOLD_SECONDS, StreamIntake, TimedFrame
from recording.sealed_file import SegmentHeader
from recording.segment_file import SegmentFile, SegmentReport

_MERGE = 0.2  # s a frame waits for the other lane to pass it
_MERGE_HOLE = 0.35  # s, while the other lane waits for a retransmission
_ALIVE = 0.5  # s without a packet: the lane is not waited for
_EXPECTED = 1.0  # s: a lane heard within it gets a place in the next segment
_FIRST_KEY = 1.5  # s that audio waits for the camera's first key frame before it starts alone
_VIDEO_IDLE = 2.0  # s
_JUMP_US = 5_000_000  # a hole, or a clock that was set: start anew rather than stretch a segment


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    recording_id: str
    folder: Path
    key: bytes
    target_seconds: float = 20.0  # cut at the next key frame after it
    max_seconds: float = 60.0  # cut anyway


@dataclass(frozen=True, slots=True)
class TrackReports:
    """`started`: numbers of segments whose first fragment is now on disk. `closed`: segments that are done."""

    started: tuple[int, ...]
    closed: tuple[SegmentReport, ...]


class TrackWriter:
    """One (seat, track). `next_number` hands out segment numbers, never the same twice."""

    def __init__(self, seat_id: str, track: str, plan: SegmentPlan, next_number: Callable[[], int]) -> None:
        self._seat_id = seat_id
        self._track = track
        self._plan = plan
        self._next_number = next_number
        self._intakes: dict[Lane, StreamIntake] = {}
        self._pending: list[TimedFrame] = []
        self._segment: SegmentFile | None = None
        self._number = 0
        self._announced = False
        self._shape: VideoShape | None = None
        self._video_waits = False  # for the key frame that lets the segment's video begin
        self._video_written = 0.0  # arrival of the newest video frame in the segment
        self._wants_cut = False
        self._closed: list[SegmentReport] = []

    def attach(self, intake: StreamIntake) -> None:
        self._intakes[intake.lane] = intake

    @property
    def wants_key(self) -> bool:
        video = self._intakes.get(Lane.VIDEO)
        return video is not None and (video.wants_key or self._video_waits or self._wants_cut)

    def drain(self, now: float) -> TrackReports:
        """Write what is due (`now` unix seconds) and hand it to the operating system. OSError: no space."""
        self._collect(now, end=False)
        while self._pending and self._due(self._pending[0], now):
            self._place(self._pending.pop(0))
        segment = self._segment
        if segment is not None:
            # Ages are judged on the segment's own clock: a wall clock that was set must not cut or stretch it.
            old = segment.newest_us - segment.started_us >= self._plan.target_seconds * 1e6
            self._wants_cut = old and segment.layout.video is not None and not self._video_idle(now)
            if now - segment.clock_ms / 1000 > _JUMP_US / 1e6:
                self._cut()
            else:
                segment.flush()
        return self._reports()

    def finish(self, now: float) -> TrackReports:
        """Everything received so far goes in; the segment is sealed."""
        self._collect(now, end=True)
        for frame in self._pending:
            self._place(frame)
        self._pending = []
        self._cut()
        return self._reports()

    def abandon(self) -> TrackReports:
        """After an OSError: close what is open, write nothing more."""
        self._pending = []
        self._cut()
        return self._reports()

    @property
    def _hold(self) -> float:
        return HOLD_SECONDS if self._segment is None else LATE_HOLD_SECONDS

    def _collect(self, now: float, *, end: bool) -> None:
        for intake in self._intakes.values():
            self._pending += intake.ready(now, hold=self._hold, end=end)
        self._pending.sort(key=lambda frame: frame.time_us)

    def _due(self, frame: TimedFrame, now: float) -> bool:
        """Whether nothing earlier can still come (or was waited for long enough)."""
        other = self._intakes.get(Lane.VIDEO if frame.lane is Lane.AUDIO else Lane.AUDIO)
        if other is None or not other.recordable or not other.alive(now, _ALIVE):
            return True
        waited = now - frame.arrival
        if other.holding:
            return waited >= self._hold + _MERGE
        if self._segment is None and frame.lane is Lane.AUDIO and other.wants_key:
            return waited >= _FIRST_KEY
        if other.newest_us >= frame.time_us:
            return True
        return waited >= (_MERGE_HOLE if other.waiting else _MERGE)

    def _expects(self, lane: Lane, at: float) -> bool:
        intake = self._intakes.get(lane)
        return intake is not None and intake.recordable and intake.alive(at, _EXPECTED)

    def _video_idle(self, at: float) -> bool:
        return at - self._video_written > _VIDEO_IDLE

    def _place(self, frame: TimedFrame) -> None:
        if frame.lane is Lane.VIDEO and frame.key:
            self._shape = frame.shape
        layout = self._next_layout(frame)
        if layout is not None:
            self._cut()
            self._open(layout, frame)
        segment = self._segment
        if segment is None:
            return
        if frame.lane is Lane.VIDEO:
            if segment.layout.video is None or (self._video_waits and not frame.key):
                return
            self._video_waits = False
            self._video_written = frame.arrival
        segment.add(frame)

    def _next_layout(self, frame: TimedFrame) -> Layout | None:
        """The layout of a new segment if one has to start with this frame."""
        segment, audio = self._segment, frame.lane is Lane.AUDIO
        if segment is None:
            return self._first_layout(frame)
        age = (frame.time_us - segment.started_us) / 1e6
        with_audio = audio or self._expects(Lane.AUDIO, frame.arrival)
        old, too_old = age >= self._plan.target_seconds, age >= self._plan.max_seconds
        if audio:
            idle = self._video_idle(frame.arrival)
            if (old and idle) or not segment.layout.audio or too_old or self._jumped(frame):
                return Layout(True, None if idle else segment.layout.video)
        elif frame.key:
            if old or self._jumped(frame) or self._reshaped(segment, frame):
                return Layout(with_audio, frame.shape)
        elif segment.layout.video is not None and too_old:
            return Layout(with_audio, segment.layout.video)
        return None

    def _first_layout(self, frame: TimedFrame) -> Layout | None:
        if frame.lane is Lane.AUDIO:
            return Layout(True, next((f.shape for f in self._pending if f.lane is Lane.VIDEO and f.key), None))
        return Layout(self._expects(Lane.AUDIO, frame.arrival), frame.shape) if frame.key else None

    def _jumped(self, frame: TimedFrame) -> bool:
        return self._segment is not None and abs(frame.time_us - self._segment.newest_us) > _JUMP_US

    @staticmethod
    def _reshaped(segment: SegmentFile, frame: TimedFrame) -> bool:
        """VP8 carries its size in each key frame; H.264's parameter sets are in the file's head and cannot change."""
        before, after = segment.layout.video, frame.shape
        if before is None or after is None or before.codec != after.codec:
            return True
        return before.codec == "h264" and before != after

    def _open(self, layout: Layout, frame: TimedFrame) -> None:
        self._number = self._next_number()
        header = SegmentHeader.fresh(
            self._plan.recording_id, self._seat_id, self._track, self._number,
            started_ms=frame.time_us // 1000, mime=layout.mime,
        )  # fmt: skip
        self._segment = SegmentFile(self._plan.folder, header, layout, frame.time_us, self._plan.key)
        self._announced = False
        self._video_waits = layout.video is not None and not (frame.lane is Lane.VIDEO and frame.key)
        self._video_written = frame.arrival if layout.video is not None else 0.0
        self._wants_cut = False

    def _cut(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            self._wants_cut = self._video_waits = False
            self._closed.append(segment.close())

    def _reports(self) -> TrackReports:
        started: list[int] = []
        if self._segment is not None and self._segment.on_disk and not self._announced:
            self._announced = True
            started.append(self._number)
        closed, self._closed = tuple(self._closed), []
        return TrackReports(tuple(started), closed)
