"""A synthetic person for media tests: a white flash and a beep at the same instant, each second, really encoded.

media = flash_and_beep(6.0)                      # VP8 + Opus RTP packets with capture times
for event in as_tapped(media, "seat-p", start=1_700_000_000.0, video_delay=0.12):
    tap.write(event) if isinstance(event, TapPacket) else tap.clock(event)
flashes, beeps = onsets(webm_bytes)              # seconds in the decoded file
"""

import io
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av

from rtc.negotiation import Codec, Source
from rtc.sink import TapClock, TapPacket

VP8 = Codec("VP8", 96, 90000)
H264 = Codec("H264", 102, 90000, fmtp="packetization-mode=1;profile-level-id=42e01f")
OPUS = Codec("opus", 111, 48000, 2)
MTU = 1100
FLASH = 0.1  # seconds each flash and beep lasts
WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True, slots=True)
class SourcePacket:
    source: Source
    codec: Codec
    capture: float  # seconds from the start
    timestamp: int  # RTP, from 0
    marker: bool
    payload: bytes
    key: bool


def _lit(seconds: float) -> bool:
    return seconds % 1.0 < FLASH


@cache
def coded_video(seconds: float, name: str = "VP8", key_every: float = 10.0) -> tuple[tuple[float, bytes, bool], ...]:
    """(capture time, coded frame, key frame) at 30 frames/s; H.264 as Annex B."""
    encoder: Any = av.CodecContext.create("libvpx" if name == "VP8" else "libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90000), Fraction(30, 1)
    gop = str(round(key_every * 30))
    encoder.options = (
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": gop, "b": "300000"}
        if name == "VP8"
        else {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "g": gop,
            "x264-params": "repeat-headers=1",
        }
    )
    frames: list[tuple[float, bytes, bool]] = []
    for number in range(round(seconds * 30)):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma = 235 if _lit(number / 30 + 0.001) else 16
        # A moving bar keeps every frame different.
        row = bytearray(bytes([luma]) * frame.planes[0].line_size)
        bar = number * 7 % WIDTH
        row[bar : bar + 16] = bytes([128]) * len(row[bar : bar + 16])
        frame.planes[0].update(bytes(row) * HEIGHT)
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = number * 3000
        frames += [(number / 30, bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    return tuple(frames)


@cache
def coded_audio(seconds: float) -> tuple[tuple[float, bytes], ...]:
    """(capture time, Opus packet) every 20 ms."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48000, "stereo", "s16"
    encoder.options = {"application": "lowdelay"}
    encoder.open()
    # 1.2 kHz square wave: 20 samples up, 20 down; stereo, 16 bit.
    period = struct.pack("<hh", 9000, 9000) * 20 + struct.pack("<hh", -9000, -9000) * 20
    packets: list[tuple[float, bytes]] = []
    for number in range(round(seconds * 50)):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.sample_rate, frame.pts = 48000, number * 960
        frame.planes[0].update(period * 24 if _lit(number / 50 + 0.001) else bytes(960 * 4))
        packets += [(number / 50, bytes(packet)) for packet in encoder.encode(frame)]
    return tuple(packets)


def nal_units(annex_b: bytes) -> list[bytes]:
    parts = annex_b.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


def vp8_payloads(frame: bytes, picture: int) -> list[bytes]:
    """RFC 7741: X, I (15-bit picture id), S on the first."""
    pieces = [frame[at : at + MTU] for at in range(0, len(frame), MTU)]
    ident = struct.pack(">H", 0x8000 | picture & 0x7FFF)
    return [bytes([0x90 if n == 0 else 0x80, 0x80]) + ident + piece for n, piece in enumerate(pieces)]


def h264_payloads(annex_b: bytes) -> list[bytes]:
    """RFC 6184 packetization-mode 1: small units aggregated (STAP-A), large ones fragmented (FU-A)."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    for unit in nal_units(annex_b):
        if len(unit) < 100:
            small.append(unit)
            continue
        payloads += _aggregate(small)
        small = []
        if len(unit) <= MTU:
            payloads.append(unit)
            continue
        head, kind = unit[0] & 0xE0, unit[0] & 0x1F
        pieces = [unit[at : at + MTU] for at in range(1, len(unit), MTU)]
        for n, piece in enumerate(pieces):
            flags = (0x80 if n == 0 else 0) | (0x40 if n == len(pieces) - 1 else 0)
            payloads.append(bytes([head | 28, flags | kind]) + piece)
    return payloads + _aggregate(small)


def _aggregate(units: list[bytes]) -> list[bytes]:
    if len(units) < 2:
        return units
    return [b"\x78" + b"".join(struct.pack(">H", len(unit)) + unit for unit in units)]


@cache
def flash_and_beep(
    seconds: float,
    video: str | None = "VP8",
    audio: bool = True,
    key_every: float = 10.0,
    source: Source = Source.CAMERA,
) -> tuple[SourcePacket, ...]:
    """All packets in capture order."""
    packets: list[SourcePacket] = []
    if video is not None:
        codec = VP8 if video == "VP8" else H264
        for number, (at, frame, key) in enumerate(coded_video(seconds, video, key_every)):
            payloads = vp8_payloads(frame, number) if video == "VP8" else h264_payloads(frame)
            packets += [
                SourcePacket(source, codec, at, round(at * 90000), n == len(payloads) - 1, payload, key)
                for n, payload in enumerate(payloads)
            ]
    if audio:
        packets += [
            SourcePacket(Source.MICROPHONE, OPUS, at, round(at * 48000), False, payload, True)
            for at, payload in coded_audio(seconds)
        ]
    return tuple(sorted(packets, key=lambda packet: packet.capture))


def rtp(packet: SourcePacket, sequence: int, timestamp: int) -> bytes:
    second = packet.codec.payload_type | (0x80 if packet.marker else 0)
    return struct.pack(">BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 0x1234) + packet.payload


def as_tapped(
    media: Sequence[SourcePacket],
    seat_id: str,
    *,
    start: float,
    audio_delay: float = 0.03,
    video_delay: float = 0.03,
    jitter: Callable[[int], float] = lambda number: 0.0,
    lose: Callable[[int, SourcePacket], bool] = lambda number, packet: False,
    reports_from: float | None = 0.5,
    sender_clock: float = 0.0,
    base: int = 0xFFFFF000,
) -> Iterator[TapPacket | TapClock]:
    """In arrival order. `start`: unix seconds of capture time 0; `sender_clock`: how far the sender's clock is ahead;
    `reports_from`: first sender report (each second from then on; None = never); `base`: RTP timestamp of time 0
    (default: wraps soon). `lose` sees the number within the source."""
    events: list[tuple[float, int, TapPacket | TapClock]] = []
    counts: dict[Source, int] = {}
    for packet in media:
        number = counts[packet.source] = counts.get(packet.source, -1) + 1
        if lose(number, packet):
            continue
        delay = audio_delay if packet.source is Source.MICROPHONE else video_delay
        arrival = start + packet.capture + delay + jitter(number)
        data = rtp(packet, 65000 + number, base + packet.timestamp)
        events.append((arrival, len(events), TapPacket(seat_id, packet.source, packet.codec, data, arrival)))
    end = max((packet.capture for packet in media), default=0.0)
    for source in counts if reports_from is not None else ():
        rate = 48000 if source is Source.MICROPHONE else 90000
        at = reports_from or 0.0
        while at <= end:
            clock = TapClock(
                seat_id, source, (base + round(at * rate)) & 0xFFFFFFFF, start + at + sender_clock, start + at + 0.02
            )
            events.append((start + at + 0.02, len(events), clock))
            at += 1.0
    return iter(event for _, _, event in sorted(events, key=lambda row: row[:2]))


def onsets(data: bytes) -> tuple[list[float], list[float]]:
    """Decode a file: when flashes and beeps begin, in seconds of the file's own time."""
    flashes = _edges([(at, level > 120) for at, level in brightness(data)])
    beeps = _edges([(at, level > 1500) for at, level in loudness(data)])
    return flashes, beeps


def brightness(data: bytes) -> list[tuple[float, float]]:
    """Mean luma (0-255, sampled) of each frame."""
    levels: list[tuple[float, float]] = []
    with av.open(io.BytesIO(data), "r") as container:
        if not container.streams.video:
            return []
        for frame in container.decode(video=0):
            sampled = bytes(frame.planes[0])[::97]
            levels.append((float(frame.time or 0), sum(sampled) / len(sampled)))
    return levels


def loudness(data: bytes) -> list[tuple[float, float]]:
    """Mean magnitude (16 bit) of each 2.5 ms."""
    levels: list[tuple[float, float]] = []
    with av.open(io.BytesIO(data), "r") as container:
        if not container.streams.audio:
            return []
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48000)
        for frame in container.decode(audio=0):
            at = float(frame.time or 0)
            for piece in resampler.resample(frame):
                samples = array("h", bytes(piece.planes[0])[: piece.samples * 2])
                for n in range(0, len(samples), 120):
                    block = samples[n : n + 120]
                    levels.append((at + n / 48000, sum(map(abs, block)) / len(block)))
    return levels


def _edges(levels: list[tuple[float, bool]]) -> list[float]:
    found: list[float] = []
    before = False
    for at, lit in levels:
        if lit and not before and (not found or at - found[-1] > 0.5):
            found.append(at)
        before = lit
    return found
