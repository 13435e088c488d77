"""In the child: measurements as a DICOM SR, TID 1500 Measurement Report (PS3.16), Comprehensive SR Storage.

Who the patient is and which study it is stand in the header of a picture of that study, copied as they are there.
Lengths and angles are measurement groups (TID 1501); areas, spots and arrows planar regions (TID 1410).
"""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from huizhen.inspection.verdict import DAMAGED, Refused

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
_LAST = 0x00200010  # StudyID: all that is copied stands before it
_COPIED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "StudyDescription", "ReferringPhysicianName",
)  # fmt: skip
_EMPTY = frozenset(_COPIED) - {"IssuerOfPatientID", "StudyInstanceUID", "StudyDescription"}  # type 2: there, if empty

Code = tuple[str, str, str]
_TITLE: Code = ("126000", "DCM", "Imaging Measurement Report")
_LENGTH: Code = ("410668003", "SCT", "Length")
_ANGLE: Code = ("1483009", "SCT", "Angle")
_AREA: Code = ("42798000", "SCT", "Area")
_UNITS: Mapping[str, Code] = {
    "mm": ("mm", "UCUM", "millimeter"),
    "mm2": ("mm2", "UCUM", "square millimeter"),
    "deg": ("deg", "UCUM", "degree"),
    "{pixels}": ("{pixels}", "UCUM", "pixels"),
    "{pixels2}": ("{pixels2}", "UCUM", "square pixels"),
}
_AT_DETECTOR = "Measured at the detector's spacing: in the patient somewhat smaller."


def write(order: Mapping[str, Any], header: bytes) -> bytes:
    """The file. `header`: the beginning of a file of the study. Raises Refused."""
    found = _described(order, header)
    _of_equipment(found, order)
    _content(found, order)
    target = io.BytesIO()
    pydicom.dcmwrite(target, found, enforce_file_format=True)
    return target.getvalue()


def _described(order: Mapping[str, Any], header: bytes) -> Dataset:
    """A dataset that says patient and study as the picture does, in UTF-8."""
    try:
        source = pydicom.filereader.read_partial(io.BytesIO(header), stop_when=lambda tag, vr, size: tag > _LAST)
        given = {keyword: source.get(keyword) for keyword in _COPIED}
    except Exception as error:
        raise Refused(DAMAGED) from error
    if str(given["StudyInstanceUID"]) != order["study"]:
        raise Refused(DAMAGED)
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in given.items():
        if value not in (None, ""):
            setattr(found, keyword, str(value))
        elif keyword in _EMPTY:
            setattr(found, keyword, "")
    return found


def _of_equipment(found: Dataset, order: Mapping[str, Any]) -> None:
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = UID(COMPREHENSIVE_SR)
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = UID(order["uid"])
    found.SeriesInstanceUID, found.Modality = order["series"], "SR"
    found.SeriesNumber, found.InstanceNumber = "9000", str(order["number"])
    found.SeriesDescription = "Measurements of a consult"
    found.Manufacturer, found.ManufacturerModelName, found.SoftwareVersions = "Huizhen", "Huizhen", "1"
    found.InstitutionName = order["institution"][:64]
    found.SeriesDate = found.ContentDate = found.InstanceCreationDate = order["date"]
    found.SeriesTime = found.ContentTime = found.InstanceCreationTime = order["time"]
    found.TimezoneOffsetFromUTC = order["offset"]
    found.CompletionFlag, found.VerificationFlag = "COMPLETE", "UNVERIFIED"
    found.ReferencedPerformedProcedureStepSequence = []
    found.PerformedProcedureCodeSequence = []
    found.CurrentRequestedProcedureEvidenceSequence = [_evidence(order)]


def _evidence(order: Mapping[str, Any]) -> Dataset:
    study = Dataset()
    by_series: dict[str, list[Dataset]] = {}
    for each in order["library"]:
        by_series.setdefault(each["series"], []).append(_sop(each))
    study.StudyInstanceUID, study.ReferencedSeriesSequence = order["study"], []
    for uid, items in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = uid, items
        study.ReferencedSeriesSequence.append(series)
    return study


def _content(found: Dataset, order: Mapping[str, Any]) -> None:
    top = _container(None, _TITLE, "1500")
    for keyword in ("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentTemplateSequence"):
        setattr(found, keyword, getattr(top, keyword))
    library = _container("CONTAINS", ("126200", "DCM", "Image Library Group"))
    library.ContentSequence = [_image("CONTAINS", each) for each in order["library"]]
    around = _container("CONTAINS", ("111028", "DCM", "Image Library"))
    around.ContentSequence = [library]
    measured = _container("CONTAINS", ("126010", "DCM", "Imaging Measurements"))
    measured.ContentSequence = [_group(each) for each in order["groups"]]
    found.ContentSequence = [
        _coded("HAS CONCEPT MOD", ("121049", "DCM", "Language of Content Item and Descendants"),
               ("zh-CN", "RFC5646", "Chinese (China)")),
        *_person(order["observer"]),
        _coded("HAS CONCEPT MOD", ("121058", "DCM", "Procedure reported"), ("363679005", "SCT", "Imaging procedure")),
        around,
        measured,
    ]  # fmt: skip


