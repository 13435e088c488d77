"""The few facts a container needs from an H.264 sequence parameter set (ITU-T H.264 section 7.3.2.1.1)."""

from dataclasses import dataclass

from rtc.errors import ParseError

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    width: int
    height: int
    chroma_format: int
    bit_depth_luma: int  # minus 8
    bit_depth_chroma: int  # minus 8


class _Bits:
    """Big-endian bit reader over a NAL unit's payload, emulation prevention removed."""

    def __init__(self, data: bytes) -> None:
        raw = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(raw, "big")
        self._left = len(raw) * 8

    def u(self, count: int) -> int:
        if count > self._left:
            raise ParseError("h264 sps cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise ParseError("h264 sps")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def parse_sps(unit: bytes) -> SequenceParameters:
    """From a whole SPS NAL unit (one header byte). Raises ParseError."""
    if len(unit) < 5 or len(unit) > 1024 or unit[0] & 0x1F != 7:
        raise ParseError("h264 sps")
    profile = unit[1]
    bits = _Bits(unit[4:])
    bits.ue()  # seq_parameter_set_id
    chroma, luma_depth, chroma_depth, separate = 1, 0, 0, 0
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma > 3:
            raise ParseError("h264 chroma format")
        separate = bits.u(1) if chroma == 3 else 0
        luma_depth, chroma_depth = bits.ue(), bits.ue()
        if luma_depth > 6 or chroma_depth > 6:
            raise ParseError("h264 bit depth")
        bits.u(1)
        _skip_scaling(bits, chroma)
    _skip_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    width, map_height = 16 * (bits.ue() + 1), bits.ue() + 1
    frame_only = bits.u(1)
    height = 16 * (2 - frame_only) * map_height
    if not frame_only:
        bits.u(1)
    bits.u(1)
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        array = 0 if separate else chroma
        width -= (left + right) * (2 if array in (1, 2) else 1)
        height -= (top + bottom) * (2 if array == 1 else 1) * (2 - frame_only)
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ParseError("h264 size")
    return SequenceParameters(width, height, chroma, luma_depth, chroma_depth)


def _skip_scaling(bits: _Bits, chroma: int) -> None:
    if not bits.u(1):
        return
    for index in range(12 if chroma == 3 else 8):
        if not bits.u(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) & 0xFF
            last = following or last


def _skip_order(bits: _Bits) -> None:
    bits.ue()  # log2_max_frame_num_minus4
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.u(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise ParseError("h264 order cycle")
        for _ in range(cycle):
            bits.se()
