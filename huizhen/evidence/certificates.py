"""The institution's document certificate: made by ourselves until a CA's is installed, kept beside the other keys.

`document-<institution>.key` (PKCS#8 PEM, 0600) and `document-<institution>.pem` (the chain, own certificate first).
RSA, because every PDF reader verifies it. A lost key costs little: papers signed with it verify, a new one is made.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from consent.errors import ConsentError
from huizhen.store.keys import replace_file

_BITS = 3072
_LIFE = timedelta(days=5 * 365)
_RENEW = timedelta(days=30)


class CertificateUnusable(ConsentError):
    """The document key or certificate does not open, has ended, or the two do not belong together."""

    code = "paper.certificate_unusable"


@dataclass(frozen=True, slots=True)
class DocumentIdentity:
    key: rsa.RSAPrivateKey
    chain: tuple[x509.Certificate, ...]  # own certificate first

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def self_made(self) -> bool:
        return self.certificate.issuer == self.certificate.subject


class DocumentKeys:
    """Loads, makes and replaces document identities. Safe for threads of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, DocumentIdentity] = {}

    def key_path(self, institution_id: str) -> Path:
        return self._folder / f"document-{institution_id}.key"

    def chain_path(self, institution_id: str) -> Path:
        return self._folder / f"document-{institution_id}.pem"

    def identity(self, institution_id: str, name: str, now: datetime) -> DocumentIdentity:
        """Made at first use, and again when a self-made one ends soon. Raises CertificateUnusable."""
        with self._lock:
            found = self._known.get(institution_id)
            if found is None:
                found = self._load(institution_id)
            if found is None or (found.self_made and found.certificate.not_valid_after_utc - now < _RENEW):
                found = self._make(institution_id, name, now, None if found is None else found.key)
            if not found.certificate.not_valid_before_utc <= now < found.certificate.not_valid_after_utc:
                raise CertificateUnusable("not valid today")
            self._known[institution_id] = found
            return found

    def request(self, institution_id: str, name: str, now: datetime) -> bytes:
        """A certificate signing request (PEM) for the institution's key, to be sent to a CA."""
        key = self.identity(institution_id, name, now).key
        made = x509.CertificateSigningRequestBuilder().subject_name(_subject(name)).sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    def install(self, institution_id: str, pem: bytes, now: datetime) -> DocumentIdentity:
        """Put a CA's chain in place of the self-made certificate. Raises CertificateUnusable."""
        with self._lock:
            key = self._key(institution_id)
            if key is None:
                raise CertificateUnusable("no document key yet: make a request first")
            identity = _identity(key, pem)
            if not identity.certificate.not_valid_before_utc <= now < identity.certificate.not_valid_after_utc:
                raise CertificateUnusable("not valid today")
            replace_file(self.chain_path(institution_id), pem, mode=0o644)
            self._known[institution_id] = identity
            return identity

    def _load(self, institution_id: str) -> DocumentIdentity | None:
        key, chain = self._key(institution_id), self.chain_path(institution_id)
        return None if key is None or not chain.exists() else _identity(key, chain.read_bytes())

    def _key(self, institution_id: str) -> rsa.RSAPrivateKey | None:
        path = self.key_path(institution_id)
        if not path.exists():
            return None
        if path.stat().st_mode & 0o077:
            raise CertificateUnusable(f"{path.name} is readable by others: chmod 600")
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise CertificateUnusable(path.name) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CertificateUnusable("the document key is RSA")
        return key

    def _make(self, institution_id: str, name: str, now: datetime, key: rsa.RSAPrivateKey | None) -> DocumentIdentity:
        if key is None:
            key = self._key(institution_id) or rsa.generate_private_key(65537, _BITS)
            clear = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            replace_file(self.key_path(institution_id), clear)
        pem = self_made(key, name, now).public_bytes(serialization.Encoding.PEM)
        replace_file(self.chain_path(institution_id), pem, mode=0o644)
        return _identity(key, pem)


def self_made(key: rsa.RSAPrivateKey, name: str, now: datetime) -> x509.Certificate:
    subject = _subject(name)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC).replace(microsecond=0) - timedelta(minutes=5))
        .not_valid_after(now.astimezone(UTC).replace(microsecond=0) + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _subject(name: str) -> x509.Name:
    """X.520 allows 64 characters; libraries count bytes."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _within(name, 64)),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{_within(name, 52)} (documents)"),
        ]
    )


def _within(text: str, most: int) -> str:
    """As much of the text as fits into `most` bytes of UTF-8."""
    return text.encode()[:most].decode(errors="ignore")


def _identity(key: rsa.RSAPrivateKey, pem: bytes) -> DocumentIdentity:
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise CertificateUnusable("the chain is not PEM") from error
    if chain[0].public_key() != key.public_key():
        raise CertificateUnusable("the certificate is for another key")
    return DocumentIdentity(key, chain)
