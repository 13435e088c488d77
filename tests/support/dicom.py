"""Real-shaped DICOM files, made here: CT in every transfer syntax, multi-frame, ultrasound, ECG; and hostile ones.

`ct_slice` is a phantom with soft tissue, bone, lung and noise, so that compression is what it would be.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, generate_uid

CT, MR, US, CR = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "4", "6.1", "1"))
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
BIG_ENDIAN, RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1 = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
JPEGLS, JPEG2000, JPEG2000_LOSSY, HTJ2K = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 90, 91, 201))
LOSSLESS_ONES = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, RLE, LOSSLESS, LOSSLESS_SV1, JPEGLS, JPEG2000, HTJ2K)

Pixels = NDArray[Any]


def ct_slice(number: int = 0, side: int = 128) -> Pixels:
    """Signed values in Hounsfield units."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    lungs = ((np.abs(x) - 0.35) / 0.22) ** 2 + (y / (0.35 + 0.002 * (number % 20))) ** 2 < 1
    spine = x**2 + (y - 0.4) ** 2 < 0.012
    value = np.full((side, side), -1000.0)
    value[body], value[body & lungs], value[spine] = 40, -820, 700
    value += random.normal(0, 12, value.shape)
    pixels: Pixels = np.clip(value, -1024, 3071).astype(np.int16)
    return pixels


def dataset(pixels: Pixels, **changes: Any) -> Dataset:
    """One CT picture, uncompressed. `changes`: elements by keyword; None takes one away."""
    found = Dataset()
    found.SOPClassUID, found.Modality = UID(CT), "CT"
    found.SOPInstanceUID, found.StudyInstanceUID, found.SeriesInstanceUID = (generate_uid() for _ in range(3))
    found.SpecificCharacterSet = "GB18030"
    found.PatientName, found.PatientID, found.PatientBirthDate, found.PatientSex = (
        "OUYANG^HE=患者欧阳鹤",
        "H1",
        "19700101",
        "F",
    )
    found.InstitutionName, found.ReferringPhysicianName, found.AccessionNumber = "某县医院", "王^医生", "A17"
    found.StudyDate, found.StudyTime, found.StudyDescription = "20260301", "090000", "胸部CT平扫"
    found.SeriesDescription, found.SeriesNumber, found.InstanceNumber = "肺窗", 2, 1
    found.PixelSpacing, found.SliceThickness = [0.7, 0.7], 1.0
    found.ImagePositionPatient, found.ImageOrientationPatient = [-180.0, -180.0, 0.0], [1, 0, 0, 0, 1, 0]
    found.WindowCenter, found.WindowWidth, found.RescaleIntercept, found.RescaleSlope = 40, 400, 0, 1
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.Rows, found.Columns = pixels.shape[-2:]
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, 1
    if pixels.ndim == 3:
        found.NumberOfFrames = len(pixels)
    found.PixelData = pixels.tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(found, keyword)
        else:
            setattr(found, keyword, value)
    return found


def file_of(found: Dataset, syntax: str = EXPLICIT, pixels: Pixels | None = None) -> bytes:
    """As a part-10 file; `pixels` are compressed into it where the syntax asks for it."""
    found.file_meta = FileMetaDataset()
    found.file_meta.MediaStorageSOPClassUID, found.file_meta.MediaStorageSOPInstanceUID = (
        found.get("SOPClassUID"),
        found.get("SOPInstanceUID"),
    )
    found.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax == RLE and pixels is not None:
        found.file_meta.TransferSyntaxUID = UID(EXPLICIT)
        found.compress(RLE, generate_instance_uid=False)
    elif pixels is not None and syntax.startswith("1.2.840.10008.1.2.4"):
        planes = pixels if pixels.ndim == 3 else pixels[None]
        found.PixelData = encapsulate([_packed(plane, syntax) for plane in planes])
        found["PixelData"].is_undefined_length = True
    elif syntax == BIG_ENDIAN and pixels is not None:
        found.PixelData = pixels.astype(">i2").tobytes()
    target = io.BytesIO()
    pydicom.dcmwrite(
        target, found, enforce_file_format=True, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG_ENDIAN
    )
    return target.getvalue()


