"""Packets to frames: RFC 7741, RFC 6184, RFC 7587, order and loss; any bytes raise ParseError or nothing."""

import random
import struct
from fractions import Fraction
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recording.depacketise import H264Frames, OpusFrames, Vp8Frames, depacketiser, opus_duration_us
from recording.h264_parameters import parse_sps
from recording.rtp_frames import MAX_HELD, WAIT_SECONDS, Lost, ReorderBuffer, RtpPacket, parse_rtp
from rtc.errors import ParseError
from tests.support.av_source import coded_video, flash_and_beep, h264_payloads, nal_units, rtp, vp8_payloads


def packet(
    sequence: int, arrival: float = 0.0, payload: bytes = b"x", timestamp: int = 0, marker: bool = False
) -> RtpPacket:
    return RtpPacket(sequence & 0xFFFF, timestamp, marker, payload, arrival)


def sequences(items: list[RtpPacket | Lost]) -> list[int | str]:
    return [f"lost {item.count}" if isinstance(item, Lost) else item.sequence for item in items]


# -- RTP header and order


def test_rtp_header_with_everything_in_it() -> None:
    data = (
        struct.pack(">BBHII", 0xB1, 0xE0, 7, 99, 5)
        + b"CSRC"
        + struct.pack(">HH", 0xBEDE, 1)
        + b"exts"
        + b"body"
        + b"\0\2"
    )
    found = parse_rtp(data, 1.5)
    assert (found.sequence, found.timestamp, found.marker, found.payload, found.arrival) == (7, 99, True, b"body", 1.5)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_a_parse_error(data: bytes) -> None:
    try:
        parse_rtp(data, 0.0)
    except ParseError:
        pass


def test_reordering_across_the_wrap() -> None:
    buffer = ReorderBuffer()
    out: list[RtpPacket | Lost] = []
    for number in (65534, 0, 65535, 1, 1, 65534, 3, 2):
        out += buffer.push(packet(number))
    assert sequences(out) == [65534, 65535, 0, 1, 2, 3]


def test_a_hole_is_given_up_after_its_time_and_late_packets_are_dropped() -> None:
    buffer = ReorderBuffer()
    out = [*buffer.push(packet(10, 0.0)), *buffer.push(packet(13, 0.1))]
    assert sequences(out) == [10]
    assert buffer.waiting
    assert list(buffer.due(0.1 + WAIT_SECONDS - 0.01)) == []
    assert sequences(list(buffer.due(0.1 + WAIT_SECONDS))) == ["lost 2", 13]
    assert list(buffer.push(packet(11, 0.5))) == []


def test_the_buffer_is_bounded_and_a_leap_is_a_new_stream() -> None:
    buffer = ReorderBuffer()
    out = list(buffer.push(packet(0)))
    for number in range(2, MAX_HELD + 4):
        out += buffer.push(packet(number))
    assert sequences(out)[:3] == [0, "lost 1", 2]
    assert sequences(list(buffer.push(packet(30_000)))) == ["lost 1", 30_000]


@given(st.randoms(use_true_random=False), st.integers(0, 65535), st.integers(1, 200))
@settings(max_examples=50)
def test_any_mild_disorder_is_put_right(rng: random.Random, first: int, count: int) -> None:
    order = sorted(range(1, count), key=lambda n: n + rng.uniform(0, 20))
    buffer = ReorderBuffer()
    out = list(buffer.push(packet(first)))
    for number in order:
        out += buffer.push(packet(first + number))
    assert sequences(out) == [(first + number) & 0xFFFF for number in range(count)]


# -- VP8


def test_vp8_frames_come_out_as_they_went_in() -> None:
    frames, out = coded_video(2.0), []
    format_ = Vp8Frames()
    for number, (at, frame, _) in enumerate(frames):
        payloads = vp8_payloads(frame, number)
        for n, payload in enumerate(payloads):
            out += format_.push(packet(0, 0.0, payload, round(at * 90000), n == len(payloads) - 1))
    assert [(f.data, f.key) for f in out] == [(data, key) for _, data, key in frames]
    assert out[0].shape is not None
    assert (out[0].shape.width, out[0].shape.height) == (320, 240)


def test_vp8_without_markers_ends_a_frame_at_the_next_one() -> None:
    format_, out = Vp8Frames(), []
    for number, (at, frame, _) in enumerate(coded_video(2.0)[:5]):
        for payload in vp8_payloads(frame, number):
            out += format_.push(packet(0, 0.0, payload, round(at * 90000)))
    assert [f.data for f in out] == [data for _, data, _ in coded_video(2.0)[:4]]


def test_vp8_after_a_loss_waits_for_a_key_frame() -> None:
    format_, shown = Vp8Frames(), []
    for number, (at, frame, key) in enumerate(coded_video(4.0, "VP8", 1.0)):
        payloads = vp8_payloads(frame, number)
        if number == 40:
            format_.lost()
            assert format_.wants_key
        for n, payload in enumerate(payloads):
            if format_.push(packet(0, 0.0, payload, round(at * 90000), n == len(payloads) - 1)):
                shown.append((number, key))
    numbers = [number for number, _ in shown]
    after = next(number for number in numbers if number > 39)
    assert dict(shown)[after], "the first frame after the loss is a key frame"
    assert set(numbers) == set(range(40)) | set(range(after, 120))


