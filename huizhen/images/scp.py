"""In the child: SCP-ECG (EN 1064, ISO 11073-91064), the form in which most ECG carts export.

Rhythm data raw or Huffman-coded with the standard's own table, with first or second differences. Reference beat
subtraction, bimodal compression and tables of the maker's own are refused as unsupported: a trace that was put together
wrongly would look like a diagnosis.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huizhen.images.waveform import MAX_CHANNELS, MAX_SAMPLES
from huizhen.images.wire import UNSUPPORTED
from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, Refused
from imaging.identity import Named

_RECORD_HEAD = 6
_SECTION_HEAD = 16
_POINTER = struct.Struct("<HII")
_DEFAULT_TABLE = 19_999
_LEADS = {1: "I", 2: "II", **{3 + n: f"V{n + 1}" for n in range(6)}, 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}
_LITERAL_8, _LITERAL_16 = 9, 10  # leading ones that announce a number written out
_TEXT = 64
_SEXES = {1: "M", 2: "F"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lead:
    label: str
    samples: int


def is_scp(data: bytes | memoryview) -> bool:
    return bytes(data[_RECORD_HEAD + 10 : _RECORD_HEAD + 16]) == b"SCPECG"


def traces(data: bytes) -> tuple[list[Json], Named]:
    """Groups as `waveform.groups_of`, and whose they are. Raises Refused."""
    try:
        sections = _sections(data)
        leads = _leads(sections[3])
        group = _rhythm(sections[6], leads, coded=_coded(sections.get(2)))
    except (struct.error, KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise Refused(DAMAGED) from error
    return [group], _named(sections.get(1, b""))


def _sections(data: bytes) -> Mapping[int, bytes]:
    """Bodies by number; each sum must be right. Raises Refused, struct.error, ValueError."""
    sum_, length = struct.unpack_from("<HI", data)
    if length != len(data) or _crc(data[2:]) != sum_:
        raise Refused(DAMAGED)
    (own,) = struct.unpack_from("<I", data, _RECORD_HEAD + 4)
    end = min(_RECORD_HEAD + own, len(data))
    found: dict[int, bytes] = {}
    for at in range(_RECORD_HEAD + _SECTION_HEAD, end - _POINTER.size + 1, _POINTER.size):
        number, size, place = _POINTER.unpack_from(data, at)
        if not size or number == 0:
            continue
        start = place - 1
        if size < _SECTION_HEAD or start < _RECORD_HEAD or start + size > len(data):
            raise Refused(DAMAGED)
        (section_sum,) = struct.unpack_from("<H", data, start)
        if _crc(data[start + 2 : start + size]) != section_sum:
            raise Refused(DAMAGED)
        found[number] = data[start + _SECTION_HEAD : start + size]
    return found


def _coded(tables: bytes | None) -> bool:
    """Whether samples are Huffman-coded. Raises Refused for a table that is not the standard's."""
    if tables is None:
        return False
    if struct.unpack_from("<H", tables)[0] != _DEFAULT_TABLE:
        raise Refused(UNSUPPORTED)
    return True


def _leads(body: bytes) -> list[Lead]:
    count, flags = body[0], body[1]
    if flags & 1:
        raise Refused(UNSUPPORTED)  # a reference beat was subtracted
    leads = []
    for number in range(count):
        first, last, code = struct.unpack_from("<IIB", body, 2 + number * 9)
        leads.append(Lead(_LEADS.get(code, f"lead {code}"), last - first + 1))
    if not 0 < count <= MAX_CHANNELS or sum(max(0, lead.samples) for lead in leads) > MAX_SAMPLES:
        raise Refused(TOO_COMPLEX)
    if min(lead.samples for lead in leads) < 1:
        raise Refused(DAMAGED)
    return leads


