"""RFC 4571 framing over every way a stream may be cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import ParseError
from rtc.tcpframing import MAX_FRAME, FrameReader, frame


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_packets_survive_any_segmentation(packets: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(p) for p in packets)
    reader, got, position, turn = FrameReader(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        got += [bytes(p) for p in reader.feed(stream[position : position + size])]
        position, turn = position + size, turn + 1
        assert reader.pending <= MAX_FRAME + 2
    assert got == packets
    assert reader.pending == 0


def test_empty_frames_are_keepalives() -> None:
    assert [bytes(p) for p in FrameReader().feed(b"\0\0\0\0" + frame(b"x"))] == [b"x"]


def test_an_oversized_frame_ends_the_stream() -> None:
    with pytest.raises(ParseError):
        list(FrameReader().feed((MAX_FRAME + 1).to_bytes(2, "big")))


@given(st.lists(st.binary(max_size=600), max_size=10))
def test_bounded_and_only_parse_error(chunks: list[bytes]) -> None:
    reader = FrameReader()
    for chunk in chunks:
        try:
            list(reader.feed(chunk))
        except ParseError:
            return
        assert reader.pending <= MAX_FRAME + 2
