"""In the child: from bytes to a data set, with bounds where pydicom has none."""

import io
import zlib
from typing import Any

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian

from huizhen.inspection.verdict import DAMAGED, HIDDEN_CONTENT, TOO_COMPLEX, Refused

PREAMBLE = 128
MAX_INFLATED = 256 << 20
MAX_ELEMENTS = 20_000  # of the data set's first level
MAX_META = 1 << 16
_GROUP_TWO = b"\x02\x00\x00\x00UL\x04\x00"  # its first element: how long it is
_ENDLESS = 0xFFFFFFFF
_ARCHIVE_END = b"PK\x05\x06"
_ARCHIVE_TAIL = 22
_ARCHIVE_REACH = 65_557
# What the 128 free bytes may not begin with: programs, archives, pages, other pictures. TIFF (WSI) is allowed there.
_OTHERS = (
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"PK\x03\x04",
    b"%PDF",
    b"<",
    b"GIF8",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"\xca\xfe\xba\xbe",
    b"\xfe\xed\xfa",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\x00asm",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x1f\x8b",
    b"RIFF",
)


def is_dicom(data: bytes | memoryview) -> bool:
    return bytes(data[PREAMBLE : PREAMBLE + 4]) == b"DICM"


def opened(data: memoryview) -> Dataset:
    """The data set of a part-10 file. Raises Refused."""
    _one_file(data)
    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE
    try:
        found = _read(data)
        if len(found) > MAX_ELEMENTS:
            raise Refused(TOO_COMPLEX)
        if not all(map(_whole, found.values())):
            raise Refused(DAMAGED)
    except (InvalidDicomError, EOFError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refused(DAMAGED) from error
    except (RecursionError, MemoryError):
        raise Refused(TOO_COMPLEX) from None
    return found


def _one_file(data: memoryview) -> None:
    """A file built to be two things at once is refused because somebody built it so (the copy's preamble is zeroed)."""
    head = bytes(data[:PREAMBLE])
    if head.startswith(_OTHERS) or head.lstrip(b"\x00 \r\n\t").startswith(_OTHERS):
        raise Refused(HIDDEN_CONTENT)
    tail = bytes(data[-_ARCHIVE_REACH:])
    at = tail.rfind(_ARCHIVE_END)
    while at >= 0:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _ARCHIVE_TAIL + comment == len(tail):  # pixels alone hold these letters by chance, not this sum
            raise Refused(HIDDEN_CONTENT)
        at = tail.rfind(_ARCHIVE_END, 0, at)


def _whole(element: Any) -> bool:
    """What says that it is longer than the file is cut short, or lies; the reader would take what there is."""
    if not isinstance(element, RawDataElement) or element.length == _ENDLESS or element.value is None:
        return True
    return len(element.value) == element.length


def _read(data: memoryview) -> Dataset:
    if bytes(data[132:140]) == _GROUP_TWO:
        _meta_end(data)
    source = io.BytesIO(data)
    meta = read_partial(source, stop_when=_after_meta, force=False).file_meta
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        source.seek(0)
        return pydicom.dcmread(source, force=False)
    body = data[_meta_end(data) :]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(body, MAX_INFLATED)
    except zlib.error as error:
        raise Refused(DAMAGED) from error
    if inflater.unconsumed_tail:
        raise Refused(TOO_COMPLEX)
    found = read_dataset(io.BytesIO(plain), is_implicit_VR=False, is_little_endian=True)
    found.file_meta = FileMetaDataset(meta)
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return found


def _after_meta(tag: Any, vr: str | None, length: int) -> bool:
    del vr, length
    return bool(tag.group != 2)


def _meta_end(data: memoryview) -> int:
    """Group 2 is explicit little endian and says its own length first. Raises Refused."""
    if bytes(data[132:140]) != _GROUP_TWO:
        raise Refused(DAMAGED)
    length = int.from_bytes(data[140:144], "little")
    if length > MAX_META or 144 + length > len(data):
        raise Refused(DAMAGED)
    return 144 + length