def _rhythm(body: bytes, leads: list[Lead], *, coded: bool) -> Json:
    nanovolts, microseconds, differences, bimodal = struct.unpack_from("<HHBB", body)
    if bimodal or differences > 2:
        raise Refused(UNSUPPORTED)
    sizes = struct.unpack_from(f"<{len(leads)}H", body, 6)
    at, samples = 6 + 2 * len(leads), []
    for lead, size in zip(leads, sizes, strict=True):
        part = body[at : at + size]
        at += size
        if len(part) != size:
            raise Refused(DAMAGED)
        values = _unpacked(part, lead.samples) if coded else list(struct.unpack_from(f"<{lead.samples}h", part))
        samples.append(_summed(values, differences))
    scale = nanovolts / 1000
    channels = [{"label": lead.label, "unit": "uV", "scale": scale, "baseline": 0.0} for lead in leads]
    return {"hz": round(1e6 / microseconds, 6), "label": "RHYTHM", "channels": channels, "samples": samples}


def _unpacked(data: bytes, count: int) -> list[int]:
    """The default table: n ones, a zero, a sign for 1 to 8; nine ones and ten announce 8 and 16 bits written out."""
    bits = bin(int.from_bytes(b"\x01" + data, "big"))[3:]
    values: list[int] = []
    at = 0
    while len(values) < count:
        zero = bits.find("0", at, at + _LITERAL_16)
        ones = zero - at if zero >= 0 else _LITERAL_16
        if at + ones >= len(bits) and ones < _LITERAL_16:
            raise ValueError("cut short")
        if ones == 0:
            values.append(0)
            at += 1
        elif ones < _LITERAL_8:
            values.append(-ones if bits[at + ones + 1] == "1" else ones)
            at += ones + 2
        else:
            width = 8 if ones == _LITERAL_8 else 16
            at += 10
            values.append(_signed(bits[at : at + width], width))
            at += width
    return values


def _signed(bits: str, width: int) -> int:
    """Raises ValueError when the bits have come to an end."""
    if len(bits) != width:
        raise ValueError("cut short")
    value = int(bits, 2)
    return value - (1 << width) if value >> (width - 1) else value


def _summed(values: list[int], differences: int) -> list[int]:
    """Undo first or second differences; the first one or two samples are themselves."""
    if differences == 1:
        for at in range(1, len(values)):
            values[at] += values[at - 1]
    elif differences == 2:
        for at in range(2, len(values)):
            values[at] += 2 * values[at - 1] - values[at - 2]
    if any(abs(value) > 1 << 24 for value in values):
        raise Refused(DAMAGED)
    return values


def _named(body: bytes) -> Named:
    """Section 1: names, number, birth date and sex, as far as they are there and whole."""
    tags: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(body) and body[at] != 255:
        (size,) = struct.unpack_from("<H", body, at + 1)
        tags[body[at]] = body[at + 3 : at + 3 + size]
        at += 3 + size
    name = " ".join(filter(None, (_text(tags.get(0, b"")), _text(tags.get(1, b"")))))
    born = tags.get(5, b"")
    day = "{:04d}{:02d}{:02d}".format(*struct.unpack("<HBB", born)) if len(born) == 4 else ""
    sex = _SEXES.get(tags.get(8, b"\x00")[:1][0] if tags.get(8) else 0, "")
    return Named((name,) if name else (), _text(tags.get(2, b"")), day if day.isdigit() and len(day) == 8 else "", sex)


def _text(raw: bytes) -> str:
    """Section 14 could say another encoding; carts sold here write UTF-8 or GB18030."""
    plain = raw.split(b"\x00", 1)[0]
    for encoding in ("utf-8", "gb18030"):
        try:
            return plain.decode(encoding).strip()[:_TEXT]
        except UnicodeDecodeError:
            continue
    return ""


def _crc(data: bytes) -> int:
    """CRC-CCITT, as the standard says: polynomial 0x1021, all ones at the start."""
    value = 0xFFFF
    for byte in data:
        value = ((value << 8) & 0xFFFF) ^ _TABLE[(value >> 8) ^ byte]
    return value


def _row(index: int) -> int:
    value = index << 8
    for _ in range(8):
        value = ((value << 1) ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


_TABLE = [_row(index) for index in range(256)]
