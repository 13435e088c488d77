"""Every page, looked at: axe (WCAG 2.2 AA), nothing wider than the screen, no word missing, headings in order, keyboard.

A screenshot of each state goes to test-artifacts/pages/ for people to look at.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.house import ARTIFACTS, DESK, PHONE, House, People, button, chromium_path, visitors
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
        nurse = await people.staff("nurse")
        await to(nurse, f"consults/{house.demo['consults']['visit']}")
        for act in ("join", "admit", "record", "end", "terminate", "close", "sign-paper"):
            await expect(nurse.locator(f"[data-act={act}]")).to_have_count(0)
        await look(nurse, "consult-nurse", "1440")
        expert = await people.staff("expert1")
        await both_languages(expert, "today-expert", "390 1440")


async def inspected(people: People, approver: Page) -> None:
    """A regulator asks under a case number, the approver opens it, the papers and the trail are read."""
    regulator = await people.staff("regulator")
    await regulator.click("[data-act=ask-case]")
    until = datetime.now(UTC) + timedelta(days=3)
    for name, value in (
        ("number", "云卫监〔2026〕17号"), ("authority", "云州市卫生监督所"), ("reason", "投诉核查，调取相关就诊资料和录像"),
        ("since", "2015-01-01"), ("until", f"{until:%Y-%m-%d}"), ("ends", f"{until:%Y-%m-%dT%H:%M}"),
    ):  # fmt: skip
        await regulator.fill(f"[name={name}]", value)
    for scope in ("recording", "audit"):
        await regulator.check(f"[name=scope][value={scope}]")
    await both_languages(regulator, "regulator-asking", "390 1440")
    await regulator.click("[data-act=send-case]")
    await to(approver, "regulator")
    await both_languages(approver, "regulator-deciding", "390 1440")
    await approver.click("[data-act=permit]")
    await expect(approver.locator("[data-act=permit]")).to_have_count(0)
    await regulator.reload()
    await regulator.click("[data-act=visits]")
    await regulator.locator("[data-act=read]").first.click()
    await expect(regulator.locator("section.chart")).to_be_visible()
    await regulator.locator("[data-act=trail]").first.click()
    await expect(regulator.locator("[data-visit] tbody tr").first).to_be_visible()
    await both_languages(regulator, "regulator-reading", "390 1440")
    await regulator.locator("[data-visit] a.hz-btn").first.click()
    await expect(button(regulator, "archive:view")).to_be_visible()
    await look(regulator, "regulator-recording", "390 1440")


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
        await inspected(people, approver)
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

        await to(archivist, f"archive/{recording}")
        await button(archivist, "archive:whatHappened").click()
        await expect(button(archivist, "archive:whatHappened")).to_have_count(0)
        await both_languages(archivist, "recording-destroyed", "390 1440")

        admin = await people.staff("admin")
        for path in ("staff", "patients", "institution", "policies"):
            await to(admin, path)
            await both_languages(admin, path)
            if path in ("staff", "patients"):
                await admin.locator(".hz-spread .hz-btn").first.click()
                await look(admin, f"{path}-form", "390 1440")


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


async def test_patient_by_keyboard_then_the_room(house: House) -> None:
    """The patient gets through every form with the keyboard alone, signature included; then the call, seen by both."""
    async with opened(house) as people:
        patient = await people.page(PHONE)
        await patient.goto(house.link("visit.patient"))
        await expect(patient.locator(".acts .primary")).to_be_visible()
        await patient_looks(patient, "1-open")
        await typed(patient, ".acts .primary")
        await expect(patient.locator(".who")).to_be_visible()
        await patient_looks(patient, "2-identity")
        await typed(patient, ".acts .primary")
        await expect(patient.locator(".preview video")).to_be_visible()
        await expect(button(patient, "patient:devices.again")).to_be_visible()
        await patient_looks(patient, "3-devices")
        await typed(patient, ".acts .primary")
        await expect(patient.locator("section[data-key]").first).to_be_visible()
        await patient_looks(patient, "4-consent")
        await typed(patient, ".acts .primary")
        for purpose in ("treat", "rec_av"):
            await expect(patient.locator(f"[data-decide={purpose}-yes]")).to_be_visible()
            await patient_looks(patient, f"4-decide-{purpose}", languages=False)
            await typed(patient, f"[data-decide={purpose}-yes]")
        await expect(patient.locator("#sign-name")).to_be_visible()
        await patient_looks(patient, "5-sign")
        await tabs_to(patient, "#sign-name")
        await patient.keyboard.insert_text("张晓明")
        await typed(patient, ".hz-stack-s > .hz-btn.quiet")  # "I cannot draw"
        await tabs_to(patient, ".agree input")
        await patient.keyboard.press("Space")
        await patient_looks(patient, "5-sign-typed")
        await typed(patient, ".acts .primary")
        await expect(patient.locator(".place")).to_be_visible()
        await patient_looks(patient, "6-waiting")

        doctor = await people.staff("doctor")
        await expect(doctor.locator(".visit.calling")).to_be_visible()
        await both_languages(doctor, "today-waiting")
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        await typed(doctor, "[data-act=join]")
        await expect(doctor.locator(".stage .controls")).to_be_visible()
        await both_languages(doctor, "room-alone", "390 1440")
        await typed(doctor, "[data-act=admit]")
        await expect(patient.locator("[data-testid=room] .controls")).to_be_visible()
        await expect(doctor.locator(".big video:not(.still)")).to_be_visible()
        await doctor.click("[data-act=record]")
        await expect(patient.locator(".banner.active")).to_be_visible()
        await the_room(doctor, patient)
        await the_end(doctor, patient)


async def the_room(doctor: Page, patient: Page) -> None:
    """Everything of the call that one can open."""
    await both_languages(doctor, "room")
    await doctor.click("[data-tab=chat]")
    await look(doctor, "room-chat", "390 1440")
    await doctor.set_viewport_size(DESK)  # type: ignore[arg-type]
    for side in ("people", "papers"):
        await doctor.click(f"[aria-controls=column-{side}]")
    await look(doctor, "room-folded", "820 1440")
    for side in ("people", "papers"):
        await doctor.click(f"[aria-controls=column-{side}]")
    for act in ("terminate", "end"):
        await doctor.click(f"[data-act={act}]")
        await look(doctor, f"room-{act}", "390 1440")
        await doctor.keyboard.press("Escape")
    await button(doctor, "consult:people.remove").click()
    await look(doctor, "room-remove", "390")
    await doctor.select_option("dialog[open] select", "asked_to_leave")
    await doctor.keyboard.press("Escape")
    await doctor.set_viewport_size(DESK)  # type: ignore[arg-type]
    await doctor.click("a[href='/console/today']")
    await expect(doctor.locator(".floating-room video")).to_be_visible()
    await look(doctor, "today-floating", "390 1440")
    await doctor.click(".floating-room a")
    await expect(doctor.locator(".stage .controls")).to_be_visible()

    await look(patient, "patient-7-room", "390 820")
    await patient.locator(".ctl").nth(3).click()
    await look(patient, "patient-7-more", "390")
    await button(patient, "shared:elder.on").click()
    await button(patient, "shared:action.close").first.click()
    await look(patient, "patient-7-room-elder", "390")
    await patient.locator(".banner .stop").click()
    await look(patient, "patient-7-withdraw-elder", "390")
    await patient.keyboard.press("Escape")
    await patient.locator(".ctl").nth(3).click()
    await button(patient, "shared:elder.off").click()
    await button(patient, "shared:action.close").first.click()


async def the_end(doctor: Page, patient: Page) -> None:
    """After the call: the note stands ready, the patient reads what comes next."""
    await doctor.click("[data-act=end]")
    await doctor.locator("dialog[open] .danger").click()
    await expect(doctor.locator("textarea[name=complaint]")).to_be_in_viewport()
    await both_languages(doctor, "consult-writing")
    await tabs_to(doctor, "textarea[name=complaint]")
    for key in ("complaint", "findings", "diagnosis", "advice"):
        await doctor.fill(f"textarea[name={key}]", "血压 138/86，继续现有用药，两周后复查。")
    await doctor.click("[data-act=save-paper]")
    await doctor.click("[data-act=sign-paper]")
    await doctor.locator("dialog[open] .primary").click()
    await expect(doctor.locator("[data-act=close]")).to_be_visible()
    await look(doctor, "consult-signed", "390 1440")
    await expect(patient.locator("[data-testid=room]")).to_have_count(0)
    await expect(patient.locator("h1")).to_be_visible()
    await patient_looks(patient, "8-after")


async def test_links_that_lead_nowhere(house: House) -> None:
    async with opened(house) as people:
        page = await people.page(PHONE)
        await page.goto(f"{house.url}/p#not-a-link")
        await expect(page.locator("h1")).to_be_visible()
        await patient_looks(page, "0-problem")
        other = await people.page(PHONE)
        await other.goto(f"{house.url}/p")
        await expect(other.locator("h1")).to_be_visible()
        await patient_looks(other, "0-no-link")
