"""What the commands share: settings from flags, a console, progress, and how to fail."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from huizhen.settings import Settings, SettingsError, load
from huizhen.store.database import SqlDatabase
from huizhen.store.errors import StoreError

T = TypeVar("T")

# a pipe has no width: links and ids must come out whole
console = Console(width=None if Console().is_terminal else 140)
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory (database, keys, recordings). Default: ./data")
]


def settings_from(data: Path | None, **flags: Any) -> Settings:
    """Settings with these flags on top; every fault is printed and the command ends with status 2."""
    try:
        return load(data_dir=data, **flags)
    except SettingsError as error:
        for problem in error.problems:
            Console(stderr=True).print(f"[red]config[/] {problem}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None


def fail(message: str, status: int = 1) -> NoReturn:
    Console(stderr=True).print(message, style="red", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(status)


def step(name: str) -> None:
    console.print(f"· {name}", style="dim", highlight=False)


def progress() -> Progress:
    """A bar with time left; plain lines where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[SqlDatabase]:
    """The database for one command."""
    opened = await SqlDatabase.open(
        settings.database, settings.keys_path, deployment=settings.deployment, node=settings.node
    )
    try:
        yield opened
    finally:
        await opened.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; store errors become one line."""
    try:
        return asyncio.run(work)
    except StoreError as error:
        fail(f"{error.code}: {error.detail}")
