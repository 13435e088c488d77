"""Pathology slides: tiles stay the scanner's own pixels, and nothing else of its files leaves."""

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import UID

from huizhen.images import slides, wire
from huizhen.inspection.verdict import Refused
from tests.images.looking import Seen, look, seen
from tests.support import dicom


async def test_a_pyramid_is_taken_level_by_level() -> None:
    found = [each for each in await look(*dicom.pyramid()) if isinstance(each, Seen)]
    assert [(each.opened.kind, each.opened.width, each.opened.height, len(each.frames)) for each in found] == [
        ("slide", 600, 400, 70),
        ("slide", 300, 200, 20),
        ("slide", 150, 100, 6),
    ]
    level = found[1]
    assert level.previews == []
    assert (level.value("00480006"), level.value("00480007"), level.value("00280010")) == (300, 200, 64)
    assert level.value("00020010") == "1.2.840.10008.1.2.4.50"
    spacing = level.metadata["52009229"]["Value"][0]["00289110"]["Value"][0]["00280030"]["Value"]
    assert spacing == [0.0005, 0.0005]
    assert level.metadata["00480105"]["Value"][0]["00480112"]["Value"] == [40]
    assert "52009230" not in level.metadata
    tile = Image.open(io.BytesIO(level.frames[0]))
    assert (tile.size, tile.mode) == ((64, 64), "RGB")


@pytest.mark.parametrize("rgb", [False, True])
async def test_tiles_keep_their_pixels_and_lose_the_rest(rgb: bool) -> None:
    """Colours as a browser reads them, whatever the scanner's markers said."""
    plain = dicom.slide_level(64, 64, rgb=rgb)
    (tile,) = (await seen(plain)).frames
    browser = np.asarray(Image.open(io.BytesIO(tile)).convert("RGB")).astype(int)
    expected = np.array([232, 170, 200])
    assert np.abs(np.median(browser.reshape(-1, 3), axis=0) - expected).max() < 12


def tile(**more: Any) -> bytes:
    picture = np.full((64, 64, 3), 200, np.uint8)
    return bytes(imagecodecs.jpeg8_encode(picture, **more))


def test_a_tile_is_written_again_of_its_tables_and_scan() -> None:
    data = tile()
    dressed = (
        data[:2] + b"\xff\xe1\x00\x08Exif\x00\x00" + b"\xff\xfe\x00\x06abcd" + b"\xff" + data[2:] + b"PK\x05\x06<svg>"
    )
    plain = slides.plain_jpeg(dressed, rgb=False)
    assert plain.endswith(b"\xff\xd9")
    for gone in (b"Exif", b"abcd", b"svg", b"PK"):
        assert gone not in plain
    assert np.array_equal(imagecodecs.jpeg8_decode(plain), imagecodecs.jpeg8_decode(data))
    assert slides.plain_jpeg(plain, rgb=False) == plain


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF8",
        b"\xff\xd8",
        b"\xff\xd8\x00\x00\x00\x00",
        b"\xff\xd8\xff\xdb\x00\x00\x00",
        b"\xff\xd8\xff\xdb\xff\xff\x00",
        b"\xff\xd8\xff\xd9\x00\x02",
        tile()[:-20],
        tile()[:-2] + b"\xff\xda\x00\x08",
        b"\xff\xd8\xff\xc2\x00\x0b" + bytes(40),
    ],
    ids=[
        "empty",
        "other",
        "cut",
        "no marker",
        "length 0",
        "length beyond",
        "ends at once",
        "no end",
        "second scan",
        "progressive",
    ],
)
def test_what_is_no_baseline_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        slides.plain_jpeg(data, rgb=False)


def of(**changes: Any) -> bytes:
    return dicom.slide_level(128, 128, **changes)


BAD: dict[str, tuple[bytes, str]] = {
    "label": (of(ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"]), wire.SLIDE_LABEL),
    "overview": (of(ImageType=["ORIGINAL", "PRIMARY", "OVERVIEW", "NONE"]), wire.SLIDE_LABEL),
    "sparse": (of(DimensionOrganizationType="TILED_SPARSE"), wire.UNSUPPORTED),
    "planes": (of(TotalPixelMatrixFocalPlanes=3), wire.UNSUPPORTED),
    "grey": (of(PhotometricInterpretation="MONOCHROME2"), wire.UNSUPPORTED),
    "no matrix": (of(TotalPixelMatrixRows=0), "upload.damaged"),
    "more tiles than it has": (of(TotalPixelMatrixRows=640), "upload.damaged"),
    "a matrix of a million": (of(TotalPixelMatrixRows=1_000_000, NumberOfFrames=4), "upload.too_complex"),
    "tiles of one pixel": (of(Rows=1, Columns=1, NumberOfFrames=16_384), "upload.damaged"),
    "a hundred million tiles": (
        of(TotalPixelMatrixRows=60_000, TotalPixelMatrixColumns=60_000, Rows=1, Columns=1, NumberOfFrames=99),
        "upload.too_complex",
    ),
    "tiles of another size": (of(Rows=32, Columns=32, NumberOfFrames=16), "upload.damaged"),
    "fewer tiles than it says": (of(TotalPixelMatrixRows=256, NumberOfFrames=8), "upload.damaged"),
    "no pixels": (
        dicom.file_of(dicom.dataset(dicom.ct_slice(0, 16), SOPClassUID=UID(dicom.SLIDE))),
        wire.UNSUPPORTED,
    ),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Seen | str]:
    import asyncio

    found = asyncio.run(look(*(data for data, _ in BAD.values()), of(tail=b"PK\x05\x06" + bytes(40))))
    return dict(zip((*BAD, "good"), found, strict=True))


@pytest.mark.parametrize("name", BAD)
def test_hostile_slides_are_refused_with_their_code(answers: dict[str, Seen | str], name: str) -> None:
    assert answers[name] == BAD[name][1]


def test_a_tile_with_an_archive_behind_it_loses_the_archive(answers: dict[str, Seen | str]) -> None:
    good = answers["good"]
    assert isinstance(good, Seen)
    assert all(b"PK\x05\x06" not in each for each in good.frames)
