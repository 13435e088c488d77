"""The VP8 payload descriptor (RFC 7741): where the picture id and TL0PICIDX stand, and what starts a key frame."""

from rtc.errors import ParseError
from rtc.rtp import Octets

Descriptor = tuple[int, int, int, int]
"""(offset of the 15-bit picture id or 0, picture id, offset of TL0PICIDX or 0, TL0PICIDX); offsets into the payload."""

ABSENT: Descriptor = (0, 0, 0, 0)


def parse(payload: Octets) -> tuple[Descriptor, bool]:  # noqa: PLR0912 - the hot path
    """The descriptor's rewritable fields, and whether this packet is the first of a key frame.

    A 7-bit picture id is reported as absent (offset 0): it cannot continue another publisher's numbering in place.
    Key frame and size may be judged only on S=1, PID=0: any other packet starts in the middle of a partition.
    """
    size = len(payload)
    if size < 1:
        raise ParseError("empty VP8 payload")
    first = payload[0]
    at = 1
    pid_at = pid = tl0_at = tl0 = 0
    if first & 0x80:
        if size < 2:
            raise ParseError("VP8 descriptor cut short")
        flags = payload[1]
        at = 2
        if flags & 0x80:
            if size < at + 1:
                raise ParseError("VP8 picture id cut short")
            if payload[at] & 0x80:
                if size < at + 2:
                    raise ParseError("VP8 picture id cut short")
                pid_at = at
                pid = (payload[at] & 0x7F) << 8 | payload[at + 1]
                at += 2
            else:
                at += 1
        if flags & 0x40:
            if size < at + 1:
                raise ParseError("VP8 TL0PICIDX cut short")
            tl0_at, tl0 = at, payload[at]
            at += 1
        if flags & 0x30:
            at += 1
        if size < at:
            raise ParseError("VP8 descriptor cut short")
    key = first & 0x17 == 0x10 and size > at and not payload[at] & 1
    if not pid_at and not tl0_at:
        return ABSENT, key
    return (pid_at, pid, tl0_at, tl0), key


def frame_size(payload: Octets) -> tuple[int, int] | None:
    """(width, height) in pixels from the first packet of a key frame, else None (RFC 6386 section 9.1)."""
    _, key = parse(payload)
    if not key:
        return None
    at = 1
    if payload[0] & 0x80:
        flags = payload[1]
        at = 2
        if flags & 0x80:
            at += 2 if payload[2] & 0x80 else 1
        at += bool(flags & 0x40) + bool(flags & 0x30)
    if len(payload) < at + 10 or bytes(payload[at + 3 : at + 6]) != b"\x9d\x01\x2a":
        return None
    width = int.from_bytes(payload[at + 6 : at + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[at + 8 : at + 10], "little") & 0x3FFF
    return width, height
