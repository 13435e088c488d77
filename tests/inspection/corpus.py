"""Files that are what they say, and files that are not: all made here, none downloaded."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
from PIL import Image

from huizhen.inspection import verdict as v

HEIC = Path(__file__).with_name("photo.heic").read_bytes()  # made by tests.inspection.heic
SCRIPT = b"<script>alert(1)</script>"


def jpeg(size: tuple[int, int] = (640, 480), **options: Any) -> bytes:
    target = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(target, "JPEG", **options)
    return target.getvalue()


def jpeg_with_place() -> bytes:
    """A photo as a phone takes it: turned, with a position."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SECRETPHONE"
    exif.get_ifd(0x8825)[2] = (31.0, 12.0, 30.0)
    return jpeg(exif=exif.tobytes())


def png(size: tuple[int, int] = (320, 200), mode: str = "RGB") -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, 1 if mode == "P" else "red").save(target, "PNG")
    return target.getvalue()


def pdf(pages: int = 2, change: Callable[[pikepdf.Pdf], None] = lambda made: None, **options: Any) -> bytes:
    made = pikepdf.new()
    for _ in range(pages):
        made.add_blank_page()
    change(made)
    target = io.BytesIO()
    made.save(target, **options)
    return target.getvalue()


def archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        packed.writestr("META-INF/MANIFEST.MF", "Main-Class: X")
    return target.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, packed: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bmff(*boxes: tuple[bytes, bytes]) -> bytes:
    return b"".join(struct.pack(">I", 8 + len(body)) + name + body for name, body in boxes)


def _root(key: str, value: pikepdf.Object) -> Callable[[pikepdf.Pdf], None]:
    def change(made: pikepdf.Pdf) -> None:
        made.Root[key] = made.make_indirect(value)

    return change


def _action(kind: str, **more: Any) -> pikepdf.Dictionary:
    return pikepdf.Dictionary(S=pikepdf.Name(kind), **more)


def _attachment(made: pikepdf.Pdf) -> None:
    made.attachments["a.exe"] = pikepdf.AttachedFileSpec(made, b"MZ" + bytes(100))


def _annotation(made: pikepdf.Pdf) -> None:
    note = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.RichMedia, Rect=[0, 0, 9, 9])
    made.pages[0].Annots = pikepdf.Array([made.make_indirect(note)])


def _link_that_runs(made: pikepdf.Pdf) -> None:
    run = _action("/Launch", F=pikepdf.String("cmd.exe"))
    note = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=[0, 0, 9, 9], A=run)
    made.pages[0].Annots = pikepdf.Array([note])


def _forms(made: pikepdf.Pdf) -> None:
    made.Root.AcroForm = pikepdf.Dictionary(XFA=pikepdf.String("x"), Fields=pikepdf.Array())


def _contents_bomb(made: pikepdf.Pdf) -> None:
    packed = zlib.compress(bytes(400 * 1024 * 1024), 9)
    made.pages[0].Contents = pikepdf.Stream(made, packed, Filter=pikepdf.Name.FlateDecode)


def object_stream_bomb() -> bytes:
    """An object stream that unfolds to two gigabytes: the parser would hold it, and runs into its bound."""
    engine, packed, block = zlib.compressobj(9), bytearray(), b"  " * (1 << 20)
    packed += engine.compress(b"1 0 <</Type/Catalog>>")
    for _ in range(1024):
        packed += engine.compress(block)
    packed += engine.flush()
    out = bytearray(b"%PDF-1.5\n")
    stream_at = len(out)
    head = f"2 0 obj\n<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {len(packed)}>>stream\n"
    out += head.encode() + packed + b"\nendstream\nendobj\n"
    xref_at = len(out)
    rows = b"".join(struct.pack(">BIH", *row) for row in ((0, 0, 65535), (2, 2, 0), (1, stream_at, 0), (1, xref_at, 0)))
    body = f"3 0 obj\n<</Type/XRef/Size 4/W[1 4 2]/Root 1 0 R/Length {len(rows)}>>stream\n".encode()
    out += body + rows + b"\nendstream\nendobj\n" + f"startxref\n{xref_at}\n%%EOF\n".encode()
    return bytes(out)


def jpeg_script() -> bytes:
    """The JPEG that is also JavaScript: its first segment's length reads /*."""
    plain = jpeg()
    first = 2 + 2 + struct.unpack_from(">H", plain, 4)[0]
    body = plain[6:first].ljust(0x2F2A - 2, b"\x00")
    return b"\xff\xd8\xff\xe0\x2f\x2a" + body + plain[first:]


