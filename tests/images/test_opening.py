"""What the child makes of good files: every transfer syntax, the same values; nothing of the patient in what leaves."""

import json

import imagecodecs
import numpy as np
import pytest

from tests.images.looking import Seen, look, seen
from tests.inspection import corpus
from tests.support import dicom


async def test_every_lossless_syntax_gives_the_very_values_that_were_sent() -> None:
    sent = dicom.ct_slice(3)
    files = [dicom.ct(3, syntax=syntax) for syntax in dicom.LOSSLESS_ONES]
    for syntax, found in zip(dicom.LOSSLESS_ONES, await look(*files), strict=True):
        assert isinstance(found, Seen), (syntax, found)
        assert found.opened.syntax == syntax
        assert np.array_equal(found.hounsfield(), sent), syntax
        assert found.value("00280103") == 0
        assert found.value("00020010") == "1.2.840.10008.1.2.4.80"


async def test_lossy_syntaxes_come_close() -> None:
    sent = dicom.ct_slice(3).astype(int)
    files = [dicom.ct(3, syntax=syntax) for syntax in (dicom.BASELINE, dicom.EXTENDED, dicom.JPEG2000_LOSSY)]
    baseline, extended, jpeg2000 = await look(*files)
    assert isinstance(baseline, Seen)
    assert isinstance(extended, Seen)
    assert isinstance(jpeg2000, Seen)
    assert np.abs(baseline.pixels().astype(int) * 16 - 1024 - sent).max() < 200
    assert extended.value("00280101") == 12
    assert np.abs(extended.hounsfield() - sent).max() < 40
    assert np.abs(jpeg2000.hounsfield() - sent).mean() < 12


async def test_a_preview_is_small_and_its_values_are_values() -> None:
    found = await seen(dicom.ct(0, side=512))
    preview = imagecodecs.jpegls_decode(found.previews[0])
    assert preview.shape == (128, 128)
    assert np.array_equal(preview, found.pixels()[::4, ::4])
    assert len(found.previews[0]) < len(found.frames[0]) / 8


async def test_what_leaves_says_nothing_of_the_patient() -> None:
    found = await seen(dicom.ct(0, StudyDescription="患者欧阳鹤复查", ImageComments="某某的片子"))
    text = json.dumps(found.metadata, ensure_ascii=False)
    for secret in ("OUYANG", "欧阳", "鹤", "H1", "19700101", "某县医院", "王", "A17", "片子"):
        assert secret not in text, secret
    assert found.opened.study_text == "", "it repeats the name"
    assert found.opened.series_text == "肺窗"
    assert found.opened.named.names[:2] == ("OUYANG^HE", "患者欧阳鹤")
    assert (found.opened.named.birth_date, found.opened.named.sex) == ("19700101", "F")
    assert found.metadata["00280030"]["Value"] == [0.7, 0.7]
    assert found.metadata["00200037"]["Value"] == [1, 0, 0, 0, 1, 0]
    assert found.value("00281050") == 40
    uids = ("00080018", "0020000D", "0020000E")
    assert not set(uids) & set(found.metadata), "the parent puts its own in"


async def test_many_frames_keep_their_places_and_their_scale() -> None:
    found = await seen(dicom.multiframe(5))
    assert (found.opened.kind, len(found.frames), len(found.previews)) == ("image", 5, 5)
    positions = [item["00209113"]["Value"][0] for item in found.metadata["52009230"]["Value"]]
    assert [place["00200032"]["Value"][2] for place in positions] == [0, 1, 2, 3, 4]
    scale = found.metadata["52009229"]["Value"][0]["00289145"]["Value"][0]
    slope, intercept = scale["00281053"]["Value"][0], scale["00281052"]["Value"][0]
    sent = dicom.ct_slice(4, 64).astype(float) * 2 + 5
    assert np.array_equal(found.pixels(4).astype(float) * slope + intercept, sent)


async def test_colour_stays_colour() -> None:
    found = await seen(dicom.ultrasound())
    sent = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    assert np.array_equal(found.pixels(), sent)
    assert (found.value("00280004"), found.value("00280002")) == ("RGB", 3)
    region = found.metadata["00186011"]["Value"][0]
    assert region["0018602C"]["Value"] == [0.02]


async def test_bits_above_the_stored_ones_are_not_values() -> None:
    """Old scanners keep an overlay in the high bits, or put the value up there."""
    pixels = (dicom.ct_slice(0, 32) + 1024).astype(np.uint16)
    plain = {"BitsStored": 12, "PixelRepresentation": 0, "RescaleIntercept": -1024}
    overlay = dicom.dataset(pixels | 0x8000, HighBit=11, **plain)
    high = dicom.dataset(pixels << 4, HighBit=15, **plain)
    for found in await look(dicom.file_of(overlay), dicom.file_of(high)):
        assert isinstance(found, Seen)
        assert np.array_equal(found.pixels(), pixels)
        assert (found.value("00280101"), found.value("00280102")) == (12, 11)


async def test_an_ecg_is_traces_with_a_scale() -> None:
    found = await seen(dicom.ecg(seconds=2))
    told = json.loads(found.frames[0])
    assert (found.opened.kind, found.opened.modality) == ("waveform", "ECG")
    assert (told["leads"], told["seconds"]) == (12, 2.0)
    group = told["groups"][0]
    assert (group["hz"], len(group["samples"]), len(group["samples"][0])) == (500, 12, 1000)
    assert group["channels"][0] == {"label": "Lead I", "unit": "uV", "scale": 2.5, "baseline": 0}
    assert max(group["samples"][11]) > max(group["samples"][0]) > 350


async def test_an_hl7_ecg_is_the_same() -> None:
    found = await seen(dicom.aecg())
    group = json.loads(found.frames[0])["groups"][0]
    assert (group["hz"], [each["label"] for each in group["channels"]]) == (500.0, ["I", "II"])
    assert group["samples"][1][:3] == [0, 1, 2]
    assert found.opened.named.names == ("欧阳鹤",)
    assert "欧阳" not in json.dumps(found.metadata, ensure_ascii=False)


async def test_a_paper_inside_is_cleaned_like_any_other() -> None:
    found = await seen(dicom.encapsulated_pdf(corpus.pdf()))
    assert found.opened.kind == "paper"
    assert found.frames[0].startswith(b"%PDF-")


@pytest.mark.parametrize("encoding", ["ISO_IR 192", "ISO_IR 100", "GB18030"])
async def test_names_in_any_letters(encoding: str) -> None:
    name = "MÜLLER^JÖRG" if encoding == "ISO_IR 100" else "欧阳^鹤"
    plain = {"StudyDescription": "a", "SeriesDescription": "b", "InstitutionName": "c", "ReferringPhysicianName": "d"}
    found = await seen(dicom.ct(0, 32, SpecificCharacterSet=encoding, PatientName=name, **plain))
    assert found.opened.named.names[0] == name
