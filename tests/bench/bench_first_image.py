"""How long until the first picture of a CT of 512 x 512 stands, in a real Chromium on a line of 10 Mbit/s and 40 ms.

    python -m pytest tests/bench/bench_first_image.py -s -o python_files='bench_*.py'

Cold: an empty cache; from the click on the series, with the viewer's program still to come; and from the address of the
consult's page. Warm: the program is loaded, another look at a series that was closed. The picture stands when the whole
frame was drawn (the page's mark hz:image:first). BENCH_SLICES = 500 by default.
"""

import os
import statistics
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import DESK, House, visitors
from tests.e2e.test_image_table import HERS, asked, say
from tests.e2e.visit import at_home
from tests.support import dicom

SLICES = int(os.environ.get("BENCH_SLICES", "500"))
LINE = {
    "offline": False,
    "latency": 40,
    "downloadThroughput": 10_000_000 / 8,
    "uploadThroughput": 10_000_000 / 8,
}
COLD_S, WARM_S = 4.0, 1.5
ROUNDS = 5

# Milliseconds from the click until the whole picture is drawn.
CLICKED = """() => new Promise(done => {
  const began = performance.now();
  const there = () => document.querySelector('.viewer[data-whole=true]');
  const look = () => there() ? done(performance.now() - began) : requestAnimationFrame(look);
  document.querySelector('[data-series=CT]').click();
  requestAnimationFrame(look);
})"""


async def bring(page: Page, consult: str, folder: Path) -> None:
    """The series into the case, 32 slices at a time, through the page's own file chooser."""
    for at in range(0, SLICES, 32):
        some = []
        for number in range(at, min(SLICES, at + 32)):
            some.append(folder / f"{number:04}.dcm")
        await page.set_input_files("input[name=images]", some)
        await expect(page.locator(".upload progress")).to_have_count(0, timeout=120_000)
        await expect(page.locator(".upload .good")).to_be_visible(timeout=120_000)


async def throttled(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", LINE)


@pytest.mark.browser
async def test_first_image(tmp_path: Path) -> None:
    for number, data in enumerate(dicom.ct_series(SLICES, 512, **HERS)):
        (tmp_path / f"{number:04}.dcm").write_bytes(data)
    with at_home(tmp_path / "home") as house:
        await measured(house, tmp_path)


async def measured(house: House, folder: Path) -> None:
    consult = house.demo["consults"]["panel"]
    address = f"{house.url}/console/consults/{consult}"
    async with visitors(house) as people:
        clinic, expert = await people.staff("clinic"), await people.staff("expert1")
        await asked(people, clinic, expert)
        await clinic.goto(address)
        await bring(clinic, consult, folder)
        await clinic.close()
        listed = (await say(expert, "GET", f"/api/consults/{consult}/images"))["studies"][0]["series"][0]
        print(f"\n{listed['frames']} slices; 10 Mbit/s, {LINE['latency']} ms")
        cold, page_cold, warm = [], [], []
        for _ in range(ROUNDS):
            page = await people.staff("expert1", DESK)
            await throttled(page)
            session = await page.context.new_cdp_session(page)
            await session.send("Network.clearBrowserCache")
            await page.goto(address, wait_until="commit")
            await page.locator("[data-series=CT]").wait_for()
            listed_at = float(await page.evaluate("performance.now()"))
            cold.append(float(await page.evaluate(CLICKED)) / 1000)
            page_cold.append(listed_at / 1000 + cold[-1])
            await page.click("[data-act=close-series]")
            await page.wait_for_load_state("networkidle")
            warm.append(float(await page.evaluate(CLICKED)) / 1000)
            await page.context.close()
            people.contexts.remove(page.context)
        for name, found in (("cold, from the click", cold), ("cold, from the address", page_cold), ("warm", warm)):
            print(f"{name:<26}median {statistics.median(found):6.2f} s   worst {max(found):6.2f} s   {found}")
    assert statistics.median(cold) <= COLD_S
    assert statistics.median(warm) <= WARM_S
