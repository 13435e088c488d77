"""What outside authorities put under a consent: a certificate's JWS (RFC 7515 with x5c), an RFC 3161 time stamp."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from audit.verify.report import Report

_P256_HALF = 32


@dataclass(frozen=True, slots=True)
class Attested:
    """PEM roots of the authorities somebody trusts; None: their chains are not checked, and the report says so."""

    ca_roots: bytes | None = None
    tsa_roots: bytes | None = None


@dataclass(frozen=True, slots=True)
class Compact:
    """A compact JWS taken apart, nothing verified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signature: bytes
    signed: bytes


def claims_of(jws: str) -> Compact | None:
    """None when it is not one, or a part is written in another way than the only one (RFC 7515 section 2)."""
    parts = jws.split(".")
    if len(parts) != 3:
        return None
    try:
        raw = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        header, claims = json.loads(raw[0]), json.loads(raw[1])
    except (ValueError, binascii.Error):
        return None
    again = [base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in raw]
    if again != parts or not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Compact(header, claims, raw[2], f"{parts[0]}.{parts[1]}".encode())


def check_certificate(content: Mapping[str, Any], roots: Attested, report: Report) -> None:
    if content["certificate"] is None:
        return
    found = claims_of(content["certificate"])
    try:
        chain = [] if found is None else [_certificate(each) for each in found.header["x5c"]]
    except (KeyError, TypeError, ValueError):
        chain = []
    if found is None or not chain or not _signed_by(chain[0], found):
        report.find("receipt.certificate", "certificate", "the signature with the CA's certificate does not verify")
        return
    expected = (content["digest"], content["record"]["id"])
    said, made = (found.claims.get("digest"), found.claims.get("sub")), found.claims.get("iat")
    if said != expected or not isinstance(made, int):
        report.find("receipt.certificate", "certificate", "the CA's certificate signed something else")
        return
    if roots.ca_roots is None:
        report.remark(f"certificate of {chain[0].subject.rfc4514_string()}: no root was given, its issuer not checked")
        return
    at = datetime.fromtimestamp(made, UTC)
    if not _leads_to(chain, x509.load_pem_x509_certificates(roots.ca_roots), at):
        report.find("receipt.certificate", "certificate", "the certificate does not lead to the given root")


def _certificate(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


def _signed_by(certificate: x509.Certificate, found: Compact) -> bool:
    """RS256, PS256, ES256 or EdDSA, as the header says and the key allows."""
    key, algorithm, signature = certificate.public_key(), found.header.get("alg"), found.signature
    try:
        if algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, found.signed, padding.PKCS1v15(), hashes.SHA256())
        elif algorithm == "PS256" and isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
            key.verify(signature, found.signed, pss, hashes.SHA256())
        elif algorithm == "ES256" and isinstance(key, ec.EllipticCurvePublicKey) and len(signature) == 2 * _P256_HALF:
            r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_HALF], signature[_P256_HALF:]))
            key.verify(encode_dss_signature(r, s), found.signed, ec.ECDSA(hashes.SHA256()))
        elif algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, found.signed)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _leads_to(chain: list[x509.Certificate], roots: list[x509.Certificate], at: datetime) -> bool:
    """Each issued by the next, the last by a root, all valid at that time, issuers allowed to issue."""
    for certificate, issuer in pairwise(chain):
        if not _issued(certificate, issuer):
            return False
    if any(not each.not_valid_before_utc <= at <= each.not_valid_after_utc for each in chain):
        return False
    return chain[-1] in roots or any(
        _issued(chain[-1], root) and root.not_valid_before_utc <= at <= root.not_valid_after_utc for root in roots
    )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def check_timestamp(content: Mapping[str, Any], roots: Attested, report: Report) -> None:
    """The stamp is over the seal's text."""
    if content["timestamp"] is None:
        return
    import rfc3161_client

    try:
        response = rfc3161_client.decode_timestamp_response(base64.b64decode(content["timestamp"], validate=True))
        stamped, at = response.tst_info.message_imprint.message, response.tst_info.gen_time
    except ValueError:
        report.find("receipt.timestamp", "timestamp", "not an RFC 3161 response")
        return
    if stamped != sha256(content["seal"].encode()).digest():
        report.find("receipt.timestamp", "timestamp", "the stamp is over something else")
        return
    if roots.tsa_roots is None:
        report.remark(f"time stamp of {at:%Y-%m-%d %H:%M:%S} UTC: no root was given, its authority not checked")
        return
    verifier = rfc3161_client.VerifierBuilder(roots=x509.load_pem_x509_certificates(roots.tsa_roots)).build()
    try:
        verifier.verify(response, stamped)
    except rfc3161_client.VerificationError as error:
        report.find("receipt.timestamp", "timestamp", f"the stamp does not verify: {error}")
