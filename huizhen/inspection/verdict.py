"""What the child says of a file, as one line of JSON; the parent believes nothing that is not in these tables."""

import json
from dataclasses import asdict, dataclass

UNKNOWN_TYPE = "upload.unknown_type"
TYPE_MISMATCH = "upload.type_mismatch"
DAMAGED = "upload.damaged"
HIDDEN_CONTENT = "upload.hidden_content"  # a second file inside: polyglot, appended archive, markup
ACTIVE_CONTENT = "upload.active_content"  # script, launch action, form that sends, embedded file
ENCRYPTED = "upload.encrypted"
TOO_MANY_PAGES = "upload.too_many_pages"
TOO_COMPLEX = "upload.too_complex"  # bombs: too many pixels, objects, bytes or seconds
INFECTED = "upload.infected"
REFUSALS = frozenset(
    {
        UNKNOWN_TYPE,
        TYPE_MISMATCH,
        DAMAGED,
        HIDDEN_CONTENT,
        ACTIVE_CONTENT,
        ENCRYPTED,
        TOO_MANY_PAGES,
        TOO_COMPLEX,
        INFECTED,
    }
)
KINDS = ("jpeg", "png", "pdf")  # what is stored; HEIC becomes JPEG
MAX_LINE = 4096


class Refused(Exception):
    """Inside the child: the file is not taken."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Clean:
    """A file that was opened, cleaned and written out. `pages` 1 and a size in pixels for pictures, else 0 x 0."""

    kind: str
    pages: int
    width: int
    height: int
    size: int
    peak_kib: int = 0  # the child's largest resident set


def line(found: Clean | str) -> bytes:
    """One line: a clean file, or the code of a refusal."""
    told = {"code": found} if isinstance(found, str) else asdict(found)
    return json.dumps(told).encode() + b"\n"


def parse(raw: bytes) -> Clean | str:
    """The inverse, suspicious: anything unexpected is DAMAGED."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return DAMAGED
    if not isinstance(told, dict):
        return DAMAGED
    if set(told) == {"code"}:
        code = told["code"]
        return code if isinstance(code, str) and code in REFUSALS else DAMAGED
    numbers = ("pages", "width", "height", "size", "peak_kib")
    if set(told) != {"kind", *numbers} or told["kind"] not in KINDS:
        return DAMAGED
    if any(type(told[name]) is not int or not 0 <= told[name] < 2**40 for name in numbers):
        return DAMAGED
    return Clean(**told)
