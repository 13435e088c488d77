"""Files built to do harm: each refused with its code by the child, the good ones beside it taken all the same."""

import asyncio
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate

from huizhen.images import wire
from huizhen.images.chamber import ImageChamber, close
from huizhen.inspection.chamber import private_file
from tests.images.looking import Seen, look, parts_of
from tests.inspection import corpus
from tests.support import dicom

GOOD = dicom.ct(0, 32)
_SMALL = dicom.ct_slice(0, 32)


def absurd(**changes: object) -> bytes:
    return dicom.file_of(dicom.dataset(_SMALL, **changes))


def packed(syntax: str, stream: bytes, **changes: object) -> bytes:
    found = dicom.dataset(_SMALL, PixelData=encapsulate([stream]), **changes)
    found["PixelData"].is_undefined_length = True
    return dicom.file_of(found, syntax)


def _jls_of_other_size() -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegls_encode(np.zeros((64, 64), np.uint16)))


def _jpeg_of_60000_squared() -> bytes:
    """A header that promises 3.6 thousand million pixels and holds none."""
    frame = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 60_000, 60_000) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(64) + b"\xff\xd9"


BAD: dict[str, tuple[bytes, str]] = {
    "no DICOM at all": (b"not a picture" * 30, "upload.unknown_type"),
    "empty data set": (bytes(128) + b"DICM", "images.unsupported"),
    "program in the preamble": (dicom.with_preamble(GOOD, b"MZ\x90\x00"), "upload.hidden_content"),
    "ELF in the preamble": (dicom.with_preamble(GOOD, b"\x7fELF\x02\x01"), "upload.hidden_content"),
    "script in the preamble": (dicom.with_preamble(GOOD, b"#!/bin/sh\nrm -rf /\n"), "upload.hidden_content"),
    "page in the preamble": (dicom.with_preamble(GOOD, b"  <html><script>"), "upload.hidden_content"),
    "archive at the end": (GOOD + b"PK\x05\x06" + bytes(18), "upload.hidden_content"),
    "cut short": (GOOD[:-500], "upload.damaged"),
    "rows of nothing": (absurd(Rows=0), "upload.damaged"),
    "more pixels than data": (absurd(Rows=4000, Columns=4000), "upload.damaged"),
    "a picture of four thousand million pixels": (absurd(Rows=65000, Columns=65000), "upload.too_complex"),
    "a hundred million frames": (absurd(NumberOfFrames=100_000_000), "upload.too_complex"),
    "frames that are no number": (absurd(NumberOfFrames=123456).replace(b"123456", b"1e9999"), "upload.damaged"),
    "frames below zero": (absurd(NumberOfFrames=-5), "upload.damaged"),
    "deflate bomb": (dicom.deflate_bomb(), "upload.too_complex"),
    "deep sequences": (dicom.deep_sequences(), "upload.too_complex"),
    "another size inside": (packed(dicom.JPEGLS, _jls_of_other_size()), "upload.damaged"),
    "JPEG 2000 of rubbish": (packed(dicom.JPEG2000, b"\xff\x4f\xff\x51" + bytes(400)), "upload.damaged"),
    "RLE of rubbish": (packed(dicom.RLE, b"\xff" * 200), "upload.damaged"),
    "JPEG of 60000 squared": (
        packed(dicom.BASELINE, _jpeg_of_60000_squared(), BitsAllocated=8, BitsStored=8, HighBit=7),
        "upload.damaged",
    ),
    "syntax nobody has": (
        dicom.with_preamble(packed("1.2.840.10008.1.2.4.102", b"\0" * 64), b""),
        "images.unsupported",
    ),
    "script in a paper": (dicom.encapsulated_pdf(corpus.sent("script at opening")[0]), "upload.active_content"),
    "page as a paper": (dicom.encapsulated_pdf(b"<html><script>alert(1)</script>"), "upload.unknown_type"),
    "ECG with a DTD": (dicom.aecg(extra='<!DOCTYPE a [<!ENTITY b "c">]>'), "upload.active_content"),
    "ECG that stops": (dicom.aecg()[:-40], "upload.damaged"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Seen | str]:
    """All of them in one delivery, a good one at both ends."""
    found = asyncio.run(look(GOOD, *(data for data, _ in BAD.values()), GOOD))
    return dict(zip(("first", *BAD, "last"), found, strict=True))


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_their_code(answers: dict[str, Seen | str], name: str) -> None:
    assert answers[name] == BAD[name][1]


def test_the_good_ones_beside_them_are_taken(answers: dict[str, Seen | str]) -> None:
    assert isinstance(answers["first"], Seen)
    assert isinstance(answers["last"], Seen)


def test_a_tiff_preamble_is_allowed_and_pixels_that_spell_an_archive_are_pixels() -> None:
    pixels = _SMALL.copy()
    pixels.ravel()[:3] = np.frombuffer(b"PK\x05\x06\x07\x00", np.int16)
    found = asyncio.run(look(dicom.with_preamble(GOOD, b"II*\0"), dicom.file_of(dicom.dataset(pixels))))
    assert all(isinstance(each, Seen) for each in found)


async def test_a_child_that_hangs_costs_its_file_only_its_time() -> None:
    found = await look(GOOD, chamber=ImageChamber(seconds=0.01))
    assert found == ["upload.too_complex"]


async def test_a_child_that_dies_is_asked_again_file_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from huizhen.images import chamber
    from huizhen.inspection import chamber as inspecting

    real, calls = inspecting.run, []

    async def fragile(*arguments: object, **named: object) -> bytes | None:
        calls.append(1)
        return None if len(calls) == 1 else await real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(chamber, "run", fragile)
    first, second = await look(GOOD, b"x" * 200)
    assert isinstance(first, Seen)
    assert second == "upload.unknown_type"
    assert len(calls) == 3


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x02[]",
        b"\x7f\xff\xff\xff",
        b'\x00\x00\x00\x10{"code":"x.y"}xx',
        b'\x00\x00\x00\x13{"code":"upload.x"}',
    ],
)
def test_the_parent_believes_nothing_that_does_not_fit(said: bytes) -> None:
    with private_file() as output:
        output.write(said)
        if said.endswith(b'"upload.x"}'):
            assert wire.told(output, 1)[0].code == "upload.damaged", "an invented code is none"
            return
        with pytest.raises(ValueError, match=r"head|cut short|names|more"):
            wire.told(output, 1)