def _packed(plane: Pixels, syntax: str) -> bytes:
    unsigned = plane.view(np.uint16)
    if syntax == BASELINE:
        return bytes(imagecodecs.jpeg8_encode(((plane + 1024) // 16).astype(np.uint8), level=95))
    if syntax == EXTENDED:
        return bytes(imagecodecs.jpeg8_encode((plane + 1024).astype(np.uint16), level=98, bitspersample=12))
    if syntax in (LOSSLESS, LOSSLESS_SV1):
        predictor = 1 if syntax == LOSSLESS_SV1 else 4
        return bytes(imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=predictor, bitspersample=16))
    if syntax == JPEGLS:
        return bytes(imagecodecs.jpegls_encode(unsigned))
    if syntax in (JPEG2000, JPEG2000_LOSSY):
        level = 0 if syntax == JPEG2000 else 80
        return bytes(imagecodecs.jpeg2k_encode(plane, level=level, codecformat="j2k", numthreads=1))
    return bytes(imagecodecs.htj2k_encode(plane))


def ct(number: int = 0, side: int = 128, syntax: str = EXPLICIT, **changes: Any) -> bytes:
    """One slice as a file; study and series are given by `changes` where several belong together."""
    pixels = ct_slice(number, side)
    place: dict[str, Any] = {
        "InstanceNumber": number + 1,
        "ImagePositionPatient": [-180.0, -180.0, float(number)],
    }
    if syntax == BASELINE:
        place |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
    if syntax == EXTENDED:
        place |= {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "RescaleIntercept": -1024}
    return file_of(dataset(pixels, **(place | changes)), syntax, pixels)


def ct_series(count: int, side: int = 128, syntax: str = EXPLICIT, **changes: Any) -> list[bytes]:
    shared = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()} | changes
    return [ct(number, side, syntax, **shared) for number in range(count)]


def multiframe(frames: int = 5, side: int = 64, syntax: str = EXPLICIT) -> bytes:
    """An enhanced CT: slope, place and window stand in functional groups."""
    pixels = np.stack([ct_slice(number, side) for number in range(frames)])
    found = dataset(pixels, SOPClassUID=UID(ENHANCED_CT), RescaleIntercept=None, RescaleSlope=None)
    shared, rescale, measures = Dataset(), Dataset(), Dataset()
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = 5, 2, "HU"
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.7], 1
    shared.PixelValueTransformationSequence, shared.PixelMeasuresSequence = Items([rescale]), Items([measures])
    found.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for number in range(frames):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, float(number)]
        group.PlanePositionSequence = Items([position])
        groups.append(group)
    found.PerFrameFunctionalGroupsSequence = Items(groups)
    return file_of(found, syntax, pixels)


def ultrasound(height: int = 48, width: int = 64) -> bytes:
    """Colour, 8 bits, with a region that tells its scale."""
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    region = Dataset()
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.02
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    found = dataset(
        np.zeros((height, width), np.uint8),
        SOPClassUID=UID(US),
        Modality="US",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        SequenceOfUltrasoundRegions=Items([region]),
        PixelData=pixels.tobytes(),
    )
    return file_of(found)


def ecg(seconds: int = 2, hz: int = 500, **changes: Any) -> bytes:
    """Twelve leads as DICOM waveform."""
    found = dataset(np.zeros((8, 8), np.int16), SOPClassUID=UID(ECG), Modality="ECG", PixelData=None, **changes)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(found, keyword)
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    channels = []
    for lead in leads:
        channel, source, unit = Dataset(), Dataset(), Dataset()
        source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = "5.6.3-9-1", "SCPECG", f"Lead {lead}"
        unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "uV", "UCUM", "microvolt"
        channel.ChannelSourceSequence, channel.ChannelSensitivityUnitsSequence = Items([source]), Items([unit])
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = 2.5, 1, 0
        channel.WaveformBitsStored = 16
        channels.append(channel)
    group = Dataset()
    group.MultiplexGroupLabel, group.WaveformOriginality = "RHYTHM", "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(leads), seconds * hz
    group.SamplingFrequency, group.ChannelDefinitionSequence = hz, Items(channels)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    time = np.arange(seconds * hz) / hz
    beat = 400 * np.exp(-(((time % 0.8) - 0.2) ** 2) / 0.0004)
    traces = np.stack([beat * (1 + 0.1 * number) for number in range(len(leads))], axis=1)
    group.WaveformData = traces.astype("<i2").tobytes()
    found.WaveformSequence = Items([group])
    return file_of(found)


def encapsulated_pdf(document: bytes) -> bytes:
    found = dataset(np.zeros((8, 8), np.int16), SOPClassUID=UID(PDF), Modality="DOC", PixelData=None)
    found.EncapsulatedDocument, found.MIMETypeOfEncapsulatedDocument = (
        document + b"\0" * (len(document) % 2),
        "application/pdf",
    )
    return file_of(found)


