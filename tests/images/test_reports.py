"""A measurement report written in the real child, read back as DICOM; and the twin that finds a picture's spacing."""

import io
import json
from typing import Any

import pydicom
import pytest

from huizhen.images.chamber import ImageChamber
from huizhen.images.report_order import _graphic
from huizhen.images.spacing import Spacing, spacing_of
from imaging.measurement import Shape
from tests.support import dicom

ON = {"class": dicom.CT, "uid": "1.2.3", "series": "1.2"}


def group(shape: str = "length", **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "tracking": "2.25.7", "shape": shape, "author": "王医师", "label": "结节", "on": ON, "frame": None,
        "volume": False, "graphic": "POLYLINE", "data": [1.0, 2.0, 4.0, 6.0],
        "value": {"amount": 5.0, "unit": "mm"}, "detector": False,
    }  # fmt: skip
    return said | changes


def ordered(study: str, *groups: dict[str, Any]) -> bytes:
    said = {
        "uid": "2.25.1", "series": "2.25.2", "study": study, "number": 3, "date": "20260302", "time": "171500",
        "offset": "+0800", "institution": "县人民医院", "observer": "王医师", "library": [ON], "groups": list(groups),
    }  # fmt: skip
    return json.dumps(said).encode()


def picture(**changes: Any) -> tuple[str, bytes]:
    data = dicom.ct(0, 16, **changes)
    return str(pydicom.dcmread(io.BytesIO(data)).StudyInstanceUID), data


def items(found: Any, name: str) -> list[Any]:
    """Of this concept, wherever they stand."""
    here = [each for each in found.get("ContentSequence", []) if _named(each) == name]
    return here + [deep for each in found.get("ContentSequence", []) for deep in items(each, name)]


def _named(item: Any) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeMeaning) if names else ""


async def written(order: bytes, header: bytes) -> Any:
    made = await ImageChamber().report(order, header)
    assert made is not None
    return pydicom.dcmread(io.BytesIO(made))


@pytest.mark.parametrize("syntax", [dicom.IMPLICIT, dicom.EXPLICIT, dicom.DEFLATED, dicom.BIG_ENDIAN, dicom.JPEGLS])
async def test_it_says_patient_and_study_as_the_picture_does(syntax: str) -> None:
    study, data = picture(syntax=syntax)
    found = await written(ordered(study, group()), data)
    assert (found.PatientID, found.PatientBirthDate, str(found.StudyInstanceUID)) == ("H1", "19700101", study)
    assert str(found.PatientName) == "OUYANG^HE=患者欧阳鹤"
    assert (found.SpecificCharacterSet, found.Modality, found.VerificationFlag) == ("ISO_IR 192", "SR", "UNVERIFIED")
    assert found.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert found.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    (evidence,) = found.CurrentRequestedProcedureEvidenceSequence
    assert evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3"


async def test_each_kind_of_measurement_in_its_form() -> None:
    study, data = picture()
    area = {"amount": 12.566370614359172, "unit": "mm2"}
    found = await written(
        ordered(
            study,
            group(frame=2),
            group("angle", value={"amount": 90.0, "unit": "deg"}, data=[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]),
            group("ellipse", graphic="ELLIPSE", value=area, data=[0.0, 1.0, 4.0, 1.0, 2.0, 0.0, 2.0, 2.0]),
            group("point", graphic="POINT", value=None, data=[3.0, 4.0], author="", label=""),
            group("length", value={"amount": 7.0, "unit": "{pixels}"}, volume=True, detector=True),
        ),
        data,
    )
    groups = items(found, "Measurement Group")
    assert [each.ContentTemplateSequence[0].TemplateIdentifier for each in groups] == [
        "1501", "1501", "1410", "1410", "1501",
    ]  # fmt: skip
    length, angle, ellipse, point, pixels = groups
    (number,) = items(length, "Length")
    (value,) = number.MeasuredValueSequence
    assert (float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue) == (5.0, "mm")
    (drawn,) = number.ContentSequence
    assert (drawn.ValueType, drawn.RelationshipType, list(drawn.GraphicData)) == (
        "SCOORD", "INFERRED FROM", [1, 2, 4, 6],
    )  # fmt: skip
    assert int(drawn.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber) == 2
    assert items(angle, "Angle")[0].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "deg"
    assert float(items(ellipse, "Area")[0].MeasuredValueSequence[0].NumericValue) == pytest.approx(12.566371)
    assert items(ellipse, "Image Region")[0].GraphicType == "ELLIPSE"
    assert [items(point, name) for name in ("Length", "Area", "Comment", "Person Observer Name")] == [[]] * 4
    assert items(pixels, "Length")[0].ContentSequence[0].PixelOriginInterpretation == "VOLUME"
    assert [each.TextValue for each in items(pixels, "Comment")][1].startswith("Measured at the detector")
    assert str(items(length, "Person Observer Name")[0].PersonName) == "王医师"
    assert items(length, "Tracking Identifier")[0].TextValue == "结节"


