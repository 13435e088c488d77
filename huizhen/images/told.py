"""In the child: what of a header may leave, as DICOM JSON (PS3.18 annex F). An allow-list: all else stays.

No name, number, address, institution, device serial or free comment; identifiers are put in by the parent. The two
descriptions are told only where they do not repeat the patient's name or number.
"""

from collections.abc import Iterable
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from huizhen.images.pixels import Shape
from huizhen.images.wire import SYNTAX, TILE_SYNTAX
from imaging.identity import Named


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = _words("""
    SOPClassUID Modality ImageType InstanceNumber SeriesNumber AcquisitionNumber StudyDate SeriesDate AcquisitionDate
    AcquisitionTime BodyPartExamined Laterality ImageLaterality ViewPosition PatientPosition PatientSex PatientAge
    PatientOrientation FrameIncrementPointer FrameTime CineRate RecommendedDisplayFrameRate
    PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing PixelAspectRatio SpacingBetweenSlices SliceThickness
    SliceLocation ImagePositionPatient ImageOrientationPatient
    Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit
    PixelRepresentation PlanarConfiguration PixelPaddingValue SmallestImagePixelValue LargestImagePixelValue
    WindowCenter WindowWidth WindowCenterWidthExplanation VOILUTFunction RescaleIntercept RescaleSlope RescaleType
    PresentationLUTShape LossyImageCompression LossyImageCompressionRatio BurnedInAnnotation
    KVP ExposureTime XRayTubeCurrent Exposure ConvolutionKernel RepetitionTime EchoTime FlipAngle InversionTime
    MagneticFieldStrength MRAcquisitionType ScanningSequence SequenceVariant
    RegionSpatialFormat RegionDataType RegionFlags RegionLocationMinX0 RegionLocationMinY0 RegionLocationMaxX1
    RegionLocationMaxY1 PhysicalUnitsXDirection PhysicalUnitsYDirection PhysicalDeltaX PhysicalDeltaY
    TotalPixelMatrixColumns TotalPixelMatrixRows DimensionOrganizationType ImagedVolumeWidth ImagedVolumeHeight
    ObjectiveLensPower
    LUTDescriptor LUTData ModalityLUTType InStackPositionNumber StackID TemporalPositionIndex FrameAcquisitionNumber
""")
_NESTED = _words("""
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PlanePositionSequence PlaneOrientationSequence
    PixelMeasuresSequence FrameVOILUTSequence PixelValueTransformationSequence FrameContentSequence
    SequenceOfUltrasoundRegions ModalityLUTSequence VOILUTSequence OpticalPathSequence
""")
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US", "UV", "SV"})
_WHOLE = frozenset({"IS", "SL", "SS", "UL", "US", "UV", "SV"})
_TEXTS = frozenset({"AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI", "AT"})
_FREE = frozenset({"WindowCenterWidthExplanation"})
_MOST_VALUES = 1_024
_LONGEST = 128
_DEEPEST = 4
_MAX_LUT = 65_536

Json = dict[str, Any]


def slide(found: Dataset, named: Named) -> Json:
    """Of a level of a slide: its tiles are told as they were sent, and stand in order, so that none has a line."""
    said = _described(found, named)
    said.pop("52009230", None)
    _put(said, 0x00020010, "UI", [TILE_SYNTAX])
    return said


def metadata(found: Dataset, named: Named, shape: Shape | None) -> Json:
    """`shape`: of the frames as they are told, which are not as they were sent."""
    said = _described(found, named)
    if shape is not None:
        _as_told(said, shape)
    return said


def _described(found: Dataset, named: Named) -> Json:
    said = _level(found, 0)
    for keyword in ("StudyDescription", "SeriesDescription", "ProtocolName"):
        text = description(found, keyword, named)
        if text:
            _put(said, found[keyword].tag, found[keyword].VR, [text])
    return said


