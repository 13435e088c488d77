"""In the child: every transfer syntax becomes one, JPEG-LS lossless, unsigned, low bits first, with a small preview.

JPEG-LS has no sign: signed values are shifted by half their range and the rescale intercept by as much, so that what
a viewer computes from them (Hounsfield units) is exactly what was sent. Colour becomes RGB, 8 bits.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from huizhen.images.wire import MAX_FRAMES, MAX_SIDE, UNSUPPORTED
from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, Refused

MAX_PIXELS = 64_000_000  # of one frame: mammograms have 25
MAX_ALL = 1_200_000_000  # of one file: 4000 frames of 512 x 512
PREVIEW = 128  # pixels of the longer side
_NATIVE = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    }
)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR")

Array = NDArray[Any]


def _jpeg(data: bytes, photometric: str) -> Array:
    """Baseline, extended (12 bits) and lossless (to 16). A stream that says nothing of its colours has the header's."""
    told = b"JFIF" in data[:64] or b"Adobe" in data[:4096]
    colours = None if told or photometric in _GREY else "RGB" if photometric == "RGB" else "YCBCR"
    grey = photometric in (*_GREY, "PALETTE COLOR")
    return imagecodecs.jpeg8_decode(data, colorspace=colours, outcolorspace=None if grey else "RGB")


def _jpegls(data: bytes, photometric: str) -> Array:
    decoded: Array = imagecodecs.jpegls_decode(data)
    if photometric == "YBR_FULL":
        decoded = convert_color_space(decoded, "YBR_FULL", "RGB")
    return decoded


def _jpeg2k(data: bytes, photometric: str) -> Array:
    decoded: Array = imagecodecs.jpeg2k_decode(data, numthreads=1)
    if photometric == "YBR_FULL":  # RCT and ICT are undone by the codec
        decoded = convert_color_space(decoded, "YBR_FULL", "RGB")
    return decoded


def _htj2k(data: bytes, photometric: str) -> Array:
    del photometric
    return imagecodecs.htj2k_decode(data)


