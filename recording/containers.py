"""What both container writers share: the tracks of a segment and the frames that go into it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recording.depacketise import VideoShape


class Lane(StrEnum):
    """The two streams a segment can hold."""

    AUDIO = "audio"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Sample:
    lane: Lane
    time_us: int  # from the start of the segment, never falling within a lane
    duration_us: int
    data: bytes
    key: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Tracks of one segment. Never changes within it."""

    audio: bool
    video: VideoShape | None

    @property
    def mime(self) -> str:
        """As a browser's SourceBuffer wants it."""
        names = [self.video.codec_string] if self.video else []
        codecs = ",".join(names + (["opus"] if self.audio else []))
        kind = "video" if self.video else "audio"
        form = "mp4" if self.video and self.video.codec == "h264" else "webm"
        return f'{kind}/{form}; codecs="{codecs}"'


class Muxer(Protocol):
    """Container bytes. Everything added before a `flush` is in the bytes it returns: nothing is held back inside."""

    def head(self) -> bytes: ...

    def add(self, sample: Sample) -> None: ...

    def flush(self) -> bytes:
        """A cluster or fragment, whole; empty when nothing was added since the last one."""
        ...


def opus_head(channels: int = 2) -> bytes:
    """RFC 7845 section 5.1 without magic: version, channels, no pre-skip (a tap starts in the middle of a stream)."""
    return bytes([1, channels]) + (0).to_bytes(2, "little") + (48000).to_bytes(4, "little") + bytes(3)