def description(found: Dataset, keyword: str, named: Named) -> str:
    """A free text of the header; empty when it repeats who the patient is."""
    text = str(found.get(keyword) or "").strip()[:_LONGEST]
    parts = [part for name in named.names for part in name.replace("^", " ").replace("=", " ").split()]
    secrets = (*parts, named.patient_id, named.birth_date)
    folded = text.casefold()
    if any(len(secret) > 1 and secret.casefold() in folded for secret in secrets):
        return ""
    return "".join(character for character in text if character.isprintable())


def _level(found: Dataset, depth: int) -> Json:
    said: Json = {}
    for tag in sorted(found.keys()):
        element = _allowed(found, tag)
        if element is None:
            continue
        if element.VR == "SQ":
            if depth < _DEEPEST:
                items = [_level(item, depth + 1) for item in element.value]
                _put(said, element.tag, "SQ", items)
        elif (values := _values(element)) is not None:
            _put(said, element.tag, element.VR, values)
        elif element.keyword == "LUTData" and isinstance(element.value, bytes) and len(element.value) <= _MAX_LUT * 2:
            _put(said, element.tag, "US", list(memoryview(element.value).cast("H")))
    return said


def _allowed(found: Dataset, tag: Any) -> DataElement | None:
    """Only these are ever converted from their raw bytes."""
    keyword = keyword_for_tag(tag)
    if keyword not in _PLAIN and keyword not in _NESTED:
        return None
    element = found[tag]
    return element if (element.VR == "SQ") == (keyword in _NESTED) else None


def _values(element: DataElement) -> list[Any] | None:
    given = element.value
    if given is None or given == "":
        return []
    many = list(given) if element.VM > 1 or isinstance(given, list) else [given]
    most = _MAX_LUT if element.keyword == "LUTData" else _MOST_VALUES
    if len(many) > most:
        return None
    if element.VR in _NUMBERS:
        return [int(value) if element.VR in _WHOLE else float(value) for value in many]
    if element.VR in _TEXTS and element.keyword not in _FREE:
        return [str(value)[:_LONGEST] for value in many]
    return None


def _put(said: Json, tag: int, vr: str, values: Iterable[Any]) -> None:
    kept = list(values)
    said[f"{int(tag):08X}"] = {"vr": vr, "Value": kept} if kept else {"vr": vr}


def _as_told(said: Json, shape: Shape) -> None:
    """The picture as the frames now are: unsigned, low bits, RGB where it has colour."""
    allocated = 8 if shape.colour or shape.bits <= 8 else 16
    bits = 8 if shape.colour else shape.bits
    for number, value in (
        (0x00280100, allocated),
        (0x00280101, bits),
        (0x00280102, bits - 1),
        (0x00280103, 0),
        (0x00280002, 3 if shape.colour else 1),
    ):
        _put(said, number, "US", [value])
    _put(said, 0x00020010, "UI", [SYNTAX])
    if shape.colour:
        _put(said, 0x00280004, "CS", ["RGB"])
        _put(said, 0x00280006, "US", [0])
    if shape.offset:
        for tag in ("00280106", "00280107", "00280120"):  # smallest, largest, padding: of the values as sent
            said.pop(tag, None)
        if not _shift_nested(said, shape.offset):
            _shift(said, shape.offset)


def _shift(said: Json, offset: int) -> None:
    slope = _number(said, "00281053", 1.0)
    intercept = _number(said, "00281052", 0.0)
    _put(said, 0x00281052, "DS", [intercept - slope * offset])
    _put(said, 0x00281053, "DS", [slope])


def _shift_nested(said: Json, offset: int) -> bool:
    """Multi-frame objects say slope and intercept in their functional groups."""
    shifted = False
    for groups in ("52009229", "52009230"):
        for item in said.get(groups, {}).get("Value", ()):
            for transformation in item.get("00289145", {}).get("Value", ()):
                _shift(transformation, offset)
                shifted = True
    return shifted


def _number(said: Json, tag: str, otherwise: float) -> float:
    values = said.get(tag, {}).get("Value") or [otherwise]
    return float(values[0])
