"""A recording as ordinary files: every segment in the clear, and one joined file per person and track.

Joining copies coded frames (no transcoding). A joined file holds one video format; where a person's format changes
(other codec, other H.264 parameters) a further part begins.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av

from recording.playback import Playback
from recording.records import Recording, Segment

_CHUNK = 4 * 1024 * 1024
_MICRO = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class ExportedFiles:
    segments: tuple[Path, ...]
    joined: tuple[Path, ...]


@dataclass(slots=True)
class _Part:
    """Segment files of one person and track that fit into one file."""

    pieces: list[tuple[Path, int]] = field(default_factory=list)  # file, start in microseconds
    video: Path | None = None  # the first piece that has video
    audio: Path | None = None
    format: tuple[str, bytes] | None = None  # video codec and configuration


def suffix_of(mime: str) -> str:
    return "mp4" if "/mp4" in mime else "webm"


async def export_plain(playback: Playback, recording_id: str, folder: Path) -> ExportedFiles:
    """Write `<seat>.<track>-<number>.webm|mp4` and joined `<seat>.<track>[.part].webm|mkv` into `folder` (0600 files).

    Raises KeyDestroyed, SegmentDamaged.
    """
    recording, found = await playback.contents(recording_id)
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    segments = sorted(found, key=lambda s: (s.seat_id, s.track, s.number))
    files: dict[str, Path] = {}
    for segment in segments:
        name = f"{segment.seat_id}.{segment.track}-{segment.number:04d}.{suffix_of(segment.mime)}"
        files[segment.id] = folder / name
        await _write(playback, recording, segment, folder / name)
    joined = await asyncio.to_thread(_join_all, segments, files, folder)
    return ExportedFiles(tuple(files.values()), tuple(joined))


async def _write(playback: Playback, recording: Recording, segment: Segment, path: Path) -> None:
    file = await asyncio.to_thread(_create, path)
    try:
        for at in range(0, await playback.plain_size(segment), _CHUNK):
            await asyncio.to_thread(file.write, await playback.read_plain(recording, segment, at, _CHUNK))
    finally:
        await asyncio.to_thread(file.close)


def _create(path: Path) -> BinaryIO:
    path.touch(mode=0o600)
    return path.open("wb")


def _join_all(segments: Sequence[Segment], files: dict[str, Path], folder: Path) -> list[Path]:
    tracks: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments:
        tracks.setdefault((segment.seat_id, str(segment.track)), []).append(segment)
    joined: list[Path] = []
    for (seat_id, track), rows in tracks.items():
        for number, part in enumerate(_parts(rows, files)):
            form = "matroska" if part.format and part.format[0] == "h264" else "webm"
            ending = f".{number + 1}" if number else ""
            path = folder / f"{seat_id}.{track}{ending}.{'mkv' if form == 'matroska' else 'webm'}"
            path.touch(mode=0o600)
            _join(part, path, form)
            joined.append(path)
    return joined


def _parts(rows: Sequence[Segment], files: dict[str, Path]) -> list[_Part]:
    parts = [_Part()]
    for segment in rows:
        path = files[segment.id]
        with av.open(str(path)) as source:
            video = source.streams.video[0].codec_context if source.streams.video else None
            form = (video.name, bytes(video.extradata or b"")) if video is not None else None
            has_audio = bool(source.streams.audio)
        if form and parts[-1].format and parts[-1].format != form:
            parts.append(_Part())
        part = parts[-1]
        part.format = part.format or form
        part.video = part.video or (path if form else None)
        part.audio = part.audio or (path if has_audio else None)
        part.pieces.append((path, int(segment.started_at.timestamp() * 1000) * 1000))
    return parts


def _join(part: _Part, path: Path, form: str) -> None:
    origin = part.pieces[0][1]
    with av.open(str(path), "w", format=form) as target:
        lanes: dict[str, Any] = {}
        for kind, sample in (("video", part.video), ("audio", part.audio)):
            if sample is not None:
                with av.open(str(sample)) as source:
                    lanes[kind] = target.add_stream_from_template(getattr(source.streams, kind)[0])
        last: dict[str, int] = {}
        for piece, start in part.pieces:
            with av.open(str(piece)) as source:
                for packet in source.demux():
                    lane = lanes.get(packet.stream.type)
                    if lane is None or packet.pts is None or packet.time_base is None or not packet.size:
                        continue
                    time_us = int(packet.pts * packet.time_base / _MICRO) + start - origin
                    kind = packet.stream.type
                    # Pieces meet within milliseconds; a container's times must rise.
                    time_us = max(time_us, last.get(kind, -1000) + 1000)
                    last[kind] = time_us
                    packet.pts = packet.dts = time_us
                    packet.time_base = _MICRO
                    packet.stream = lane
                    target.mux(packet)
