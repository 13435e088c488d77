"""`huizhen admin` and `huizhen consult`: the operator's own commands."""

from datetime import date, datetime
from typing import Annotated

import typer
from rich.table import Table

from huizhen.cli_support import DataOption, console, database, fail, run, settings_from
from huizhen.settings import Settings

admin_app = typer.Typer(no_args_is_help=True, help="Institutions and their first administrator.")
consult_app = typer.Typer(no_args_is_help=True, help="Look at consults without opening anybody's chart.")


@admin_app.command("create")
def create(  # noqa: PLR0917 a command has as many parameters as flags
    name: Annotated[str, typer.Option("--institution", prompt=True, help="Full name of the institution.")],
    short_name: Annotated[str, typer.Option("--short-name", prompt=True, help="Name shown in lists.")],
    licence: Annotated[str, typer.Option("--licence", prompt=True, help="Practising licence number.")],
    valid_to: Annotated[
        datetime, typer.Option("--valid-to", prompt=True, formats=["%Y-%m-%d"], help="Last day of the licence.")
    ],
    departments: Annotated[
        str, typer.Option("--departments", prompt=True, help="Licensed departments, comma-separated codes (03.04,05).")
    ],
    phone: Annotated[str, typer.Option("--phone", prompt=True, help="Number patients can call.")],
    login: Annotated[str, typer.Option("--login", prompt=True, help="Login of the first administrator.")],
    person: Annotated[str, typer.Option("--name", prompt=True, help="Name of the first administrator.")],
    password: Annotated[
        str,
        typer.Option(
            "--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when left out."
        ),
    ],
    data: DataOption = None,
) -> None:
    """Create an institution and its first administrator, who does the rest in the console.

    Also publishes the shipped consent wording for it. Each step is on the institution's audit trail.
    """
    from clinic.registration import NewInstitution

    settings = settings_from(data)
    codes = tuple(code.strip() for code in departments.split(",") if code.strip())
    new = NewInstitution(name, short_name, licence, valid_to.date(), codes, phone)
    run(_create(settings, new, login, person, password))


async def _create(settings: Settings, new: object, login: str, person: str, password: str) -> None:
    from clinic.errors import ClinicError
    from clinic.registration import NewInstitution
    from huizhen.auth.errors import AuthError
    from huizhen.founding import found

    assert isinstance(new, NewInstitution)
    async with database(settings) as db:
        try:
            house, admin = await found(db, settings, new, login=login, name=person, password=password)
        except (ClinicError, AuthError) as error:
            fail(f"{error.code}: {error.detail}")
    console.print(f"institution {house.id}\nadministrator {admin.id} signs in as {admin.login}", highlight=False)


@admin_app.command("open-epoch")
def open_epoch(
    institution: Annotated[str, typer.Argument(help="Id of the institution whose log diverged.")],
    data: DataOption = None,
) -> None:
    """After a restore from backup: begin the next epoch of an audit log that is shorter than what was signed.

    The old log stays as it is; leaf 0 of the new one holds the last note of the old one and the reason.
    """
    from huizhen.store.checkpoints import Checkpointer

    async def work() -> int:
        async with database(settings_from(data)) as db:
            head = await Checkpointer(db).open_epoch(institution, "restored_from_backup")
            return head.epoch

    console.print(f"epoch {run(work())} is open", highlight=False)


@consult_app.command("list")
def list_consults(
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Only consults that start on this day (UTC).")
    ] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only this status, e.g. in_progress.")] = None,
    data: DataOption = None,
) -> None:
    """Consults with their state; ids only, nobody's name."""

    async def work() -> None:
        table = Table("consult", "institution", "kind", "status", "starts (UTC)", "outcome")
        async with database(settings_from(data)) as db, db.read() as tx:
            for row in await tx.consults.find():
                if (status and row.status.value != status) or (on and row.starts_at.date() != _day(on)):
                    continue
                table.add_row(
                    row.id,
                    row.institution_id,
                    row.kind.value,
                    row.status.value,
                    f"{row.starts_at:%Y-%m-%d %H:%M}",
                    row.outcome_code or "",
                )
        console.print(table)

    run(work())


@consult_app.command("trail")
def trail(
    consult: Annotated[str, typer.Argument(help="Id of the consult.")],
    data: DataOption = None,
) -> None:
    """What the audit trail says of one consult: pseudonyms and codes, no personal data."""

    async def work() -> None:
        from typing import cast

        from audit import reader
        from audit.errors import MissingRow

        table = Table("seq", "time (UTC)", "event", "actor", "subject", "outcome")
        async with database(settings_from(data)) as db, db.read() as tx:
            try:
                row = await tx.consults.get(consult)
            except MissingRow:
                fail("no such consult")
            for event in await reader.events(cast(reader.TrailSource, tx), row.institution_id, consult):
                table.add_row(
                    str(event.seq),
                    f"{event.at:%Y-%m-%d %H:%M:%S}",
                    event.code,
                    event.actor_id,
                    event.subject_id or "",
                    event.outcome,
                )
        console.print(table)

    run(work())


def _day(moment: datetime) -> date:
    return moment.date()
