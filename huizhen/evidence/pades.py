"""PAdES baseline signature (ETSI EN 319 142-1, B-B) of the institution under a paper. Blocking: call it in a thread."""

import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import serialization

from huizhen.evidence.certificates import DocumentIdentity

FIELD = "Institution"


@dataclass(frozen=True, slots=True)
class Statement:
    """What the signature says of itself in a reader."""

    name: str  # the institution
    reason: str
    contact: str


def signed(pdf: bytes, identity: DocumentIdentity, statement: Statement, now: datetime) -> bytes:
    """The paper with an invisible signature field appended; its own bytes stay as they are, a newline after them."""
    from asn1crypto import keys, x509
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    certificates = [x509.Certificate.load(each.public_bytes(serialization.Encoding.DER)) for each in identity.chain]
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(certificates[1:])
    clear = identity.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = signers.SimpleSigner(
        signing_cert=certificates[0], signing_key=keys.PrivateKeyInfo.load(clear), cert_registry=store
    )
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        name=statement.name,
        reason=statement.reason,
        contact_info=statement.contact,
    )
    # PDF/A (ISO 19005-3, 6.1.9) wants the objects appended to begin on a line of their own
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf + b"\n"))

    class AtOurTime(signers.PdfSigner):
        """The server's clock says when, not the library's."""

        def init_signing_session(self, *given: Any, **named: Any) -> Any:
            session = super().init_signing_session(*given, **named)
            session.system_time = now
            return session

    output = AtOurTime(metadata, signer).sign_pdf(writer)
    return bytes(output.getvalue())
