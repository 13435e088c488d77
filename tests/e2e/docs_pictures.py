"""Takes the pictures of docs/images anew: `python -m tests.e2e.docs_pictures`. Real pages; only the faces are drawn."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, Playwright, async_playwright, expect

from tests.e2e.house import FLAGS, ROOT, House, People, button, chromium_path
from tests.e2e.test_first_consult import recording_of
from tests.e2e.visit import at_home, guest

IMAGES = ROOT / "docs" / "images"
FRAMES, RATE = 48, 16

# Somebody before a wall, swaying a little and blinking. Colours: wall, floor of light, skin, hair, clothes.
PERSON = """<!doctype html><style>body{margin:0}svg{display:block}</style>
<svg viewBox="0 0 640 480" width="640" height="480">
<rect width="640" height="480" fill="%(wall)s"/><rect x="56" y="40" width="150" height="190" rx="6" fill="%(light)s"/>
<path d="M131 40v190M56 135h150" stroke="%(wall)s" stroke-width="8"/><rect y="410" width="640" height="70" fill="%(floor)s"/>
<g id="who"><path d="M130 480c6-120 90-150 190-150s184 30 190 150Z" fill="%(clothes)s"/>%(extra)s
<path d="M272 290h96v52c-20 34-76 34-96 0Z" fill="%(neck)s"/>
<path d="%(back)s" fill="%(hair)s"/><ellipse cx="320" cy="205" rx="88" ry="108" fill="%(skin)s"/>
<path d="%(front)s" fill="%(hair)s"/>
<g id="eyes" fill="#2b2320"><ellipse cx="286" cy="208" rx="8" ry="9"/><ellipse cx="354" cy="208" rx="8" ry="9"/></g>
<path d="M268 184q18-12 36 0M336 184q18-12 36 0" stroke="%(brow)s" stroke-width="6" fill="none" stroke-linecap="round"/>
<path d="M320 214v26q-4 8-12 6" stroke="%(neck)s" stroke-width="5" fill="none" stroke-linecap="round"/>
<path id="mouth" stroke="#9c4a42" stroke-width="7" fill="none" stroke-linecap="round"/>%(glasses)s</g></svg>
<script>window.pose = t => { const sway = Math.sin(t * 2 * Math.PI);
 who.setAttribute('transform', `translate(${sway * 7} ${Math.abs(sway) * 3})`);
 eyes.setAttribute('transform', t > .46 && t < .53 ? 'translate(0 187) scale(1 .1)' : '');
 const open = 8 + 7 * Math.max(0, Math.sin(t * 10 * Math.PI)); mouth.setAttribute('d', `M288 266q32 ${open + 12} 64 0`); }; pose(0);</script>"""
SHORT = "M228 210c-16-120 60-140 92-140s108 20 92 140c-8-52-36-70-92-70s-84 18-92 70Z"
LONG = "M214 300c-30-210 50-236 106-236s136 26 106 236q-12 40-40 44H254q-28-4-40-44Z"
GLASSES = (
    '<g fill="none" stroke="#3a4447" stroke-width="5"><circle cx="286" cy="208" r="26"/><circle cx="354" cy="208" r="26"/>'
    '<path d="M312 204q8-6 16 0"/></g>'
)
COAT = (
    '<path d="M268 334l52 74 52-74 24 10-44 136h-64L244 344Z" fill="#0f6f68"/><path d="M268 334l52 80-26 66M372 334l-52 80 26 66" '
    'stroke="#c9d3d6" stroke-width="6" fill="none"/><path d="M262 340q-10 90 40 100M378 340q10 90-30 104" stroke="#33403f" '
    'stroke-width="8" fill="none" stroke-linecap="round"/><circle cx="346" cy="446" r="13" fill="#8b928e"/>'
)
CAST = {
    "doctor": {"wall": "#d5e6e4", "light": "#f4fbfa", "floor": "#b7d0cd", "skin": "#f0c9a8", "neck": "#dfb28f", "hair": "#2b2320",
               "brow": "#2b2320", "clothes": "#ffffff", "extra": COAT, "back": LONG, "front": SHORT, "glasses": ""},
    "patient": {"wall": "#e9dcc6", "light": "#fdf6e3", "floor": "#c9b391", "skin": "#e6b991", "neck": "#cf9f78", "hair": "#b9bcbc",
                "brow": "#8b8f8f", "clothes": "#54708c", "extra": "", "back": "M0 0", "front": SHORT, "glasses": GLASSES},
    "family": {"wall": "#dcd9ea", "light": "#f7f5ff", "floor": "#bcb6d3", "skin": "#f2cbb0", "neck": "#deb092", "hair": "#4a342b",
               "brow": "#4a342b", "clothes": "#b56a5c", "extra": "", "back": LONG, "front": SHORT, "glasses": ""},
}  # fmt: skip


async def draw(driver: Playwright, who: str, folder: Path) -> Path:
    """A clip of this person that Chromium takes for a camera."""
    browser = await driver.chromium.launch(executable_path=chromium_path(), args=FLAGS)
    page = await browser.new_page(viewport={"width": 640, "height": 480})
    await page.set_content(PERSON % CAST[who])
    for frame in range(FRAMES):
        await page.evaluate("t => pose(t)", frame / FRAMES)
        await page.screenshot(path=str(folder / f"{who}-{frame:03}.jpeg"), type="jpeg", quality=92)
    await browser.close()
    clip = folder / f"{who}.mjpeg"
    frames = ["-framerate", str(RATE), "-i", str(folder / f"{who}-%03d.jpeg")]
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *frames, "-c:v", "mjpeg", "-q:v", "3", str(clip)], check=True)
    return clip


@asynccontextmanager
async def stage(house: House, folder: Path) -> AsyncIterator[dict[str, People]]:
    """One browser a person, each with a camera of its own."""
    async with async_playwright() as driver, AsyncExitStack() as stack:
        cast = {}
        for who in CAST:
            camera = f"--use-file-for-fake-video-capture={await draw(driver, who, folder)}"
            browser: Browser = await driver.chromium.launch(executable_path=chromium_path(), args=[*FLAGS, camera])
            stack.push_async_callback(browser.close)
            cast[who] = People(browser, house)
        yield cast


async def save(page: Page, name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    target = IMAGES / f"{name}.png"
    await page.screenshot(path=str(target))
    print(f"{target.relative_to(ROOT)} {target.stat().st_size // 1024} kB")


async def take(house: House, folder: Path) -> None:
    """room.png, patient.png and archive.png from one consult."""
    async with stage(house, folder) as cast:
        patient = await guest(cast["patient"], "visit.patient")
        family = await guest(cast["family"], "visit.family")
        doctor = await cast["doctor"].staff("doctor")
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        await doctor.click("[data-act=join]")
        for left in (1, 0):
            await doctor.locator("[data-act=admit]").first.click()
            await expect(doctor.locator("[data-act=admit]")).to_have_count(left)
        await expect(doctor.locator("figure.tile video:not(.still)")).to_have_count(2)
        await doctor.click("[data-act=record]")
        await expect(family.locator(".banner.active")).to_be_visible()
        await doctor.locator(".pick", has_text="张晓明").or_(doctor.locator(".big", has_text="张晓明")).first.click()
        await asyncio.sleep(
            12
        )  # the pictures sharpen while the bandwidth is being found, and there is something to play
        await save(doctor, "room")
        await save(patient, "patient")
        await doctor.click("[data-act=end]")
        await doctor.locator("dialog[open] .danger").click()
        await expect(doctor.locator("textarea[name=complaint]")).to_be_visible()
        await play(cast["doctor"], recording_of(house, "visit"))


async def play(people: People, recording: str) -> None:
    archivist = await people.staff("archivist")
    await archivist.goto(f"{people.house.url}/console/archive/{recording}")
    await archivist.fill("textarea[name=reason]", "患者投诉，需要核对医嘱内容")
    await button(archivist, "archive:askGo").click()
    approver = await people.staff("approver1")
    await approver.goto(f"{people.house.url}/console/access")
    await button(approver, "archive:decide.grant").first.click()
    await expect(button(approver, "archive:decide.grant")).to_have_count(0)
    await archivist.reload()
    await button(archivist, "archive:view").click()
    await button(archivist, "archive:player.play").click()
    await asyncio.sleep(6)  # into the recording, past the first key frames
    await save(archivist, "archive")


def main() -> None:
    with tempfile.TemporaryDirectory() as name, at_home(Path(name)) as house:
        asyncio.run(take(house, Path(name)))


if __name__ == "__main__":
    main()
