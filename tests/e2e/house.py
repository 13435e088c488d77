"""The product as its users meet it: `huizhen demo` in a process of its own, and pages in a real Chromium."""

import asyncio
import atexit
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Playwright, async_playwright, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "test-artifacts"
PATIENCE_MS = 20_000
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class House:
    """One running demo server and its data directory; it can be killed and started again on the same ports."""

    data: Path
    announce: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        if not self.data.exists():
            shutil.copytree(_founded(), self.data)
        self._serve()

    def _serve(self) -> None:
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        command = [sys.executable, "-m", "huizhen", "demo", "--data", str(self.data), "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--media-port", str(self.media_port), "--announce", self.announce]
        environment = {**os.environ, "COLUMNS": "200", **self.settings}
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment)
        log.close()
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log[-4000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                if answer.status == 200 and "\nready http" in self.log:  # the demo's consults are booked
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log[-4000:]}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")

    @property
    def demo(self) -> Any:
        return json.loads((self.data / "demo.json").read_text())

    def link(self, name: str) -> str:
        return f"{self.url}/p#{self.demo['links'][name]['secret']}"

    def kill(self) -> None:
        """As a power cut would, but for the disk's cache: SIGKILL to the server only."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Ctrl-C, as a person would; the exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`huizhen ARGUMENTS` on this data directory."""
        environment = {**os.environ, "COLUMNS": "200", "HUIZHEN_DATA_DIR": str(self.data), **self.settings}
        return subprocess.run(
            [sys.executable, "-m", "huizhen", *arguments],
            capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment, check=False,
        )  # fmt: skip


