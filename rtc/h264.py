"""H.264 over RTP (RFC 6184): what starts a key frame, and the picture size its SPS declares."""

from collections.abc import Iterator

from rtc.errors import ParseError
from rtc.rtp import Octets

IDR, SPS = 5, 7
_STAP_A, _FU_A = 24, 28
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))


def nal_types(payload: Octets) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of each NAL unit that *begins* in this packet. ParseError on a STAP-A that does not add up."""
    if not payload:
        raise ParseError("empty H264 payload")
    kind = payload[0] & 0x1F
    if kind == _STAP_A:
        at = 1
        while at < len(payload):
            if at + 2 > len(payload):
                raise ParseError("STAP-A cut short")
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if size == 0 or at + size > len(payload):
                raise ParseError("STAP-A cut short")
            yield payload[at] & 0x1F, at, at + size
            at += size
    elif kind == _FU_A:
        if len(payload) < 2:
            raise ParseError("FU-A cut short")
        if payload[1] & 0x80:
            yield payload[1] & 0x1F, 1, len(payload)
    else:
        yield kind, 0, len(payload)


def keyframe(payload: Octets) -> tuple[bool, bool]:
    """(an SPS begins here, an IDR slice begins here)."""
    sps = idr = False
    for kind, _, _ in nal_types(payload):
        sps |= kind == SPS
        idr |= kind == IDR
    return sps, idr


def frame_size(payload: Octets) -> tuple[int, int] | None:
    """(width, height) in pixels from a packet that carries a whole SPS; None when it carries none."""
    for kind, start, end in nal_types(payload):
        if kind == SPS and payload[0] & 0x1F != _FU_A:
            return _sps_size(bytes(payload[start + 1 : end]))
    return None


class _Bits:
    """An RBSP read bit by bit, emulation prevention removed."""

    def __init__(self, data: bytes) -> None:
        clean = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(clean, "big")
        self._left = 8 * len(clean)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ParseError("SPS cut short")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ParseError("bad Exp-Golomb code in SPS")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def _sps_size(sps: bytes) -> tuple[int, int]:
    bits = _Bits(sps[:256])
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    chroma = _skip_high(bits) if profile in _HIGH_PROFILES else 1
    bits.golomb()  # log2_max_frame_num
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed_golomb()
    bits.golomb()  # max_num_ref_frames
    bits.take(1)
    width, height = 16 * (bits.golomb() + 1), 16 * (bits.golomb() + 1)
    frames_only = bits.take(1)
    if not frames_only:
        height *= 2
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        step_x, step_y = (1 if chroma in (0, 3) else 2), (2 if chroma == 1 else 1) * (2 - frames_only)
        width -= (left + right) * step_x
        height -= (top + bottom) * step_y
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ParseError("absurd picture size in SPS")
    return width, height


def _skip_high(bits: _Bits) -> int:
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    bits.golomb()
    bits.golomb()
    bits.take(1)
    if bits.take(1):
        for i in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if i < 6 else 64)
    return chroma


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb() + 256) % 256
        last = following or last
