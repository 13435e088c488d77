"""From what the child said to rows, as far as they are known before anything is stored."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from clinic.consult import Consult
from clinic.people import Patient
from huizhen.images import wire
from huizhen.images.chamber import Part
from huizhen.images.container import Source
from imaging import identity, uids
from imaging.keeping import Arrived
from imaging.records import Identity, ImageInstance, ImageSeries, ImageStudy, Kind

FOLDER = "images"
DICOM, ECG = "application/dicom", "application/octet-stream"  # aECG and SCP-ECG
_PREAMBLE = 128
_NEVER = datetime.min.replace(tzinfo=UTC)
_PHOTO_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.4"
_CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture
OF_CALL = "通话截图 Stills of the call"
_PAPER_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"


@dataclass(frozen=True, slots=True)
class Case:
    """Whose consult the files are for."""

    consult: Consult
    patient: Patient


@dataclass(frozen=True, slots=True)
class Digests:
    """Hex SHA-256 of a file as received and as kept (its preamble zeroed)."""

    received: str
    kept: str


def prefix(institution_id: str) -> str:
    return f"{institution_id}/{FOLDER}/"


def key_id(study_id: str) -> str:
    return f"{FOLDER}-{study_id}"


def digests(part: Part, *, preamble: bool) -> Digests:
    received, kept = hashlib.sha256(), hashlib.sha256()
    if preamble:
        kept.update(bytes(_PREAMBLE))
    skip = _PREAMBLE if preamble else 0
    for chunk in Source(part.file, part.at, part.size).chunks():
        received.update(chunk)
        kept.update(chunk[skip:])
        skip = max(0, skip - len(chunk))
    return Digests(received.hexdigest(), kept.hexdigest())


def kept_file(part: Part, zeros: Source) -> Iterator[Source]:
    """The copy that is stored. `zeros`: 128 of them."""
    yield zeros
    yield Source(part.file, part.at + _PREAMBLE, part.size - _PREAMBLE)


def of_dicom(case: Case, opened: wire.Opened, size: int, digest: Digests, media_type: str) -> Arrived:
    whose = identity.compare(opened.named, case.patient)
    consult = case.consult
    study = uids.row_id(consult.id, "study", opened.study)
    series = uids.row_id(consult.id, "series", opened.study, opened.series)
    instance = uids.row_id(consult.id, "instance", opened.study, opened.series, opened.instance)
    return Arrived(
        _study(consult, study, opened.study, (opened.day, opened.study_text), whose),
        ImageSeries(
            series,
            consult.institution_id,
            consult.id,
            study,
            opened.series,
            opened.modality,
            opened.series_number,
            opened.series_text,
            _NEVER,
        ),
        ImageInstance(
            id=instance,
            institution_id=consult.institution_id,
            consult_id=consult.id,
            study_id=study,
            series_id=series,
            uid=opened.instance,
            sop_class=opened.sop_class,
            kind=Kind(opened.kind),
            media_type=media_type,
            number=opened.number,
            frames=len(opened.frames),
            height=opened.height,
            width=opened.width,
            transfer_syntax=opened.syntax,
            size=size,
            sha256=digest.kept,
            received_sha256=digest.received,
            blob_key=_blob_key(consult.institution_id, study),
            blob_sha256="",
            added_by="",
            added_at=_NEVER,
        ),
    )


def of_still(
    case: Case, what: tuple[Kind, str], size: tuple[int, int, int], digest: Digests, *, of_call: bool = False
) -> Arrived:
    """A photo or paper without identifiers of its own: one study, three series of the consult.

    `what`: kind and media type; `size`: bytes, height, width; `of_call`: taken out of the call.
    """
    kind, media_type = what
    consult, modality = case.consult, "XC" if kind is Kind.PHOTO else "DOC"
    study = uids.row_id(consult.id, "study", "stills")
    series = uids.row_id(consult.id, "series", "stills", "call" if of_call else modality)
    number, text = (2, OF_CALL) if of_call else (1, "")
    instance = uids.row_id(consult.id, "instance", "stills", digest.received)
    return Arrived(
        _study(consult, study, uids.told(study), ("", ""), (Identity.ABSENT, ())),
        ImageSeries(
            series, consult.institution_id, consult.id, study, uids.told(series), modality, number, text, _NEVER
        ),
        ImageInstance(
            id=instance,
            institution_id=consult.institution_id,
            consult_id=consult.id,
            study_id=study,
            series_id=series,
            uid=uids.told(instance),
            sop_class=_CAPTURE_CLASS if of_call else _PHOTO_CLASS if kind is Kind.PHOTO else _PAPER_CLASS,
            kind=kind,
            media_type=media_type,
            number=0,
            frames=1,
            height=size[1],
            width=size[2],
            transfer_syntax="",
            size=size[0],
            sha256=digest.kept,
            received_sha256=digest.received,
            blob_key=_blob_key(consult.institution_id, study),
            blob_sha256="",
            added_by="",
            added_at=_NEVER,
        ),
    )


def _study(
    consult: Consult, study_id: str, uid: str, says: tuple[str, str], whose: tuple[Identity, tuple[str, ...]]
) -> ImageStudy:
    """`says`: day and description; `whose`: the verdict and what differs."""
    return ImageStudy(
        id=study_id,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        uid=uid,
        day=says[0],
        description=says[1],
        key_id=key_id(study_id),
        identity=whose[0],
        differs=whose[1],
        added_by="",
        added_at=_NEVER,
    )


def _blob_key(institution_id: str, study_id: str) -> str:
    return f"{prefix(institution_id)}{study_id}/{uuid4().hex}.hzs"
