"""A file is one file, from its first to its last byte: what else hides before, between or behind is refused.

The cleaned copy would not carry it anyway; a file built to be two things is refused because somebody built it so.
"""

import re
import struct
import zlib

from huizhen.inspection.kinds import HEIC, JPEG, PDF, PNG
from huizhen.inspection.verdict import DAMAGED, HIDDEN_CONTENT, Refused

_MARKUP = re.compile(rb"<script|<html|<!doctype html|<svg|<\?php|<iframe|javascript:", re.IGNORECASE)
_ARCHIVE_END = b"PK\x05\x06"
_ARCHIVE_REACH = 65_557  # an end-of-central-directory record with the longest comment
# Camera makers append to JPEG: further pictures (MPO, gain maps), a short film (motion photo), Samsung's own trailer.
_PHONE_TRAILERS = (b"\xff\xd8\xff", b"SEFH", b"\x00\x00\x00")
_JFIF_HEAD = 16  # APP0 without thumbnail, length field included
_SLACK = b"\r\n\t \x00"


def check(data: bytes, kind: str) -> None:
    """Raises Refused."""
    if _ARCHIVE_END in data[-_ARCHIVE_REACH:]:
        raise Refused(HIDDEN_CONTENT)
    {JPEG: _jpeg, PNG: _png, HEIC: _heic, PDF: _pdf}[kind](data)


def _jpeg(data: bytes) -> None:
    end = _end_of_jpeg(data)
    tail = data[end:].lstrip(b"\x00")
    if not tail:
        return
    film = data[end + 4 : end + 8] == b"ftyp"
    if not film and not tail.startswith(_PHONE_TRAILERS):
        raise Refused(HIDDEN_CONTENT)
    if _MARKUP.search(tail) or b"%PDF-" in tail or b"PK\x03\x04" in tail:
        raise Refused(HIDDEN_CONTENT)


def _end_of_jpeg(data: bytes) -> int:
    """Offset behind EOI, by walking the segments. Raises Refused."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise Refused(DAMAGED)
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
        elif marker == 0xD9:
            return at + 2
        else:
            (size,) = struct.unpack_from(">H", data, at + 2)
            if size < 2 or at + 2 + size > len(data):
                raise Refused(DAMAGED)
            _jpeg_segment(marker, data[at + 4 : at + 2 + size])
            at += 2 + size
            if marker == 0xDA:
                at = _after_scan(data, at)
    if data[at : at + 2] == b"\xff\xd9":
        return at + 2
    raise Refused(DAMAGED)


def _jpeg_segment(marker: int, body: bytes) -> None:
    """Metadata holds no page and no archive; a JFIF head has exactly its size (else it hides a script's comment)."""
    if marker == 0xE0 and body.startswith(b"JFIF\x00"):
        if len(body) < _JFIF_HEAD - 2 or len(body) != _JFIF_HEAD - 2 + 3 * body[12] * body[13]:
            raise Refused(HIDDEN_CONTENT)
    elif marker == 0xE0 and not body.startswith((b"JFXX\x00", b"AVI1", b"CIFF", b"MOVI")):
        raise Refused(HIDDEN_CONTENT)
    if (0xE0 <= marker <= 0xEF or marker == 0xFE) and (_MARKUP.search(body) or b"PK\x03\x04" in body):
        raise Refused(HIDDEN_CONTENT)


def _after_scan(data: bytes, at: int) -> int:
    """The next marker that is neither a stuffed zero nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise Refused(DAMAGED)
        following = data[at + 1]
        if following not in (0x00, 0xFF) and not 0xD0 <= following <= 0xD7:
            return at
        at += 1 if following == 0xFF else 2


def _png(data: bytes) -> None:
    at = 8
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data) or not name.isalpha():
            raise Refused(DAMAGED)
        body = data[at + 8 : end - 4]
        if zlib.crc32(name + body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise Refused(DAMAGED)
        if name != b"IDAT" and (_MARKUP.search(body) or b"PK\x03\x04" in body):
            raise Refused(HIDDEN_CONTENT)
        at = end
        if name == b"IEND":
            if at != len(data):
                raise Refused(HIDDEN_CONTENT)
            return
    raise Refused(DAMAGED)


def _heic(data: bytes) -> None:
    """Boxes side by side up to the last byte; the only ones a picture has."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            raise Refused(DAMAGED)
        if name not in (b"ftyp", b"meta", b"mdat", b"free", b"skip", b"moov", b"mpvd", b"uuid"):
            raise Refused(HIDDEN_CONTENT)
        if name != b"mdat" and _MARKUP.search(data, at, at + size):
            raise Refused(HIDDEN_CONTENT)
        at += size
    if at != len(data):
        raise Refused(HIDDEN_CONTENT if at and len(data) - at >= 8 else DAMAGED)


def _pdf(data: bytes) -> None:
    if _MARKUP.search(data):
        raise Refused(HIDDEN_CONTENT)
    end = data.rfind(b"%%EOF")
    if end < 0:
        raise Refused(DAMAGED)
    if data[end + 5 :].strip(_SLACK):
        raise Refused(HIDDEN_CONTENT)
