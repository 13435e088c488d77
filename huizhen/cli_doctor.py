"""`huizhen doctor`: what would keep this machine from serving, each with its remedy."""

import asyncio
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.table import Table

from huizhen.cli_support import DataOption, console, settings_from
from huizhen.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is empty when it works."""

    name: str
    found: str
    remedy: str = ""
    fatal: bool = True


def doctor(data: DataOption = None) -> None:
    """Check ports, disk, database, keys, certificate, client and libraries; name the remedy of each fault.

    Exit status 0 when nothing stops the server. Run it as the user the server runs as, while the server is stopped
    (a running one holds its ports).
    """
    settings = settings_from(data)
    table = Table("check", "found", "remedy", title="huizhen doctor")
    worst = 0
    for check in run_checks(settings):
        mark = "[green]ok[/]" if not check.remedy else "[red]fault[/]" if check.fatal else "[yellow]note[/]"
        table.add_row(f"{mark} {check.name}", check.found, check.remedy)
        worst = max(worst, 1 if check.remedy and check.fatal else 0)
    console.print(table)
    raise typer.Exit(worst)


CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...]


def run_checks(settings: Settings) -> Iterator[Check]:
    """Every check, in order. None of them changes anything but the data directory's existence."""
    for check in CHECKS:
        yield from check(settings)


def _python(settings: Settings) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", version, "" if sys.version_info >= (3, 11) else "Install Python 3.11 or newer.")
    found = sqlite3.sqlite_version
    yield Check("sqlite", found, "" if sqlite3.sqlite_version_info >= (3, 37) else "SQLite 3.37 or newer is needed.")


def _folder(settings: Settings) -> Iterator[Check]:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".doctor"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Check("data directory", str(folder), f"Not writable ({error.strerror}): change owner or choose --data.")
        return
    yield Check("data directory", str(folder))
    free = shutil.disk_usage(folder).free // (1024 * 1024)
    short = free <= settings.free_space_floor_mb
    yield Check(
        "free disk", f"{free:,} MB", f"Below {settings.free_space_floor_mb} MB: nothing is recorded." if short else ""
    )
    for path in sorted((settings.keys_path).glob("*.k*")):
        loose = path.stat().st_mode & 0o077
        if loose and path.suffix != ".vkeys":
            yield Check("key file", path.name, f"Others can read it: chmod 600 {path}")


def _database(settings: Settings) -> Iterator[Check]:
    from huizhen.store.database import SqlDatabase
    from huizhen.store.errors import StoreError

    async def opens() -> None:
        opened = await SqlDatabase.open(settings.database, settings.keys_path, deployment=settings.deployment)
        try:
            from huizhen.store.checkpoints import Checkpointer

            await Checkpointer(opened).check()
        finally:
            await opened.close()

    from audit.errors import AuditError

    try:
        asyncio.run(opens())
    except StoreError as error:
        remedy = (
            "huizhen migrate" if error.code == "store.schema_outdated" else "huizhen keys restore, or check the disk"
        )
        yield Check("database", error.code, remedy)
    except AuditError as error:
        yield Check("audit trail", error.code, "huizhen verify; after a restore: huizhen admin open-epoch")
    else:
        yield Check("database and audit trail", "open, continues the last signature")


def _ports(settings: Settings) -> Iterator[Check]:
    yield _port("web port", socket.SOCK_STREAM, settings.host, settings.port)
    if settings.media_port:
        yield _port("media port, UDP", socket.SOCK_DGRAM, settings.media_host, settings.media_port)
        if settings.media_tcp:
            yield _port("media port, TCP", socket.SOCK_STREAM, settings.media_host, settings.media_port)
    else:
        remedy = "Choose media_port and open it for UDP and TCP in the firewall before going public."
        yield Check("media port", "any free one", remedy, fatal=False)


def _port(name: str, kind: socket.SocketKind, host: str, port: int) -> Check:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Check(name, f"{host}:{port}", f"{error.strerror}. Stop what uses it, or choose another port.")
    return Check(name, f"{host}:{port} is free")


def _tls(settings: Settings) -> Iterator[Check]:
    import ssl

    from cryptography import x509

    if settings.tls_certificate is None:
        local = settings.public_url is None and settings.host in ("127.0.0.1", "::1")
        remedy = (
            "" if local or settings.secure else "Browsers give no camera without https: set tls_certificate or a proxy."
        )
        yield Check("https", "by the proxy" if settings.secure else "off", remedy, fatal=False)
        return
    try:
        from huizhen import tls

        tls.context(settings)
        ends = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes()).not_valid_after_utc
    except (ssl.SSLError, OSError, ValueError) as error:
        yield Check("certificate", str(settings.tls_certificate), f"Cannot be used: {error}")
        return
    days = (ends - datetime.now(UTC)).days
    yield Check("certificate", f"{days} days left", "Renew it." if days < 14 else "", fatal=days < 1)


def _client(settings: Settings) -> Iterator[Check]:
    from huizhen.pages import static_folder

    folder = static_folder(settings)
    missing = [name for name in ("patient.html", "console.html") if not (folder / name).is_file()]
    yield Check("web client", str(folder), f"{', '.join(missing)} missing: make run builds it." if missing else "")


def _clock(settings: Settings) -> Iterator[Check]:
    newest = max((path.stat().st_mtime for path in _notes(settings)), default=0.0)
    behind = newest - datetime.now(UTC).timestamp()
    remedy = "The clock went back behind the last signed checkpoint: set it right (NTP)." if behind > 2 else ""
    yield Check("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", remedy)


def _notes(settings: Settings) -> list[Path]:
    return list((settings.keys_path / "notes").glob("*.note"))


def _libraries(settings: Settings) -> Iterator[Check]:
    import importlib

    for name, remedy in (
        ("pylibsrtp", "pip install pylibsrtp"),
        ("av", "pip install av"),
        ("aiortc", "pip install aiortc"),
    ):
        try:
            importlib.import_module(name)
        except ImportError as error:
            yield Check(name, type(error).__name__, remedy)
        else:
            yield Check(name, "loads")


CHECKS = (_python, _folder, _libraries, _database, _ports, _tls, _client, _clock)
