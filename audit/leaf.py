"""The bytes of a leaf (domain-rules 4.2): canonical JSON without personal data, and the salted commitments in it."""

import base64
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from audit.errors import InvalidEvent
from audit.transaction import AuditEvent

LEAF_VERSION = 1
MAX_LEAF = 65_535  # C2SP tlog-tiles: entry length is a uint16
MAX_TEXT = 512
SALT_SIZE = 32
_SAFE_INTEGER = 2**53 - 1
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")
_COMMIT = b"tmc-commit-v1\x00"
_ROW = b"huizhen-row-v1\x00"


@dataclass(frozen=True, slots=True)
class RowMark:
    """What a leaf says of one row: its digest at this revision, or None when the row was removed at this revision."""

    table: str
    row_id: str
    rev: int
    digest: str | None

    def as_json(self) -> list[Any]:
        return [self.table, self.row_id, self.rev, self.digest]


@dataclass(frozen=True, slots=True)
class LeafContext:
    """What the log adds to an event. `at_ms` is Unix milliseconds; `number` counts per consult from 0."""

    log: str
    event_id: str
    at_ms: int
    node: str
    number: int
    rows: Sequence[RowMark] = ()
    commitment: str | None = None  # base64 of the salted commitment to the private part
    payload_sha256: str | None = None  # of the encrypted private part as stored


def check(event: AuditEvent) -> None:
    """Raises InvalidEvent when the event could carry personal data into the log or would not canonicalise."""
    for name, value in (("actor", event.actor_id), ("outcome", event.outcome), ("institution", event.institution_id)):
        if not value:
            raise InvalidEvent(f"{event.code}: {name} is empty")
        _check_text(event, name, value)
    for name, optional in (("subject", event.subject_id), ("consult", event.consult_id)):
        if optional is not None:
            _check_text(event, name, optional)
    for key, value in event.public.items():
        _check_text(event, "key", key)
        _check_public(event, key, value)


def _check_text(event: AuditEvent, name: str, value: str) -> None:
    if len(value) > MAX_TEXT or not _PRINTABLE.match(value):
        raise InvalidEvent(f"{event.code}: {name} must be printable ASCII of at most {MAX_TEXT} characters")


def _check_public(event: AuditEvent, name: str, value: Any) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if abs(value) > _SAFE_INTEGER:
            raise InvalidEvent(f"{event.code}: {name} exceeds 53 bits")
    elif isinstance(value, str):
        _check_text(event, name, value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_public(event, name, item)
    else:
        raise InvalidEvent(f"{event.code}: {name} is a {type(value).__name__}")


def plain(value: Any) -> Any:
    """The same value made of plain JSON types (enums lose their class). Raises InvalidEvent for anything else."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
    elif isinstance(value, Mapping):
        return {str.__str__(key): plain(item) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise InvalidEvent(f"{type(value).__name__} is not JSON")


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes. Raises InvalidEvent.

    Of text and safe whole numbers alone, sorted compact JSON is the same bytes at a fifth of the cost.
    """
    known = plain(value)
    try:
        return _COMPACT.encode(known).encode() if _is_simple(known) else rfc8785.dumps(known)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise InvalidEvent(str(error)) from error


_COMPACT = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _is_simple(value: Any) -> bool:
    """Plain JSON whose keys sort as ASCII, without floats and without integers beyond 53 bits."""
    if isinstance(value, dict):
        return all(key.isascii() for key in value) and all(map(_is_simple, value.values()))
    if isinstance(value, list):
        return all(map(_is_simple, value))
    if isinstance(value, int):
        return abs(value) <= _SAFE_INTEGER
    return not isinstance(value, float)


def row_digest(salt: bytes, row: Mapping[str, Any]) -> str:
    """Hex SHA-256 over domain tag, 32-byte salt and the canonical row: its stored values, nulls left out.

    Leaving nulls out lets a later version add a nullable column without changing what was already vouched for.
    """
    if len(salt) != SALT_SIZE:
        raise ValueError("salt must be 32 bytes")
    present = {name: value for name, value in row.items() if value is not None}
    return hashlib.sha256(_ROW + salt + canonical(present)).hexdigest()


def commitment(salt: bytes, private: bytes) -> str:
    """Base64 of the hiding, binding commitment to the canonical private part."""
    if len(salt) != SALT_SIZE:
        raise ValueError("salt must be 32 bytes")
    return base64.b64encode(hashlib.sha256(_COMMIT + salt + private).digest()).decode()


def leaf_bytes(event: AuditEvent, context: LeafContext) -> bytes:
    """Canonical bytes of the leaf. Raises InvalidEvent when the event is malformed or the leaf exceeds 64 KiB."""
    check(event)
    data = canonical(
        {
            "v": LEAF_VERSION,
            "log": context.log,
            "id": context.event_id,
            "t": context.at_ms,
            "node": context.node,
            "k": event.code,
            "con": event.consult_id,
            "n": context.number,
            "act": event.actor_id,
            "sub": event.subject_id,
            "o": event.outcome,
            "pub": event.public,
            "rows": [mark.as_json() for mark in context.rows],
            "c": context.commitment,
            "p": context.payload_sha256,
        }
    )
    if len(data) > MAX_LEAF:
        raise InvalidEvent(f"{event.code}: leaf of {len(data)} bytes")
    return data


def milliseconds(moment: datetime) -> int:
    """Unix milliseconds, rounded down."""
    return int(moment.timestamp() * 1000)


def payload_key_id(consult_id: str | None) -> str:
    """Name of the data key that encrypts private parts: one per consult, one for the institution itself.

    Destroying it (KeyRing.destroy) erases the private parts; leaves, commitments and proofs still verify.
    """
    return f"payload-{consult_id or 'institution'}"


def new_event_id(at_ms: int | None = None) -> str:
    """UUIDv7 (RFC 9562 5.7) as 32 hex digits: 48 bits of Unix milliseconds, then random bits."""
    moment = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    value = (moment & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"