@functools.cache
def _founded() -> Path:
    """The data directory of a demo that was started once: founding institutions and a past takes longer than copying."""
    folder = Path(tempfile.mkdtemp(prefix="huizhen-founded-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    first = House(folder / "data")
    first._serve()
    assert first.stop() == 0, first.log[-4000:]
    return first.data


class People:
    """Opens pages: each person has a browser context of their own."""

    def __init__(self, browser: Browser, house: House) -> None:
        self.browser = browser
        self.house = house
        self.contexts: list[BrowserContext] = []
        self.errors: list[str] = []

    async def page(self, viewport: dict[str, int], *, locale: str = "zh", camera: bool = True) -> Page:
        context = await self.browser.new_context(
            viewport=viewport,  # type: ignore[arg-type]
            permissions=["camera", "microphone"] if camera else [],
            locale="zh-CN" if locale == "zh" else "en-GB",
        )
        self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("console", lambda line: self._heard(page, line.type, line.text))
        if locale == "en":
            await page.add_init_script("localStorage.setItem('hz.locale', 'en')")
        return page

    def _heard(self, page: Page, kind: str, text: str) -> None:
        """Content-security violations and Vue warnings are errors; refused requests are part of the product."""
        expected = "Failed to load resource" in text or "WebSocket connection" in text
        if kind == "error" and not expected:
            self.errors.append(f"{page.url}: {text}")

    async def staff(self, login: str, viewport: dict[str, int] | None = None, *, locale: str = "zh") -> Page:
        page = await self.page(viewport or DESK, locale=locale)
        await page.goto(f"{self.house.url}/console")
        await page.fill("input[name=login]", login)
        await page.fill("input[name=password]", self.house.demo["password"])
        await page.click("button[type=submit]")
        await expect(page.locator(".shell-rail")).to_be_attached()
        return page

    async def open_link(self, name: str, **options: Any) -> Page:
        page = await self.page(PHONE, **options)
        await page.goto(self.house.link(name))
        await press(page, "patient:open.go")
        return page

    async def show_all(self) -> None:
        """What everybody saw when a test failed, under test-artifacts/."""
        for number, context in enumerate(self.contexts):
            for page in context.pages:
                with contextlib.suppress(Exception):
                    await picture(page, f"failed-{number}")

    async def close(self) -> None:
        for context in self.contexts:
            await context.close()


def words(key: str) -> list[str]:
    """The text of a key such as "patient:open.go" in both languages, as the pages have it."""
    name, path = key.split(":")
    found = []
    for locale in ("zh", "en"):
        value: Any = json.loads((ROOT / "web" / "src" / "locales" / locale / f"{name}.json").read_text())
        for part in path.split("."):
            value = value[part]
        found.append(str(value))
    return found


def button(page: Page, *keys: str) -> Locator:
    """The button that says one of these, in either language."""
    said = "|".join(re.escape(text) for key in keys for text in words(key))
    return page.get_by_role("button", name=re.compile(f"^\\s*({said})\\s*$"))


async def press(page: Page, *keys: str) -> None:
    await button(page, *keys).first.click()


async def confirm_and_check(page: Page) -> None:
    """Identity, then devices."""
    await press(page, "patient:identity.yes", "patient:identity.yesGuest")
    with contextlib.suppress(PlaywrightTimeout):  # permission given before: the preview opens by itself
        await button(page, "patient:devices.open").click(timeout=1_500)
    await expect(page.locator(".preview video")).to_be_visible()
    await press(page, "patient:devices.next", "patient:devices.without")


async def sign(page: Page, name: str, *, record: bool = True, draw: bool = True) -> None:
    """Read, decide each question on its own page, sign by hand."""
    await press(page, "assist:read.next")
    await decide(page, record=record)
    await page.fill("#sign-name", name)
    if draw:
        await scribble(page)
    await press(page, "patient:sign.submit")


async def decide(page: Page, *, record: bool = True) -> None:
    """Every question in turn, until the signature is asked for."""
    name = page.locator("#sign-name")
    first = page.locator("[data-decide]").first
    await expect(first).to_be_visible()
    while await name.count() == 0:
        assert await page.locator("[data-decide][aria-pressed=true]").count() == 0, "a question was answered before"
        purpose = (await first.get_attribute("data-decide") or "").rpartition("-")[0]
        answer = "no" if purpose == "rec_av" and not record else "yes"
        await page.click(f"[data-decide={purpose}-{answer}]")
        await expect(page.locator(f"[data-decide={purpose}-yes]")).to_have_count(0)


async def scribble(page: Page) -> None:
    box = await page.locator("canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2)
    await page.mouse.down()
    for step in range(1, 12):
        await page.mouse.move(box["x"] + 30 + 18 * step, box["y"] + box["height"] * (0.3 + 0.4 * (step % 2)))
    await page.mouse.up()


# ---- what a receiver really gets ----------------------------------------------------------------------------------

MOVING = """async ([count, ms]) => {
  const videos = [...document.querySelectorAll('figure.tile video')].filter(v => v.srcObject && v.offsetParent !== null);
  const alive = await Promise.all(videos.map(v => new Promise(done => {
    let seen = 0; const stop = setTimeout(() => done(seen), ms);
    const tick = () => { seen += 1; if (seen >= 5) { clearTimeout(stop); done(seen); } else v.requestVideoFrameCallback(tick); };
    v.requestVideoFrameCallback(tick);
  })));
  return alive.filter(n => n >= 5).length >= count;
}"""

# Remote sound is measured where it is decoded: the receivers' own audio energy must grow.
TAP_PEERS = """(() => {
  const Native = window.RTCPeerConnection; window.__peers = [];
  window.RTCPeerConnection = class extends Native { constructor(...a) { super(...a); window.__peers.push(this); } };
})()"""

ENERGY = """async () => {
  let total = 0, sources = 0;
  for (const pc of window.__peers) {
    if (pc.connectionState === 'closed') continue;
    for (const row of (await pc.getStats()).values())
      if (row.type === 'inbound-rtp' && row.kind === 'audio' && row.totalAudioEnergy > 0) { total += row.totalAudioEnergy; sources += 1; }
  }
  return {total, sources};
}"""


async def sees(page: Page, count: int, seconds: float = 25) -> None:
    """At least `count` remote pictures move: five decoded frames each."""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(MOVING, [count, 3000]):
            await asyncio.sleep(0.2)  # tiles may still be arriving


async def hears(page: Page, count: int, seconds: float = 25) -> None:
    """At least `count` remote voices are decoded and not silent."""
    async with asyncio.timeout(seconds):
        while True:
            before = await page.evaluate(ENERGY)
            await asyncio.sleep(0.5)  # sound needs time to be heard
            after = await page.evaluate(ENERGY)
            if after["sources"] >= count and after["total"] > before["total"]:
                return


async def picture(page: Page, name: str) -> None:
    """A screenshot for people to look at, under test-artifacts/."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=False)


def chromium_path() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Debian's chromium is not installed")
    return path


async def launch(driver: Playwright) -> Browser:
    return await driver.chromium.launch(
        executable_path=chromium_path(), headless=True, chromium_sandbox=os.geteuid() != 0, args=FLAGS
    )


@contextlib.asynccontextmanager
async def visitors(house: House) -> AsyncIterator[People]:
    """People over one Chromium; fails when a page reported a script error or broke its content policy."""
    async with async_playwright() as driver:
        browser = await launch(driver)
        people = People(browser, house)
        try:
            yield people
            assert people.errors == [], "\n".join(people.errors)
        except BaseException:
            await people.show_all()
            raise
        finally:
            await people.close()
            await browser.close()
