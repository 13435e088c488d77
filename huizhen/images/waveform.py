"""In the child: the traces of an ECG, from DICOM waveforms or an HL7 aECG document, in millivolts' whole steps."""

import struct
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as Tree

from pydicom.dataset import Dataset

from huizhen.images.wire import UNSUPPORTED
from huizhen.inspection.verdict import ACTIVE_CONTENT, DAMAGED, TOO_COMPLEX, Refused

MAX_CHANNELS = 64
MAX_GROUPS = 16
MAX_SAMPLES = 8_000_000  # all channels together: 24 hours of three leads belong elsewhere
_FORMATS = {(8, "SB"): "b", (8, "UB"): "B", (16, "SS"): "h", (16, "US"): "H", (32, "SL"): "i", (32, "UL"): "I"}
_V3 = "{urn:hl7-org:v3}"

Json = dict[str, Any]


def groups_of(found: Dataset) -> list[Json]:
    """Each multiplex group: rate, channels with unit and scale, samples per channel. Raises Refused."""
    sequence = found.get("WaveformSequence") or []
    if not 0 < len(sequence) <= MAX_GROUPS:
        raise Refused(UNSUPPORTED if not sequence else TOO_COMPLEX)
    big = found.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.2"
    groups, total = [], 0
    for item in sequence:
        channels, samples = int(item.NumberOfWaveformChannels), int(item.NumberOfWaveformSamples)
        total += channels * samples
        if not (0 < channels <= MAX_CHANNELS and samples > 0) or total > MAX_SAMPLES:
            raise Refused(TOO_COMPLEX)
        letter = _FORMATS.get((int(item.WaveformBitsAllocated), str(item.WaveformSampleInterpretation)))
        if letter is None:
            raise Refused(UNSUPPORTED)
        form = struct.Struct(f"{'>' if big else '<'}{channels * samples}{letter}")
        data = bytes(item.WaveformData)
        if len(data) < form.size:
            raise Refused(DAMAGED)
        values = form.unpack_from(data)
        described = [_channel(channel) for channel in item.ChannelDefinitionSequence]
        if len(described) != channels:
            raise Refused(DAMAGED)
        groups.append(
            {
                "hz": float(item.SamplingFrequency),
                "label": str(item.get("MultiplexGroupLabel") or "")[:32],
                "channels": described,
                "samples": [list(values[number::channels]) for number in range(channels)],
            }
        )
    return groups


def _channel(item: Dataset) -> Json:
    source = (item.get("ChannelSourceSequence") or [Dataset()])[0]
    unit = (item.get("ChannelSensitivityUnitsSequence") or [Dataset()])[0]
    sensitivity = float(item.get("ChannelSensitivity") or 1) * float(
        item.get("ChannelSensitivityCorrectionFactor") or 1
    )
    return {
        "label": str(item.get("ChannelLabel") or source.get("CodeMeaning") or source.get("CodeValue") or "")[:32],
        "unit": str(unit.get("CodeValue") or "")[:16],
        "scale": sensitivity,
        "baseline": float(item.get("ChannelBaseline") or 0),
    }


def aecg(data: bytes) -> tuple[list[Json], Json]:
    """The traces of an HL7 v3 annotated ECG, and name, birth date and sex it gives. Raises Refused.

    A document with a DTD is refused before it is parsed: no entity is ever expanded, no address ever asked.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"<?xml-stylesheet" in data:
        raise Refused(ACTIVE_CONTENT)
    try:
        root = Tree.fromstring(data.decode("utf-8-sig"))  # noqa: S314 (no DTD, bounded process)
    except (Tree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise Refused(DAMAGED) from error
    if root.tag != f"{_V3}AnnotatedECG":
        raise Refused(UNSUPPORTED)
    try:
        groups = [group for series in root.iter(f"{_V3}sequenceSet") if (group := _sequence_set(series))]
    except (AttributeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise Refused(DAMAGED) from error
    if not groups:
        raise Refused(UNSUPPORTED)
    return groups, _subject(root)


def _sequence_set(node: Tree.Element) -> Json | None:
    hz, total = 0.0, 0
    channels: list[Json] = []
    samples: list[list[int]] = []
    for sequence in node.iter(f"{_V3}sequence"):
        code, value = sequence.find(f"{_V3}code"), sequence.find(f"{_V3}value")
        if code is None or value is None:
            continue
        if (increment := value.find(f"{_V3}increment")) is not None:
            unit = {"s": 1.0, "ms": 1e-3, "us": 1e-6}[increment.get("unit", "s")]
            hz = 1 / (float(increment.get("value", "")) * unit)
        elif (digits := value.find(f"{_V3}digits")) is not None:
            scale, origin = value.find(f"{_V3}scale"), value.find(f"{_V3}origin")
            given = [int(each) for each in (digits.text or "").split()]
            total += len(given)
            if total > MAX_SAMPLES or len(channels) >= MAX_CHANNELS:
                raise Refused(TOO_COMPLEX)
            channels.append(_lead(code.get("code", ""), scale, origin))
            samples.append(given)
    if not channels or not hz:
        return None
    return {"hz": round(hz, 6), "label": "", "channels": channels, "samples": samples}


def _lead(code: str, scale: Tree.Element | None, origin: Tree.Element | None) -> Json:
    return {
        "label": code.removeprefix("MDC_ECG_LEAD_")[:32],
        "unit": (scale.get("unit", "") if scale is not None else "")[:16],
        "scale": float(scale.get("value", "1")) if scale is not None else 1.0,
        "baseline": float(origin.get("value", "0")) if origin is not None else 0.0,
    }


def _subject(root: Tree.Element) -> Json:
    """Name, birth date and sex of the trial subject, as far as they are there."""
    person = next(root.iter(f"{_V3}subjectDemographicPerson"), None)
    if person is None:
        return {}
    name, born = person.find(f"{_V3}name"), person.find(f"{_V3}birthTime")
    sex = person.find(f"{_V3}administrativeGenderCode")
    return {
        "name": "".join(name.itertext()).strip() if name is not None else "",
        "born": (born.get("value", "") if born is not None else "")[:8],
        "sex": sex.get("code", "") if sex is not None else "",
    }


def summary(groups: Sequence[Json]) -> Json:
    """For a list: how long, how many leads."""
    first = groups[0]
    return {"leads": len(first["channels"]), "seconds": round(len(first["samples"][0]) / first["hz"], 3)}
