"""Hours, queue, outbox and waiting room as their people see them, in both languages, on a phone and on a desk."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import DESK, PHONE, House, People, confirm_and_check, press, sign
from tests.e2e.test_pages import both_languages, house, look, opened, to

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.beside]
SIZES = "390 1440"


async def test_hours_queue_outbox_and_waiting_room(house: House) -> None:
    expect.set_options(timeout=60_000)
    async with opened(house) as people:
        nurse = await people.staff("nurse", DESK)
        nurse.set_default_timeout(60_000)
        await to(nurse, "slots")
        later = datetime.now(UTC) + timedelta(days=4)  # the demo's own visits take the nearer days
        await nurse.fill("input[name=date]", later.date().isoformat())
        await nurse.click("[data-part=open-slot] button[type=submit]")
        await expect(nurse.locator("[data-part=slot]")).to_have_count(1)
        await nurse.locator("[data-part=slot] summary").click()
        await both_languages(nurse, "slots", SIZES)
        await nurse.locator("[data-act=book-place]").first.click()
        await look(nurse, "slots-book", SIZES)
        await nurse.keyboard.press("Escape")

        await to(nurse, "outbox")
        await both_languages(nurse, "outbox-empty", SIZES)
        await to(nurse, "queue")
        await nurse.locator("[data-act=invite]").first.click()
        await nurse.click("[data-part=invite-form] button[type=submit]")
        await expect(nurse.locator(".hz-notice.good")).to_be_visible()
        await to(nurse, "outbox")
        await nurse.locator("[data-act=reveal]").first.click()
        await expect(nurse.locator("[data-part=letter] img")).to_be_visible()
        await both_languages(nurse, "outbox", SIZES)
        url = (await nurse.locator("[data-part=letter] .text").inner_text()).partition("http")[2].split()[0]
        patient = await into_waiting_by(people, f"http{url}")
        await expect(patient.locator("[data-part=estimate]")).to_be_visible()
        await expect(patient.locator(".hz-notice.good")).to_be_visible()  # it knocked by itself
        await both_languages(patient, "waiting-room", SIZES)

        await to(nurse, "queue")
        await expect(nurse.locator("[data-part=waiting]")).to_have_count(1)
        await expect(nurse.locator(".knocks")).to_be_visible()
        await both_languages(nurse, "queue", SIZES)
        await nurse.locator("[data-act=tell-all]").first.click()
        await nurse.locator("dialog[open] .hz-row button").first.click()
        await look(nurse, "queue-tell", SIZES)
        await nurse.locator("dialog[open] .answers .primary").click()
        await expect(patient.locator("[data-part=words]")).to_be_visible()
        await both_languages(patient, "waiting-room-words", SIZES)

        await nurse.locator("[data-act=triage]").first.click()
        await nurse.fill("textarea[name=complaint]", "胸闷两小时")
        await nurse.fill("input[name=oxygen]", "88")
        await nurse.locator("[data-part=triage-form] input[value=chest_pain]").check()
        await nurse.fill("textarea[name=handover]", "已建议拨打120，家属陪同")
        await both_languages(nurse, "queue-triage", SIZES)
        await nurse.click("[data-part=triage-form] button[type=submit]")
        await expect(nurse.locator("[data-part=triage-form]")).to_have_count(0)

        doctor = await people.staff("doctor", DESK)
        doctor.set_default_timeout(60_000)
        await to(doctor, f"consults/{house.demo['consults']['visit']}")
        await expect(doctor.locator("[data-part=triage]")).to_be_visible()
        await look(doctor, "consult-triage", SIZES)


async def into_waiting_by(people: People, link: str) -> Page:
    """The patient's whole way by the link that was sent."""
    page = await people.page(PHONE)
    page.set_default_timeout(60_000)
    await page.goto(link)
    await press(page, "patient:open.go")
    await confirm_and_check(page)
    await sign(page, "张晓明")
    await expect(page.locator(".place")).to_be_visible()
    return page