def comment(text: bytes) -> bytes:
    plain = jpeg()
    return plain[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + plain[2:]


GOOD: dict[str, tuple[bytes, str, str]] = {
    "photo": (jpeg(), "image/jpeg", "a.jpg"),
    "photo with place": (jpeg_with_place(), "image/jpeg", "病历.JPG"),
    "progressive": (jpeg(progressive=True), "", "a.jpeg"),
    "two pictures (MPO)": (jpeg() + jpeg(), "image/jpeg", "a.jpg"),
    "motion photo": (jpeg() + bmff((b"ftyp", b"mp42isom"), (b"mdat", bytes(64))), "image/jpeg", "a.jpg"),
    "heic": (HEIC, "image/heic", "IMG_1.HEIC"),
    "heic of an unknown type": (HEIC, "", "a.heic"),
    "screenshot": (png(), "image/png", "a.png"),
    "transparent": (png(mode="RGBA"), "image/png", ""),
    "palette": (png(mode="P"), "application/octet-stream", "a.png"),
    "paper": (pdf(), "application/pdf", "a.pdf"),
    "paper with object streams": (pdf(object_stream_mode=pikepdf.ObjectStreamMode.generate), "application/pdf", ""),
}

Bytes = bytes | Callable[[], bytes]  # bombs are made when somebody asks


def sent(name: str) -> tuple[bytes, str, str]:
    """Bytes, declared type and name of a file of either list."""
    data, media_type, given = (BAD[name] if name in BAD else GOOD[name])[:3]
    return (data if isinstance(data, bytes) else data()), media_type, given


BAD: dict[str, tuple[Bytes, str, str, str]] = {
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>", "image/svg+xml", "a.svg", v.UNKNOWN_TYPE),
    "svg called png": (b"<svg>" + SCRIPT + b"</svg>", "image/png", "a.png", v.UNKNOWN_TYPE),
    "gif": (b"GIF89a" + bytes(50) + b";", "image/jpeg", "a.jpg", v.UNKNOWN_TYPE),
    "gifar": (b"GIF89a" + bytes(50) + b";" + archive(), "", "", v.UNKNOWN_TYPE),
    "zip": (archive(), "application/pdf", "a.pdf", v.UNKNOWN_TYPE),
    "program": (b"MZ" + bytes(500), "image/jpeg", "a.jpg", v.UNKNOWN_TYPE),
    "html": (b"<!doctype html>" + SCRIPT, "application/pdf", "a.pdf", v.UNKNOWN_TYPE),
    "photo called paper": (jpeg(), "application/pdf", "a.pdf", v.TYPE_MISMATCH),
    "paper called photo": (pdf(), "image/jpeg", "a.jpg", v.TYPE_MISMATCH),
    "name and type differ": (jpeg(), "image/jpeg", "a.png", v.TYPE_MISMATCH),
    "double extension": (jpeg(), "image/jpeg", "a.jpg.exe", v.UNKNOWN_TYPE),
    "cut photo": (jpeg()[:-200], "image/jpeg", "a.jpg", v.DAMAGED),
    "photo without its picture": (jpeg()[:40] + b"\xff\xd9", "image/jpeg", "a.jpg", v.DAMAGED),
    "cut screenshot": (png()[:-14], "image/png", "a.png", v.DAMAGED),
    "screenshot with wrong sum": (png()[:-20] + b"\x00" + png()[-19:], "image/png", "a.png", v.DAMAGED),
    "cut paper": (pdf()[:-120], "application/pdf", "a.pdf", v.DAMAGED),
    "paper of noise": (b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"\n%%EOF", "application/pdf", "a.pdf", v.DAMAGED),
    "photo + zip": (jpeg() + archive(), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo + program": (jpeg() + b"MZ\x90" + bytes(900), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo + page": (jpeg() + b"<html>" + SCRIPT, "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo in photo + page": (jpeg() + jpeg() + SCRIPT, "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo + paper": (jpeg() + pdf(), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo that is a script": (jpeg_script(), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo with a page as comment": (comment(b"<html>" + SCRIPT), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "photo with php": (comment(b"<?php system($_GET[0]);"), "image/jpeg", "a.jpg", v.HIDDEN_CONTENT),
    "screenshot + zip": (png() + archive(), "image/png", "a.png", v.HIDDEN_CONTENT),
    "screenshot + a few bytes": (png() + b"hello", "image/png", "a.png", v.HIDDEN_CONTENT),
    "screenshot with a page": (
        png()[:33] + chunk(b"tEXt", b"x\x00" + SCRIPT) + png()[33:],
        "image/png",
        "a.png",
        v.HIDDEN_CONTENT,
    ),
    "paper + zip": (pdf() + archive(), "application/pdf", "a.pdf", v.HIDDEN_CONTENT),
    "paper + page": (pdf() + SCRIPT, "application/pdf", "a.pdf", v.HIDDEN_CONTENT),
    "paper that is a page": (
        pdf().replace(b"\n", b"\n%<html><script>1</script>\n", 1),
        "application/pdf",
        "a.pdf",
        v.HIDDEN_CONTENT,
    ),
    "page before paper": (b"<html>" + pdf(), "application/pdf", "a.pdf", v.UNKNOWN_TYPE),
    "zip with a photo's end": (archive() + jpeg(), "image/jpeg", "a.jpg", v.UNKNOWN_TYPE),
    "heic + more": (
        bmff((b"ftyp", b"heic\x00\x00\x00\x00mif1"), (b"mdat", b"x"), (b"code", SCRIPT)),
        "image/heic",
        "a.heic",
        v.HIDDEN_CONTENT,
    ),
    "empty heic": (bmff((b"ftyp", b"heic\x00\x00\x00\x00mif1")), "image/heic", "a.heic", v.DAMAGED),
    "cut heic": (bmff((b"ftyp", b"heic\x00\x00\x00\x00mif1")) + b"\x00\x00\x10\x00mdat", "", "", v.DAMAGED),
    "pixel bomb": (png_of(30_000, 30_000, zlib.compress(bytes(1000))), "image/png", "a.png", v.TOO_COMPLEX),
    "long picture": (png_of(25_000, 2, zlib.compress(bytes(1000))), "image/png", "a.png", v.TOO_COMPLEX),
    "packed bomb": (lambda: png_of(10, 10, zlib.compress(bytes(256 << 20), 9)), "image/png", "a.png", ""),
    "script at opening": (
        pdf(1, _root("/OpenAction", _action("/JavaScript", JS=pikepdf.String("app.alert(1)")))),
        "application/pdf",
        "a.pdf",
        v.ACTIVE_CONTENT,
    ),
    "script by name": (
        pdf(1, _root("/Names", pikepdf.Dictionary(JavaScript=pikepdf.Dictionary(Names=pikepdf.Array())))),
        "application/pdf",
        "a.pdf",
        v.ACTIVE_CONTENT,
    ),
    "launch": (pdf(1, _link_that_runs), "application/pdf", "a.pdf", v.ACTIVE_CONTENT),
    "form that sends": (
        pdf(1, _root("/OpenAction", _action("/SubmitForm"))),
        "application/pdf",
        "a.pdf",
        v.ACTIVE_CONTENT,
    ),
    "goes to another file": (
        pdf(1, _root("/OpenAction", _action("/GoToR"))),
        "application/pdf",
        "a.pdf",
        v.ACTIVE_CONTENT,
    ),
    "xfa": (pdf(1, _forms), "application/pdf", "a.pdf", v.ACTIVE_CONTENT),
    "attachment": (pdf(1, _attachment), "application/pdf", "a.pdf", v.ACTIVE_CONTENT),
    "film": (pdf(1, _annotation), "application/pdf", "a.pdf", v.ACTIVE_CONTENT),
    "script inside an object stream": (
        pdf(
            1,
            _root("/OpenAction", _action("/JavaScript", JS=pikepdf.String("1"))),
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        ),
        "application/pdf",
        "a.pdf",
        v.ACTIVE_CONTENT,
    ),
    "password": (
        pdf(1, encryption=pikepdf.Encryption(owner="o", user="u")),
        "application/pdf",
        "a.pdf",
        v.ENCRYPTED,
    ),
    "owner password": (
        pdf(1, encryption=pikepdf.Encryption(owner="o", user="")),
        "application/pdf",
        "a.pdf",
        v.ENCRYPTED,
    ),
    "too many pages": (pdf(51), "application/pdf", "a.pdf", v.TOO_MANY_PAGES),
    "no page": (pdf(0), "application/pdf", "a.pdf", v.DAMAGED),
    "contents bomb": (lambda: pdf(1, _contents_bomb), "application/pdf", "a.pdf", v.TOO_COMPLEX),
    "object stream bomb": (object_stream_bomb, "application/pdf", "a.pdf", v.DAMAGED),
}
