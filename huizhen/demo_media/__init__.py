"""Coded frames for the demo's recording of the past, as data (made by tests/support/make_demo_media.py)."""

import struct
from dataclasses import dataclass
from importlib.resources import files

_MAGIC = b"HZCLIP1\n"
_HEAD = struct.Struct(">I")
_FRAME = struct.Struct(">BBIII")  # lane, key, time us, duration us, size
_LANES = ("audio", "video")


@dataclass(frozen=True, slots=True)
class Frame:
    """One Opus or VP8 frame; times in microseconds from the clip's start."""

    lane: str  # "audio" | "video"
    key: bool
    time_us: int
    duration_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames in order of time; it may be played round and round, since it begins with a key frame."""

    frames: tuple[Frame, ...]
    length_us: int

    def encode(self) -> bytes:
        parts = [_MAGIC, _HEAD.pack(self.length_us)]
        for frame in self.frames:
            head = _FRAME.pack(_LANES.index(frame.lane), frame.key, frame.time_us, frame.duration_us, len(frame.data))
            parts += (head, frame.data)
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> "Clip":
        """Raises ValueError for anything that is not a clip."""
        if not data.startswith(_MAGIC):
            raise ValueError("not a clip")
        (length_us,) = _HEAD.unpack_from(data, len(_MAGIC))
        at, frames = len(_MAGIC) + _HEAD.size, []
        while at < len(data):
            lane, key, time_us, duration_us, size = _FRAME.unpack_from(data, at)
            at += _FRAME.size
            frames.append(Frame(_LANES[lane], bool(key), time_us, duration_us, data[at : at + size]))
            at += size
        return cls(tuple(frames), length_us)


def clip(name: str) -> Clip:
    """ "doctor" or "patient"."""
    return Clip.decode(files("huizhen.demo_media").joinpath(f"{name}.clip").read_bytes())
