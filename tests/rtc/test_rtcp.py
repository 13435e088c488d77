"""RTCP: round trips through builder and parser, known bytes, fuzz."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import rtcp
from rtc.errors import ParseError

U16, U32, U64 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << 64) - 1)
BLOCKS = st.lists(
    st.builds(rtcp.ReportBlock, U32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32),
    max_size=31,
).map(tuple)


@given(st.builds(rtcp.SenderReport, U32, U64, U32, U32, U32, BLOCKS))
def test_sender_report(report: rtcp.SenderReport) -> None:
    assert rtcp.parse(rtcp.build_sr(report)) == [report]


@given(U32, BLOCKS)
def test_receiver_report(ssrc: int, blocks: tuple[rtcp.ReportBlock, ...]) -> None:
    assert rtcp.parse(rtcp.build_rr(ssrc, blocks)) == [rtcp.ReceiverReport(ssrc, blocks)]


@given(U32, U32, st.integers(0, 0xFFFF), st.sets(st.integers(0, 300), max_size=60))
def test_nack_names_exactly_what_was_asked(sender: int, media: int, first: int, offsets: set[int]) -> None:
    wanted = [(first + offset) & 0xFFFF for offset in sorted(offsets)]
    (nack,) = rtcp.parse(rtcp.build_nack(sender, media, wanted))
    assert isinstance(nack, rtcp.Nack)
    assert (nack.sender, nack.media, list(nack.sequences)) == (sender, media, wanted)


@given(U32, st.integers(0, 1 << 40), st.lists(U32, max_size=20))
def test_remb_keeps_eighteen_bits(sender: int, bitrate: int, ssrcs: list[int]) -> None:
    (remb,) = rtcp.parse(rtcp.build_remb(sender, bitrate, ssrcs))
    assert isinstance(remb, rtcp.Remb)
    assert remb.ssrcs == tuple(ssrcs)
    assert 0 <= bitrate - remb.bitrate <= bitrate >> 17


def test_compound_with_everything() -> None:
    compound = b"".join(
        (
            rtcp.build_rr(1),
            rtcp.build_sdes(1, "slot0"),
            rtcp.build_pli(1, 2),
            rtcp.build_fir(1, 3, 258),
            rtcp.build_transport_feedback(1, 2, bytes(8)),
            rtcp.build_bye((4, 5)),
        )
    )
    assert rtcp.parse(compound) == [
        rtcp.ReceiverReport(1),
        rtcp.KeyframeRequest(1, 2),
        rtcp.KeyframeRequest(1, 3, 2),
        rtcp.TransportFeedback(1, 2, bytes(8)),
        rtcp.Bye((4, 5)),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x00\xc9\x00\x01\x00\x00\x00\x01",  # version 0
        b"\x80\xc9\x00\x02\x00\x00\x00\x01",  # longer than it is
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",  # a block that is not there
        b"\x80\xc8\x00\x01\x00\x00\x00\x01",  # SR without its body
        b"\xa0\xc9\x00\x01\x00\x00\x00\x00",  # padding of zero
        b"\x81\xce\x00\x01\x00\x00\x00\x01",  # PLI without a media SSRC
        b"\x84\xce\x00\x03" + bytes(12),  # FIR entry cut short
        b"\x8f\xce\x00\x04" + bytes(8) + b"REMB\x05\x00\x00\x00",  # REMB without its SSRCs
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ParseError):
        rtcp.parse(data)


@given(st.binary(max_size=200))
def test_fuzz(data: bytes) -> None:
    try:
        rtcp.parse(data)
    except ParseError:
        pass


@given(st.sampled_from((200, 201, 202, 203, 204, 205, 206, 207)), st.integers(0, 31), st.binary(max_size=120))
def test_fuzz_behind_a_sound_header(kind: int, count: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    data = bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body
    try:
        rtcp.parse(data)
    except ParseError:
        pass


def test_a_nack_cannot_name_everything() -> None:
    fci = b"\x00\x00\xff\xff" * 200
    data = b"\x81\xcd" + (2 + 200).to_bytes(2, "big") + bytes(8) + fci
    (nack,) = rtcp.parse(data)
    assert isinstance(nack, rtcp.Nack)
    assert len(nack.sequences) == 1024
