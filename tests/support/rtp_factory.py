"""RTP packets, sections and codecs for tests, as a browser would send and negotiate them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import pack

from rtc.negotiation import Codec, Extensions, Kind, PublishSection, ReceiveSection, Source
from rtc.rtp import RtpPacket, build

FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})
OPUS = Codec("opus", 111, 48_000, 2, "minptime=10;useinbandfec=1", 112, frozenset({"nack", "transport-cc"}))
RED = Codec("red", 63, 48_000, 2, "111/111")
VP8 = Codec("VP8", 96, 90_000, 1, "", 97, FEEDBACK)
H264 = Codec("H264", 102, 90_000, 1, "packetization-mode=1;profile-level-id=42e01f", 103, FEEDBACK)
UP = Extensions(mid=4, rid=10, repaired_rid=11, audio_level=1, transport_cc=3, abs_send_time=2)
DOWN = Extensions(mid=4, audio_level=1, abs_send_time=2)


def publish_section(source: Source, mid: str, rids: tuple[str, ...] = (), **changes: object) -> PublishSection:
    codecs = (OPUS,) if source.kind is Kind.AUDIO else (VP8, H264)
    values: dict[str, object] = {"codecs": codecs, "extensions": UP, "rids": rids} | changes
    return PublishSection(mid=mid, source=source, **values)  # type: ignore[arg-type]


def receive_section(kind: Kind, slot: int, **changes: object) -> ReceiveSection:
    """mid "a0", "v3"...; SSRCs derived from the slot; payload types differ from the publisher's on purpose."""
    audio = kind is Kind.AUDIO
    ssrc = (0xA0000 if audio else 0xB0000) + slot * 2
    codecs = (
        (Codec("opus", 109, 48_000, 2, "", 110, OPUS.feedback),)
        if audio
        else (Codec("VP8", 120, 90_000, 1, "", 121, FEEDBACK), Codec("H264", 126, 90_000, 1, H264.fmtp, 127, FEEDBACK))
    )
    values: dict[str, object] = {
        "codecs": codecs,
        "extensions": DOWN,
        "ssrc": ssrc,
        "rtx_ssrc": ssrc + 1,
        "cname": f"slot{slot}",
    }
    return ReceiveSection(mid=f"{kind.value[0]}{slot}", kind=kind, slot=slot, **(values | changes))  # type: ignore[arg-type]


def pool(audio: int, video: int) -> tuple[ReceiveSection, ...]:
    return (
        *(receive_section(Kind.AUDIO, slot) for slot in range(audio)),
        *(receive_section(Kind.VIDEO, slot) for slot in range(video)),
    )


def rtp(
    ssrc: int,
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    payload_type: int = 96,
    marker: bool = False,
    extensions: Mapping[int, bytes] | None = None,
    padding: int = 0,
) -> bytes:
    return build(
        RtpPacket(payload_type, marker, sequence & 0xFFFF, timestamp, ssrc, extensions or {}, payload, padding)
    )


def vp8_payload(
    picture: int, tl0: int, body: bytes, *, start: bool, key: bool, size: tuple[int, int] = (640, 360)
) -> bytes:
    """X=1, I=1 (15 bit), L=1, T/K=1; a key frame's first packet carries its size."""
    descriptor = bytes((0x90 if start else 0x80, 0xF0)) + pack("!HBB", 0x8000 | picture & 0x7FFF, tl0 & 0xFF, 0x20)
    if start and key:
        return descriptor + b"\x10\x02\x00\x9d\x01\x2a" + pack("<HH", *size) + body
    return descriptor + (b"\x11\x02\x00" if start else b"") + body


@dataclass(slots=True)
class Vp8Encoder:
    """A fake encoder of one layer: each frame is `packets` payloads, a key frame three times as many."""

    size: tuple[int, int]
    packets: int = 2
    octets: int = 900
    picture: int = 0
    tl0: int = 0
    key_next: bool = True
    keyframes: list[int] = field(default_factory=list)

    def frame(self) -> list[bytes]:
        key, self.key_next = self.key_next, False
        if key:
            self.keyframes.append(self.picture)
        count = self.packets * 3 if key else self.packets
        mark = self.picture.to_bytes(4, "big")
        parts = [
            vp8_payload(self.picture, self.tl0, mark + bytes((i,)) * self.octets, start=i == 0, key=key, size=self.size)
            for i in range(count)
        ]
        self.picture += 1
        self.tl0 += 1
        return parts
