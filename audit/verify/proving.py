"""What receipts and sealed copies are proved with: canonical form, inclusion, the seal key a log's first leaf names."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from audit.verify.attested import claims_of
from audit.verify.notes import Keys, Note, holds


def canonical(value: Any) -> bytes:
    """RFC 8785 for what is written here: ASCII names, text, whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def included(index: int, path: Sequence[bytes], note: Note, leaf: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    last = note.size - 1
    if not 0 <= index <= last:
        return False
    current = sha256(b"\x00" + leaf).digest()
    for sibling in path:
        if last == 0 or len(sibling) != 32:
            return False
        if index & 1 or index == last:
            current = sha256(b"\x01" + sibling + current).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            current = sha256(b"\x01" + current + sibling).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and current == note.root


def named_vkey(first: Mapping[str, Any], index: int, origin: str) -> str | None:
    """What a proved first leaf of the log says of the seal; None where it is no such leaf."""
    vkey = first.get("pub", {}).get("seal_vkey")
    opens = index == 0 and first.get("k") == "log.opened" and first.get("log") == origin
    return vkey if opens and isinstance(vkey, str) else None


def seal_key(vkey: str, origin: str) -> tuple[str, bytes] | None:
    """Issuer and public key; None where it is not the seal of the log's own institution."""
    name, _, rest = vkey.partition("+")
    raw = base64_exactly(rest.partition("+")[2])
    deployment, _, place = origin.partition("/audit/")
    institution = place.rpartition("/")[0]
    if len(raw) != 33 or raw[0] != 1 or name != f"{deployment}/seal/{institution}":
        return None
    return name, raw[1:]


def contradicted(found: tuple[str, bytes], keys: Keys) -> bool:
    """The institution itself gave out another seal key."""
    given = keys.seals(found[0].rpartition("/")[2])
    return bool(given) and found not in given


def sealed_claims(jws: str, issuer: str, public: bytes) -> Mapping[str, Any] | None:
    """Claims of a compact EdDSA JWS of this issuer, every part in its one possible encoding."""
    found = claims_of(jws)
    if found is None or found.header.get("alg") != "EdDSA" or not holds(public, found.signature, found.signed):
        return None
    return found.claims if found.claims.get("iss") == issuer else None


def base64_exactly(text: str) -> bytes:
    """Raises ValueError, also for another encoding of the same bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw
