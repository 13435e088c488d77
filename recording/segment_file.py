"""One segment being written: container bytes, encrypted frame by frame into a spool file."""

import os
from dataclasses import dataclass
from pathlib import Path

from recording.containers import Lane, Layout, Muxer, Sample
from recording.fmp4 import Mp4Writer
from recording.intake import TimedFrame
from recording.sealed_file import SealedWriter, SegmentHeader
from recording.webm import WebmWriter

SUFFIX = ".hzs"


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What the child tells about a closed segment. `clock_ms`: arrival of the last packet in it (unix ms)."""

    seat_id: str
    track: str
    number: int
    file: str
    mime: str
    started_ms: int
    duration_ms: int
    clock_ms: int
    size: int
    sha256: str
    plain_sha256: str
    sealed: bool


def spool_name(seat_id: str, track: str, number: int) -> str:
    return f"{seat_id}.{track}-{number}{SUFFIX}"


def muxer_for(layout: Layout) -> Muxer:
    return Mp4Writer(layout) if layout.video and layout.video.codec == "h264" else WebmWriter(layout)


class SegmentFile:
    """Not thread-safe. OSError (no space) passes through; the file stays readable up to its last whole frame."""

    def __init__(self, folder: Path, header: SegmentHeader, layout: Layout, started_us: int, key: bytes) -> None:
        self.layout = layout
        self.started_us = started_us
        self.newest_us = started_us
        self.clock_ms = header.started_ms
        self._header = header
        self._name = spool_name(header.seat_id, header.track, header.number)
        descriptor = os.open(folder / self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._raw = os.fdopen(descriptor, "wb", buffering=0)
        try:
            self._writer = SealedWriter(self._raw, header, key)
        except OSError:
            self._raw.close()
            (folder / self._name).unlink()
            raise
        self._muxer = muxer_for(layout)
        self._head: bytes = self._muxer.head()
        self._last: dict[Lane, int] = {}
        self._end_us = 0

    @property
    def on_disk(self) -> bool:
        """At least one fragment with media has been handed to the operating system."""
        return self._writer.plain_size > 0

    @property
    def span_ms(self) -> int:
        return round(self._end_us / 1000)

    def age_us(self, now_us: int) -> int:
        return now_us - self.started_us

    def add(self, frame: TimedFrame) -> None:
        """Times are forced to rise within a lane: a player stops at a step back."""
        wanted = frame.time_us - self.started_us
        time_us = max(wanted, self._last[frame.lane] + 1000) if frame.lane in self._last else max(0, wanted)
        self._last[frame.lane] = time_us
        self.newest_us = max(self.newest_us, self.started_us + time_us)
        self._end_us = max(self._end_us, time_us + frame.duration_us)
        self.clock_ms = max(self.clock_ms, int(frame.arrival * 1000))
        self._muxer.add(Sample(frame.lane, time_us, frame.duration_us, frame.data, frame.key))

    def flush(self) -> None:
        body = self._muxer.flush()
        if not body:
            return
        plain, self._head = self._head + body, b""
        self._writer.write(plain, self.clock_ms, self.span_ms)

    def close(self) -> SegmentReport:
        """Seal. When even that fails (no space), what was written stays and the report says it is not sealed."""
        if not self._writer.sealed:
            try:
                self._writer.seal(self._head + self._muxer.flush(), self.clock_ms, self.span_ms)
                os.fsync(self._raw.fileno())
                sealed = True
            except OSError:
                sealed = False
        else:
            sealed = False
        self._raw.close()
        head, writer = self._header, self._writer
        return SegmentReport(
            head.seat_id, head.track, head.number, self._name, head.mime, head.started_ms, self.span_ms,
            self.clock_ms, writer.size, writer.sha256, writer.plain_sha256, sealed,
        )  # fmt: skip
