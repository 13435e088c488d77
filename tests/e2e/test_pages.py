"""Every page, looked at: axe (WCAG 2.2 AA), nothing wider than the screen, no word missing, headings in order, keyboard.

A screenshot of each state goes to test-artifacts/pages/ for people to look at.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.house import ARTIFACTS, DESK, PHONE, House, People, button, visitors
from tests.e2e.test_first_consult import recording_of

pytestmark = pytest.mark.browser

TABLET = {"width": 820, "height": 1180}
SIZES = {"390": PHONE, "820": TABLET, "1440": DESK}
RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}

# Text that people can see and that is not code by intent, and the headings they move by.
READ = """() => {
  const seen = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const box = walk.currentNode.parentElement;
    if (!box || box.closest('code, pre, script, style, noscript, textarea')) continue;
    if (box.checkVisibility({visibilityProperty: true})) seen.push(walk.currentNode.data);
  }
  const headings = [...document.querySelectorAll('h1,h2,h3,h4')].filter(h => h.checkVisibility()).map(h => Number(h.tagName[1]));
  return {text: seen.join('\\n'), headings, wide: document.documentElement.scrollWidth - window.innerWidth, title: document.title};
}"""
KEY = re.compile(r"(?<![\w@/.:-])(?:[a-z]+:)?[a-z]+(?:\.[a-zA-Z_]+)+(?![\w./@-])")

# Words that do not fit where they stand: clipped by their own box, or running out of a button.
CUT = """() => [...document.querySelectorAll('button, a.hz-btn, h1, h2, p, label, legend, dt, dd, figcaption, .hz-tag')]
  .filter(e => e.checkVisibility() && !e.closest('.hz-hidden, .hz-skip') && getComputedStyle(e).overflow !== 'auto')
  .filter(e => e.scrollWidth > e.clientWidth + 2 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline')
  .map(e => e.tagName + ' ' + e.innerText.slice(0, 40))"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One demo for all pages of this file."""
    from tests.e2e.house import chromium_path

    chromium_path()
    house = House(tmp_path_factory.mktemp("pages") / "data")
    house.start()
    yield house
    house.stop()


problems: list[str] = []  # of the test that runs now: a page with a fault does not hide the next one's


@asynccontextmanager
async def opened(house: House) -> AsyncIterator[People]:
    """Pages to look at; every fault `look` found is told at the end."""
    problems.clear()
    async with visitors(house) as people:
        yield people
    assert problems == [], "\n".join(problems)


async def look(page: Page, name: str, sizes: str = "390 820 1440", *, axe: bool = True) -> None:
    """Check this state of the page at each size (widths named in SIZES) and keep its pictures."""
    folder = ARTIFACTS / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    for width in sizes.split():
        await page.set_viewport_size(SIZES[width])  # type: ignore[arg-type]
        await page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        got = await page.evaluate(READ)
        where = f"{name} at {width}"
        if got["wide"] > 0:
            problems.append(f"{where}: {got['wide']} px wider than the screen")
        if missing := KEY.findall(got["text"]):
            problems.append(f"{where}: words missing for {missing}")
        if got["headings"][:1] != [1] or got["headings"].count(1) != 1:
            problems.append(f"{where}: headings begin {got['headings'][:4]}")
        if any(after > before + 1 for before, after in zip(got["headings"], got["headings"][1:], strict=False)):
            problems.append(f"{where}: a heading level is skipped: {got['headings']}")
        if cut := await page.evaluate(CUT):
            problems.append(f"{where}: cut words {cut}")
        await page.screenshot(path=str(folder / f"{name}-{width}.png"))
        if axe:
            found = await Axe().run(page, options=RULES)
            problems.extend(
                f"{where}: {one['id']} {node['html'][:160]} {node['failureSummary'][:200]}"
                for one in found.response["violations"]
                for node in one["nodes"]
            )


async def both_languages(page: Page, name: str, sizes: str = "390 820 1440") -> None:
    """As `look`, in Chinese and then in English; the page stays where it is."""
    await look(page, f"{name}-zh", sizes)
    await page.get_by_role("button", name="English").first.click()
    await look(page, f"{name}-en", sizes, axe=False)
    await page.get_by_role("button", name="中文").first.click()


async def tabs_to(page: Page, selector: str, most: int = 60) -> None:
    """The Tab key alone reaches this element."""
    await page.evaluate("() => { document.activeElement?.blur(); }")
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            return
    raise AssertionError(f"{most} presses of Tab did not reach {selector}")


async def to(page: Page, path: str) -> None:
    await page.goto(f"{page.url.split('/console')[0]}/console/{path}")
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator(".skeleton")).to_have_count(0)


