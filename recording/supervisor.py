"""The recorder child seen from the server: start it, feed it without ever blocking, hear it, notice its death."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from recording.errors import RecorderUnavailable
from recording.wire import Kind, MessageReader, WireDamaged, fields, message

MAX_BACKLOG = 8 * 1024 * 1024  # bytes waiting in the pipe's buffer; media above it is dropped, never queued
READY_SECONDS = 10.0
_ROOT = str(Path(__file__).resolve().parent.parent)  # where the packages lie, installed or not
_log = structlog.get_logger(__name__)


class ChildListener(Protocol):
    """Called on the event loop; must not block."""

    def on_message(self, child: "ChildProcess", kind: Kind, told: dict[str, Any]) -> None: ...

    def on_exit(self, child: "ChildProcess", code: int) -> None: ...


class ChildProcess:
    """One `recording.worker`. Its death closes stdin's other end; ours closes the child within milliseconds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._listener: ChildListener | None = None
        self._ready = asyncio.Event()
        self.exited = asyncio.Event()
        self._task = asyncio.create_task(self._listen(), name=f"recorder-child-{process.pid}")

    @classmethod
    async def spawn(cls) -> "ChildProcess":
        """Raises RecorderUnavailable."""
        # A bare environment: whatever secrets the server was started with stay with the server.
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": _ROOT, "LANG": "C.UTF-8"}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "recording.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise RecorderUnavailable(error.strerror or "spawn") from error
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        pipe = self._process.stdin
        return pipe is not None and not pipe.is_closing() and not self.exited.is_set()

    async def ready(self) -> None:
        """Raises RecorderUnavailable."""
        try:
            await asyncio.wait_for(self._ready.wait(), READY_SECONDS)
        except TimeoutError:
            raise RecorderUnavailable("no answer") from None
        if self.exited.is_set():
            raise RecorderUnavailable("died at start")

    def listen(self, listener: ChildListener) -> None:
        self._listener = listener

    def send(self, kind: Kind, body: Mapping[str, Any] | bytes = b"") -> bool:
        """False: not taken. Only media is ever refused for backlog; control messages are small and always queued."""
        pipe = self._process.stdin
        if pipe is None or not self.alive:
            return False
        if kind is Kind.MEDIA and pipe.transport.get_write_buffer_size() > MAX_BACKLOG:
            return False
        pipe.write(message(kind, body))
        return True

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, seconds: float) -> None:
        """Ask it to seal and end; kill it when it does not. All its messages were heard when this returns."""
        self.send(Kind.STOP)
        try:
            await asyncio.wait_for(self.exited.wait(), seconds)
        except TimeoutError:
            _log.warning("recorder_child_killed", pid=self.pid)
            self.kill()
            await self.exited.wait()
        await self._task

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        reader = MessageReader()
        try:
            while data := await self._process.stdout.read(1 << 16):
                for kind, body in reader.feed(data):
                    if kind is Kind.READY:
                        self._ready.set()
                    elif self._listener is not None:
                        self._listener.on_message(self, kind, fields(body))
        except WireDamaged:
            _log.error("recorder_child_babbles", pid=self.pid)
            self.kill()
        code = await self._process.wait()
        self.exited.set()
        self._ready.set()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._listener is not None:
            self._listener.on_exit(self, code)


class RecorderPool:
    """Keeps one child warm, so that a recording starts without waiting for an interpreter."""

    def __init__(self) -> None:
        self._spare: asyncio.Task[ChildProcess] | None = None
        self._live: set[ChildProcess] = set()
        self._closed = False

    async def start(self) -> None:
        self._warm()

    async def take(self) -> ChildProcess:
        """A child that answered. Raises RecorderUnavailable."""
        if self._closed:
            raise RecorderUnavailable("closing")
        self._warm()
        spare, self._spare = self._spare, None
        assert spare is not None
        child = await spare
        if child.exited.is_set():
            child = await self._spawn()
        await child.ready()
        self._warm()
        return child

    async def close(self) -> None:
        """Ends the spare and any child still alive; children in use are stopped by their owners before."""
        self._closed = True
        if self._spare is not None:
            with contextlib.suppress(RecorderUnavailable):
                await self._spare
            self._spare = None
        for child in list(self._live):
            await child.stop(2.0)

    def _warm(self) -> None:
        if self._spare is None and not self._closed:
            self._spare = asyncio.create_task(self._spawn(), name="recorder-spare")

    async def _spawn(self) -> ChildProcess:
        child = await ChildProcess.spawn()
        self._live = {one for one in self._live if not one.exited.is_set()} | {child}
        return child
