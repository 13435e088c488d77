"""Running the application: listen, say where, wait for a signal, stop in order within a few seconds."""

import asyncio
import contextlib
import fcntl
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

from huizhen import tls
from huizhen.app import create_app
from huizhen.settings import Settings
from huizhen.wiring import Parts, build

_SHUTDOWN_SECONDS = 3.0


class InUse(Exception):
    """Another server works on this data directory."""

    code = "server.in_use"


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """One server (or restore) per data directory; the kernel drops the lock when the process dies. Raises InUse."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse from None
        yield


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Parts]:
    """The server, listening; closed in order when the block ends. Raises what `wiring.build` raises, and OSError."""
    encryption = await asyncio.to_thread(tls.context, settings)
    parts = await build(settings)
    runner = web.AppRunner(
        create_app(parts), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, keepalive_timeout=30.0
    )
    try:
        await runner.setup()
        host = "0.0.0.0" if settings.lan and settings.host == "127.0.0.1" else settings.host  # noqa: S104
        site = web.TCPSite(runner, host, settings.port, ssl_context=encryption, backlog=256)
        await site.start()
        parts.address.url = settings.public_url or address(settings, _port(runner), encryption)
        yield parts
    finally:
        await runner.cleanup()
        await parts.close()  # idempotent: the set-up may have failed before the application owned it


def address(settings: Settings, port: int, encryption: ssl.SSLContext | None) -> str:
    """scheme://host[:port] for people: the network address in LAN mode, localhost otherwise."""
    scheme, usual = ("https", 443) if encryption else ("http", 80)
    if settings.lan:
        host = tls.lan_address()
    elif settings.host in ("127.0.0.1", "0.0.0.0", "::1", "::"):  # noqa: S104
        host = "localhost"
    else:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def _port(runner: web.AppRunner) -> int:
    first = runner.addresses[0]
    return int(first[1])


async def serve(settings: Settings, ready: Callable[[Parts], Awaitable[None]]) -> None:
    """Until SIGINT or SIGTERM. `ready` is awaited once the server listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(settings) as parts:
            waiting = asyncio.create_task(stop.wait())
            preparing = asyncio.ensure_future(ready(parts))
            await asyncio.wait({waiting, preparing}, return_when=asyncio.FIRST_COMPLETED)
            if not preparing.done():
                preparing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await preparing
            else:
                preparing.result()
            await waiting
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
