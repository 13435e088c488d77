"""The bounded child seen from the server: start it, wait a little, believe one line, kill it otherwise."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from huizhen import logs
from huizhen.inspection import verdict
from huizhen.inspection.errors import InspectionUnavailable, UploadRefused

log = logs.get("inspection")

WALL_SECONDS = 40.0
AT_ONCE = 2  # children; each may take a core and its memory bound
_ROOT = str(Path(__file__).resolve().parents[2])  # where the packages lie, installed or not


def private_file() -> BinaryIO:
    """A file without a name: it vanishes with the process, whatever happens. In memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("upload", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile("w+b")


@dataclass(frozen=True, slots=True)
class Inspected:
    """The cleaned copy, still nameless; the owner closes it."""

    found: verdict.Clean
    file: BinaryIO


class Chamber:
    """Where files are opened: at most AT_ONCE at the same time, nobody waits for a hung one longer than `seconds`."""

    def __init__(self, seconds: float = WALL_SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._free = asyncio.Semaphore(at_once)

    async def inspect(self, source: BinaryIO, said: str | None) -> Inspected:
        """`said`: the kind its sender named, if any. Raises UploadRefused, InspectionUnavailable."""
        target = private_file()
        try:
            async with self._free:
                source.flush()
                source.seek(0)
                found = await self._run(source, target, said or "")
            clean = _believed(found, os.fstat(target.fileno()).st_size)
            target.seek(0)
        except BaseException:
            target.close()
            raise
        return Inspected(clean, target)

    async def _run(self, source: BinaryIO, target: BinaryIO, said: str) -> verdict.Clean | str:
        told = await run("huizhen.inspection.worker", (said,), source, target, seconds=self._seconds)
        return verdict.TOO_COMPLEX if told is None else verdict.parse(told)


async def run(
    module: str, arguments: Sequence[str], source: BinaryIO, target: BinaryIO, *, seconds: float
) -> bytes | None:
    """The line the child ended with; None when it died or took too long. Raises InspectionUnavailable."""
    # A bare environment, as for the recorder: the server's secrets stay with the server. One thread per child.
    environment = {"PYTHONPATH": _ROOT, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    output = target.fileno()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(output), *arguments,
            stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(output,), env=environment, start_new_session=True, cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise InspectionUnavailable(error.strerror or "spawn") from error
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            told = await process.stdout.read(verdict.MAX_LINE)
            code = await process.wait()
    except TimeoutError:
        log.warning("an inspection took too long")
        return None
    finally:
        await _end(process)
    if code == 0:
        return told
    log.warning("an inspecting child died", code=code)
    return None


def _believed(found: verdict.Clean | str, written: int) -> verdict.Clean:
    """Raises UploadRefused."""
    if isinstance(found, str):
        raise UploadRefused(found)
    if found.size != written or written == 0:
        raise UploadRefused(verdict.DAMAGED)
    return found


async def _end(process: asyncio.subprocess.Process) -> None:
    """The child and whatever it may have started: it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await asyncio.shield(process.wait())
