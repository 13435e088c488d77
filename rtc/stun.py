"""STUN (RFC 8489) as far as an ICE-lite agent needs it: binding requests in, binding responses out. Pure bytes.

Strict on purpose: a message whose lengths, order, FINGERPRINT or MESSAGE-INTEGRITY are off is a ParseError and
the caller stays silent, so that a stranger can neither amplify through us nor learn that we are here.
"""

import binascii
import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

from rtc.errors import ParseError

COOKIE = 0x2112A442
MAX_SIZE = 1280  # a binding request is about 120 bytes; the path MTU bounds an honest one
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_FINGERPRINT_XOR = 0x5354554E


class MessageType(IntEnum):
    BINDING_REQUEST = 0x0001
    BINDING_INDICATION = 0x0011
    BINDING_SUCCESS = 0x0101
    BINDING_ERROR = 0x0111


class Attribute(IntEnum):
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


_KNOWN = frozenset(int(a) for a in Attribute)


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A well-formed binding request; `verify` still has to be asked."""

    transaction: bytes  # 12 bytes
    username: str  # "local-ufrag:remote-ufrag"
    use_candidate: bool
    controlled: bool  # the peer believes to be the controlled side
    unknown: tuple[int, ...]  # comprehension-required attributes we do not know
    signed: bytes  # the message up to MESSAGE-INTEGRITY, its length field as it was when signed
    integrity: bytes  # 20 bytes

    @property
    def local_ufrag(self) -> str:
        return self.username.partition(":")[0]

    @property
    def remote_ufrag(self) -> str:
        return self.username.partition(":")[2]

    def verify(self, key: bytes) -> bool:
        """Whether the sender knew `key`, the password of the addressed agent."""
        return hmac.compare_digest(hmac.digest(key, self.signed, hashlib.sha1), self.integrity)


def parse_binding_request(data: bytes) -> BindingRequest:
    """Read one datagram. ParseError for anything but a well-formed, fingerprinted binding request."""
    attributes, transaction = _attributes(data)
    username = attributes.get(Attribute.USERNAME)
    integrity = attributes.get(Attribute.MESSAGE_INTEGRITY)
    if username is None or integrity is None or len(integrity[1]) != 20 or len(username[1]) > 513:
        raise ParseError("no credentials")
    try:
        name = username[1].decode("ascii")
    except UnicodeDecodeError:
        raise ParseError("bad username") from None
    start = integrity[0]
    # the length field counts up to and including MESSAGE-INTEGRITY when it is computed (RFC 8489 14.5)
    signed = data[:2] + struct.pack("!H", start + 24 - 20) + data[4:start]
    unknown = tuple(a for a, (at, _) in attributes.items() if a < 0x8000 and a not in _KNOWN and at < start)
    return BindingRequest(
        transaction=transaction,
        username=name,
        use_candidate=_before(attributes, Attribute.USE_CANDIDATE, start),
        controlled=_before(attributes, Attribute.ICE_CONTROLLED, start),
        unknown=unknown,
        signed=signed,
        integrity=integrity[1],
    )


def _before(attributes: dict[int, tuple[int, bytes]], name: Attribute, limit: int) -> bool:
    """Attributes behind MESSAGE-INTEGRITY are not authenticated and do not count (RFC 8489 14.5)."""
    return name in attributes and attributes[name][0] < limit


def _attributes(data: bytes) -> tuple[dict[int, tuple[int, bytes]], bytes]:
    if not 20 <= len(data) <= MAX_SIZE:
        raise ParseError("bad size")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != COOKIE or kind != MessageType.BINDING_REQUEST or length != len(data) - 20 or length % 4:
        raise ParseError("not a binding request")
    # FINGERPRINT is the last 8 bytes and cheap to check: it sheds noise before any HMAC
    if len(data) < 28 or struct.unpack_from("!HH", data, len(data) - 8) != (Attribute.FINGERPRINT, 4):
        raise ParseError("no fingerprint")
    if binascii.crc32(data[:-8]) ^ _FINGERPRINT_XOR != int.from_bytes(data[-4:], "big"):
        raise ParseError("bad fingerprint")
    found: dict[int, tuple[int, bytes]] = {}
    position, end = 20, len(data) - 8
    while position < end:
        if position + 4 > end:
            raise ParseError("truncated attribute")
        number, size = _ATTRIBUTE.unpack_from(data, position)
        after = position + 4 + size
        if after + (-size % 4) > end:
            raise ParseError("attribute beyond the message")
        found.setdefault(number, (position, data[position + 4 : after]))  # of repeated ones only the first counts
        position = after + (-size % 4)
    return found, transaction


def _xor_address(host: str, port: int, transaction: bytes) -> bytes:
    family = 2 if ":" in host else 1
    raw = socket.inet_pton(socket.AF_INET6 if family == 2 else socket.AF_INET, host.partition("%")[0])
    mask = struct.pack("!I", COOKIE) + transaction
    mixed = bytes(a ^ b for a, b in zip(raw, mask, strict=False))
    return struct.pack("!BBH", 0, family, port ^ (COOKIE >> 16)) + mixed


def binding_success(transaction: bytes, host: str, port: int, key: bytes) -> bytes:
    """The answer to an authenticated check: the address the check came from, signed with our password."""
    body = _packed(Attribute.XOR_MAPPED_ADDRESS, _xor_address(host, port, transaction))
    return sealed(MessageType.BINDING_SUCCESS, transaction, body, key)


def binding_error(transaction: bytes, code: int, key: bytes, unknown: tuple[int, ...] = ()) -> bytes:
    """An error answer without a reason phrase: never larger than needed (amplification)."""
    body = _packed(Attribute.ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100))
    if unknown:
        body += _packed(Attribute.UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown[:8])}H", *unknown[:8]))
    return sealed(MessageType.BINDING_ERROR, transaction, body, key)


def binding_request(
    transaction: bytes, username: str, key: bytes, *, tie_breaker: int, priority: int, nominate: bool
) -> bytes:
    """What a controlling agent sends; the server never does, the test peer and the doctor's self-check do."""
    body = _packed(Attribute.USERNAME, username.encode())
    body += _packed(Attribute.PRIORITY, struct.pack("!I", priority))
    body += _packed(Attribute.ICE_CONTROLLING, struct.pack("!Q", tie_breaker))
    if nominate:
        body += _packed(Attribute.USE_CANDIDATE, b"")
    return sealed(MessageType.BINDING_REQUEST, transaction, body, key)


def _packed(number: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)


def sealed(kind: int, transaction: bytes, body: bytes, key: bytes) -> bytes:
    """Header + body + MESSAGE-INTEGRITY + FINGERPRINT."""
    head = _HEADER.pack(kind, len(body) + 24, COOKIE, transaction)
    body += _packed(Attribute.MESSAGE_INTEGRITY, hmac.digest(key, head + body, hashlib.sha1))
    message = _HEADER.pack(kind, len(body) + 8, COOKIE, transaction) + body
    return message + _packed(Attribute.FINGERPRINT, struct.pack("!I", binascii.crc32(message) ^ _FINGERPRINT_XOR))
