"""A picture is decoded whole and drawn anew: no metadata (place, device), no thumbnail, no second layer survives."""

import contextlib
import io
import warnings

import pi_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from huizhen.inspection.kinds import HEIC, JPEG, PNG
from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, Clean, Refused

MAX_PIXELS = 60_000_000
MAX_SIDE = 20_000
LONGEST = 4096  # px of the stored copy's long side: small print of a discharge summary stays readable
_QUALITY = 88
_FORMATS = {JPEG: ("JPEG", "MPO"), PNG: ("PNG",), HEIC: ("HEIF",)}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)
Image.preinit()


def warm() -> None:
    """Everything the libraries import or open only when first used, before nothing can be opened any more."""
    spot = Image.new("RGBA", (8, 8), "white")
    turned = Image.Exif()
    turned[0x0112] = 6
    for kind, name, picture in (
        (JPEG, "JPEG", spot.convert("RGB")),
        (PNG, "PNG", spot),
        (PNG, "PNG", spot.convert("P")),
    ):
        target = io.BytesIO()
        picture.save(target, name, exif=turned)
        clean(target.getvalue(), kind)
    with contextlib.suppress(Refused):
        clean(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", HEIC)


def clean(data: bytes, kind: str) -> tuple[bytes, Clean]:
    """The picture as JPEG (PNG stays PNG), upright, at most LONGEST pixels long. Raises Refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _clean(data, kind)
        except Image.DecompressionBombError:
            raise Refused(TOO_COMPLEX) from None
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError) as error:
            raise Refused(DAMAGED) from error


def _clean(data: bytes, kind: str) -> tuple[bytes, Clean]:
    with Image.open(io.BytesIO(data), formats=_FORMATS[kind]) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise Refused(TOO_COMPLEX)
        if kind == JPEG:  # decodes at a half, a quarter or an eighth where that is still long enough
            share = min(1.0, LONGEST / max(width, height))
            opened.draft("RGB", (max(1, int(width * share)), max(1, int(height * share))))
        opened.load()  # a truncated file fails here
        picture: Image.Image = opened
        if picture.mode in ("1", "P", "PA"):
            picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
        if max(picture.size) > LONGEST:
            picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        picture = _plain(ImageOps.exif_transpose(picture))
    target = io.BytesIO()
    if kind == PNG:
        picture.save(target, "PNG")
    else:
        picture.save(target, "JPEG", quality=_QUALITY, subsampling=0)
    out = target.getvalue()
    return out, Clean(PNG if kind == PNG else JPEG, 1, *picture.size, len(out))


def _plain(picture: Image.Image) -> Image.Image:
    """Only pixels, 8 bits each: a fresh picture without `info`. Transparency is laid on white."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        fresh = Image.new("RGB", layer.size, "white")
        fresh.paste(layer, mask=layer.getchannel("A"))
        return fresh
    fresh = picture.convert("RGB")
    fresh = picture.copy() if fresh is picture else fresh
    fresh.info = {}
    return fresh
