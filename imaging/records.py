"""The rows: study, series, instance, the opening of a series, saved measurements.

Identifiers of the sending hospital stay inside (`uid`); what leaves carries `imaging.uids` made from the row's id.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    IMAGE = "image"  # pixels: CT, MR, CR, US; one or many frames
    SLIDE = "slide"  # one level of a pathology slide; its frames are the tiles, height and width the whole
    WAVEFORM = "waveform"  # ECG
    PAPER = "paper"  # PDF
    PHOTO = "photo"  # captured stills, pictures of films


class Identity(StrEnum):
    """What the names inside the file say of whose it is."""

    MATCHES = "matches"
    DIFFERS = "differs"
    ABSENT = "absent"  # nothing in it could be compared
    CONFIRMED = "confirmed"  # it differed, and the inviting side said that it is the patient's


@dataclass(frozen=True, slots=True)
class ImageStudy:
    """One examination, bound to one consult. `key_id` encrypts every object of it."""

    id: str
    institution_id: str
    consult_id: str
    uid: str
    day: str  # YYYYMMDD, "" unknown
    description: str
    key_id: str
    identity: Identity
    differs: tuple[str, ...]  # name, id, birth_date, sex
    added_by: str
    added_at: datetime
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImageSeries:
    id: str
    institution_id: str
    consult_id: str
    study_id: str
    uid: str
    modality: str
    number: int
    description: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class ImageInstance:
    """One file. `sha256`: of the stored copy in the clear, whose preamble is zeroed or which was drawn anew."""

    id: str
    institution_id: str
    consult_id: str
    study_id: str
    series_id: str
    uid: str
    sop_class: str
    kind: Kind
    media_type: str
    number: int
    frames: int
    height: int  # pixels; 0 for papers and waveforms
    width: int
    transfer_syntax: str  # as received
    size: int  # bytes of the stored copy in the clear
    sha256: str
    received_sha256: str
    blob_key: str
    blob_sha256: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class PacsStudy:
    """A study of the hospital's archive that may be fetched into this consult: one line of its allow-list."""

    id: str
    institution_id: str
    consult_id: str
    uid: str
    day: str  # YYYYMMDD, "" unknown
    modalities: tuple[str, ...]
    description: str
    instances: int  # as the archive said
    allowed_by: str
    allowed_at: datetime


@dataclass(frozen=True, slots=True)
class SeriesOpening:
    """Who opened a series, so that its frames may be told to them. `viewer`: a seat where they have one."""

    id: str
    institution_id: str
    consult_id: str
    series_id: str
    viewer: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class ImageFindings:
    """Measurements of the table as they were saved: canonical JSON. Each saving is a row of its own."""

    id: str
    institution_id: str
    consult_id: str
    version: int  # of the table's document
    content: str
    sha256: str
    saved_by: str
    saved_at: datetime