_DECODERS: Mapping[str, Callable[[bytes, str], Array]] = {
    uid.JPEGBaseline8Bit: _jpeg,
    uid.JPEGExtended12Bit: _jpeg,
    uid.JPEGLossless: _jpeg,
    uid.JPEGLosslessSV1: _jpeg,
    uid.JPEGLSLossless: _jpegls,
    uid.JPEGLSNearLossless: _jpegls,
    uid.JPEG2000Lossless: _jpeg2k,
    uid.JPEG2000: _jpeg2k,
    uid.HTJ2KLossless: _htj2k,
    uid.HTJ2KLosslessRPCL: _htj2k,
    uid.HTJ2K: _htj2k,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header says of the pixels, checked. `offset`: what was added to every value of a signed picture."""

    frames: int
    height: int
    width: int
    bits: int
    shift: int  # stored bits do not always begin at bit 0
    signed: bool
    colour: bool
    palette: bool

    @property
    def offset(self) -> int:
        return 1 << (self.bits - 1) if self.signed else 0


def shape_of(found: Dataset) -> Shape:
    """Raises Refused: unsupported, or more than the bounds before a pixel is decoded."""
    syntax = found.file_meta.get("TransferSyntaxUID")
    if syntax not in _DECODERS and syntax not in _NATIVE and syntax != uid.RLELossless:
        raise Refused(UNSUPPORTED)
    try:
        frames = int(found.get("NumberOfFrames") or 1)
        height, width = int(found.Rows), int(found.Columns)
        allocated, bits, high = int(found.BitsAllocated), int(found.BitsStored), int(found.HighBit)
        samples, photometric = int(found.SamplesPerPixel), str(found.PhotometricInterpretation)
        signed = bool(int(found.get("PixelRepresentation") or 0))
    except (AttributeError, TypeError, ValueError) as error:
        raise Refused(DAMAGED) from error
    if photometric not in (*_GREY, *_COLOUR) or allocated not in (8, 16):
        raise Refused(UNSUPPORTED)
    if not (2 <= bits <= allocated and bits - 1 <= high < allocated and samples in (1, 3)):
        raise Refused(UNSUPPORTED if bits == 1 else DAMAGED)
    colour = photometric in _COLOUR
    if colour and photometric != "PALETTE COLOR" and (allocated != 8 or samples != 3):
        raise Refused(UNSUPPORTED)
    _bounded(frames, height, width)
    shift = high + 1 - bits if syntax in _NATIVE else 0
    return Shape(frames, height, width, bits, shift, signed and not colour, colour, photometric == "PALETTE COLOR")


def _bounded(frames: int, height: int, width: int) -> None:
    if min(frames, height, width) < 1:
        raise Refused(DAMAGED)
    pixels = height * width
    if frames > MAX_FRAMES or max(height, width) > MAX_SIDE or pixels > MAX_PIXELS or pixels * frames > MAX_ALL:
        raise Refused(TOO_COMPLEX)


def encoded(found: Dataset, shape: Shape) -> Iterator[tuple[bytes, bytes]]:
    """Frame and preview, one after the other. Raises Refused when the pixels are not what the header says."""
    count = 0
    try:
        for frame in _decoded(found, shape):
            plain = _plain(found, frame, shape)
            count += 1
            yield jls(plain), jls(_small(plain))
    except MemoryError:
        raise Refused(TOO_COMPLEX) from None
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, OSError, TypeError, KeyError) as error:
        raise Refused(DAMAGED) from error
    if count != shape.frames:
        raise Refused(DAMAGED)


def _decoded(found: Dataset, shape: Shape) -> Iterator[Array]:
    syntax = found.file_meta.TransferSyntaxUID
    if (decode := _DECODERS.get(syntax)) is None:
        for frame, _ in get_decoder(syntax).iter_array(found, raw=False, correct_unused_bits=False):
            yield frame
        return
    photometric = str(found.PhotometricInterpretation)
    for data in generate_frames(found.PixelData, number_of_frames=shape.frames):
        yield decode(data, photometric)


def _plain(found: Dataset, frame: Array, shape: Shape) -> Array:
    if shape.palette:
        coloured = apply_color_lut(frame, found)
        frame = (coloured >> 8).astype(np.uint8) if coloured.dtype == np.uint16 else coloured
    if frame.shape != ((shape.height, shape.width, 3) if shape.colour else (shape.height, shape.width)):
        raise Refused(DAMAGED)
    if shape.colour:
        return np.ascontiguousarray(frame[..., :3], dtype=np.uint8)
    if frame.dtype.itemsize > 2:
        raise Refused(UNSUPPORTED)
    unsigned = np.uint8 if shape.bits <= 8 else np.uint16
    wide = frame.astype(np.uint16) >> shape.shift if shape.shift else frame.astype(np.uint16)
    wide &= (1 << shape.bits) - 1
    if shape.signed:
        wide ^= shape.offset  # two's complement plus half the range
    return np.ascontiguousarray(wide, dtype=unsigned)


def _small(plain: Array) -> Array:
    """Every n-th pixel: values stay values, so that window and level mean the same on the preview."""
    step = max(1, -(-max(plain.shape[:2]) // PREVIEW))
    return np.ascontiguousarray(plain[::step, ::step])


def jls(plain: Array) -> bytes:
    """Lossless; colour by pixel."""
    return bytes(imagecodecs.jpegls_encode(plain, level=0))


def warm() -> None:
    """Codecs are libraries of their own, opened when first used."""
    spot = np.zeros((16, 16), np.uint8)
    jls(np.zeros((16, 16, 3), np.uint8))
    _jpegls(bytes(imagecodecs.jpegls_encode(spot)), "MONOCHROME2")
    _jpeg(bytes(imagecodecs.jpeg8_encode(spot)), "MONOCHROME2")
    _jpeg2k(bytes(imagecodecs.jpeg2k_encode(spot, numthreads=1)), "MONOCHROME2")
    _htj2k(bytes(imagecodecs.htj2k_encode(spot)), "MONOCHROME2")