def _group(said: Mapping[str, Any]) -> Dataset:
    region = said["graphic"] in ("POINT", "ELLIPSE") or said["shape"] == "rectangle"
    group = _container("CONTAINS", ("125007", "DCM", "Measurement Group"), "1410" if region else "1501")
    name, identity = ("112039", "DCM", "Tracking Identifier"), ("112040", "DCM", "Tracking Unique Identifier")
    group.ContentSequence = [
        *_person(said["author"]),
        _text("HAS OBS CONTEXT", name, said["label"] or said["shape"]),
        _unique("HAS OBS CONTEXT", identity, said["tracking"]),
    ]
    if region:
        group.ContentSequence.append(_drawn("CONTAINS", said, ("111030", "DCM", "Image Region")))
    if said["value"] is not None:
        number = _number(said)
        if not region:
            number.ContentSequence = [_drawn("INFERRED FROM", said)]
        group.ContentSequence.append(number)
    words = [said["label"], _AT_DETECTOR if said["detector"] else ""]
    for each in filter(None, words):
        group.ContentSequence.append(_text("CONTAINS", ("121106", "DCM", "Comment"), each))
    return group


def _number(said: Mapping[str, Any]) -> Dataset:
    names = {"length": _LENGTH, "angle": _ANGLE}
    item = _item("CONTAINS", "NUM", names.get(said["shape"], _AREA))
    value = Dataset()
    value.NumericValue = f"{said['value']['amount']:.8g}"
    value.MeasurementUnitsCodeSequence = [_code(_UNITS[said["value"]["unit"]])]
    item.MeasuredValueSequence = [value]
    return item


def _drawn(relation: str, said: Mapping[str, Any], name: Code | None = None) -> Dataset:
    item = _item(relation, "SCOORD", name)
    item.GraphicType, item.GraphicData = said["graphic"], said["data"]
    if said["volume"]:
        item.PixelOriginInterpretation = "VOLUME"
    item.ContentSequence = [_image("SELECTED FROM", said["on"], said["frame"])]
    return item


def _person(name: str) -> Iterable[Dataset]:
    """TID 1002 and 1003. A name of one piece, as it is written."""
    if not name:
        return
    yield _coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121006", "DCM", "Person"))
    item = _item("HAS OBS CONTEXT", "PNAME", ("121008", "DCM", "Person Observer Name"))
    item.PersonName = name.replace("^", " ").replace("=", " ").replace("\\", " ")[:64]
    yield item


def _container(relation: str | None, name: Code, template: str = "") -> Dataset:
    item = _item(relation, "CONTAINER", name)
    item.ContinuityOfContent = "SEPARATE"
    if template:
        mapped = Dataset()
        mapped.MappingResource, mapped.TemplateIdentifier = "DCMR", template
        item.ContentTemplateSequence = [mapped]
    return item


def _coded(relation: str, name: Code, value: Code) -> Dataset:
    item = _item(relation, "CODE", name)
    item.ConceptCodeSequence = [_code(value)]
    return item


def _text(relation: str, name: Code, value: str) -> Dataset:
    item = _item(relation, "TEXT", name)
    item.TextValue = value
    return item


def _unique(relation: str, name: Code, value: str) -> Dataset:
    item = _item(relation, "UIDREF", name)
    item.UID = value
    return item


def _image(relation: str, on: Mapping[str, str], frame: int | None = None) -> Dataset:
    item = _item(relation, "IMAGE", None)
    reference = _sop(on)
    if frame is not None:
        reference.ReferencedFrameNumber = str(frame)
    item.ReferencedSOPSequence = [reference]
    return item


def _sop(on: Mapping[str, str]) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = on["class"], on["uid"]
    return reference


def _item(relation: str | None, kind: str, name: Code | None) -> Dataset:
    item = Dataset()
    if relation is not None:
        item.RelationshipType = relation
    item.ValueType = kind
    if name is not None:
        item.ConceptNameCodeSequence = [_code(name)]
    return item


def _code(code: Code) -> Dataset:
    said = Dataset()
    said.CodeValue, said.CodingSchemeDesignator, said.CodeMeaning = code
    return said
