"""Adapters to outside authorities over HTTP: an RFC 3161 stamp server, and a CA's gateway for event certificates.

Both are off by default, get digests only (the CA also the typed name, which it certifies), and are believed only after
their answer verified against the root in the settings.
"""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from clinic.documents import canonical
from consent.attesting import Attested, AuthorityFailed, Claim

_SECONDS = 15.0
_LARGEST = 256 * 1024
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_LONGEST_CHAIN = 6


async def _post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The whole answer of a 200. Raises AuthorityFailed."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise AuthorityFailed(f"status {response.status}")
            answer = b""
            async for chunk in response.content.iter_chunked(65_536):
                answer += chunk
                if len(answer) > _LARGEST:
                    raise AuthorityFailed("answer too large")
            return answer
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise AuthorityFailed(type(error).__name__) from error


def _roots(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthorityFailed(f"{path.name}: no root certificate") from error


class HttpTimeStamper:
    """Implements consent.attesting.TimeStamper (RFC 3161 section 3.4)."""

    def __init__(self, url: str, root: Path) -> None:
        self._url = url
        self._root = root

    async def stamp(self, message: bytes) -> Attested:
        import rfc3161_client as tsp

        request = tsp.TimestampRequestBuilder().data(message).hash_algorithm(tsp.HashAlgorithm.SHA256).build()
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        answer = await _post(self._url, request.as_bytes(), headers)
        roots = await asyncio.to_thread(_roots, self._root)
        try:
            response = tsp.decode_timestamp_response(answer)
            verifier = tsp.VerifierBuilder(nonce=request.nonce, roots=roots).build()
            verifier.verify(response, hashlib.sha256(message).digest())
            certificates = [x509.load_der_x509_certificate(each) for each in response.signed_data.certificates]
        except (ValueError, tsp.VerificationError) as error:
            raise AuthorityFailed("the stamp does not verify") from error
        return Attested(base64.b64encode(answer).decode(), _stamper(certificates))


def _stamper(certificates: list[x509.Certificate]) -> str:
    for certificate in certificates:
        try:
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.TIME_STAMPING in usage:
            return certificate.subject.rfc4514_string()
    return ""


class HttpCertificateSigner:
    """Implements consent.attesting.CertificateSigner with the gateway of docs/consent-evidence.md."""

    def __init__(self, url: str, root: Path, token: str | None) -> None:
        self._url = url
        self._root = root
        self._token = token

    async def certify(self, claim: Claim) -> Attested:
        headers = {"Content-Type": "application/json", "Accept": "application/jose"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        answer = await _post(self._url, request_of(claim), headers)
        roots = await asyncio.to_thread(_roots, self._root)
        try:
            token = answer.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise AuthorityFailed("the answer is not a JWS") from error
        return Attested(token, certified(token, claim, roots).subject.rfc4514_string())


def request_of(claim: Claim) -> bytes:
    return canonical(
        {
            "digest": claim.digest,
            "at": claim.at,
            "sub": claim.record_id,
            "institution": claim.institution_id,
            "name": claim.name,
            "capacity": claim.capacity,
        }
    )


def certified(token: str, claim: Claim, roots: list[x509.Certificate]) -> x509.Certificate:
    """The event certificate, when the JWS is over this claim and its chain leads to a root. Raises AuthorityFailed."""
    try:
        given = jwt.get_unverified_header(token)["x5c"]
        chain = [x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in given]
        key: Any = chain[0].public_key()
        claims = jwt.decode(token, key, algorithms=_ALGORITHMS, options={"verify_iat": False, "verify_exp": False})
    except (jwt.PyJWTError, KeyError, IndexError, TypeError, ValueError) as e:
        raise AuthorityFailed("the certificate's signature does not verify") from e
    if (claims.get("digest"), claims.get("at"), claims.get("sub")) != (claim.digest, claim.at, claim.record_id):
        raise AuthorityFailed("the certificate's signature is over something else")
    made = claims.get("iat")
    if not isinstance(made, int) or made < claim.at:
        raise AuthorityFailed("the certificate's signature does not say when it was made")
    if len(chain) > _LONGEST_CHAIN or not _leads(chain, roots, datetime.fromtimestamp(made, UTC)):
        raise AuthorityFailed("the certificate does not lead to the root")
    return chain[0]


def _leads(chain: list[x509.Certificate], roots: list[x509.Certificate], at: datetime) -> bool:
    """Issued link by link up to a root by certificates that may issue, all valid when the signature was made."""
    root = next((each for each in roots if each == chain[-1] or each.subject == chain[-1].issuer), None)
    if root is None:
        return False
    path = chain if chain[-1] == root else [*chain, root]
    for certificate, issuer in pairwise(path):
        try:
            certificate.verify_directly_issued_by(issuer)
            may_issue = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except Exception:  # whatever a broken certificate raises, it leads nowhere
            return False
        if not may_issue:
            return False
    return all(each.not_valid_before_utc <= at <= each.not_valid_after_utc for each in path)
