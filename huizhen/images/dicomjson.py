"""What DICOMweb answers are made of: identifiers of ours put into what a header may tell. Nothing else is added."""

import json
from collections.abc import Sequence
from typing import Any

from huizhen.images.wire import SYNTAX, TILE_SYNTAX
from imaging import uids
from imaging.records import ImageInstance, ImageSeries, ImageStudy, Kind

MEDIA_TYPE = "application/dicom+json"
Json = dict[str, Any]


def element(vr: str, *values: Any) -> Json:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study(row: ImageStudy, series: Sequence[ImageSeries], instances: int, base: str) -> Json:
    modalities = sorted({each.modality for each in series})
    return {
        "00080020": element("DA", row.day) if row.day else element("DA"),
        "00080061": element("CS", *modalities),
        "00081030": element("LO", row.description) if row.description else element("LO"),
        "00081190": element("UR", f"{base}/studies/{uids.told(row.id)}"),
        "00100020": element("LO", row.consult_id),  # a pseudonym
        "0020000D": element("UI", uids.told(row.id)),
        "00201206": element("IS", len(series)),
        "00201208": element("IS", instances),
    }


def series(row: ImageSeries, instances: int, base: str) -> Json:
    url = f"{base}/studies/{uids.told(row.study_id)}/series/{uids.told(row.id)}"
    return {
        "00080060": element("CS", row.modality),
        "0008103E": element("LO", row.description) if row.description else element("LO"),
        "00081190": element("UR", url),
        "0020000D": element("UI", uids.told(row.study_id)),
        "0020000E": element("UI", uids.told(row.id)),
        "00200011": element("IS", row.number),
        "00201209": element("IS", instances),
    }


def instance(row: ImageInstance, base: str) -> Json:
    return {
        "00080016": element("UI", row.sop_class),
        "00080018": element("UI", uids.told(row.id)),
        "00081190": element("UR", url_of(row, base)),
        "0020000D": element("UI", uids.told(row.study_id)),
        "0020000E": element("UI", uids.told(row.series_id)),
        "00200013": element("IS", row.number),
        "00280008": element("IS", row.frames),
        **_size(row),
        "00083002": element("UI", *_SYNTAXES.get(row.kind, ())),
    }


_SYNTAXES = {Kind.IMAGE: (SYNTAX,), Kind.SLIDE: (TILE_SYNTAX,)}


def _size(row: ImageInstance) -> Json:
    """A slide's is its whole matrix, which Rows and Columns have no room for."""
    if row.kind is Kind.SLIDE:
        return {"00480006": element("UL", row.width), "00480007": element("UL", row.height)}
    return {"00280010": element("US", row.height), "00280011": element("US", row.width)}


def metadata(row: ImageInstance, kept: bytes) -> Json:
    """`kept`: what the child said the header may tell, checked when it came in."""
    told: Json = json.loads(kept)
    own = {
        "00080016": element("UI", row.sop_class),
        "00080018": element("UI", uids.told(row.id)),
        "00100010": element("PN", {"Alphabetic": "Anonymous"}),
        "00100020": element("LO", row.consult_id),
        "00120062": element("CS", "YES"),  # patient identity removed
        "0020000D": element("UI", uids.told(row.study_id)),
        "0020000E": element("UI", uids.told(row.series_id)),
    }
    return dict(sorted({**told, **own}.items()))


def url_of(row: ImageInstance, base: str) -> str:
    return f"{base}/studies/{uids.told(row.study_id)}/series/{uids.told(row.series_id)}/instances/{uids.told(row.id)}"


def stored(added: Sequence[ImageInstance], refused: Sequence[tuple[int, str]], base: str) -> Json:
    """PS3.18 10.5: what was taken, what was not and why. ErrorComment holds the stable code."""
    answer: Json = {}
    if added:
        items = [
            {
                "00081150": element("UI", row.sop_class),
                "00081155": element("UI", uids.told(row.id)),
                "00081190": element("UR", url_of(row, base)),
            }
            for row in added
        ]
        answer["00081199"] = element("SQ", *items)
    if refused:
        failed = [
            {
                "00000902": element("LO", code),
                "00081197": element("US", _REASON.get(code, 0xC000)),
                "00201200": element("IS", number),
            }
            for number, code in refused
        ]
        answer["00081198"] = element("SQ", *failed)
    return answer


_REASON = {"images.unsupported": 0x0122, "upload.damaged": 0xC000, "upload.too_complex": 0xA700}


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
