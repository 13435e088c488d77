"""STUN: published vectors, what we write we read, and nothing but ParseError escapes."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import stun
from rtc.errors import ParseError

# RFC 5769 section 2.1: sample request (short-term password), has SOFTWARE and attributes an ICE agent sends
RFC5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RFC5769_KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes(range(12))


def request(**changes: object) -> bytes:
    parameters: dict[str, object] = {"tie_breaker": 7, "priority": 1, "nominate": True} | changes
    return stun.binding_request(TRANSACTION, "ours:theirs", b"secret", **parameters)  # type: ignore[arg-type]


def test_rfc5769_request_verifies() -> None:
    parsed = stun.parse_binding_request(RFC5769_REQUEST)
    assert parsed.username == "evtj:h6vY"
    assert (parsed.local_ufrag, parsed.remote_ufrag) == ("evtj", "h6vY")
    assert parsed.controlled  # the sample carries ICE-CONTROLLED
    assert parsed.verify(RFC5769_KEY)
    assert not parsed.verify(RFC5769_KEY + b"x")


def test_own_request_round_trip() -> None:
    parsed = stun.parse_binding_request(request())
    assert parsed.verify(b"secret")
    assert not parsed.verify(b"guess")
    assert parsed.use_candidate
    assert not parsed.controlled
    assert parsed.transaction == TRANSACTION
    assert not stun.parse_binding_request(request(nominate=False)).use_candidate


def test_success_carries_the_mapped_address() -> None:
    # RFC 5769 section 2.2 and 2.3: the same addresses and transaction, XOR-MAPPED-ADDRESS values as published
    transaction = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    four = stun.binding_success(transaction, "192.0.2.1", 32853, b"k")
    assert bytes.fromhex("002000080001a147e112a643") in four
    six = stun.binding_success(transaction, "2001:db8:1234:5678:11:2233:4455:6677", 32853, b"k")
    assert bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9") in six


def test_attributes_behind_the_integrity_are_not_believed() -> None:
    plain = request(nominate=False)
    unprotected = plain[20:-8] + struct.pack("!HH", stun.Attribute.USE_CANDIDATE, 0)
    head = struct.pack("!HHI12s", 1, len(unprotected) + 8, stun.COOKIE, TRANSACTION)
    crc = stun.binascii.crc32(head + unprotected) ^ 0x5354554E  # type: ignore[attr-defined]
    parsed = stun.parse_binding_request(head + unprotected + struct.pack("!HHI", 0x8028, 4, crc))
    assert parsed.verify(b"secret")
    assert not parsed.use_candidate


def test_unknown_required_attributes_are_named() -> None:
    body = struct.pack("!HH8s", stun.Attribute.USERNAME, 8, b"ours:the") + struct.pack("!HH", 0x7001, 0)
    parsed = stun.parse_binding_request(stun.sealed(1, TRANSACTION, body, b"secret"))
    assert parsed.unknown == (0x7001,)
    answer = stun.binding_error(TRANSACTION, 420, b"secret", parsed.unknown)
    assert bytes.fromhex("000a00027001") in answer


@pytest.mark.parametrize(
    "mangled",
    [
        b"",
        request()[:-1],
        request() + b"\0" * 4,
        b"\x01\x01" + request()[2:],  # a response
        request()[:4] + b"\0\0\0\0" + request()[8:],  # no cookie (RFC 3489)
        request()[:-1] + bytes([request()[-1] ^ 1]),  # fingerprint off by a bit
        stun.sealed(1, TRANSACTION, b"", b"k"),  # no username
        stun.sealed(1, TRANSACTION, struct.pack("!HH4s", 6, 400, b"ours"), b"k"),  # attribute beyond the message
        b"\0\1" + struct.pack("!H", 4000) + request()[4:] + bytes(4000),
    ],
)
def test_refused(mangled: bytes) -> None:
    with pytest.raises(ParseError):
        stun.parse_binding_request(mangled)


@given(st.binary(max_size=200))
def test_only_parse_error_escapes(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        stun.parse_binding_request(data)


@given(st.integers(0, len(RFC5769_REQUEST) - 1), st.integers(1, 255), st.binary(max_size=8))
def test_any_changed_byte_is_noticed(position: int, flip: int, tail: bytes) -> None:
    """A mutated message is refused by structure, fingerprint or password, never accepted, never a crash."""
    data = bytearray(RFC5769_REQUEST)
    data[position] ^= flip
    try:
        parsed = stun.parse_binding_request(bytes(data) + tail)
    except ParseError:
        return
    assert not parsed.verify(RFC5769_KEY)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=12))
def test_sealed_attribute_soup(attributes: list[tuple[int, bytes]]) -> None:
    body = b"".join(struct.pack("!HH", n, len(v)) + v + bytes(-len(v) % 4) for n, v in attributes)
    with contextlib.suppress(ParseError):
        parsed = stun.parse_binding_request(stun.sealed(1, TRANSACTION, body, b"secret"))
        parsed.verify(b"secret")
