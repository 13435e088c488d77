"""Per codec: does this packet start something a decoder can begin with? (RFC 7741, 6184, 9628, AV1 RTP payload 1.0)

One function per codec with one shape, chosen once per stream, so that the hot path has no codec branches.
"""

from collections.abc import Callable

from rtc import h264, vp8
from rtc.errors import ParseError
from rtc.rtp import Octets
from rtc.vp8 import ABSENT, Descriptor

Inspect = Callable[[Octets], tuple[Descriptor, bool]]
"""payload -> (VP8 descriptor fields, packet begins a decodable start). ParseError: drop the packet."""


def inspect_audio(payload: Octets) -> tuple[Descriptor, bool]:
    return ABSENT, True


def inspect_vp9(payload: Octets) -> tuple[Descriptor, bool]:
    """Key frame = begin of a non-inter-predicted picture on the lowest spatial layer (RFC 9628 section 4.2)."""
    if not payload:
        raise ParseError("empty VP9 payload")
    first = payload[0]
    if first & 0x48 != 0x08:  # P = 1 (inter) or B = 0 (not the beginning)
        return ABSENT, False
    at = 1
    if first & 0x80:
        if len(payload) < 2:
            raise ParseError("VP9 descriptor cut short")
        at += 2 if payload[1] & 0x80 else 1
    if first & 0x20:
        if len(payload) <= at:
            raise ParseError("VP9 descriptor cut short")
        return ABSENT, payload[at] >> 1 & 7 == 0
    return ABSENT, True


def inspect_av1(payload: Octets) -> tuple[Descriptor, bool]:
    """N=1 in the aggregation header: first packet of a coded video sequence (a key frame with its sequence header)."""
    if not payload:
        raise ParseError("empty AV1 payload")
    return ABSENT, payload[0] & 0x88 == 0x08


class H264Inspector:
    """Opens on an SPS; on a bare IDR only for streams that never send parameter sets in band (RFC 6184 section 8.4)."""

    __slots__ = ("_sps_seen",)

    def __init__(self) -> None:
        self._sps_seen = False

    def __call__(self, payload: Octets) -> tuple[Descriptor, bool]:
        if not payload:
            raise ParseError("empty H264 payload")
        kind = payload[0] & 0x1F
        if kind in (1, 6, 9):
            return ABSENT, False
        sps, idr = h264.keyframe(payload)
        self._sps_seen |= sps
        return ABSENT, sps or (idr and not self._sps_seen)


def inspector(codec: str) -> Inspect:
    """The inspector for a codec by its rtpmap name; unknown codecs open at once (nothing to wait for is known)."""
    match codec.upper():
        case "VP8":
            return vp8.parse
        case "H264":
            return H264Inspector()
        case "VP9":
            return inspect_vp9
        case "AV1":
            return inspect_av1
        case _:
            return inspect_audio


def frame_size(codec: str, payload: Octets) -> tuple[int, int] | None:
    """(width, height) in pixels where the codec's key frame tells it cheaply; None otherwise. ParseError as above."""
    match codec.upper():
        case "VP8":
            return vp8.frame_size(payload)
        case "H264":
            return h264.frame_size(payload)
        case _:
            return None
