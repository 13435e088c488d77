"""`huizhen verify-receipt` and `huizhen keys certificate`: consents in the hands of people outside."""

import json
from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli_support import DataOption, console, database, fail, run, settings_from

ReceiptArgument = Annotated[Path, typer.Argument(help="Receipt file as the patient got it.")]
KeyOption = Annotated[
    list[str],
    typer.Option("--key", help="Verifier key of the institution's log, or a file of such keys; repeatable."),
]


def verify_receipt(
    receipt: ReceiptArgument,
    key: KeyOption,
    ca_root: Annotated[Path | None, typer.Option("--ca-root", help="PEM roots for the CA's certificate.")] = None,
    tsa_root: Annotated[Path | None, typer.Option("--tsa-root", help="PEM roots for the time stamp.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Prove a consent receipt offline: needs the file and the institution's public key, no server and no database.

    Shares no code with the writer. Exit status 0: everything holds. 1: something does not, and what.
    """
    from audit.verify.receipt import verify_receipt as verify

    try:
        data = receipt.read_bytes()
        keys = [line for each in key for line in _lines(each)]
        roots = {
            "ca_roots": None if ca_root is None else ca_root.read_bytes(),
            "tsa_roots": None if tsa_root is None else tsa_root.read_bytes(),
        }
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    report = verify(data, keys, **roots)
    if as_json:
        findings = [{"code": each.code, "where": each.where, "what": each.what} for each in report.findings]
        document = {"ok": report.ok, "findings": findings, "remarks": report.remarks, "facts": report.facts}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
        raise typer.Exit(0 if report.ok else 1)
    for finding in report.findings:
        console.print(f"[red]✗[/] {finding.where}: {finding.what} \\[{finding.code}]", highlight=False, soft_wrap=True)
    for remark in report.remarks:
        console.print(f"· {remark}", style="dim", highlight=False, markup=False, soft_wrap=True)
    for name, value in report.facts.items():
        if value:
            console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)
    console.print("[green]OK[/]" if report.ok else "[red]not proved[/]", highlight=False)
    raise typer.Exit(0 if report.ok else 1)


def _lines(given: str) -> list[str]:
    """A verifier key has two plus signs; anything else is the name of a file."""
    if given.count("+") >= 2 and not Path(given).exists():
        return [given]
    return [line for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()]


def keys_certificate(
    institution: Annotated[str, typer.Argument(help="Institution id.")],
    request: Annotated[
        Path | None, typer.Option("--request", help="Write a signing request for a CA to this file.")
    ] = None,
    install: Annotated[
        Path | None, typer.Option("--install", help="PEM chain from the CA, own certificate first.")
    ] = None,
    seal: Annotated[
        bool, typer.Option("--seal", help="Of the server seal (JWS) instead of the papers; there is none until a CA's.")
    ] = False,
    data: DataOption = None,
) -> None:
    """The certificate under consent papers: show it (made at first use), request one from a CA, install the CA's.

    A running server takes an installed certificate at its next start.
    """
    (_seal_certificate if seal else _paper_certificate)(institution, request, install, data)


def _paper_certificate(institution: str, request: Path | None, install: Path | None, data: Path | None) -> None:
    from audit.errors import MissingRow
    from huizhen.evidence.certificates import CertificateUnusable, DocumentIdentity, DocumentKeys
    from huizhen.store.database import utc_now

    settings = settings_from(data)

    async def name() -> str:
        async with database(settings) as db, db.read() as tx:
            return (await tx.institutions.get(institution)).name

    try:
        house = run(name())
    except MissingRow:
        fail(f"no institution {institution}")
    keys, now = DocumentKeys(settings.keys_path), utc_now()
    try:
        if request is not None:
            request.write_bytes(keys.request(institution, house, now))
            console.print(f"request in {request}", highlight=False)
        identity: DocumentIdentity
        if install is not None:
            identity = keys.install(institution, install.read_bytes(), now)
        else:
            identity = keys.identity(institution, house, now)
    except CertificateUnusable as error:
        fail(f"{error.code}: {error.detail}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    made = "self-made" if identity.self_made else identity.certificate.issuer.rfc4514_string()
    ends = identity.certificate.not_valid_after_utc
    console.print(f"{keys.chain_path(institution)}: {made}, until {ends:%Y-%m-%d}", highlight=False, soft_wrap=True)


def _seal_certificate(institution: str, wanted: Path | None, given: Path | None, data: Path | None) -> None:
    from audit.errors import MissingRow
    from huizhen.store import seal_certificates
    from huizhen.store.database import utc_now
    from huizhen.store.errors import KeysUnreadable

    async def work(pem: bytes | None) -> str | bytes:
        async with database(settings_from(data)) as db:
            async with db.read() as tx:
                house = await tx.institutions.get(institution)
            if wanted is not None:
                return seal_certificates.request(db.keys, institution, house.name)
            if pem is not None:
                found = seal_certificates.install(db.keys, institution, pem, utc_now())
            else:
                known = seal_certificates.installed(db.keys, institution)
                if known is None:
                    return "the seal key has no certificate"
                found = known
            thumbprint = seal_certificates.thumbprint(found)
            return f"{found.issuer.rfc4514_string()}, until {found.not_valid_after_utc:%Y-%m-%d}, x5t#S256 {thumbprint}"

    try:
        said = run(work(given.read_bytes() if given is not None else None))
        if wanted is not None and isinstance(said, bytes):
            wanted.write_bytes(said)
            said = f"request in {wanted}"
        console.print(said, highlight=False, soft_wrap=True)
    except MissingRow:
        fail(f"no institution {institution}")
    except KeysUnreadable as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
