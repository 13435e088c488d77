"""The child that opens image files: `python -m huizhen.images.worker FD`, one per delivery, alive for seconds.

As `huizhen.inspection.worker` it gives up memory, time, descriptors and children before the first byte is looked at.
Several files share one child (a series has hundreds); where it dies, the parent asks again, file by file.
"""

import codecs
import io
import mmap
import os
import sys
import warnings
from typing import Any

MEMORY = (
    1536 * 1024 * 1024
)  # bytes of address space: libraries (mapped, little used), the delivery, one file, one frame
CPU_SECONDS = 120
_LARGEST = 2048 * 1024 * 1024  # bytes of what comes out
_ROOM = 384 * 1024 * 1024


def warm() -> None:
    """Everything the libraries import or open only when first used, before nothing can be opened any more."""
    from pydicom.charset import python_encoding

    from huizhen.images import opening, pixels
    from huizhen.inspection import papers
    from huizhen.inspection.verdict import Refused

    for name in {*python_encoding.values(), "utf-8-sig"}:
        codecs.lookup(name)
    pixels.warm()
    papers.warm()
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"):
        opening.look(memoryview(_spot(syntax)))
    for absurd in (b"<?xml version='1.0' encoding='UTF-8'?><AnnotatedECG/>", _spot("1.2.840.10008.1.2.4.80")):
        try:
            opening.look(memoryview(absurd))
        except Refused:
            continue


def _spot(syntax: str) -> bytes:
    """A small picture."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    spot = Dataset()
    spot.file_meta = FileMetaDataset()
    spot.file_meta.TransferSyntaxUID = UID(syntax)
    spot.file_meta.MediaStorageSOPClassUID = spot.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    spot.file_meta.MediaStorageSOPInstanceUID = spot.SOPInstanceUID = UID("2.25.1")
    spot.StudyInstanceUID = spot.SeriesInstanceUID = "2.25.2"
    spot.SpecificCharacterSet, spot.PatientName, spot.Modality = "GB18030", "A^B=王=", "CT"
    spot.StudyDate, spot.PixelSpacing, spot.StudyDescription = "20260101", [1, 1], "a"
    spot.Rows = spot.Columns = 8
    spot.BitsAllocated, spot.BitsStored, spot.HighBit, spot.PixelRepresentation = 16, 12, 11, 1
    spot.SamplesPerPixel, spot.PhotometricInterpretation = 1, "MONOCHROME2"
    spot.PixelData = bytes(128)
    if syntax == "1.2.840.10008.1.2.5":
        spot.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
        spot.compress(syntax, generate_instance_uid=False)
    elif syntax.startswith("1.2.840.10008.1.2.4"):
        spot.PixelData = encapsulate([b"\xff\xd8\xff\xf7"])
    target = io.BytesIO()
    pydicom.dcmwrite(target, spot, enforce_file_format=True)
    return target.getvalue()


def _answer(data: memoryview, target: io.BufferedWriter) -> None:
    from huizhen.images import opening, wire
    from huizhen.inspection.verdict import DAMAGED, TOO_COMPLEX, Refused

    found: Any
    parts: list[bytes] = []
    try:
        found, parts = opening.look(data)
    except Refused as error:
        found = error.code
    except (MemoryError, RecursionError):
        found = TOO_COMPLEX
    except Exception:
        found = DAMAGED
    wire.put_told(target, found)
    for part in parts:
        target.write(part)


def main() -> int:
    warnings.simplefilter("ignore")
    from huizhen.images import wire
    from huizhen.inspection import worker

    output = int(sys.argv[1])
    warm()
    size = os.fstat(0).st_size
    view = memoryview(mmap.mmap(0, size, access=mmap.ACCESS_READ))
    worker.confine(output, min(_LARGEST, size * 4 + _ROOM), memory=MEMORY, cpu=CPU_SECONDS)
    with os.fdopen(worker.OUT, "wb", closefd=False) as target:
        for data in wire.files(view):
            _answer(data, target)
    os.write(1, b"done\n")
    return 0


if __name__ == "__main__":
    os._exit(main())
