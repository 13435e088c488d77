"""RTCP: the packet types an SFU speaks (RFC 3550, 4585, 5104, 5506, draft-alvestrand-rmcat-remb).

`parse` turns one compound into dataclasses and skips types it does not know; `parse` raises only ParseError. The
builders return bytes of single packets, to be joined into a compound that starts with an SR or RR.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct, pack

from rtc.errors import ParseError

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
_NACK, _TRANSPORT_CC, _PLI, _FIR, _AFB = 1, 15, 1, 4, 15
_MAX_NACK_SEQUENCES = 1024  # one packet can name 17 per FCI; more than this is not a repair request but an attack

_head = Struct("!BBH")
_block = Struct("!IIIIII")
_sr = Struct("!IQIII")
_two = Struct("!II")
_fci = Struct("!HH")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """`lost` is the cumulative count (24 bit, signed); `jitter` in RTP ticks; `lsr`/`dlsr` as on the wire."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    lsr: int
    dlsr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` is the 64-bit NTP timestamp."""

    ssrc: int
    ntp: int
    rtp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Nack:
    sender: int
    media: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """A PLI (`sequence` None) or one entry of a FIR (`sequence` = its command number)."""

    sender: int
    media: int
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Remb:
    """Receiver's estimate in bit/s over the named SSRCs."""

    sender: int
    bitrate: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """A transport-wide congestion control message; `fci` is read by `rtc.twcc.parse_feedback`."""

    sender: int
    media: int
    fci: bytes


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]


Packet = SenderReport | ReceiverReport | Nack | KeyframeRequest | Remb | TransportFeedback | Bye


def parse(data: bytes | bytearray | memoryview) -> list[Packet]:
    """Every known packet of a compound. ParseError when a length or version does not hold."""
    data = bytes(data)
    if len(data) < 4:
        raise ParseError("short RTCP")
    packets: list[Packet] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ParseError("RTCP header cut short")
        first, kind, words = _head.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise ParseError("bad RTCP header")
        body_end = end
        if first & 0x20:
            if words == 0 or not 0 < data[end - 1] <= 4 * words:
                raise ParseError("bad RTCP padding")
            body_end = end - data[end - 1]
        packets.extend(_parse_one(kind, first & 0x1F, data[at + 4 : body_end]))
        at = end
    return packets


def _parse_one(kind: int, count: int, body: bytes) -> Iterable[Packet]:
    if kind == SR:
        if len(body) < _sr.size:
            raise ParseError("short SR")
        ssrc, ntp, rtp, packets, octets = _sr.unpack_from(body)
        return (SenderReport(ssrc, ntp, rtp, packets, octets, _blocks(body, _sr.size, count)),)
    if kind == RR:
        if len(body) < 4:
            raise ParseError("short RR")
        return (ReceiverReport(int.from_bytes(body[:4], "big"), _blocks(body, 4, count)),)
    if kind == BYE:
        if len(body) < 4 * count:
            raise ParseError("short BYE")
        return (Bye(tuple(int.from_bytes(body[i : i + 4], "big") for i in range(0, 4 * count, 4))),)
    if kind in (RTPFB, PSFB):
        if len(body) < 8:
            raise ParseError("short feedback")
        return _parse_feedback(kind, count, body)
    return ()


def _blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < at + count * _block.size:
        raise ParseError("report blocks cut short")
    blocks = []
    for i in range(count):
        ssrc, loss, highest, jitter, lsr, dlsr = _block.unpack_from(body, at + i * _block.size)
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(ssrc, loss >> 24, lost - (1 << 24) if lost & 0x800000 else lost, highest, jitter, lsr, dlsr)
        )
    return tuple(blocks)


def _parse_feedback(kind: int, form: int, body: bytes) -> Iterable[Packet]:  # noqa: PLR0911 - one per format
    sender, media = _two.unpack_from(body)
    fci = body[8:]
    if kind == RTPFB:
        if form == _NACK:
            return (Nack(sender, media, _nack_sequences(fci)),)
        if form == _TRANSPORT_CC:
            return (TransportFeedback(sender, media, fci),)
        return ()
    if form == _PLI:
        return (KeyframeRequest(sender, media),)
    if form == _FIR:
        if len(fci) % 8:
            raise ParseError("bad FIR")
        return [
            KeyframeRequest(sender, int.from_bytes(fci[i : i + 4], "big"), fci[i + 4]) for i in range(0, len(fci), 8)
        ]
    if form == _AFB and fci[:4] == b"REMB":
        return (_remb(sender, fci),)
    return ()


def _nack_sequences(fci: bytes) -> tuple[int, ...]:
    if len(fci) % 4:
        raise ParseError("bad NACK")
    found: list[int] = []
    for at in range(0, len(fci), 4):
        first, mask = _fci.unpack_from(fci, at)
        found.append(first)
        found.extend((first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1)
        if len(found) > _MAX_NACK_SEQUENCES:
            break
    return tuple(found[:_MAX_NACK_SEQUENCES])


def _remb(sender: int, fci: bytes) -> Remb:
    if len(fci) < 8 or len(fci) < 8 + 4 * fci[4]:
        raise ParseError("REMB cut short")
    word = int.from_bytes(fci[5:8], "big")
    ssrcs = tuple(int.from_bytes(fci[i : i + 4], "big") for i in range(8, 8 + 4 * fci[4], 4))
    return Remb(sender, (word & 0x3FFFF) << (word >> 18), ssrcs)


def _packet(form: int, kind: int, body: bytes) -> bytes:
    return _head.pack(0x80 | form, kind, len(body) // 4) + body


def build_report_block(block: ReportBlock) -> bytes:
    loss = block.fraction_lost << 24 | (block.lost & 0xFFFFFF)
    return _block.pack(block.ssrc, loss, block.highest & 0xFFFFFFFF, block.jitter & 0xFFFFFFFF, block.lsr, block.dlsr)


def build_sr(report: SenderReport) -> bytes:
    body = _sr.pack(report.ssrc, report.ntp, report.rtp & 0xFFFFFFFF, report.packets, report.octets & 0xFFFFFFFF)
    return _packet(len(report.blocks), SR, body + b"".join(map(build_report_block, report.blocks)))


def build_rr(ssrc: int, blocks: Sequence[ReportBlock] = ()) -> bytes:
    """At most 31 blocks."""
    return _packet(len(blocks), RR, pack("!I", ssrc) + b"".join(map(build_report_block, blocks)))


def build_sdes(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    body = pack("!IBB", ssrc, 1, len(text)) + text
    return _packet(1, SDES, body + bytes(4 - len(body) % 4))


def build_nack(sender: int, media: int, sequences: Iterable[int]) -> bytes:
    """One generic NACK naming `sequences` (ascending in sequence order packs best)."""
    fci: list[tuple[int, int]] = []
    for sequence in sequences:
        if fci and 0 < (gap := (sequence - fci[-1][0]) & 0xFFFF) <= 16:
            fci[-1] = (fci[-1][0], fci[-1][1] | 1 << (gap - 1))
        else:
            fci.append((sequence, 0))
    return _packet(_NACK, RTPFB, _two.pack(sender, media) + b"".join(_fci.pack(*item) for item in fci))


def build_pli(sender: int, media: int) -> bytes:
    return _packet(_PLI, PSFB, _two.pack(sender, media))


def build_fir(sender: int, media: int, command: int) -> bytes:
    return _packet(_FIR, PSFB, _two.pack(sender, 0) + pack("!IB3x", media, command & 0xFF))


def build_remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    exponent = max(0, bitrate.bit_length() - 18)
    word = exponent << 18 | (bitrate >> exponent)
    body = _two.pack(sender, 0) + b"REMB" + bytes((len(ssrcs),)) + word.to_bytes(3, "big")
    return _packet(_AFB, PSFB, body + b"".join(pack("!I", s) for s in ssrcs))


def build_transport_feedback(sender: int, media: int, fci: bytes) -> bytes:
    """`fci` from `rtc.twcc`, padded to whole words."""
    return _packet(_TRANSPORT_CC, RTPFB, _two.pack(sender, media) + fci)


def build_bye(ssrcs: Sequence[int]) -> bytes:
    return _packet(len(ssrcs), BYE, b"".join(pack("!I", s) for s in ssrcs))
