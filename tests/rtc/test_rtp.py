"""RTP, header extensions, RTX and RED: examples, round trips, fuzz."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.errors import ParseError
from rtc.rtp import (
    RedBlock,
    RtpPacket,
    build,
    build_red,
    elements,
    header_length,
    original_sequence,
    parse,
    parse_red,
    scan,
    text_element,
)

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
ONE_BYTE = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6)
TWO_BYTE = st.dictionaries(st.integers(1, 255), st.binary(max_size=255), max_size=4)
PACKETS = st.builds(
    RtpPacket,
    st.integers(0, 127),
    st.booleans(),
    U16,
    U32,
    U32,
    st.one_of(ONE_BYTE, TWO_BYTE),
    st.binary(max_size=300),
    st.integers(0, 255),
)


@given(PACKETS)
def test_round_trip(packet: RtpPacket) -> None:
    assert parse(build(packet)) == packet


@given(st.binary(max_size=120))
def test_parsers_raise_only_parse_errors(data: bytes) -> None:
    for call in (parse, header_length, parse_red, original_sequence):
        try:
            call(data)
        except ParseError:
            pass


@given(st.binary(min_size=12, max_size=80), st.integers(0, 255))
def test_fuzzed_extension_blocks(tail: bytes, words: int) -> None:
    data = b"\x90\x60" + bytes(10) + b"\xbe\xde" + words.to_bytes(2, "big") + tail
    try:
        parse(data)
    except ParseError:
        pass


@given(ONE_BYTE, st.binary(max_size=20))
def test_the_hot_scan_sees_what_the_full_reading_sees(extensions: dict[int, bytes], payload: bytes) -> None:
    data = build(RtpPacket(96, False, 1, 2, 3, extensions, payload))
    end = header_length(data)
    found = elements(data, end)
    wide, level = scan(data, 16 if extensions else 12, end, 3, 1)
    expected = found.get(3, b"")
    assert wide == (int.from_bytes(expected, "big") if len(expected) == 2 else -1)
    assert level == (found[1][0] if 1 in found else -1)


def test_padding_is_cut_and_checked() -> None:
    packet = parse(bytes.fromhex("a0600001000000020000000341424303") + b"")
    assert (packet.payload, packet.padding) == (b"A", 3)
    for bad in ("a06000010000000200000003414200", "a06000010000000200000003414205"):
        with pytest.raises(ParseError):
            parse(bytes.fromhex(bad))


def test_names_are_text_or_nothing() -> None:
    assert text_element({4: b"v0"}, 4) == "v0"
    assert text_element({4: b"v0\0\0"}, 4) == "v0"
    assert text_element({4: b"\xff\xfe"}, 4) is None
    assert text_element({4: b"x"}, None) is None
    assert text_element({}, 4) is None


@given(
    st.lists(st.tuples(st.integers(1, (1 << 14) - 1), st.binary(min_size=1, max_size=200)), max_size=4),
    st.binary(max_size=300),
)
def test_red_round_trip(earlier: list[tuple[int, bytes]], primary: bytes) -> None:
    blocks = [RedBlock(111, offset, body) for offset, body in earlier] + [RedBlock(111, 0, primary)]
    assert parse_red(build_red(blocks)) == blocks


def test_red_leaves_out_what_its_fields_cannot_hold() -> None:
    blocks = [RedBlock(111, 1 << 14, b"too early"), RedBlock(111, 960, b"x" * 1024), RedBlock(111, 0, b"now")]
    assert parse_red(build_red(blocks)) == blocks[-1:]
