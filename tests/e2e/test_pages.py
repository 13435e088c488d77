"""Every page, looked at: axe (WCAG 2.2 AA), nothing wider than the screen, no word missing, headings in order, keyboard.

A screenshot of each state goes to test-artifacts/pages/ for people to look at.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import DESK, PHONE, House, People, button, chromium_path, words
from tests.e2e.looking import both_languages, look, opened, patient_looks, problems, tabs_to, to, typed
from tests.e2e.test_first_consult import recording_of

__all__ = ["both_languages", "house", "look", "opened", "patient_looks", "problems", "tabs_to", "to"]
pytestmark = pytest.mark.browser

WECHAT = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/116 Mobile Safari/537.36 MicroMessenger/8.0.44"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One demo for all pages of this file."""
    chromium_path()
    house = House(tmp_path_factory.mktemp("pages") / "data")
    house.start()
    yield house
    house.stop()


@pytest.mark.beside
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
        for path in ("queue", "slots", "outbox", "patients"):
            await to(doctor, path)
            await both_languages(doctor, path, "390 1440")
        await to(doctor, f"consults/{house.demo['consults']['visit']}")
        await both_languages(doctor, "consult-door")
        await tabs_to(doctor, "[data-act=join]")
        for part in ("emergency-hint", "ask-more", "consent-entry", "consent-log"):
            await doctor.locator(f"[data-testid={part}] > summary").first.click()
        await both_languages(doctor, "consult-consents", "390 1440")
        for tab in ("papers", "timeline"):
            await doctor.click(f"[data-tab={tab}]")
            await both_languages(doctor, f"consult-{tab}", "390 1440")
        await to(doctor, f"consults/{house.demo['consults']['past']}")
        await both_languages(doctor, "consult-closed", "390 1440")

        clinic = await people.staff("clinic")
        await to(clinic, f"consults/{house.demo['consults']['panel']}")
        await clinic.click("[data-tab=case]")
        await both_languages(clinic, "consult-case", "390 1440")
        await request_by_steps(clinic)
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


@pytest.mark.beside
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
        await emergency(approver)
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
        await to(admin, "staff")
        for key in ("acts:account.edit", "gates:facts.open"):
            await admin.locator("tbody tr").first.locator("button", has_text=words(key)[0]).click()
            await both_languages(admin, key.partition(":")[2], "390 1440")
        await to(admin, "templates")
        await admin.locator(".language button").first.click()
        await expect(admin.locator(".paper")).to_have_count(2)  # both languages beside each other
        await both_languages(admin, "template", "390 1440")
        await admin.locator("[data-begin]").first.click()
        await expect(admin.locator("input[name=title]")).to_be_visible()
        await both_languages(admin, "template-draft", "390 1440")
        await parties(await people.staff("clinic-coordinator"))
        auditor = await people.staff("auditor")
        await to(auditor, "audit")
        await both_languages(auditor, "audit-glass", "390 1440")


async def parties(coordinator: Page) -> None:
    """The directory and the own entry; an agreement read, drafted, and about to be ended."""
    await to(coordinator, "directory")
    await both_languages(coordinator, "directory")
    await coordinator.click("[data-act=edit-entry]")
    await look(coordinator, "directory-entry", "390 1440")
    await to(coordinator, "agreements")
    await coordinator.locator("[data-act=open-agreement]").first.click()
    await expect(coordinator.locator("[data-part=agreement]")).to_be_visible()
    await both_languages(coordinator, "agreements")
    await coordinator.locator("[data-act=end-agreement]").first.click()
    await look(coordinator, "agreement-ending", "390 1440")
    await coordinator.keyboard.press("Escape")
    await coordinator.click("[data-act=draft]")
    await look(coordinator, "agreement-draft", "390 1440")
    for path in ("requests", "calendar", "statistics"):
        await to(coordinator, path)
        await both_languages(coordinator, path, "390 1440")


async def request_by_steps(clinic: Page) -> None:
    """What is asked, whom, and what is missing before it can be sent; the draft stays."""
    await clinic.set_viewport_size(DESK)  # type: ignore[arg-type]
    await clinic.click("[data-act=request-page]")
    for name in ("reason", "aim", "summary"):
        await clinic.fill(f"[name=request-{name}]", "反复胸痛三月，原因不明")
    await both_languages(clinic, "request-what", "390 1440")
    await clinic.click("[data-act=next]")
    await clinic.locator("[data-part=match] [name=house]").first.check()
    await clinic.locator("[data-part=match] [name=wish]").first.check()
    await both_languages(clinic, "request-whom", "390 1440")
    await clinic.click("[data-act=next]")
    await expect(clinic.locator("[data-part=blocks] li")).to_have_count(1)  # the patient has not agreed to it yet
    await expect(clinic.locator("[data-act=send-request]")).to_be_disabled()
    await both_languages(clinic, "request-send", "390 1440")


async def emergency(approver: Page) -> None:
    """Nobody can be asked: what it permits, when it ends; approved, it stands and says by whom."""
    await to(approver, "emergency")
    await both_languages(approver, "emergency")
    case = approver.locator("[data-testid=emergency]").first
    await case.locator("textarea[name=reason]").fill("昏迷，须立即处理")
    await case.locator("textarea[name=tried]").fill("电话三次未接")
    await case.locator("[data-act=emergency]").click()
    await look(approver, "emergency-asking", "390 1440")
    await approver.locator("dialog[open] .danger").click()
    await expect(case.locator(".hz-notice.warn")).to_be_visible()
    await look(approver, "emergency-stands", "390 1440")


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
    await one_more_consent(doctor, patient)
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


async def one_more_consent(doctor: Page, patient: Page) -> None:
    """Asked during the call, decided and signed on the patient's own page without leaving it."""
    await doctor.set_viewport_size(DESK)  # type: ignore[arg-type]
    await doctor.locator("[data-testid=ask-more] > summary").first.click()
    await doctor.locator("[data-testid=ask-more] input[value=intimate]").first.check()
    await doctor.locator("[data-act=ask-more]").first.click()
    await look(patient, "patient-7-asked", "390 820")
    await typed(patient, "[data-act=asked-open]")
    await expect(patient.locator("[data-decide=intimate-yes]")).to_be_visible()
    await look(patient, "patient-7-asked-question", "390")
    await patient.click("[data-decide=intimate-yes]")
    await patient.fill("[name=asked-name]", "张晓明")
    await patient.locator("dialog[open] .mine input").check()
    await look(patient, "patient-7-asked-sign", "390")
    await patient.locator("dialog[open] form .primary").click()
    await expect(patient.locator("[data-part=asked]")).to_have_count(0)
    cell = doctor.locator("[data-cell=patient-intimate] .hz-tag.good")
    await expect(cell).to_be_visible()
    await doctor.locator("[data-testid=ask-more] > summary").first.click()


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


@pytest.mark.beside
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
        context = await people.browser.new_context(viewport=PHONE, user_agent=WECHAT, locale="zh-CN")  # type: ignore[arg-type]
        people.contexts.append(context)
        wechat = await context.new_page()
        await wechat.goto(house.link("panel.patient"))
        await expect(wechat.locator("[data-part=link-picture]")).to_be_visible()
        await patient_looks(wechat, "0-wechat")
