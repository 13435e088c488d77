"""The institution's server seal (compact EdDSA JWS) and its public keys as C2SP vkeys and JWKS."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.checkpoint import vkey
from audit.log import origin
from huizhen.store.errors import KeysUnreadable
from huizhen.store.keys import FileKeyRing, replace_file
from huizhen.store.seal_certificates import installed, thumbprint, valid

_ALGORITHM = "EdDSA"


class KeySealer:
    """Implements consent.transaction.Sealer with the key ring's "seal" keys."""

    def __init__(self, keys: FileKeyRing, deployment: str) -> None:
        self._keys = keys
        self._deployment = deployment
        self._certificates: dict[str, x509.Certificate | None] = {}

    def issuer(self, institution_id: str) -> str:
        """`<deployment>/seal/<institution>`: `iss` of each seal and name of its vkey."""
        return seal_name(self._deployment, institution_id)

    def seal(self, institution_id: str, digest: str, at: int) -> str:
        """Compact JWS over {digest, at, iss}. `digest` = sha256 hex, `at` = unix seconds."""
        key = self._keys.signing_key(institution_id, "seal")
        claims = {"digest": digest, "at": at, "iss": self.issuer(institution_id)}
        headers = {"kid": key_name(key.public_key().public_bytes_raw())}
        certificate = self._certificate(institution_id)
        if certificate is not None and valid(certificate, datetime.fromtimestamp(at, UTC)):
            headers["x5t#S256"] = thumbprint(certificate)  # RFC 7515 section 4.1.8
        return jwt.encode(claims, key, _ALGORITHM, headers=headers)

    def _certificate(self, institution_id: str) -> x509.Certificate | None:
        """Read once. An unreadable one is as good as none: it only adds to a seal that stands without it."""
        if institution_id not in self._certificates:
            try:
                self._certificates[institution_id] = installed(self._keys, institution_id)
            except KeysUnreadable:
                self._certificates[institution_id] = None
        return self._certificates[institution_id]

    def holds(self, institution_id: str, digest: str, jws: str) -> bool:
        """Whether the seal is ours and over this digest."""
        public = self._keys.signing_key(institution_id, "seal").public_key()
        return seal_holds(public, self.issuer(institution_id), digest, jws)


def seal_holds(public: Ed25519PublicKey, issuer: str, digest: str, jws: str) -> bool:
    try:
        claims = jwt.decode(
            jws, public, algorithms=[_ALGORITHM], issuer=issuer, options={"require": ["iss"], "verify_iat": False}
        )
    except (jwt.InvalidTokenError, ValueError):
        return False
    return bool(claims.get("digest") == digest)


def seal_name(deployment: str, institution_id: str) -> str:
    return f"{deployment}/seal/{institution_id}"


def key_name(public: bytes) -> str:
    """`kid`: first 16 hex digits of SHA-256 over the raw public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def verifier_keys(keys: FileKeyRing, deployment: str, epochs: dict[str, int]) -> list[str]:
    """vkeys of every institution: its seal, and its checkpoint key under the origin of each epoch (1..epochs[id])."""
    found: list[str] = []
    for key in keys.signing_keys():
        if key.purpose == "seal":
            found.append(vkey(seal_name(deployment, key.institution_id), key.public))
        else:
            for epoch in range(1, epochs.get(key.institution_id, 1) + 1):
                found.append(vkey(origin(deployment, key.institution_id, epoch), key.public))
    return found


def export_verifier_keys(keys: FileKeyRing, deployment: str, epochs: dict[str, int]) -> None:
    """Rewrite `<keys_dir>/public.vkeys`: give a copy to whoever shall verify without trusting this machine."""
    text = "".join(f"{line}\n" for line in verifier_keys(keys, deployment, epochs))
    replace_file(keys.directory / "public.vkeys", text.encode(), mode=0o644)


def jwks(keys: FileKeyRing, institution_id: str) -> dict[str, Any]:
    """RFC 7517 key set of the institution's seal (OKP, Ed25519)."""
    found = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": _ALGORITHM,
            "use": "sig",
            "kid": key_name(key.public),
            "x": base64.urlsafe_b64encode(key.public).rstrip(b"=").decode(),
        }
        for key in keys.signing_keys()
        if key.institution_id == institution_id and key.purpose == "seal"
    ]
    return {"keys": found}
