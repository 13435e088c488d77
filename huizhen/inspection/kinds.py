"""What a file says it is (name, declared type) and what its first bytes are. Only four kinds are taken."""

from huizhen.inspection.verdict import TYPE_MISMATCH, UNKNOWN_TYPE, Refused

JPEG, PNG, HEIC, PDF = "jpeg", "png", "heic", "pdf"
_EXTENSIONS = {
    "jpg": JPEG,
    "jpeg": JPEG,
    "jfif": JPEG,
    "png": PNG,
    "heic": HEIC,
    "heif": HEIC,
    "pdf": PDF,
}
_MEDIA_TYPES = {
    "image/jpeg": JPEG,
    "image/jpg": JPEG,
    "image/png": PNG,
    "image/heic": HEIC,
    "image/heif": HEIC,
    "application/pdf": PDF,
}
_UNSAID = ("", "application/octet-stream")  # what browsers send for a type they do not know (HEIC on many desktops)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
MEDIA_TYPES = (*_MEDIA_TYPES, "application/octet-stream")


def declared(media_type: str, name: str) -> str | None:
    """The kind that name and type agree on; None when neither says one. Raises Refused."""
    extension = name.rsplit(".", 1)[1].lower() if "." in name else ""
    said = set()
    if extension:
        if extension not in _EXTENSIONS:
            raise Refused(UNKNOWN_TYPE)
        said.add(_EXTENSIONS[extension])
    if media_type not in _UNSAID:
        if media_type not in _MEDIA_TYPES:
            raise Refused(UNKNOWN_TYPE)
        said.add(_MEDIA_TYPES[media_type])
    if len(said) > 1:
        raise Refused(TYPE_MISMATCH)
    return next(iter(said), None)


def sniff(data: bytes) -> str:
    """By the first bytes, which must stand at the very beginning. Raises Refused."""
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"%PDF-"):
        return PDF
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        return HEIC
    raise Refused(UNKNOWN_TYPE)


def agreed(data: bytes, said: str) -> str:
    """The sniffed kind when nothing else was said ("" = nothing). Raises Refused."""
    found = sniff(data)
    if said and said != found:
        raise Refused(TYPE_MISMATCH)
    return found
