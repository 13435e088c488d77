"""Firefox ESR for browser tests, driven over WebDriver BiDi (no geckodriver, no Node)."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "remote.active-protocols": 1,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class ScriptFailed(Exception):
    """The page's script threw, or the browser refused a command."""


class FirefoxPage:
    """One tab: navigate, and evaluate a function with JSON arguments."""

    def __init__(self, session: "Firefox", context: str) -> None:
        self._session = session
        self._context = context

    async def goto(self, url: str) -> None:
        await self._session.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, function: str, argument: object = None) -> Any:
        """Call `function` (JavaScript source, async or not) with one JSON argument; returns its JSON value."""
        script = f"(async () => JSON.stringify(await ({function})({json.dumps(argument)})) ?? 'null')()"
        reply = await self._session.command(
            "script.evaluate",
            expression=script,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if reply["type"] == "exception":
            raise ScriptFailed(reply["exceptionDetails"]["text"])
        return json.loads(reply["result"]["value"])


class Firefox:
    """A BiDi session on a running Firefox."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket_
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            reply = json.loads(message.data)
            future = self._waiting.pop(reply.get("id") or -1, None)
            if future is None or future.done():
                continue
            if reply["type"] == "success":
                future.set_result(reply["result"])
            else:
                future.set_exception(ScriptFailed(f"{reply.get('error')}: {reply.get('message')}"))

    async def command(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(future, 60)

    async def new_page(self) -> FirefoxPage:
        """A window of its own: a tab in the background would neither decode nor present video."""
        reply = await self.command("browsingContext.create", type="window")
        return FirefoxPage(self, reply["context"])

    async def close(self) -> None:
        with contextlib.suppress(ScriptFailed, TimeoutError, ConnectionError, aiohttp.ClientError):
            await asyncio.wait_for(self.command("browser.close"), 5)
        self._reader.cancel()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _connect(session: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
    for _ in range(150):
        try:
            return await session.ws_connect(f"http://127.0.0.1:{port}/session", max_msg_size=0)
        except aiohttp.ClientError:
            await asyncio.sleep(0.2)  # a browser's start has no event to wait for
    raise ScriptFailed("Firefox did not open its BiDi port")


def executable() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


@contextlib.asynccontextmanager
async def firefox(extra: dict[str, bool | int | str] | None = None) -> AsyncIterator[Firefox]:
    """A headless Firefox with fake devices and a throw-away profile, gone when the block ends."""
    binary = executable()
    if binary is None:
        raise ScriptFailed("no Firefox here")
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        preferences = PREFERENCES | (extra or {})
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        Path(folder, "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            binary,
            *("--headless", "--no-remote", "--remote-debugging-port", str(port), "--profile", folder),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"HOME": folder, "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
            start_new_session=True,
        )
        try:
            async with aiohttp.ClientSession() as session:
                browser = Firefox(await _connect(session, port))
                await browser.command("session.new", capabilities={})
                try:
                    yield browser
                finally:
                    await browser.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
