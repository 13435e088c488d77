"""Fragmented MP4 writer (ISO/IEC 14496-12, 14496-15; Opus in ISOBMFF): H.264 and Opus, one whole fragment per flush."""

import struct
from itertools import pairwise

from recording.containers import Lane, Layout, Sample, opus_head
from recording.depacketise import VideoShape

_NUMBERS = {Lane.VIDEO: 1, Lane.AUDIO: 2}
_RATES = {Lane.VIDEO: 90_000, Lane.AUDIO: 48_000}
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC, _DELTA = 0x02000000, 0x01010000  # sample flags: depends on nothing / depends on others, not a sync sample


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _ticks(time_us: int, lane: Lane) -> int:
    return round(time_us * _RATES[lane] / 1_000_000)


class Mp4Writer:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sequence = 0
        self._samples: dict[Lane, list[Sample]] = {Lane.VIDEO: [], Lane.AUDIO: []}

    def head(self) -> bytes:
        ftyp = _box(b"ftyp", b"iso5", struct.pack(">I", 512), b"iso5iso6mp41")
        movie = _full(
            b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IHH8x", 0x10000, 0x0100, 0), _MATRIX,
            bytes(24), struct.pack(">I", 3),
        )  # fmt: skip
        tracks, extends = b"", b""
        for lane in self._lanes():
            tracks += self._track(lane)
            extends += _full(b"trex", 0, 0, struct.pack(">5I", _NUMBERS[lane], 1, 0, 0, 0))
        return ftyp + _box(b"moov", movie, tracks, _box(b"mvex", extends))

    def _lanes(self) -> list[Lane]:
        return ([Lane.VIDEO] if self._layout.video else []) + ([Lane.AUDIO] if self._layout.audio else [])

    def _track(self, lane: Lane) -> bytes:
        shape = self._layout.video if lane is Lane.VIDEO else None
        width, height = (shape.width, shape.height) if shape else (0, 0)
        volume = 0 if shape else 0x0100
        header = _full(
            b"tkhd", 0, 3, struct.pack(">5I8xHHHH", 0, 0, _NUMBERS[lane], 0, 0, 0, 0, volume, 0), _MATRIX,
            struct.pack(">II", width << 16, height << 16),
        )  # fmt: skip
        media = _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, _RATES[lane], 0, 0x55C4, 0))
        handler = _full(b"hdlr", 0, 0, bytes(4), b"vide" if shape else b"soun", bytes(12), b"huizhen\0")
        kind = _full(b"vmhd", 0, 1, bytes(8)) if shape else _full(b"smhd", 0, 0, bytes(4))
        data = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
        entry = _avc1(shape) if shape else _opus()
        tables = (
            _full(b"stsd", 0, 0, struct.pack(">I", 1), entry)
            + _full(b"stts", 0, 0, bytes(4)) + _full(b"stsc", 0, 0, bytes(4))
            + _full(b"stsz", 0, 0, bytes(8)) + _full(b"stco", 0, 0, bytes(4))
        )  # fmt: skip
        return _box(b"trak", header, _box(b"mdia", media, handler, _box(b"minf", kind, data, _box(b"stbl", tables))))

    def add(self, sample: Sample) -> None:
        self._samples[sample.lane].append(sample)

    def flush(self) -> bytes:
        lanes = [lane for lane in self._lanes() if self._samples[lane]]
        if not lanes:
            return b""
        self._sequence += 1
        size = len(self._fragment(lanes, 0))
        fragment = self._fragment(lanes, size + 8)
        data = b"".join(sample.data for lane in lanes for sample in self._samples[lane])
        for lane in lanes:
            self._samples[lane] = []
        return fragment + _box(b"mdat", data)

    def _fragment(self, lanes: list[Lane], data_at: int) -> bytes:
        """The moof, with the first lane's data `data_at` bytes after its start."""
        runs = b""
        for lane in lanes:
            samples = self._samples[lane]
            rows = b"".join(
                struct.pack(">III", duration, len(sample.data), _SYNC if sample.key else _DELTA)
                for sample, duration in zip(samples, _durations(samples), strict=True)
            )
            head = _full(b"tfhd", 0, 0x020000, struct.pack(">I", _NUMBERS[lane]))  # offsets count from the moof
            time = _full(b"tfdt", 1, 0, struct.pack(">Q", _ticks(samples[0].time_us, lane)))
            run = _full(b"trun", 0, 0x000701, struct.pack(">Ii", len(samples), data_at), rows)
            runs += _box(b"traf", head, time, run)
            data_at += sum(len(sample.data) for sample in samples)
        return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", self._sequence)), runs)


def _durations(samples: list[Sample]) -> list[int]:
    """To the next sample; the last one's own (the next fragment states its own time)."""
    lane = samples[0].lane
    times = [_ticks(sample.time_us, lane) for sample in samples]
    times.append(_ticks(samples[-1].time_us + samples[-1].duration_us, lane))
    return [max(1, after - before) for before, after in pairwise(times)]


def _avc1(shape: VideoShape) -> bytes:
    return _box(
        b"avc1", struct.pack(">6xH16xHH", 1, shape.width, shape.height),
        struct.pack(">IIIH32xHh", 0x480000, 0x480000, 0, 1, 24, -1), _box(b"avcC", shape.configuration),
    )  # fmt: skip


def _opus() -> bytes:
    head = opus_head()
    specific = bytes([0, head[1]]) + struct.pack(">HIhB", 0, 48000, 0, 0)
    return _box(b"Opus", struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, 48000 << 16), _box(b"dOps", specific))