def test_the_child_can_open_nothing_and_reach_nobody(tmp_path: Path) -> None:
    """Its limits are those of every inspecting child (tests/inspection). Here: they are set before a file is seen."""
    source = (Path(__file__).parents[2] / "huizhen/images/worker.py").read_text(encoding="utf-8")
    body = source.partition("def main")[2]
    assert body.index("worker.confine(") < body.index("wire.files(")


async def test_what_a_delivery_costs_is_bounded() -> None:
    with private_file() as file:
        parts = parts_of(file, [GOOD] * 3)
        assert [part.size for part in parts] == [len(GOOD)] * 3
        looked = await ImageChamber().look(parts)
        close(looked)
        assert len(looked) == 3


@pytest.mark.parametrize(
    "said",
    [
        b"[]",
        b"{",
        b'{"x": {"vr": "US"}}',
        b'{"00280010": {"vr": "us"}}',
        b'{"00280010": {"vr": "US", "Value": 5}}',
        b'{"00280010": {"vr": "US", "Value": [[5]]}}',
        b'{"00280010": {"vr": "US", "InlineBinary": "AAAA"}}',
        b'{"00280010": ["US"]}',
        b'{"00100010": {"vr": "PN", "Value": ["OUYANG^HE"]}}',
        b'{"52009230": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO"}}]}}',
        b'{"52009230": {"vr": "SQ", "Value": [5]}}',
        b'{"a":' * 100_000,
        b'{"52009230": {"vr": "SQ", "Value": [' * 9 + b"{}" + b"]}}" * 9,
    ],
)
def test_metadata_is_dicom_json_without_a_name_or_it_is_nothing(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        wire.check_metadata(said)


def test_metadata_as_it_should_be() -> None:
    wire.check_metadata(b'{"00100040": {"vr": "CS", "Value": ["F"]}, "00280010": {"vr": "US", "Value": [512]}}')
    wire.check_metadata(b'{"52009230": {"vr": "SQ", "Value": [{"00200032": {"vr": "DS", "Value": [0.5]}}]}}')