def test_a_start_in_the_middle_of_a_frame_shows_nothing() -> None:
    format_ = Vp8Frames()
    assert format_.push(packet(0, 0.0, b"\x80\x80\x80\x01rest", 5, True)) == []
    assert format_.wants_key


# -- H.264


def test_h264_units_come_out_length_prefixed_with_the_parameters_apart() -> None:
    format_, out = H264Frames(), []
    frames = coded_video(2.0, "H264")
    for at, frame, _ in frames:
        payloads = h264_payloads(frame)
        for n, payload in enumerate(payloads):
            out += format_.push(packet(0, 0.0, payload, round(at * 90000), n == len(payloads) - 1))
    assert [f.key for f in out] == [key for _, _, key in frames]
    for coded, (_, frame, _) in zip(out, frames, strict=True):
        wanted = [unit for unit in nal_units(frame) if unit[0] & 0x1F not in (7, 8, 9)]
        assert coded.data == b"".join(struct.pack(">I", len(unit)) + unit for unit in wanted)
    shape = out[0].shape
    assert shape is not None
    assert (shape.codec, shape.width, shape.height) == ("h264", 320, 240)
    assert shape.configuration[:1] == b"\1"
    assert shape.codec_string == f"avc1.{nal_units(frames[0][1])[0][1:4].hex()}"


def test_h264_fragment_without_its_end_is_not_shown() -> None:
    format_ = H264Frames()
    noisy = b"".join(
        b"\0\0\1" + unit * (1 if len(unit) < 100 else 9) for unit in nal_units(coded_video(2.0, "H264")[0][1])
    )
    payloads = h264_payloads(noisy)
    fragments = [p for p in payloads if p[0] & 0x1F == 28]
    assert fragments, "the first frame is large enough to be fragmented"
    last = payloads.index(fragments[-1])
    for n, payload in enumerate(payloads[:last]):
        assert format_.push(packet(0, 0.0, payload, 0, n == last - 1)) == []
    assert format_.wants_key


@pytest.mark.parametrize(
    ("profile", "options"), [("baseline", {}), ("main", {}), ("high", {}), ("high", {"width": 318, "height": 178})]
)
def test_sps_sizes_of_a_real_encoder(profile: str, options: dict[str, int]) -> None:
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = options.get("width", 1280), options.get("height", 720)
    encoder.pix_fmt, encoder.time_base, encoder.options = "yuv420p", Fraction(1, 30), {"profile": profile}
    picture = av.VideoFrame(encoder.width, encoder.height, "yuv420p")
    picture.pts = 0
    coded = b"".join(bytes(p) for p in [*encoder.encode(picture), *encoder.encode(None)])
    sps = next(unit for unit in nal_units(coded) if unit[0] & 0x1F == 7)
    found = parse_sps(sps)
    assert (found.width, found.height) == (encoder.width, encoder.height)


@given(st.binary(max_size=80))
@settings(max_examples=300)
def test_any_sps_is_read_or_refused(data: bytes) -> None:
    try:
        parse_sps(b"\x67" + data)
    except ParseError:
        pass


PAYLOADS = [payload for p in flash_and_beep(2.0, "H264", False)[:40] for payload in [p.payload]] + [
    p.payload for p in flash_and_beep(2.0, "VP8", False)[:40]
]


@given(
    st.sampled_from(["VP8", "H264", "opus"]),
    st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=60), st.sampled_from(PAYLOADS)),
            st.integers(0, 3), st.booleans(), st.booleans(), st.integers(0, 30),
        ),
        max_size=30,
    ),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_payloads_in_any_order_raise_only_parse_errors(
    codec: str, rows: list[tuple[bytes, int, bool, bool, int]]
) -> None:
    format_ = depacketiser(codec)
    assert format_ is not None
    for payload, timestamp, marker, lost, cut in rows:
        if lost:
            format_.lost()
        try:
            frames = format_.push(packet(0, 0.0, payload[cut:] if cut < 5 else payload, timestamp, marker))
        except ParseError:
            format_.lost()
            continue
        assert all(frame.data for frame in frames)


def test_opus_packets_pass_and_tell_their_length() -> None:
    assert OpusFrames().push(packet(0, 0.0, b"\xfc\1\2"))[0].data == b"\xfc\1\2"
    assert OpusFrames().push(packet(0, 0.0, b"")) == []
    assert [opus_duration_us(bytes([toc])) for toc in (0xFC, 0xE0, 0x08, 0x18, 0xFD)] == [
        20_000,
        2_500,
        20_000,
        60_000,
        40_000,
    ]
    assert opus_duration_us(b"\xff\x03") == 60_000


def test_rtp_built_by_the_test_source_parses() -> None:
    one = flash_and_beep(2.0)[0]
    assert parse_rtp(rtp(one, 5, 6), 0.0).payload == one.payload
