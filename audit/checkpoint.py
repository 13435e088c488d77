"""Signed tree heads: C2SP tlog-checkpoint in a C2SP signed note, Ed25519 (type 0x01), no extension lines."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import AuditError

_ED25519 = b"\x01"
_DASH = "\u2014"
_MAX_NOTE = 65_536


class BadNote(AuditError):
    """A checkpoint, note or verifier key that does not parse or whose signature does not verify."""

    code = "audit.bad_note"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: `size` leaves hash to `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def check_name(name: str) -> str:
    """Key names and origins: non-empty, no space, no plus (C2SP signed-note)."""
    if not name or "+" in name or any(c.isspace() for c in name):
        raise BadNote(f"not a key name: {name!r}")
    return name


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """32 raw bytes."""
    return key.public_bytes_raw()


def key_id(name: str, public: bytes) -> bytes:
    """First four bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def vkey(name: str, public: bytes) -> str:
    """`name+hex(key id)+base64(type || public key)`."""
    return f"{check_name(name)}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def parse_vkey(text: str) -> tuple[str, bytes]:
    """(name, 32 public bytes). Raises BadNote."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise BadNote("verifier key has three parts")
    name, identity, encoded = parts
    raw = _decode(encoded)
    if len(raw) != 33 or raw[:1] != _ED25519 or identity != key_id(name, raw[1:]).hex():
        raise BadNote(f"verifier key of {name} is damaged or not Ed25519")
    return check_name(name), raw[1:]


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey, name: str | None = None) -> bytes:
    """The signed note. `name` defaults to the origin, as C2SP asks of logs."""
    signer = check_name(checkpoint.origin if name is None else name)
    body = checkpoint.body()
    signature = key_id(signer, public_bytes(key.public_key())) + key.sign(body)
    return body + f"\n{_DASH} {signer} {base64.b64encode(signature).decode()}\n".encode()


def parse(note: bytes) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    """(checkpoint, [(signer name, key id || signature)]), signatures NOT verified. Raises BadNote."""
    if len(note) > _MAX_NOTE or b"\n\n" not in note:
        raise BadNote("not a signed note")
    try:
        body, _, tail = note.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise BadNote("note is not UTF-8") from error
    lines = body.split("\n")
    if len(lines) != 3 or not lines[0] or str(_number(lines[1])) != lines[1]:
        raise BadNote("checkpoint is not origin, size, root")
    root = _decode(lines[2])
    if len(root) != 32:
        raise BadNote("root is not 32 bytes")
    if not tail.endswith("\n"):
        raise BadNote("note does not end in a newline")
    signatures = [_signature_line(line) for line in tail[:-1].split("\n")]
    return Checkpoint(lines[0], int(lines[1]), root), signatures


def verify(note: bytes, vkeys: Mapping[str, bytes]) -> Checkpoint:
    """The checkpoint, when a known key of its origin signed it. `vkeys` maps name to public bytes. Raises BadNote."""
    checkpoint, signatures = parse(note)
    public = vkeys.get(checkpoint.origin)
    if public is None:
        raise BadNote(f"no key known for {checkpoint.origin}")
    expected = key_id(checkpoint.origin, public)
    for name, signature in signatures:
        if name == checkpoint.origin and signature[:4] == expected:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], checkpoint.body())
            except InvalidSignature as error:
                raise BadNote(f"signature of {name} does not verify") from error
            return checkpoint
    raise BadNote(f"{checkpoint.origin} did not sign")


def _signature_line(line: str) -> tuple[str, bytes]:
    parts: Sequence[str] = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise BadNote("malformed signature line")
    raw = _decode(parts[2])
    if len(raw) < 5:
        raise BadNote("signature too short")
    return check_name(parts[1]), raw


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadNote("size is not a number")
    return int(text)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("not base64") from error
