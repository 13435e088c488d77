"""`huizhen verify`, `backup`, `restore`, `keys`: proof and safety of what is kept."""

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.progress import TaskID

from huizhen.cli_support import DataOption, console, database, fail, progress, run, settings_from
from huizhen.settings import Settings

if TYPE_CHECKING:
    from audit.verify import Report

keys_app = typer.Typer(no_args_is_help=True, help="The keys of recordings, seals and checkpoints.")

PassphraseOption = Annotated[
    str,
    typer.Option(
        "--passphrase",
        prompt=True,
        hide_input=True,
        envvar="HUIZHEN_PASSPHRASE",
        help="Asked for when left out. At least ten characters; without it the backup is worthless.",
    ),
]


def verify(
    copy: Annotated[
        Path | None,
        typer.Argument(help="A sealed copy of an expert consult (zip). Left out: this server's own data."),
    ] = None,
    data: DataOption = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="File of verifier keys kept elsewhere. Default: the data directory's own."),
    ] = None,
    note: Annotated[
        list[Path] | None, typer.Option("--note", help="Signed checkpoint kept elsewhere; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Prove the trail, the rows, the seals and the media files; say where anything differs.

    Shares no code with the writer, only reads, and may run beside the server. Exit status 0: everything agrees.
    1: something does not; each finding names table and id, log and leaf, or file. A sealed copy is proved offline with
    the institutions' verifier keys alone (--keys), without any server.
    """
    from huizhen import verification

    settings = settings_from(data)
    if copy is not None:
        _verify_copy(copy, keys or settings.keys_path / "public.vkeys", as_json)
    if not verification.database_file(settings).exists():
        fail(f"no database at {verification.database_file(settings)}")
    if as_json:
        report = verification.verify(settings, vkeys=keys, notes=note or ())
        _say_as_json(report)
    else:
        with progress() as bar:
            tasks: dict[str, TaskID] = {}

            def show(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(step, total=total)
                bar.update(tasks[step], completed=done, total=total)

            report = verification.verify(settings, vkeys=keys, notes=note or (), progress=show)
        _say(report)
    raise typer.Exit(0 if report.ok else 1)


def _verify_copy(copy: Path, keys: Path, as_json: bool) -> NoReturn:
    from audit.verify.copy import verify_copy

    try:
        package, known = copy.read_bytes(), [line for line in keys.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    report = verify_copy(package, known)
    if as_json:
        findings = [{"code": each.code, "where": each.where, "what": each.what} for each in report.findings]
        document = {"ok": report.ok, "findings": findings, "remarks": report.remarks, "facts": report.facts}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
        raise typer.Exit(0 if report.ok else 1)
    for finding in report.findings:
        console.print(f"[red]✗[/] {finding.where}: {finding.what} \\[{finding.code}]", highlight=False, soft_wrap=True)
    for name, value in report.facts.items():
        if value:
            console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)
    verdict = "[green]everything agrees[/]" if report.ok else f"[red]not proved: {len(report.findings)} findings[/]"
    console.print(f"{verdict}: {report.files} files, {report.seals} seals", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if report.ok else 1)


def _say_as_json(report: "Report") -> None:
    from huizhen import verification

    document = {
        "ok": report.ok,
        "findings": [{"code": each.code, "where": each.where, "what": each.what} for each in report.findings],
        "remarks": report.remarks,
        "counts": verification.counts(report),
    }
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1))


def _say(report: "Report") -> None:
    from huizhen import verification

    for finding in report.findings:
        line = f"[red]✗[/] {finding.where}: {finding.what} \\[{finding.code}]"
        console.print(line, highlight=False, soft_wrap=True)
    for remark in report.remarks:
        console.print(f"· {remark}", style="dim", highlight=False, markup=False, soft_wrap=True)
    known = ", ".join(f"{count} {what}" for what, count in verification.counts(report).items() if count)
    verdict = "[green]everything agrees[/]" if report.ok else f"[red]{len(report.findings)} findings[/]"
    console.print(f"{verdict}: {known}", highlight=False, soft_wrap=True)


def backup(
    target: Annotated[Path, typer.Argument(help="New .tar file.")],
    data: DataOption = None,
) -> None:
    """Database and recordings into one file, beside a running server. Keys are NOT in it: `huizhen keys backup`.

    Kept apart on purpose: whoever holds a backup of the keys could read what was lawfully destroyed since.
    """
    from huizhen import verification

    settings = settings_from(data)
    source = verification.database_file(settings)
    if not source.exists():
        fail(f"no database at {source}")
    if target.exists():
        fail(f"{target} exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_suffix(".db.part")
    try:
        copy.touch(mode=0o600)  # names and notes are in it, whatever the umask says
        _copy_database(source, copy)
        _pack(settings, copy, target)
    finally:
        copy.unlink(missing_ok=True)
    console.print(f"{target} ({target.stat().st_size:,} bytes)", highlight=False)


def _copy_database(source: Path, copy: Path) -> None:
    """A consistent copy of a database in use (SQLite's online backup)."""
    with progress() as bar:
        task = bar.add_task("database")

        def show(_status: int, remaining: int, total: int) -> None:
            bar.update(task, completed=total - remaining, total=total)

        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(copy)) as made,
        ):
            live.backup(made, pages=1024, progress=show)


def _pack(settings: Settings, copy: Path, target: Path) -> None:
    files = sorted(path for path in settings.blobs_path.rglob("*") if path.is_file())
    part = target.with_suffix(target.suffix + ".part")
    part.touch(mode=0o600)
    with progress() as bar, tarfile.open(part, "w") as archive:
        task = bar.add_task("recordings", total=len(files))
        archive.add(copy, "huizhen.db")
        for path in files:
            archive.add(path, f"blobs/{path.relative_to(settings.blobs_path)}")
            bar.advance(task)
    part.replace(target)


def restore(
    source: Annotated[Path, typer.Argument(help="File made by `huizhen backup`.")],
    data: DataOption = None,
) -> None:
    """Put a backup into an empty data directory. The keys directory is not touched.

    The audit log of a backup ends before the last signed checkpoint; the server refuses to continue it silently. Then
    `huizhen admin open-epoch` begins a new epoch that says why.
    """
    from huizhen import verification
    from huizhen.server import InUse, sole_use

    settings = settings_from(data)
    place = verification.database_file(settings)
    if place.exists():
        fail(f"{place} exists: restore into an empty data directory, or move the old one away")
    try:
        with sole_use(settings.data_dir):
            _unpack(source, settings, place)
    except InUse:
        fail("a server runs on this data directory")
    except (tarfile.TarError, OSError) as error:
        fail(f"{source}: {error}")
    console.print("restored. Next: huizhen migrate, huizhen verify", highlight=False)


def _unpack(source: Path, settings: Settings, place: Path) -> None:
    folder = settings.data_dir / "restore.part"
    shutil.rmtree(folder, ignore_errors=True)
    with progress() as bar, tarfile.open(source) as archive:
        members = [m for m in archive.getmembers() if m.name == "huizhen.db" or m.name.startswith("blobs/")]
        task = bar.add_task("files", total=len(members))
        for member in members:
            archive.extract(member, folder, filter="data")
            bar.advance(task)
    if not (folder / "huizhen.db").is_file():
        raise tarfile.TarError("not a backup of huizhen")
    (folder / "huizhen.db").replace(place)
    place.chmod(0o600)
    if (folder / "blobs").is_dir() and not settings.blobs_path.exists():
        (folder / "blobs").replace(settings.blobs_path)
    shutil.rmtree(folder, ignore_errors=True)


@keys_app.command("backup")
def keys_backup(
    target: Annotated[Path, typer.Argument(help="New file; keep it apart from the database's backup.")],
    passphrase: PassphraseOption,
    data: DataOption = None,
) -> None:
    """Every key and every record of destruction in one file, encrypted with a passphrase."""
    settings = settings_from(data)

    async def work() -> int:
        from audit.events import EventCode
        from huizhen.store import key_backup

        async with database(settings) as db:
            try:
                count = key_backup.backup(db.keys, target, passphrase)
            except ValueError as error:
                fail(str(error))
            await _note(db, EventCode.KEYS_BACKED_UP, count)
            return count

    console.print(f"{run(work())} keys in {target}", highlight=False)


@keys_app.command("restore")
def keys_restore(
    source: Annotated[Path, typer.Argument(help="File made by `huizhen keys backup`.")],
    passphrase: PassphraseOption,
    data: DataOption = None,
) -> None:
    """Bring keys back. What was destroyed since the backup stays destroyed."""
    settings = settings_from(data)

    async def work() -> int:
        from audit.events import EventCode
        from huizhen.store import key_backup

        async with database(settings) as db:
            count = key_backup.restore(db.keys, source, passphrase)
            await _note(db, EventCode.KEYS_RESTORED, count)
            return count

    console.print(f"{run(work())} keys came back ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC)", highlight=False)


async def _note(db: object, code: object, count: int) -> None:
    from audit.events import EventCode
    from audit.transaction import AuditEvent
    from huizhen.chores import institutions
    from huizhen.store.database import SqlDatabase

    assert isinstance(db, SqlDatabase)
    assert isinstance(code, EventCode)
    for institution_id in await institutions(db):
        async with db.begin() as tx:
            await tx.append(AuditEvent(code, institution_id, "system", public={"keys": count}))
