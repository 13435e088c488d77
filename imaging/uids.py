"""Identifiers: of rows, from what the sender's hospital called the thing; and those that leave, from the row."""

import hashlib
import re

from audit.errors import MissingRow

_PREFIX = "2.25."  # ISO 9834-8: a UUID as a decimal
_UID = re.compile(r"2\.25\.(0|[1-9][0-9]{0,38})\Z")
_RECEIVED = re.compile(r"[0-9.]{1,64}\Z")


def row_id(consult_id: str, level: str, *uids: str) -> str:
    """32 hex digits, the same for the same thing sent twice, another in another consult."""
    text = "\x00".join((consult_id, level, *uids))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def told(identifier: str) -> str:
    """The UID under which a row leaves. `identifier`: 32 hex digits."""
    return f"{_PREFIX}{int(identifier, 16)}"


def row_of(uid: str) -> str:
    """The row's id of a UID we told. Raises MissingRow."""
    found = _UID.match(uid)
    value = int(found.group(1)) if found else 1 << 128
    if value >> 128:
        raise MissingRow("images")
    return f"{value:032x}"


def well_formed(uid: str) -> bool:
    """PS3.5 section 9, read leniently: digits and dots, at most 64."""
    return _RECEIVED.match(uid) is not None
