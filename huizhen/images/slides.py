"""In the child: one level of a pathology slide (VL Whole Slide Microscopy, TILED_FULL) as the tiles it was scanned in.

A tile is a JPEG of the scanner and stays one: made lossless it would be ten times as large, drawn anew it would lose
twice. Each is decoded, so that it is what the header says, and then written again of its own tables and scan alone: no
application data, no comment, nothing behind its end.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from huizhen.images.wire import MAX_MATRIX, MAX_TILES, SLIDE_LABEL, UNSUPPORTED
from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, Refused

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
MAX_ALL = 4_000_000_000  # pixels of a level
MAX_TILE = 2_048  # pixels of a side
_NAMED = frozenset({"LABEL", "OVERVIEW"})  # photographs of the glass, with the patient's name written on it
_COLOURS = {"YBR_FULL_422": False, "YBR_FULL": False, "RGB": True}
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_KEPT = frozenset({0xC0, 0xC1, 0xC4, 0xDB, 0xDD})  # baseline, Huffman and quantization tables, restart interval
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class Slide:
    """What the header says of a level, checked. Sizes in pixels; `tile`: height, width."""

    height: int
    width: int
    tile: tuple[int, int]
    tiles: int
    rgb: bool  # of the stored components, for the decoder in the page


def is_slide(found: Dataset) -> bool:
    return str(found.get("SOPClassUID") or "") == WHOLE_SLIDE


def slide_of(found: Dataset) -> Slide:
    """Raises Refused."""
    kinds = {str(each).upper() for each in (found.get("ImageType") or ())}
    if kinds & _NAMED:
        raise Refused(SLIDE_LABEL)
    if found.file_meta.get("TransferSyntaxUID") != uid.JPEGBaseline8Bit:
        raise Refused(UNSUPPORTED)
    if str(found.get("DimensionOrganizationType") or "") != "TILED_FULL":
        raise Refused(UNSUPPORTED)
    try:
        tile = int(found.Rows), int(found.Columns)
        height, width = int(found.TotalPixelMatrixRows), int(found.TotalPixelMatrixColumns)
        frames, samples = int(found.get("NumberOfFrames") or 1), int(found.SamplesPerPixel)
        planes = int(found.get("TotalPixelMatrixFocalPlanes") or 1), int(found.get("NumberOfOpticalPaths") or 1)
        photometric = str(found.PhotometricInterpretation)
    except (AttributeError, TypeError, ValueError) as error:
        raise Refused(DAMAGED) from error
    if photometric not in _COLOURS or samples != 3 or planes != (1, 1):
        raise Refused(UNSUPPORTED)
    return Slide(height, width, tile, _tiles(height, width, tile, frames), _COLOURS[photometric])


def _tiles(height: int, width: int, tile: tuple[int, int], frames: int) -> int:
    """As many as the matrix has room for, row by row. Raises Refused."""
    if min(height, width, *tile) < 1:
        raise Refused(DAMAGED)
    if max(tile) > MAX_TILE or max(height, width) > MAX_MATRIX or height * width > MAX_ALL:
        raise Refused(TOO_COMPLEX)
    tiles = -(-height // tile[0]) * -(-width // tile[1])
    if tiles > MAX_TILES:
        raise Refused(TOO_COMPLEX)
    if frames != tiles:
        raise Refused(DAMAGED)
    return tiles


def tiles(found: Dataset, slide: Slide) -> Iterator[bytes]:
    """Every tile, plain. Raises Refused when one is not what the header says."""
    count = 0
    try:
        for data in generate_frames(found.PixelData, number_of_frames=slide.tiles):
            plain = plain_jpeg(bytes(data), rgb=slide.rgb)
            _decodes(plain, slide)
            count += 1
            yield plain
    except MemoryError:
        raise Refused(TOO_COMPLEX) from None
    except (RuntimeError, ValueError, AttributeError, OSError, TypeError, KeyError) as error:
        raise Refused(DAMAGED) from error
    if count != slide.tiles:
        raise Refused(DAMAGED)


def _decodes(plain: bytes, slide: Slide) -> None:
    decoded: Any = imagecodecs.jpeg8_decode(plain)
    if decoded.shape != (*slide.tile, 3) or decoded.dtype.itemsize != 1:
        raise Refused(DAMAGED)


def plain_jpeg(data: bytes, *, rgb: bool) -> bytes:
    """Tables, frame header and one scan, nothing else. Raises Refused for what is no baseline JPEG."""
    if data[:2] != b"\xff\xd8":
        raise Refused(DAMAGED)
    kept, at = bytearray(b"\xff\xd8" + (_ADOBE_RGB if rgb else _JFIF)), 2
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise Refused(DAMAGED)
        marker, (size,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if size < 2 or at + 2 + size > len(data) or marker in (_SOI, _EOI):
            raise Refused(DAMAGED)
        segment = data[at : at + 2 + size]
        at += 2 + size
        if marker == _SOS:
            return bytes(kept + segment + _scan(data, at))
        if marker in _KEPT:
            kept += segment
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):  # progressive, arithmetic, hierarchical
            raise Refused(UNSUPPORTED)


def _scan(data: bytes, at: int) -> bytes:
    """The coded pixels up to the end of the picture; what follows is not kept. A second scan is none of baseline's."""
    start = at
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        following = data[at + 1]
        if following == _EOI:
            return data[start : at + 2]
        if following != 0 and not 0xD0 <= following <= 0xD7:
            raise Refused(DAMAGED)
        at += 2
    raise Refused(DAMAGED)
