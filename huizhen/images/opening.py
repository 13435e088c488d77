"""In the child: from one file to what it is and the parts that are kept of it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

from huizhen.images import parsing, pixels, scp, slides, told, waveform, wire
from huizhen.inspection import kinds, layout, papers
from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, UNKNOWN_TYPE, Refused
from imaging.identity import Named

_MOST_NAMES = 6
_TEXT = 64
_AECG = "1.2.840.10008.5.1.4.1.1.9.1.1"  # what a DICOM file of these traces would be: 12-lead ECG

Found = tuple[wire.Opened, list[bytes]]


def look(data: memoryview) -> Found:
    """The head, and the parts that follow it. Raises Refused."""
    if not parsing.is_dicom(data):
        if b"AnnotatedECG" in bytes(data[:4096]):
            return _aecg(bytes(data))
        if scp.is_scp(data):
            return _ecg(bytes(data), *scp.traces(bytes(data)))
        raise Refused(UNKNOWN_TYPE)
    found = parsing.opened(data)
    try:
        if slides.is_slide(found):
            return _slide(found)
        if "PixelData" in found:
            return _picture(found)
        if "WaveformSequence" in found:
            return _trace(found)
        if "EncapsulatedDocument" in found:
            return _paper(found)
    except (RecursionError, MemoryError):
        raise Refused(TOO_COMPLEX) from None
    raise Refused(wire.UNSUPPORTED)


def _picture(found: Dataset) -> Found:
    shape = pixels.shape_of(found)
    frames, previews = [], []
    for frame, preview in pixels.encoded(found, shape):
        frames.append(frame)
        previews.append(preview)
    named = named_in(found)
    said = _bytes(told.metadata(found, named, shape))
    head = _head(found, "image", named, (said, previews, frames), size=(shape.height, shape.width))
    return head, [said, *previews, *frames]


def _slide(found: Dataset) -> Found:
    slide = slides.slide_of(found)
    if "PixelData" not in found:
        raise Refused(DAMAGED)
    kept = list(slides.tiles(found, slide))
    named = named_in(found)
    said = _bytes(told.slide(found, named))
    head = _head(found, "slide", named, (said, (), kept), size=(slide.height, slide.width))
    return head, [said, *kept]


def _trace(found: Dataset) -> Found:
    groups = waveform.groups_of(found)
    named = named_in(found)
    said = _bytes(told.metadata(found, named, None))
    frame = _bytes({"groups": groups, **waveform.summary(groups)})
    return _head(found, "waveform", named, (said, (), [frame])), [said, frame]


def _paper(found: Dataset) -> Found:
    data = bytes(found.EncapsulatedDocument).rstrip(b"\x00")
    if kinds.sniff(data) != kinds.PDF:
        raise Refused(wire.UNSUPPORTED)
    layout.check(data, kinds.PDF)
    paper, _ = papers.clean(data)
    named = named_in(found)
    said = _bytes(told.metadata(found, named, None))
    return _head(found, "paper", named, (said, (), [paper])), [said, paper]


def _aecg(data: bytes) -> Found:
    groups, person = waveform.aecg(data)
    named = Named(
        names=(person["name"][:_TEXT],) if person.get("name") else (),
        birth_date=person.get("born", ""),
        sex=person.get("sex", "")[:_TEXT],
    )
    return _ecg(data, groups, named)


def _ecg(data: bytes, groups: list[dict[str, Any]], named: Named) -> Found:
    """Of a file that has no DICOM identifiers: they are made from its bytes."""
    said = _bytes({"00080060": {"vr": "CS", "Value": ["ECG"]}})
    frame = _bytes({"groups": groups, **waveform.summary(groups)})
    blank = Dataset()
    own = f"2.25.{int.from_bytes(hashlib.sha256(data).digest()[:16], 'big')}"
    blank.StudyInstanceUID = blank.SeriesInstanceUID = blank.SOPInstanceUID = own
    blank.SOPClassUID, blank.Modality = _AECG, "ECG"
    return _head(blank, "waveform", named, (said, (), [frame])), [said, frame]


def _head(
    found: Dataset,
    kind: str,
    named: Named,
    parts: tuple[bytes, Sequence[bytes], Sequence[bytes]],
    size: tuple[int, int] = (0, 0),
) -> wire.Opened:
    uids = [found.get(f"{name}UID") for name in ("StudyInstance", "SeriesInstance", "SOPInstance", "SOPClass")]
    if not all(uids):
        raise Refused(DAMAGED)
    study, series, instance, sop_class = map(str, uids)
    said, previews, frames = parts
    day = str(found.get("StudyDate") or "").replace(".", "")
    meta = getattr(found, "file_meta", None)
    return wire.Opened(
        kind=kind,
        study=study,
        series=series,
        instance=instance,
        sop_class=sop_class,
        syntax=str(meta.get("TransferSyntaxUID") or "") if meta is not None else "",
        modality=str(found.get("Modality") or "OT").upper()[:16],
        number=_number(found.get("InstanceNumber")),
        series_number=_number(found.get("SeriesNumber")),
        height=size[0],
        width=size[1],
        day=day if len(day) == 8 and day.isdigit() else "",
        study_text=told.description(found, "StudyDescription", named),
        series_text=told.description(found, "SeriesDescription", named),
        named=named,
        metadata=len(said),
        previews=tuple(map(len, previews)),
        frames=tuple(map(len, frames)),
    )


def named_in(found: Dataset) -> Named:
    """Whose file it says it is."""
    said = found.get("PatientName")
    groups = [str(group) for group in getattr(said, "components", ())] if said else []
    names = tuple(group[:_TEXT] for group in groups if group.strip())[:_MOST_NAMES]
    number, born, sex = (str(found.get(f"Patient{name}") or "")[:_TEXT] for name in ("ID", "BirthDate", "Sex"))
    return Named(names, number, born, sex)


def _number(given: Any) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError):
        return 0
    return number if abs(number) < 2**31 else 0


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