async def test_console_of_clinicians(house: House) -> None:
    async with opened(house) as people:
        page = await people.page(DESK)
        await page.goto(f"{house.url}/console")
        await expect(page.locator("input[name=login]")).to_be_visible()
        await both_languages(page, "login")
        await tabs_to(page, "button[type=submit]", 8)

        doctor = await people.staff("doctor")
        await both_languages(doctor, "today")
        await tabs_to(doctor, ".visit .hz-btn", 30)
        for path, name in (("consults", "consults"), ("consults/new", "book"), ("archive", "archive-doctor")):
            await to(doctor, path)
            await both_languages(doctor, name)
        await to(doctor, f"consults/{house.demo['consults']['visit']}")
        await both_languages(doctor, "consult-door")
        await tabs_to(doctor, "[data-act=join]")
        for tab in ("papers", "timeline"):
            await doctor.click(f"[data-tab={tab}]")
            await both_languages(doctor, f"consult-{tab}", "390 1440")
        await to(doctor, f"consults/{house.demo['consults']['past']}")
        await both_languages(doctor, "consult-closed", "390 1440")

        clinic = await people.staff("clinic")
        await to(clinic, f"consults/{house.demo['consults']['panel']}")
        await clinic.click("[data-tab=case]")
        await both_languages(clinic, "consult-case", "390 1440")
        expert = await people.staff("expert1")
        await both_languages(expert, "today-expert", "390 1440")


async def test_console_of_records_and_administration(house: House) -> None:
    async with opened(house) as people:
        archivist = await people.staff("archivist")
        recording = recording_of(house, "past")
        await both_languages(archivist, "archive")
        for path, name in (
            ("retention", "retention"), ("disposals", "disposals-none"), ("access", "access-none"), ("audit", "audit"),
            (f"archive/{recording}", "recording"),
        ):  # fmt: skip
            await to(archivist, path)
            await both_languages(archivist, name)
        await archivist.fill("textarea[name=reason]", "患者投诉，需要核对医嘱内容")
        await button(archivist, "archive:askGo").click()
        await expect(archivist.locator(".hz-notice.warn")).to_be_visible()
        await look(archivist, "recording-asked", "390 1440")

        approver = await people.staff("approver1")
        await to(approver, "access")
        await both_languages(approver, "access", "390 1440")
        await button(approver, "archive:decide.grant").first.click()
        await archivist.reload()
        await button(archivist, "archive:view").click()
        await button(archivist, "archive:player.play").click()
        await expect(archivist.locator("[role=timer]")).not_to_have_text(re.compile("^0:00 "))
        await both_languages(archivist, "recording-playing")

        await to(archivist, "retention")
        await archivist.locator("tbody input[type=checkbox]:enabled").first.check()
        await archivist.fill("input[name=reason]", "保存期已满")
        await button(archivist, "archive:due.go").click()
        await expect(archivist.locator("li.hz-card .hz-tag.warn").first).to_be_visible()
        for login in ("approver1", "approver2"):
            page = approver if login == "approver1" else await people.staff(login)
            await to(page, "disposals")
            await button(page, "archive:dispose.approve").click()
            await page.fill("input[name=step-up]", house.demo["password"])
            if login == "approver1":
                await look(page, "disposal-asking", "390 1440")
            await page.locator("dialog[open] .danger").click()
            await expect(page.locator("dialog[open]")).to_have_count(0)
        await button(page, "archive:dispose.certificate").first.click()
        await expect(page.locator("pre.certificate")).to_be_visible()
        await both_languages(page, "disposals", "390 1440")

        admin = await people.staff("admin")
        for path in ("staff", "patients", "institution"):
            await to(admin, path)
            await both_languages(admin, path)
            if path != "institution":
                await admin.locator(".hz-spread .hz-btn").first.click()
                await look(admin, f"{path}-form", "390 1440")
