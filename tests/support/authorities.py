"""Local authorities for tests: a CA that issues an event certificate per signature, and a TSA run by `openssl ts`.

Nothing leaves the machine. `gateway()` and `stamp_server()` serve them over HTTP on loopback.
"""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consent.attesting import Attested, AuthorityFailed, Claim
from huizhen.evidence.authorities import certified

_LONG = timedelta(days=3650)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(
    subject: str,
    key: ec.EllipticCurvePrivateKey | CertificatePublicKeyTypes,
    issuer: "LocalCA | None" = None,
    *,
    ca: bool = False,
    start: datetime | None = None,
    life: timedelta = _LONG,
    stamping: bool = False,
) -> x509.Certificate:
    """Self-signed with the private key, or by the issuer over a private or public one."""
    start = start or datetime(2020, 1, 1, tzinfo=UTC)
    signer = issuer.key if issuer is not None else key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(subject) if issuer is None else issuer.root.subject)
        .public_key(key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if stamping:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(signer, hashes.SHA256())


class LocalCA:
    """Implements consent.attesting.CertificateSigner: a fresh key and a certificate of one hour per signature."""

    def __init__(self, name: str = "Test CA", now: datetime | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = issue(name, self.key, ca=True, life=timedelta(days=20_000))
        self.now = now
        self.asked: list[Claim] = []
        self.down = False
        self.changes: dict[str, Any] = {}  # claims to falsify

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(serialization.Encoding.PEM)

    def sign(self, claim: Claim) -> str:
        at = self.now or datetime.fromtimestamp(claim.at + 60, UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        own = issue(claim.name, key, self, start=at - timedelta(minutes=1), life=timedelta(hours=1))
        chain = [base64.b64encode(each.public_bytes(serialization.Encoding.DER)).decode() for each in (own, self.root)]
        said = {"digest": claim.digest, "at": claim.at, "sub": claim.record_id, "iat": int(at.timestamp())}
        return jwt.encode(said | self.changes, key, "ES256", headers={"x5c": chain})

    async def certify(self, claim: Claim) -> Attested:
        self.asked.append(claim)
        if self.down:
            raise AuthorityFailed("down")
        token = self.sign(claim)
        return Attested(token, certified(token, claim, [self.root]).subject.rfc4514_string())

    async def answer(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        claim = Claim(body["sub"], body["institution"], body["digest"], body["at"], body["name"], body["capacity"])
        self.asked.append(claim)
        return web.Response(text=self.sign(claim), content_type="application/jose")


class LocalTSA:
    """An RFC 3161 authority made of files and the openssl command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        ca, key = LocalCA("Test TSA root"), ec.generate_private_key(ec.SECP256R1())
        clear = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        own = issue("Test TSA", key, ca, stamping=True)
        (folder / "key.pem").write_bytes(clear)
        (folder / "own.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
        (folder / "root.pem").write_bytes(ca.root_pem)
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            "[tsa]\ndefault_tsa = t\n[t]\n"
            f"serial = {folder}/serial\nsigner_cert = {folder}/own.pem\nsigner_key = {folder}/key.pem\n"
            "signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n"
            "accuracy = secs:1\nordering = no\ness_cert_id_alg = sha256\n"
        )
        self.root_pem = ca.root_pem

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        done = subprocess.run(
            ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "t", "-queryfile", "query.tsq"],
            cwd=self.folder, capture_output=True, check=True, timeout=20,
        )  # fmt: skip
        return done.stdout

    async def answer(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/timestamp-query"
        query = await request.read()
        return web.Response(body=await asyncio.to_thread(self.reply, query), content_type="application/timestamp-reply")


@asynccontextmanager
async def served(answer: Any) -> AsyncIterator[str]:
    """One POST handler on loopback; gives its URL."""
    app = web.Application()
    app.router.add_post("/", answer)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()
