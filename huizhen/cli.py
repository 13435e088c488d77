"""The `huizhen` command."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

import huizhen
from huizhen import cli_admin, cli_archive, cli_data, cli_doctor, cli_evidence, cli_rules
from huizhen.cli_support import DataOption, console, fail, settings_from, step
from huizhen.settings import Settings, reference

app = typer.Typer(
    name="huizhen",
    help="Telemedicine consultations: video, consent, recording, archive, and an audit trail nobody can rewrite.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(no_args_is_help=True, help="What is configured, and what could be.")

app.add_typer(config_app, name="config")
app.add_typer(cli_archive.retention_app, name="retention")
app.add_typer(cli_admin.admin_app, name="admin")
app.add_typer(cli_admin.consult_app, name="consult")
app.add_typer(cli_data.keys_app, name="keys")
app.add_typer(cli_rules.rules_app, name="rules")
app.command()(cli_data.verify)
app.command("verify-receipt")(cli_evidence.verify_receipt)
cli_data.keys_app.command("certificate")(cli_evidence.keys_certificate)
app.command()(cli_data.backup)
app.command()(cli_data.restore)
app.command()(cli_archive.export)
app.command()(cli_doctor.doctor)

HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on; 0.0.0.0 for every interface.")]
PortOption = Annotated[int | None, typer.Option("--port", help="TCP port of the web server; 0 picks a free one.")]
LanOption = Annotated[
    bool,
    typer.Option("--lan", help="https with a self-made certificate on the local network, so that a phone can join."),
]
UrlOption = Annotated[
    str | None, typer.Option("--public-url", help="What patients type, e.g. https://consult.example.cn")
]
MediaPortOption = Annotated[int | None, typer.Option("--media-port", help="UDP and TCP port of sound and picture.")]
AnnounceOption = Annotated[
    str | None, typer.Option("--announce", help="Media addresses told to browsers, comma-separated (ip or ip:port).")
]


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"huizhen {huizhen.__version__}")
        raise typer.Exit


@app.command()
def serve(  # noqa: PLR0917 a command has as many parameters as flags
    data: DataOption = None,
    host: HostOption = None,
    port: PortOption = None,
    lan: LanOption = False,
    public_url: UrlOption = None,
    media_port: MediaPortOption = None,
    announce: AnnounceOption = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    The database must be at this version's schema (`huizhen migrate`). Stopping tells every open page, seals what is
    being recorded and closes the audit trail under a signed checkpoint, within a few seconds.
    """
    settings = settings_from(
        data,
        host=host,
        port=port,
        lan=lan or None,
        public_url=public_url,
        media_port=media_port,
        media_announce=announce,
    )
    _run(settings, demo=False)


@app.command()
def demo(  # noqa: PLR0917
    data: DataOption = None,
    host: HostOption = None,
    port: PortOption = None,
    lan: LanOption = False,
    media_port: MediaPortOption = None,
    announce: AnnounceOption = None,
) -> None:
    """Everything at once: database, demo institutions and people, server, links and QR code.

    Started again on the same directory it keeps what happened and moves the demo consults to now. The demo's passwords
    and links are in `demo.json` of the data directory.
    """
    settings = settings_from(
        data, host=host, port=port, lan=lan or None, media_port=media_port, media_announce=announce
    )
    _run(settings, demo=True)


def _run(settings: Settings, *, demo: bool) -> None:
    from huizhen import logs
    from huizhen.demo import Demo, found_demo
    from huizhen.images.pacs_book import PacsBookInvalid
    from huizhen.server import InUse, sole_use
    from huizhen.server import serve as serve_until_stopped
    from huizhen.store import migrate
    from huizhen.wiring import Parts

    logs.configure(settings)

    async def ready(parts: Parts) -> None:
        if demo:
            await Demo(parts).present()
        console.print(f"[bold green]ready[/] {parts.address.url}", soft_wrap=True, highlight=False)

    async def run() -> None:
        if demo:
            step("database")
            await migrate.upgrade(settings.database)
            await found_demo(settings)
        await serve_until_stopped(settings, ready)

    try:
        with sole_use(settings.data_dir):
            asyncio.run(run())
    except InUse:
        fail("Another huizhen works on this data directory. Stop it, or choose another with --data.")
    except OSError as error:
        fail(f"Cannot listen on port {settings.port}: {error.strerror or error}. Is it taken? Try --port.")
    except PacsBookInvalid as error:
        fail(str(error))
    except Exception as error:
        explain(error)
    console.print("stopped", highlight=False)


def explain(error: Exception) -> None:
    """A coded error as a sentence; anything else as it is (a programming error deserves its traceback)."""
    remedies = {
        "store.schema_outdated": "The database is not at this version's schema. Run: huizhen migrate",
        "store.keys_unreadable": "The key files do not open. Restore them: huizhen keys restore",
        "audit.diverged": "The audit trail does not continue what was signed before. Run: huizhen verify. "
        "After a restore from backup: huizhen admin open-epoch",
        "rules.invalid": "A rule file contradicts the rules or another one. Mend or remove it: see rules_dir.",
        "media.port_taken": "The media port is taken. Choose another with --media-port.",
    }
    from huizhen.problems import CODED

    if not isinstance(error, CODED):
        raise error
    code = error.code
    fail(f"{remedies.get(code, 'The server cannot start.')} [{code}] {getattr(error, 'detail', '')}")


@app.command("migrate")
def migrate_command(data: DataOption = None) -> None:
    """Create the database, or bring it to this version's schema. Safe to repeat; back up first."""
    from huizhen.store import migrate

    settings = settings_from(data)
    revision = asyncio.run(migrate.upgrade(settings.database))
    console.print(f"database at revision {revision}", highlight=False)


@app.command()
def openapi(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output when left out.")
    ] = None,
) -> None:
    """The REST interface as an OpenAPI 3.1 document."""
    from huizhen.openapi import document

    text = json.dumps(document(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@config_app.command("check")
def config_check(data: DataOption = None) -> None:
    """Read file, environment and flags; say what is in force, or every fault found."""
    settings = settings_from(data)
    for name, value in settings.model_dump().items():
        shown = "(set)" if name.endswith("_token") and value is not None else value
        console.print(f"{name} = {shown}", highlight=False, soft_wrap=True, markup=False)


@config_app.command("docs")
def config_docs() -> None:
    """The reference of all settings as Markdown (docs/settings.md)."""
    typer.echo(reference(), nl=False)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