def aecg(leads: Sequence[str] = ("I", "II"), samples: int = 500, extra: str = "") -> bytes:
    """HL7 v3 annotated ECG."""
    traces = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead}"/><value><origin value="0" unit="uV"/>'
        f'<scale value="5" unit="uV"/><digits>{" ".join(str(n % 40) for n in range(samples))}</digits></value>'
        "</sequence></component>"
        for lead in leads
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{extra}<AnnotatedECG xmlns="urn:hl7-org:v3"><id root="1.2.3"/>'
        "<componentOf><subjectDemographicPerson><name>欧阳鹤</name>"
        '<administrativeGenderCode code="F"/><birthTime value="19700101"/></subjectDemographicPerson></componentOf>'
        "<component><series><component><sequenceSet><component><sequence>"
        '<code code="TIME_ABSOLUTE"/><value><head value="20260301090000"/><increment value="0.002" unit="s"/></value>'
        f"</sequence></component>{traces}</sequenceSet></component></series></component></AnnotatedECG>"
    ).encode()


def slide_level(
    height: int = 200, width: int = 300, tile: int = 64, *, rgb: bool = False, tail: bytes = b"", **changes: Any
) -> bytes:
    """One level of a stained section: eosin ground, haematoxylin nuclei, cut into JPEG tiles row by row."""
    rows, columns = -(-height // tile), -(-width // tile)
    y, x = np.mgrid[0 : rows * tile, 0 : columns * tile]
    nuclei = (np.sin(x / 5.3) * np.cos(y / 4.1)) > 0.7
    stain = np.where(nuclei[..., None], np.array([90, 60, 140]), np.array([232, 170, 200])).astype(np.uint8)
    stain[height:], stain[:, width:] = 255, 255
    cut = [
        np.ascontiguousarray(stain[r * tile : (r + 1) * tile, c * tile : (c + 1) * tile])
        for r in range(rows)
        for c in range(columns)
    ]
    colours: dict[str, Any] = {"outcolorspace": "RGB"} if rgb else {}
    tiles = [bytes(imagecodecs.jpeg8_encode(each, level=85, **colours)) + tail for each in cut]
    lens, shared, measures = Dataset(), Dataset(), Dataset()
    lens.ObjectiveLensPower, lens.OpticalPathIdentifier = 40, "1"
    measures.PixelSpacing = [0.0005, 0.0005]
    shared.PixelMeasuresSequence = Items([measures])
    none: tuple[str, ...] = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness")
    none += ("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope")
    found = dataset(
        np.zeros((tile, tile), np.uint8),
        **dict.fromkeys(none),
        SOPClassUID=UID(SLIDE),
        Modality="SM",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB" if rgb else "YBR_FULL_422",
        PlanarConfiguration=0,
        NumberOfFrames=len(tiles),
        TotalPixelMatrixRows=height,
        TotalPixelMatrixColumns=width,
        DimensionOrganizationType="TILED_FULL",
        NumberOfOpticalPaths=1,
        OpticalPathSequence=Items([lens]),
        SharedFunctionalGroupsSequence=Items([shared]),
        StudyDescription="病理切片",
    )
    found.PixelData = encapsulate(tiles)
    found["PixelData"].is_undefined_length = True
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    return file_of(found, BASELINE)


def pyramid(levels: int = 3, height: int = 400, width: int = 600, tile: int = 64) -> list[bytes]:
    """A slide: the same series, each level half as large as the one before."""
    shared: dict[str, Any] = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    return [
        slide_level(height >> level, width >> level, tile, InstanceNumber=level + 1, **shared)
        for level in range(levels)
    ]


def with_preamble(data: bytes, preamble: bytes) -> bytes:
    """Whatever else the file would be."""
    return preamble.ljust(128, b"\0") + data[128:]


def deflate_bomb(size: int = 300 << 20) -> bytes:
    """A few hundred kB that become `size`."""
    found = dataset(ct_slice(0, 16))
    plain = file_of(found, DEFLATED)
    end = 144 + struct.unpack_from("<I", plain, 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    return plain[:end] + packed


def deep_sequences(depth: int = 4_000) -> bytes:
    """Sequences of undefined length inside each other."""
    found = dataset(ct_slice(0, 16), PixelData=None)
    plain = file_of(found)
    opening = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return plain + opening * depth + closing * depth
