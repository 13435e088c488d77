"""Synthetic Opus and VP8 of the test peer: filler behind right headers, or real encoded frames cut into packets."""

import secrets
import struct
from dataclasses import dataclass, field

from rtc.negotiation import Kind, Source
from rtc.rtp import RtpPacket
from tests.support.peersdp import OPUS_PT, VP8_PT

PACKET = 1000  # payload octets of one VP8 packet


class OpusSource:
    """20 ms frames of 80 octets: TOC byte for CELT 20 ms mono, then filler."""

    def __init__(self) -> None:
        self._timestamp = secrets.randbits(32)

    def next_timestamp(self) -> int:
        self._timestamp = self._timestamp + 960 & 0xFFFFFFFF
        return self._timestamp

    def payload(self) -> bytes:
        return b"\xf8" + bytes(79)


class Vp8Source:
    """Frames with 15-bit picture ids and TL0PICIDX. Filler frames: 3 packets, a key frame 6."""

    def __init__(self, width: int = 640, height: int = 360) -> None:
        self.width, self.height = width, height
        self._timestamp = secrets.randbits(32)
        self._picture = secrets.randbits(15)
        self._tl0 = secrets.randbits(8)
        self._started = False

    def next_timestamp(self) -> int:
        self._timestamp = self._timestamp + 3000 & 0xFFFFFFFF
        return self._timestamp

    def payloads(self, frame: bytes | None, *, key: bool) -> list[bytes]:
        """The payloads of the next frame; the first ever is a key frame."""
        if frame is None:
            frame = self._filler(key=key or not self._started)
        self._started = True
        self._picture = self._picture + 1 & 0x7FFF
        self._tl0 = self._tl0 + 1 & 0xFF
        parts = [frame[at : at + PACKET] for at in range(0, len(frame), PACKET)]
        return [self._descriptor(first=number == 0) + part for number, part in enumerate(parts)]

    def _descriptor(self, *, first: bool) -> bytes:
        # RFC 7741: X and S; I, L, T; picture id; TL0PICIDX; TID 0 with Y
        return struct.pack("!BBHBB", 0x90 if first else 0x80, 0xE0, 0x8000 | self._picture, self._tl0, 0x20)

    def _filler(self, *, key: bool) -> bytes:
        if key:
            head = b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", self.width, self.height)
            return head + bytes(6 * PACKET - len(head))
        return b"\x11\x00\x00" + bytes(3 * PACKET - 3)


@dataclass
class SentStream:
    """One SSRC the peer sends, with its RTX twin."""

    source: Source
    rid: str | None
    ssrc: int = field(default_factory=lambda: secrets.randbits(31) + 1)
    rtx_ssrc: int = field(default_factory=lambda: secrets.randbits(31) + 1)
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    rtx_sequence: int = field(default_factory=lambda: secrets.randbits(16))
    timestamp: int = 0
    packets: int = 0
    octets: int = 0
    retransmitted: int = 0
    want_key: bool = False
    history: dict[int, RtpPacket] = field(default_factory=dict)
    media: OpusSource | Vp8Source = field(init=False)

    def __post_init__(self) -> None:
        if self.source.kind is Kind.AUDIO:
            self.media = OpusSource()
        else:
            scale = {"q": 4, "h": 2}.get(self.rid or "", 1)
            self.media = Vp8Source(1280 // scale, 720 // scale)

    @property
    def payload_type(self) -> int:
        return OPUS_PT if self.source.kind is Kind.AUDIO else VP8_PT

    def remember(self, packet: RtpPacket, limit: int) -> None:
        self.history[packet.sequence] = packet
        while len(self.history) > limit:
            del self.history[next(iter(self.history))]
