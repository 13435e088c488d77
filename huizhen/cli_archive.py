"""`huizhen retention` and `huizhen export`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from huizhen.cli_support import DataOption, console, database, fail, progress, run, settings_from
from huizhen.settings import Settings

retention_app = typer.Typer(no_args_is_help=True, help="What the archive keeps, for how long, and why.")


@retention_app.command("due")
def due(
    at: Annotated[
        datetime | None, typer.Option("--at", formats=["%Y-%m-%d"], help="The day to look at; today when left out.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="zh or en")] = "zh",
    data: DataOption = None,
) -> None:
    """List the records whose keeping ends on or before a day, the reason, its source, and what stops erasure.

    Nothing is erased here: the archivist proposes, two approvers confirm.
    """
    settings = settings_from(data)
    run(_due(settings, at.replace(hour=12, tzinfo=UTC) if at else None, language))


async def _due(settings: Settings, at: datetime | None, language: str) -> None:
    from archive import retention

    table = Table("due on", "record", "class", "consult", "why", "source", "stopped by", title="Retention")
    async with database(settings) as db, db.read() as tx:
        for house in await tx.institutions.find():
            for each in await retention.due_list(tx, house.id, at):
                citations = "; ".join(str(getattr(c, language, None) or c) for c in each.citations)
                table.add_row(
                    each.due_on.isoformat(),
                    each.record.id,
                    each.record.record_class,
                    each.record.consult_id,
                    each.explain(language),
                    citations,
                    ", ".join(each.blocked_by) or "-",
                )
    if table.row_count:
        console.print(table)
    else:
        console.print("nothing is due", highlight=False)


def export(
    recording: Annotated[str, typer.Argument(help="Id of a sealed recording.")],
    directory: Annotated[Path, typer.Argument(help="New directory for the files.")],
    data: DataOption = None,
) -> None:
    """Write a sealed recording as plain WebM/MP4 files with a manifest of SHA-256 sums.

    The export is on record before the first byte is written, and the trail is signed first.
    """
    settings = settings_from(data)
    if directory.exists() and any(directory.iterdir()):
        fail(f"{directory} is not empty")
    run(_export(settings, recording, directory))


async def _export(settings: Settings, recording_id: str, directory: Path) -> None:
    from audit.errors import MissingRow
    from huizhen.exporting import export_recording
    from recording.errors import RecordingError

    try:
        async with database(settings) as db:
            with progress() as bar:
                task = bar.add_task("files", total=None)
                written = await export_recording(
                    db,
                    settings,
                    recording_id,
                    directory,
                    lambda done, total: bar.update(task, completed=done, total=total),
                )
    except MissingRow:
        fail("no such recording")
    except RecordingError as error:
        fail(f"{error.code}: {error.detail}")
    console.print(f"{written} files in {directory}", highlight=False)
