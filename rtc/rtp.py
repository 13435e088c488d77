"""RTP packets (RFC 3550), header extensions (RFC 8285), retransmission payloads (RFC 4588), RED (RFC 2198).

`parse` is the checked reading of a whole packet, for learning unknown streams, tests and fuzzing. The hot path in
`rtc.ingress` reads the same fields without building objects; both go through `header_length` and `scan`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from rtc.errors import ParseError

FIXED = 12
ONE_BYTE = 0xBEDE
_TWO_BYTE_MASK, _TWO_BYTE = 0xFFF0, 0x1000
_head = Struct("!BBHII")
_u16 = Struct("!H")
_u32 = Struct("!I")

Octets = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A parsed packet. `extensions` maps negotiated ids to element bodies; `padding` bytes are already cut off."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extensions: Mapping[int, bytes]
    payload: bytes
    padding: int = 0


@dataclass(frozen=True, slots=True)
class RedBlock:
    """One block of a RED payload; `timestamp_offset` is 0 for the primary."""

    payload_type: int
    timestamp_offset: int
    payload: bytes


def header_length(packet: Octets) -> int:
    """Octets up to the payload, CSRC list and header extension included. ParseError when they do not fit."""
    size = len(packet)
    if size < FIXED or packet[0] >> 6 != 2:
        raise ParseError("not RTP")
    length = FIXED + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if size < length + 4:
            raise ParseError("RTP extension cut short")
        length += 4 + 4 * int(_u16.unpack_from(packet, length + 2)[0])
    if length > size:
        raise ParseError("RTP header cut short")
    return length


def elements(packet: Octets, header_end: int) -> dict[int, bytes]:
    """The header extension elements by id, one-byte and two-byte form; anything malformed ends the list."""
    found: dict[int, bytes] = {}
    if not packet[0] & 0x10:
        return found
    start = FIXED + 4 * (packet[0] & 0x0F)
    profile = _u16.unpack_from(packet, start)[0]
    at = start + 4
    if profile == ONE_BYTE:
        while at < header_end:
            head = packet[at]
            at += 1
            if head == 0:
                continue
            if head >> 4 == 15:
                break
            size = (head & 0x0F) + 1
            if at + size > header_end:
                break
            found[head >> 4] = bytes(packet[at : at + size])
            at += size
    elif profile & _TWO_BYTE_MASK == _TWO_BYTE:
        while at < header_end:
            ident = packet[at]
            at += 1
            if ident == 0:
                continue
            if at >= header_end or at + 1 + packet[at] > header_end:
                break
            found[ident] = bytes(packet[at + 1 : at + 1 + packet[at]])
            at += 1 + packet[at]
    return found


def parse(data: Octets) -> RtpPacket:
    """The whole packet, checked. Raises only ParseError."""
    end = header_length(data)
    first, second, sequence, timestamp, ssrc = _head.unpack_from(data)
    padding = 0
    if first & 0x20:
        padding = data[-1] if len(data) > end else 0
        if not 0 < padding <= len(data) - end:
            raise ParseError("bad RTP padding")
    return RtpPacket(
        payload_type=second & 0x7F,
        marker=bool(second & 0x80),
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        extensions=elements(data, end),
        payload=bytes(data[end : len(data) - padding]),
        padding=padding,
    )


def build(packet: RtpPacket) -> bytes:
    """Serialise; extensions in the one-byte form when they fit it, else the two-byte form."""
    block = _extension_block(packet.extensions)
    first = 0x80 | (0x10 if block else 0) | (0x20 if packet.padding else 0)
    second = packet.payload_type | (0x80 if packet.marker else 0)
    head = _head.pack(first, second, packet.sequence & 0xFFFF, packet.timestamp & 0xFFFFFFFF, packet.ssrc)
    tail = bytes(packet.padding - 1) + bytes((packet.padding,)) if packet.padding else b""
    return head + block + packet.payload + tail


def _extension_block(extensions: Mapping[int, bytes]) -> bytes:
    if not extensions:
        return b""
    one_byte = all(1 <= ident <= 14 and 1 <= len(body) <= 16 for ident, body in extensions.items())
    body = b"".join(
        bytes(((ident << 4) | (len(item) - 1),)) + item if one_byte else bytes((ident, len(item))) + item
        for ident, item in extensions.items()
    )
    body += bytes(-len(body) % 4)
    return _u16.pack(ONE_BYTE if one_byte else _TWO_BYTE) + _u16.pack(len(body) // 4) + body


def scan(packet: Octets, start: int, end: int, transport_cc: int, audio_level: int) -> tuple[int, int]:
    """(transport-wide sequence, audio level byte) of a one-byte extension block body, -1 where absent.

    `start`..`end` is the block without its 4-byte head. Ids of 0 never match. Malformed blocks yield what came before.
    """
    sequence = level = -1
    while start < end:
        head = packet[start]
        if head == 0:
            start += 1
            continue
        ident = head >> 4
        after = start + (head & 0x0F) + 2
        if ident == 15 or after > end:
            break
        if ident == transport_cc:
            if after - start == 3:
                sequence = packet[start + 1] << 8 | packet[start + 2]
        elif ident == audio_level:
            level = packet[start + 1]
        start = after
    return sequence, level


def text_element(extensions: Mapping[int, bytes], ident: int | None) -> str | None:
    """A mid / rid / repaired-rid element as text; None when absent or not ASCII."""
    body = extensions.get(ident) if ident is not None else None
    if not body:
        return None
    try:
        return body.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        return None


def original_sequence(payload: Octets) -> int:
    """The OSN that starts an RTX payload (RFC 4588 section 4)."""
    if len(payload) < 2:
        raise ParseError("RTX payload without original sequence number")
    return int(_u16.unpack_from(payload)[0])


def parse_red(payload: Octets) -> list[RedBlock]:
    """The blocks of a RED payload, oldest first, primary last."""
    heads: list[tuple[int, int, int]] = []
    at = 0
    while True:
        if at >= len(payload):
            raise ParseError("RED header cut short")
        if not payload[at] & 0x80:
            primary = payload[at] & 0x7F
            at += 1
            break
        if at + 4 > len(payload) or len(heads) >= 8:
            raise ParseError("RED header cut short")
        word = _u32.unpack_from(payload, at)[0]
        heads.append((word >> 24 & 0x7F, word >> 10 & 0x3FFF, word & 0x3FF))
        at += 4
    blocks = []
    for payload_type, offset, size in heads:
        if at + size > len(payload):
            raise ParseError("RED block cut short")
        blocks.append(RedBlock(payload_type, offset, bytes(payload[at : at + size])))
        at += size
    blocks.append(RedBlock(primary, 0, bytes(payload[at:])))
    return blocks


def build_red(blocks: Sequence[RedBlock]) -> bytes:
    """A RED payload from blocks, primary last. Blocks that do not fit RED's fields (14 and 10 bits) are left out."""
    fitting = [b for b in blocks[:-1] if b.timestamp_offset < 1 << 14 and len(b.payload) < 1 << 10]
    heads = b"".join(
        _u32.pack(0x80000000 | b.payload_type << 24 | b.timestamp_offset << 10 | len(b.payload)) for b in fitting
    )
    return heads + bytes((blocks[-1].payload_type,)) + b"".join(b.payload for b in (*fitting, blocks[-1]))
