"""The row of an uploaded paper."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FileKind(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One cleaned, encrypted file of the store. `evidence_id` None: nobody has entered yet what it proves."""

    id: str
    institution_id: str
    consult_id: str
    evidence_id: str | None
    kind: FileKind
    pages: int
    width: int  # pixels; 0 for a paper
    height: int
    size: int  # bytes of the cleaned copy in the clear
    sha256: str  # of the cleaned copy in the clear
    received_sha256: str  # of the bytes that were sent; they are not kept
    key_id: str
    blob_key: str
    blob_sha256: str  # of the encrypted object
    added_by: str
    added_at: datetime
