"""What parent and child say to each other; the parent believes nothing that does not fit these tables.

To the child: files one after the other, each behind its length. Back: for each file a head of JSON behind its length,
then the metadata (DICOM JSON of `told`), the previews and the frames, as long as the head says.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from huizhen.inspection import verdict
from imaging.identity import Named
from imaging.uids import well_formed

UNSUPPORTED = "images.unsupported"  # a DICOM file without anything this table can show
SLIDE_LABEL = "images.slide_label"  # a photograph of the glass: the patient's name is written on it
REFUSALS = verdict.REFUSALS | {UNSUPPORTED, SLIDE_LABEL}
SYNTAX = "1.2.840.10008.1.2.4.80"  # JPEG-LS lossless: of every frame that is kept
TILE_SYNTAX = "1.2.840.10008.1.2.4.50"  # JPEG baseline: of a slide's tiles, as they were scanned
KINDS = ("image", "slide", "waveform", "paper")
MAX_HEAD = 1 << 20
MAX_METADATA = 16 << 20
MAX_FRAMES = 4_000
MAX_SIDE = 16_384
MAX_TILES = 60_000  # of one level of a slide
MAX_MATRIX = 400_000  # pixels of a level's longer side
_LENGTH = struct.Struct(">I")
_CODE = re.compile(r"[A-Z0-9 _]{0,16}\Z")
_DAY = re.compile(r"([0-9]{8})?\Z")
_TEXTS = 64 * 8  # characters of a name in three spellings, or of a description


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened. Sizes in bytes of what follows the head; `number` and `series_number` may be 0."""

    kind: str
    study: str
    series: str
    instance: str
    sop_class: str
    syntax: str
    modality: str
    number: int
    series_number: int
    height: int
    width: int
    day: str
    study_text: str
    series_text: str
    named: Named
    metadata: int
    previews: tuple[int, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One file's answer: what it is, and where its parts begin in the child's output. `code`: why it was refused."""

    opened: Opened | None
    code: str = ""
    at: int = 0


def put_file(target: BinaryIO, size: int) -> None:
    """The length of the next file; its bytes follow."""
    target.write(_LENGTH.pack(size))


def files(data: memoryview) -> Iterator[memoryview]:
    """In the child. Raises ValueError for a torn list."""
    at = 0
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + size > len(data):
            raise ValueError("torn")
        yield data[at : at + size]
        at += size


def put_told(target: BinaryIO, found: Opened | str) -> None:
    head = json.dumps({"code": found} if isinstance(found, str) else asdict(found)).encode()
    target.write(_LENGTH.pack(len(head)) + head)


def told(source: BinaryIO, expected: int) -> list[Told]:
    """Everything the child said of `expected` files. Raises ValueError when anything does not fit."""
    source.seek(0, 2)
    end = source.tell()
    source.seek(0)
    found: list[Told] = []
    for _ in range(expected):
        (size,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
        if size > MAX_HEAD:
            raise ValueError("head")
        said = _head(_exactly(source, size))
        at = source.tell()
        if isinstance(said, str):
            found.append(Told(None, said))
            continue
        source.seek(said.metadata + sum(said.previews) + sum(said.frames), 1)
        if source.tell() > end:
            raise ValueError("cut short")
        found.append(Told(said, at=at))
    if source.tell() != end:
        raise ValueError("more than was asked")
    return found


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise ValueError("cut short")
    return data


def _head(raw: bytes) -> Opened | str:
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("head") from None
    if not isinstance(said, dict):
        raise ValueError("head")  # noqa: TRY004 (a malformed message, not a wrong call)
    if set(said) == {"code"}:
        code = said["code"]
        return code if isinstance(code, str) and code in REFUSALS else verdict.DAMAGED
    try:
        opened = Opened(
            **{
                **said,
                "named": _named(said["named"]),
                "previews": tuple(said["previews"]),
                "frames": tuple(said["frames"]),
            }
        )
    except (TypeError, KeyError):
        raise ValueError("head") from None
    _check(opened)
    return opened


def _named(said: Any) -> Named:
    named = Named(**{**said, "names": tuple(said["names"])})
    texts = (*named.names, named.patient_id, named.birth_date, named.sex)
    if len(named.names) > 6 or any(not isinstance(text, str) or len(text) > _TEXTS for text in texts):
        raise ValueError("names")
    return named


def _check(said: Opened) -> None:
    """Raises ValueError."""
    uids = (said.study, said.series, said.instance, said.sop_class)
    codes = (said.modality,)
    most = MAX_MATRIX if said.kind == "slide" else MAX_SIDE
    texts = (said.study_text, said.series_text)
    numbers = (said.number, said.series_number)
    sizes = (said.metadata, *said.previews, *said.frames)
    fits = (
        said.kind in KINDS
        and all(isinstance(uid, str) and well_formed(uid) for uid in uids)
        and isinstance(said.syntax, str)
        and (not said.syntax or well_formed(said.syntax))
        and all(isinstance(code, str) and _CODE.match(code) for code in codes)
        and all(isinstance(text, str) and len(text) <= _TEXTS for text in texts)
        and isinstance(said.day, str)
        and _DAY.match(said.day) is not None
        and all(type(number) is int and abs(number) < 2**31 for number in numbers)
        and all(type(size) is int and 0 < size < 2**32 for size in sizes)
        and all(type(side) is int and 0 <= side <= most for side in (said.height, said.width))
        and 0 < len(said.frames) <= (MAX_TILES if said.kind == "slide" else MAX_FRAMES)
        and len(said.previews) == (len(said.frames) if said.kind == "image" else 0)
        and said.metadata <= MAX_METADATA
    )
    if not fits:
        raise ValueError("head")


_TAG = re.compile(r"[0-9A-F]{8}\Z")
_VR = re.compile(r"[A-Z]{2}\Z")
_OF_THE_PATIENT = frozenset({"00100040", "00101010"})  # sex and age: all of group 0010 that may leave
_DEEPEST = 6


def check_metadata(raw: bytes) -> None:
    """DICOM JSON and nothing that names the patient, whatever became of the child. Raises ValueError."""
    try:
        said = json.loads(raw)
    except RecursionError:
        raise ValueError("metadata") from None
    _check_level(said, 0)


def _check_level(said: Any, depth: int) -> None:
    if not isinstance(said, dict) or depth > _DEEPEST:
        raise ValueError("metadata")
    for tag, element in said.items():
        if not _TAG.match(tag) or (tag.startswith("0010") and tag not in _OF_THE_PATIENT):
            raise ValueError("metadata")
        if not isinstance(element, dict) or not set(element) <= {"vr", "Value"}:
            raise ValueError("metadata")
        if not isinstance(element.get("vr"), str) or not _VR.match(element["vr"]):
            raise ValueError("metadata")
        _check_values(element["vr"], element.get("Value", []), depth)


def _check_values(vr: str, values: Any, depth: int) -> None:
    if not isinstance(values, list):
        raise ValueError("metadata")  # noqa: TRY004 (a malformed message, not a wrong call)
    for value in values:
        if vr == "SQ":
            _check_level(value, depth + 1)
        elif not isinstance(value, (str, int, float)):
            raise ValueError("metadata")
