"""Payload formats: VP8 (RFC 7741), H.264 (RFC 6184, non-interleaved), Opus (RFC 7587) into whole coded frames.

Only ParseError leaves this module. After a loss, video stays silent until the next key frame: a decoder fed frames
with holes shows garbage that looks like pathology.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from recording.h264_parameters import SequenceParameters, parse_sps
from recording.rtp_frames import RtpPacket
from rtc.errors import ParseError

MAX_FRAME = 4 * 1024 * 1024  # bytes; a frame above it is dropped


@dataclass(frozen=True, slots=True)
class VideoShape:
    """What a container must know of a video before its first frame."""

    codec: str  # "vp8" | "h264"
    width: int
    height: int
    codec_string: str  # RFC 6381
    configuration: bytes = b""  # avcC for h264


@dataclass(frozen=True, slots=True)
class CodedFrame:
    data: bytes  # VP8 frame, H.264 access unit as 4-byte-length-prefixed NAL units, or Opus packet
    timestamp: int  # RTP
    key: bool
    arrival: float  # unix seconds, of its last packet
    shape: VideoShape | None = None  # of the video at this frame; None for audio


class Depacketiser(Protocol):
    @property
    def wants_key(self) -> bool:
        """Nothing can be shown before the next key frame: ask for one."""
        ...

    def push(self, packet: RtpPacket) -> list[CodedFrame]:
        """Packets in sequence order. Raises ParseError (the caller then calls `lost`)."""
        ...

    def lost(self) -> None:
        """Packets are missing here."""
        ...


def depacketiser(codec: str) -> Depacketiser | None:
    """For an rtpmap name; None = a format that cannot be recorded."""
    makers: dict[str, type[Vp8Frames] | type[H264Frames] | type[OpusFrames]] = {
        "VP8": Vp8Frames,
        "H264": H264Frames,
        "OPUS": OpusFrames,
    }
    maker = makers.get(codec.upper())
    return maker() if maker else None


class OpusFrames:
    wants_key = False

    def push(self, packet: RtpPacket) -> list[CodedFrame]:
        if not packet.payload:
            return []
        return [CodedFrame(packet.payload, packet.timestamp, True, packet.arrival)]

    def lost(self) -> None:
        """Opus conceals by itself: the timestamps tell the hole."""


def opus_duration_us(packet: bytes) -> int:
    """RFC 6716 section 3.1: frame size by configuration, times the number of frames; 20 ms for an empty packet."""
    if not packet:
        return 20_000
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        size = (10_000, 20_000, 40_000, 60_000)[config & 3]
    elif config < 16:
        size = (10_000, 20_000)[config & 1]
    else:
        size = (2_500, 5_000, 10_000, 20_000)[config & 3]
    frames = (1, 2, 2, (packet[1] & 0x3F) if len(packet) > 1 else 1)[code]
    return size * max(1, frames)


class _Assembly:
    """One video frame in the making."""

    def __init__(self) -> None:
        self.wants_key = True
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp: int | None = None

    def lost(self) -> None:
        self.wants_key = True
        self._clear()

    def _clear(self) -> None:
        self._parts, self._size, self._timestamp = [], 0, None

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_FRAME:
            self.lost()


class Vp8Frames(_Assembly):
    def __init__(self) -> None:
        super().__init__()
        self._shape: VideoShape | None = None

    def push(self, packet: RtpPacket) -> list[CodedFrame]:
        if not packet.payload:
            return []
        start, begins = _vp8_descriptor(packet.payload)
        done: list[CodedFrame] = []
        if begins:
            done = self._finish(packet.arrival)  # a sender that sets no marker
            self._timestamp = packet.timestamp
        elif self._timestamp is None or packet.timestamp != self._timestamp:
            self.lost()
            return []
        self._add(packet.payload[start:])
        return done + self._finish(packet.arrival) if packet.marker else done

    def _finish(self, arrival: float) -> list[CodedFrame]:
        if self._timestamp is None:
            return []
        data, timestamp = b"".join(self._parts), self._timestamp
        self._clear()
        if not data:
            return []
        key = not data[0] & 1
        if key:
            self._shape = _vp8_shape(data)
            self.wants_key = False
        if self.wants_key or self._shape is None:
            return []
        return [CodedFrame(data, timestamp, key, arrival, self._shape)]


def _vp8_descriptor(payload: bytes) -> tuple[int, bool]:
    """RFC 7741 section 4.2: where the payload starts, and whether a frame starts here (S=1, PID=0)."""
    at = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            raise ParseError("vp8 descriptor")
        flags = payload[1]
        at = 2
        if flags & 0x80:
            if len(payload) < 3:
                raise ParseError("vp8 descriptor")
            at += 2 if payload[2] & 0x80 else 1
        at += bool(flags & 0x40) + bool(flags & 0x30)
    if at >= len(payload):
        raise ParseError("vp8 descriptor")
    return at, bool(payload[0] & 0x10) and not payload[0] & 0x07


def _vp8_shape(frame: bytes) -> VideoShape:
    """RFC 6386 section 9.1: size from a key frame."""
    if len(frame) < 10 or frame[3:6] != b"\x9d\x01\x2a":
        raise ParseError("vp8 key frame")
    width, height = struct.unpack_from("<HH", frame, 6)
    if not width & 0x3FFF or not height & 0x3FFF:
        raise ParseError("vp8 size")
    return VideoShape("vp8", width & 0x3FFF, height & 0x3FFF, "vp8")


_IDR, _SPS, _PPS, _AUD, _STAP_A, _FU_A = 5, 7, 8, 9, 24, 28


class H264Frames(_Assembly):
    """NAL units of one timestamp make an access unit; parameter sets are remembered and go into the configuration."""

    def __init__(self) -> None:
        super().__init__()
        self._fragment: bytearray | None = None
        self._sps = b""
        self._pps: dict[int, bytes] = {}
        self._shape: VideoShape | None = None

    def lost(self) -> None:
        super().lost()
        self._fragment = None

    def push(self, packet: RtpPacket) -> list[CodedFrame]:
        if not packet.payload:
            return []
        done: list[CodedFrame] = []
        if self._timestamp is not None and packet.timestamp != self._timestamp:
            done = self._finish(packet.arrival)
        self._timestamp = packet.timestamp
        for unit in self._units(packet.payload):
            self._add(unit)
        return done + self._finish(packet.arrival) if packet.marker else done

    def _units(self, payload: bytes) -> list[bytes]:
        kind = payload[0] & 0x1F
        if 1 <= kind <= 23:
            return [payload]
        if kind == _STAP_A:
            return _stap_a(payload)
        if kind == _FU_A:
            unit = self._fu_a(payload)
            return [unit] if unit else []
        raise ParseError(f"h264 payload type {kind}")

    def _fu_a(self, payload: bytes) -> bytes | None:
        """RFC 6184 section 5.8."""
        if len(payload) < 3:
            raise ParseError("h264 fragment")
        start, end = payload[1] & 0x80, payload[1] & 0x40
        if start and end:
            raise ParseError("h264 fragment both first and last")
        if start:
            self._fragment = bytearray([(payload[0] & 0xE0) | (payload[1] & 0x1F)])
        if self._fragment is None:
            self.lost()
            return None
        self._fragment += payload[2:]
        if len(self._fragment) > MAX_FRAME:
            raise ParseError("h264 fragment too long")
        if not end:
            return None
        unit, self._fragment = bytes(self._fragment), None
        return unit

    def _finish(self, arrival: float) -> list[CodedFrame]:
        units, timestamp = self._parts, self._timestamp
        self._clear()
        if self._fragment is not None:  # its end is missing
            self.lost()
            return []
        if not units or timestamp is None:
            return []
        key = any(unit[0] & 0x1F == _IDR for unit in units)
        self._learn(units)
        if key and self._shape is not None:
            self.wants_key = False
        # Parameter sets live in the configuration (avcC); delimiters carry nothing.
        coded = [unit for unit in units if unit[0] & 0x1F not in (_SPS, _PPS, _AUD)]
        if self.wants_key or self._shape is None or not coded:
            return []
        data = b"".join(struct.pack(">I", len(unit)) + unit for unit in coded)
        return [CodedFrame(data, timestamp, key, arrival, self._shape)]

    def _learn(self, units: list[bytes]) -> None:
        changed = False
        for unit in units:
            kind = unit[0] & 0x1F
            if kind == _SPS and unit != self._sps:
                parse_sps(unit)  # a broken one never replaces a good one
                self._sps, self._pps, changed = unit, {}, True
            elif kind == _PPS and len(unit) > 1 and self._pps.get(_pps_id(unit)) != unit:
                self._pps[_pps_id(unit)] = unit
                changed = True
        if changed and self._sps and self._pps:
            self._shape = _h264_shape(self._sps, list(self._pps.values()), parse_sps(self._sps))


def _stap_a(payload: bytes) -> list[bytes]:
    """RFC 6184 section 5.7.1."""
    units: list[bytes] = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        if at + 2 > len(payload) or not size or at + 2 + size > len(payload):
            raise ParseError("h264 aggregate")
        units.append(payload[at + 2 : at + 2 + size])
        at += 2 + size
    if not units:
        raise ParseError("h264 aggregate")
    return units


def _pps_id(unit: bytes) -> int:
    """pic_parameter_set_id is the first ue(v): its leading bits are enough to tell sets apart."""
    bits = int.from_bytes(unit[1:5].ljust(4, b"\x00"), "big")
    zeros = 32 - bits.bit_length()
    return (bits >> max(0, 31 - 2 * zeros)) - 1 if zeros < 16 else 0


def _h264_shape(sps: bytes, pps: list[bytes], facts: SequenceParameters) -> VideoShape:
    """AVCDecoderConfigurationRecord, ISO/IEC 14496-15 section 5.3.3.1."""
    if len(pps) > 31:
        raise ParseError("h264 parameter sets")
    record = bytearray(struct.pack(">BBBBBB", 1, sps[1], sps[2], sps[3], 0xFF, 0xE1))
    record += struct.pack(">H", len(sps)) + sps + bytes([len(pps)])
    for unit in pps:
        record += struct.pack(">H", len(unit)) + unit
    if sps[1] in (100, 110, 122, 144):
        record += bytes([0xFC | facts.chroma_format, 0xF8 | facts.bit_depth_luma, 0xF8 | facts.bit_depth_chroma, 0])
    return VideoShape("h264", facts.width, facts.height, f"avc1.{sps[1:4].hex()}", bytes(record))
