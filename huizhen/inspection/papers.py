"""A PDF is read whole: nothing that runs, sends, opens or carries another file; then it is written anew.

Writing it anew leaves out what no page refers to (earlier revisions, bytes between objects) and everything a viewer's
repair could read differently from ours.
"""

import io
import zlib
from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, PasswordError, Pdf, PdfError, Stream

from huizhen.inspection.verdict import (
    ACTIVE_CONTENT,
    DAMAGED,
    ENCRYPTED,
    TOO_COMPLEX,
    TOO_MANY_PAGES,
    Clean,
    Refused,
)

MAX_PAGES = 50
MAX_OBJECTS = 50_000
MAX_NODES = 1_000_000  # values inside them
MAX_DEPTH = 64
MAX_STREAM = 192 * 1024 * 1024  # one decoded stream: an A3 page at 600 dpi in colour stays below
MAX_DECODED = 640 * 1024 * 1024  # all of them; counted, never held
_STEP = 1 << 20
_KEYS = frozenset({"/JS", "/AA", "/XFA", "/EmbeddedFiles", "/EmbeddedFile", "/EF", "/RichMedia", "/JavaScript", "/AF"})
_ACTIONS = frozenset(
    {
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/ResetForm",
        "/GoToR",
        "/GoToE",
        "/Rendition",
        "/Movie",
        "/Sound",
        "/RichMediaExecute",
        "/SetOCGState",
        "/Trans",
        "/GoTo3DView",
        "/Hide",
    }
)
_KINDS = frozenset({"/Filespec", "/F", "/EmbeddedFile", "/XFA"})
_ANNOTATIONS = frozenset({"/FileAttachment", "/RichMedia", "/Screen", "/Movie", "/Sound", "/3D"})
_FLATE = ("/FlateDecode", "/Fl")


def warm() -> None:
    """As `pictures.warm`."""
    blank = pikepdf.new()
    blank.add_blank_page()
    target = io.BytesIO()
    blank.save(target, encryption=False)
    clean(target.getvalue())


def clean(data: bytes) -> tuple[bytes, Clean]:
    """The same pages, written anew. Raises Refused."""
    try:
        with pikepdf.open(io.BytesIO(data), attempt_recovery=False, suppress_warnings=True) as pdf:
            if pdf.is_encrypted:
                raise Refused(ENCRYPTED)
            pages = _pages(pdf)
            _inspect(pdf)
            target = io.BytesIO()
            pdf.save(target, object_stream_mode=pikepdf.ObjectStreamMode.preserve, linearize=False)
    except PasswordError:
        raise Refused(ENCRYPTED) from None
    except MemoryError:
        raise Refused(TOO_COMPLEX) from None
    except (PdfError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, OverflowError) as error:
        if "bad_alloc" in str(error):
            raise Refused(TOO_COMPLEX) from None
        raise Refused(ENCRYPTED if b"/Encrypt" in data else DAMAGED) from error
    out = target.getvalue()
    return out, Clean("pdf", pages, 0, 0, len(out))


def _pages(pdf: Pdf) -> int:
    pages = len(pdf.pages)
    if pages < 1:
        raise Refused(DAMAGED)
    if pages > MAX_PAGES:
        raise Refused(TOO_MANY_PAGES)
    return pages


def _inspect(pdf: Pdf) -> None:
    if len(pdf.objects) > MAX_OBJECTS:
        raise Refused(TOO_COMPLEX)
    decoded = nodes = 0
    for thing in (*pdf.objects, pdf.trailer):
        for value in _walk(thing):
            nodes += 1
            if nodes > MAX_NODES:
                raise Refused(TOO_COMPLEX)
            if isinstance(value, (Dictionary, Stream)):
                _dictionary(value)
        if isinstance(thing, Stream):
            decoded += _decoded(thing)
            if decoded > MAX_DECODED:
                raise Refused(TOO_COMPLEX)


def _walk(thing: Any) -> Iterator[Any]:
    """The value and all direct ones inside it; what it points to stands in the list of objects itself."""
    pending: list[tuple[Any, int]] = [(thing, 0)]
    while pending:
        value, depth = pending.pop()
        yield value
        if depth > MAX_DEPTH:
            raise Refused(TOO_COMPLEX)
        inside: list[Any] = []
        if isinstance(value, (Dictionary, Stream)):
            inside = [value.get(key) for key in value.keys()]  # noqa: SIM118 - an Object, no dict
        elif isinstance(value, Array):
            inside = list(value)
        pending += [(each, depth + 1) for each in inside if isinstance(each, Object) and not each.is_indirect]


def _dictionary(value: Any) -> None:
    """One dictionary (a stream has one too). Raises Refused for whatever acts or carries."""
    if _KEYS & set(value.keys()):
        raise Refused(ACTIVE_CONTENT)
    if _named(value, "/S") in _ACTIONS and (_named(value, "/Type") in ("", "/Action")):
        raise Refused(ACTIVE_CONTENT)
    if _named(value, "/Type") in _KINDS or _named(value, "/Subtype") in _ANNOTATIONS:
        raise Refused(ACTIVE_CONTENT)


def _named(value: Any, key: str) -> str:
    found = value.get(key)
    return str(found) if isinstance(found, Name) else ""


def _decoded(stream: Any) -> int:
    """How many bytes its first Flate filter gives. Raises Refused above MAX_STREAM, or for a broken stream."""
    filters = stream.get("/Filter")
    first = filters[0] if isinstance(filters, Array) and len(filters) else filters
    raw = bytes(stream.read_raw_bytes())
    if not isinstance(first, Name) or str(first) not in _FLATE:
        return len(raw)
    engine, total = zlib.decompressobj(), 0
    try:
        while raw and not engine.eof:
            total += len(engine.decompress(raw, _STEP))
            raw = engine.unconsumed_tail
            if total > MAX_STREAM:
                raise Refused(TOO_COMPLEX)
    except zlib.error:
        raise Refused(DAMAGED) from None
    return total