async def test_a_header_of_another_study_or_of_nothing_makes_none() -> None:
    study, data = picture()
    for order, header in ((ordered("1.2.9", group()), data), (ordered(study, group()), b"\0" * 300), (b"{", data)):
        assert await ImageChamber().report(order, header) is None


async def test_what_is_missing_in_the_header_is_empty() -> None:
    study, data = picture(PatientBirthDate=None, AccessionNumber=None)
    found = await written(ordered(study, group()), data)
    assert (found.PatientBirthDate, found.AccessionNumber, found.PatientSex) == ("", "", "F")


def test_areas_are_closed_and_the_longer_axis_comes_first() -> None:
    assert _graphic(Shape.RECTANGLE, ((0, 0), (2, 1))) == ("POLYLINE", ((0, 0), (2, 0), (2, 1), (0, 1), (0, 0)))
    assert _graphic(Shape.ELLIPSE, ((0, 0), (4, 2))) == ("ELLIPSE", ((0, 1), (4, 1), (2, 0), (2, 2)))
    assert _graphic(Shape.ELLIPSE, ((0, 0), (2, 4))) == ("ELLIPSE", ((1, 0), (1, 4), (0, 2), (2, 2)))
    assert _graphic(Shape.ARROW, ((5, 6), (1, 1))) == ("POINT", ((5, 6),))
    assert _graphic(Shape.LENGTH, ((5, 6), (1, 1))) == ("POLYLINE", ((5, 6), (1, 1)))


def told(**tags: Any) -> bytes:
    return json.dumps({tag.lstrip("t"): {"vr": "XX", "Value": value} for tag, value in tags.items()}).encode()


def one(tag: str, *value: Any) -> dict[str, Any]:
    return {tag: {"vr": "XX", "Value": list(value)}}


REGION = one("00186024", 3) | one("00186026", 3) | one("0018602C", 0.02) | one("0018602E", -0.01)
MEASURES = one("00289110", one("00280030", 0.5, 0.25))


@pytest.mark.parametrize(
    ("metadata", "frame", "wanted"),
    [
        (told(t00280030=[0.5, 0.7]), 0, Spacing(0.5, 0.7)),
        (told(t00181164=[0.1, 0.1]), 0, Spacing(0.1, 0.1, at_detector=True)),
        (told(t00186011=[REGION, REGION]), 0, Spacing(0.1, 0.2)),
        (told(t00186011=[REGION, REGION | one("0018602C", 0.03)]), 0, None),
        (told(t00186011=[REGION | one("00186024", 4)]), 0, None),
        (told(t52009229=[MEASURES]), 5, Spacing(0.5, 0.25)),
        (told(t52009230=[{}, MEASURES], t52009229=[one("00289110", one("00280030", 1, 1))]), 1, Spacing(0.5, 0.25)),
        (told(t52009230=[{}, MEASURES]), 0, None),
        (told(t00280030=[0, 1]), 0, None),
        (told(t00280030=["x", 1]), 0, None),
        (b"{}", 0, None),
    ],
)
def test_the_spacing_of_a_frame(metadata: bytes, frame: int, wanted: Spacing | None) -> None:
    found = spacing_of(metadata, frame)
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert (found.down, found.right) == pytest.approx((wanted.down, wanted.right))
        assert found.at_detector == wanted.at_detector
