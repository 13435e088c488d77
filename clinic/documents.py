"""Canonical bytes of documents (RFC 8785) and the server's seal over them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any, Protocol

import rfc8785


class Sealer(Protocol):
    """The institution's server seal. The same shape as `consent.transaction.Sealer`: one implementation serves both."""

    def seal(self, institution_id: str, digest: str, at: int) -> str:
        """Compact JWS over {digest, at, iss}. `digest` = sha256 hex, `at` = unix seconds."""
        ...


def canonical(document: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes. Dates and times become ISO text, enums their value, tuples lists. Raises TypeError otherwise."""
    return rfc8785.dumps(_plain(document))


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


def sealed(sealer: Sealer, institution_id: str, document: Mapping[str, Any], now: datetime) -> str:
    """The server's seal (compact JWS) over the document's canonical bytes."""
    return sealer.seal(institution_id, digest(canonical(document)), int(now.timestamp()))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    raise TypeError(f"{type(value).__name__} has no canonical form")
