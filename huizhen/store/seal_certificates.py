"""A CA's certificate for the institution's seal key, where one was issued: `seal-<institution>.pem`, the chain.

A seal made while it is valid names it by its thumbprint (`x5t#S256`, RFC 7515 section 4.1.8); without one the header
has only `kid`. The key stays the same: seals made before verify as before.
"""

import base64
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from huizhen.store.errors import KeysUnreadable
from huizhen.store.keys import FileKeyRing, replace_file


def chain_path(keys: FileKeyRing, institution_id: str) -> Path:
    return keys.directory / f"seal-{institution_id}.pem"


def installed(keys: FileKeyRing, institution_id: str) -> x509.Certificate | None:
    """The seal key's own certificate. Raises KeysUnreadable: no PEM, or for another key."""
    path = chain_path(keys, institution_id)
    if not path.exists():
        return None
    return _own(keys.signing_key(institution_id, "seal"), path.read_bytes())


def thumbprint(certificate: x509.Certificate) -> str:
    """base64url of SHA-256 over the DER form, without padding."""
    return base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()


def request(keys: FileKeyRing, institution_id: str, name: str) -> bytes:
    """A certificate signing request (PEM) for the seal key, to be sent to a CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.encode()[:60].decode(errors="ignore"))])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.sign(keys.signing_key(institution_id, "seal"), None).public_bytes(serialization.Encoding.PEM)


def install(keys: FileKeyRing, institution_id: str, pem: bytes, now: datetime) -> x509.Certificate:
    """Own certificate first. Raises KeysUnreadable: no PEM, for another key, not valid today."""
    found = _own(keys.signing_key(institution_id, "seal"), pem)
    if not valid(found, now):
        raise KeysUnreadable("the certificate is not valid today")
    replace_file(chain_path(keys, institution_id), pem, mode=0o644)
    return found


def valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc


def _own(key: Ed25519PrivateKey, pem: bytes) -> x509.Certificate:
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise KeysUnreadable("the chain is not PEM") from error
    if chain[0].public_key() != key.public_key():
        raise KeysUnreadable("the certificate is for another key")
    return chain[0]
