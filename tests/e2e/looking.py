"""How a page is looked at: axe (WCAG 2.2 AA), nothing wider than the screen, no word missing, headings in order, keyboard.

A screenshot of each state goes to test-artifacts/pages/ for people to look at.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.house import ARTIFACTS, DESK, PHONE, House, People, button, visitors

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
    """As `look`, in Chinese and then in English (axe at the first size only); the page stays where it is."""
    await look(page, f"{name}-zh", sizes)
    await page.get_by_role("button", name="English").first.click()
    first, _, others = sizes.partition(" ")
    await look(page, f"{name}-en", first)
    await look(page, f"{name}-en", others, axe=False)
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


async def typed(page: Page, selector: str) -> None:
    """Reach this element with Tab and press it with Enter."""
    await tabs_to(page, selector)
    await page.keyboard.press("Enter")


async def patient_looks(page: Page, name: str, *, languages: bool = True) -> None:
    """One screen of the patient's page: both languages, standard and elder mode, and elder mode with text twice as large.

    `languages` False where another language is another text, to be read first.
    """
    await (both_languages if languages else look)(page, f"patient-{name}", "390 820")
    toggle = button(page, "shared:elder.on", "shared:elder.off")
    if await toggle.count() == 0:
        return
    await toggle.click()
    await look(page, f"patient-{name}-elder", "390")
    # Twice elder mode's 22 px: text only, the screen stays as narrow as it is.
    await page.evaluate("() => document.body.style.setProperty('--hz-size', '44px')")
    await look(page, f"patient-{name}-elder200", "390", axe=False)
    await page.evaluate("() => document.body.style.removeProperty('--hz-size')")
    await toggle.click()
