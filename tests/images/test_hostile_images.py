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
from tests.support.scp import crc, record

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


def _pixels_of_false_length(length: int) -> bytes:
    """The last element says it is longer (or endless) than the file."""
    at = GOOD.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    return GOOD[: at + 8] + struct.pack("<I", length) + GOOD[at + 12 :]


def _sequence(tag: bytes, length: int, items: bytes) -> bytes:
    """A sequence whose length is what the test says, behind a data set without pixels."""
    plain = dicom.file_of(dicom.dataset(_SMALL, PixelData=None))
    return plain + tag + b"SQ\0\0" + struct.pack("<I", length) + items


def _nested(depth: int) -> bytes:
    """Functional groups in functional groups: a tag that is looked into, each with its true length."""
    body = b""
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(body)) + body
        body = b"\x00\x52\x29\x92SQ\0\0" + struct.pack("<I", len(item)) + item
    return dicom.file_of(dicom.dataset(_SMALL, PixelData=None)) + body


def _group_two(length: int) -> bytes:
    return GOOD[:140] + struct.pack("<I", length) + GOOD[144:]


_ITEM = b"\xfe\xff\x00\xe0"
_LAUGHS = "<!DOCTYPE l [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{'&' + chr(97 + n) + ';'}{'&' + chr(97 + n) + ';'}'>" for n in range(20)
)
_FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
_REMOTE = '<!DOCTYPE a PUBLIC "-//x" "http://169.254.169.254/latest/meta-data">'
_SCP = record([[1, 2, 3, 4] * 50] * 2)
_SCP_LEADS = _SCP.index(struct.pack("<II", 1, 200))


def _scp(at: int, data: bytes) -> bytes:
    """A record changed at one place, every sum made right again."""
    changed = bytearray(_SCP[:at] + data + _SCP[at + len(data) :])
    for pointer in range(22, 22 + 50, 10):
        _, size, place = struct.unpack_from("<HII", changed, pointer)
        start = place - 1
        if start >= 22 and size >= 16 and start + size <= len(changed):
            struct.pack_into("<H", changed, start, crc(bytes(changed[start + 2 : start + size])))
    return struct.pack("<H", crc(bytes(changed[2:]))) + bytes(changed[2:])


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
    # polyglots and pages
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>' + bytes(100), "upload.unknown_type"),
    "SVG in the preamble": (dicom.with_preamble(GOOD, b'<svg onload="alert(1)">'), "upload.hidden_content"),
    "JPEG in the preamble": (dicom.with_preamble(GOOD, b"\xff\xd8\xff\xe0"), "upload.hidden_content"),
    "PDF in the preamble": (dicom.with_preamble(GOOD, b"%PDF-1.7\n"), "upload.hidden_content"),
    "WebAssembly in the preamble": (dicom.with_preamble(GOOD, b"\x00asm\x01\0\0\0"), "upload.hidden_content"),
    "gzip in the preamble": (dicom.with_preamble(GOOD, b"\x1f\x8b\x08"), "upload.hidden_content"),
    # papers
    "launch in a paper": (dicom.encapsulated_pdf(corpus.sent("launch")[0]), "upload.active_content"),
    "file in a paper": (dicom.encapsulated_pdf(corpus.sent("attachment")[0]), "upload.active_content"),
    "form in a paper": (dicom.encapsulated_pdf(corpus.sent("xfa")[0]), "upload.active_content"),
    "script deep in a paper": (
        dicom.encapsulated_pdf(corpus.sent("script inside an object stream")[0]),
        "upload.active_content",
    ),
    "bomb in a paper": (dicom.encapsulated_pdf(corpus.sent("contents bomb")[0]), "upload.too_complex"),
    "locked paper": (dicom.encapsulated_pdf(corpus.sent("password")[0]), "upload.encrypted"),
    "SVG as a paper": (dicom.encapsulated_pdf(b"<svg onload='alert(1)'/>"), "upload.unknown_type"),
    # false lengths
    "pixels longer than the file": (_pixels_of_false_length(0x7FFFFFFE), "upload.damaged"),
    "pixels without an end": (_pixels_of_false_length(0xFFFFFFFF), "images.unsupported"),
    "a sequence longer than the file": (_sequence(b"\x00\x52\x29\x92", 0x7FFFFFFE, _ITEM), "upload.damaged"),
    "an item longer than its sequence": (
        _sequence(b"\x00\x52\x29\x92", 16, _ITEM + struct.pack("<I", 0x7FFFFFFE) + bytes(8)),
        "images.unsupported",
    ),
    "functional groups in each other": (_nested(800), "images.unsupported"),
    "a head of four gigabytes": (_group_two(0xFFFFFFF0), "upload.damaged"),
    # ECG
    "ECG that laughs": (dicom.aecg(extra=_LAUGHS + "]>"), "upload.active_content"),
    "ECG that reads a file": (dicom.aecg(extra=_FILE), "upload.active_content"),
    "ECG that asks the cloud": (dicom.aecg(extra=_REMOTE), "upload.active_content"),
    "ECG with a style sheet": (dicom.aecg(extra='<?xml-stylesheet href="//x"?>'), "upload.active_content"),
    "ECG in another encoding": (dicom.aecg(extra=_FILE).decode().encode("utf-16"), "upload.unknown_type"),
    "ECG of a million elements": (
        b'<AnnotatedECG xmlns="urn:hl7-org:v3">' + b"<a>" * 300_000 + b"</a>" * 300_000 + b"</AnnotatedECG>",
        "images.unsupported",
    ),
    "ECG without time": (dicom.aecg().replace(b'value="0.002"', b'value="0"'), "upload.damaged"),
    "ECG of no number": (dicom.aecg().replace(b'value="0.002"', b'value="nan"'), "upload.damaged"),
    "ECG of endless digits": (dicom.aecg(samples=2, leads=[f"V{n}" for n in range(65)]), "upload.too_complex"),
    # SCP-ECG with every sum right
    "SCP with a section behind the end": (_scp(32 + 6, struct.pack("<I", 0x7FFFFFFF)), "upload.damaged"),
    "SCP with a section before the beginning": (_scp(32 + 6, struct.pack("<I", 0)), "upload.damaged"),
    "SCP with a section of four gigabytes": (_scp(32 + 2, struct.pack("<I", 0xFFFFFFFF)), "upload.damaged"),
    "SCP of endless samples": (_scp(_SCP_LEADS, struct.pack("<II", 1, 0x7FFFFFFF)), "upload.too_complex"),
    "SCP of samples backwards": (_scp(_SCP_LEADS, struct.pack("<II", 500, 1)), "upload.damaged"),
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
