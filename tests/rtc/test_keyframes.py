"""Key frame detection and picture sizes per codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import h264, keyframes, vp8
from rtc.errors import ParseError
from tests.support.rtp_factory import vp8_payload

CODECS = ("VP8", "H264", "VP9", "AV1", "opus")


def test_vp8_descriptor_of_a_key_frame() -> None:
    payload = vp8_payload(0x1234, 77, b"body", start=True, key=True, size=(1280, 720))
    assert vp8.parse(payload) == ((2, 0x1234, 4, 77), True)
    assert vp8.frame_size(payload) == (1280, 720)


def test_vp8_only_the_first_packet_of_partition_zero_can_begin_a_key_frame() -> None:
    assert not vp8.parse(vp8_payload(1, 1, b"\0\0\0", start=False, key=True))[1]
    assert not vp8.parse(b"\x11\x00")[1]  # S=1 but PID=1
    assert vp8.parse(b"\x10\x00") == (vp8.ABSENT, True)
    assert not vp8.parse(b"\x10\x01")[1]
    assert vp8.frame_size(b"\x10\x01") is None


def test_vp8_seven_bit_picture_ids_are_left_alone() -> None:
    assert vp8.parse(b"\x90\x80\x7f\x00") == (vp8.ABSENT, True)


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x90\x80", b"\x90\x80\x80", b"\x90\x40", b"\x90\x20"])
def test_vp8_cut_short(payload: bytes) -> None:
    with pytest.raises(ParseError):
        vp8.parse(payload)


def test_h264_single_nal_stap_and_fragments() -> None:
    assert h264.keyframe(b"\x67\x42") == (True, False)
    assert h264.keyframe(b"\x65\x88") == (False, True)
    assert h264.keyframe(b"\x41\x9a") == (False, False)
    assert h264.keyframe(b"\x78\x00\x02\x67\x42\x00\x02\x68\xce") == (True, False)
    assert h264.keyframe(b"\x7c\x85\x00") == (False, True)  # FU-A, start of an IDR
    assert h264.keyframe(b"\x7c\x05\x00") == (False, False)  # its continuation


def test_h264_opens_on_parameter_sets_or_on_bare_idr_only_where_none_ever_come() -> None:
    bare, full = keyframes.inspector("H264"), keyframes.inspector("H264")
    assert bare(b"\x65\x88")[1]
    assert full(b"\x67\x42")[1]
    assert not full(b"\x65\x88")[1]
    assert not full(b"\x41\x9a")[1]


def test_h264_size_from_sps() -> None:
    bits = _sps_bits(width=40, height=23, crop_bottom=4)
    assert h264.frame_size(b"\x67" + bits) == (640, 360)
    assert h264.frame_size(b"\x78" + (len(bits) + 1).to_bytes(2, "big") + b"\x67" + bits) == (640, 360)
    assert h264.frame_size(b"\x65\x88") is None


def _sps_bits(width: int, height: int, crop_bottom: int) -> bytes:
    """A constrained baseline SPS written bit by bit (7.3.2.1.1)."""

    def golomb(value: int) -> str:
        code = bin(value + 1)[2:]
        return "0" * (len(code) - 1) + code

    bits = f"{66:08b}{0xC0:08b}{31:08b}" + golomb(0) + golomb(0) + golomb(2) + golomb(1) + "0"
    bits += golomb(width - 1) + golomb(height - 1) + "1" + "1"
    bits += "1" + golomb(0) + golomb(0) + golomb(0) + golomb(crop_bottom) + "0" + "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_vp9_and_av1() -> None:
    assert keyframes.inspect_vp9(b"\x88\x81\x23")[1]  # I, B; 15-bit picture id; not inter
    assert not keyframes.inspect_vp9(b"\xc8\x81\x23")[1]  # inter-predicted
    assert not keyframes.inspect_vp9(b"\x80\x81\x23")[1]  # not the beginning
    assert keyframes.inspect_vp9(b"\xa8\x81\x23\x00")[1]  # spatial layer 0
    assert not keyframes.inspect_vp9(b"\xa8\x81\x23\x02")[1]  # spatial layer 1
    assert keyframes.inspect_av1(b"\x18")[1]
    assert not keyframes.inspect_av1(b"\x10")[1]


@given(st.sampled_from(CODECS), st.binary(max_size=120))
def test_fuzz(codec: str, payload: bytes) -> None:
    for call in (keyframes.inspector(codec), lambda data: keyframes.frame_size(codec, data)):
        try:
            call(payload)
        except ParseError:
            pass


@given(st.binary(max_size=100))
def test_fuzz_sps(body: bytes) -> None:
    try:
        h264.frame_size(b"\x67" + body)
    except ParseError:
        pass
