"""The rules of a consult as people meet them: why it may not open, the doctor's attestation, where the patient is."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.house import House, button, confirm_and_check, picture, press, sign, visitors

pytestmark = [pytest.mark.browser, pytest.mark.beside]


async def test_a_real_booking_is_attested_before_the_patient_is_received(house: House) -> None:
    async with visitors(house) as people:
        doctor = await people.staff("doctor")
        await doctor.goto(f"{house.url}/console/consults/new")
        await expect(doctor.locator("select[name=kind] option")).to_have_count(5, timeout=20_000)
        await doctor.select_option("select[name=patient]", index=1)
        await doctor.fill("textarea[name=reason]", "复查血压")
        await doctor.fill(
            "input[type=date]", await doctor.evaluate("new Date(Date.now() - 9e8).toISOString().slice(0, 10)")
        )
        fields = doctor.locator("section.hz-card").nth(1).locator("input.hz-input:not([type=date])")
        for number, text in enumerate(("县人民医院", "原发性高血压", "MZ-77")):
            await fields.nth(number).fill(text)
        await press(doctor, "console:book.go")
        gates = doctor.locator("[data-part=gates]")
        await expect(gates).to_contain_text("复诊确认")
        await picture(doctor, "rules-refused-1440")
        await doctor.click("[data-act=attest]")
        await expect(doctor.locator("[data-part=attested]")).to_be_visible()
        await doctor.click("[data-act=gates]")
        await expect(doctor.locator("[data-rule='CN-07']")).to_have_attribute("data-state", "passed")
        await expect(doctor.locator("[data-rule='CN-12']")).to_have_attribute("data-state", "failed")
        await expect(doctor.locator("[data-rule='CN-07']")).to_contain_text("window_days 90 · cn-2022.3")
        await picture(doctor, "rules-attested-1440")
        await doctor.set_viewport_size({"width": 390, "height": 844})
        await doctor.locator("[data-rule='CN-07']").scroll_into_view_if_needed()
        await picture(doctor, "rules-attested-390")


async def test_the_patient_says_where_they_are_while_waiting(house: House) -> None:
    async with visitors(house) as people:
        patient, doctor = await asyncio.gather(people.open_link("visit.patient"), people.staff("doctor"))
        await confirm_and_check(patient)
        await sign(patient, "张晓明")
        form = patient.locator("[data-part=whereabouts]")
        await form.locator("[name=location]").fill("云州市某路 1 号")
        await form.locator("[name=contact-name]").fill("张丽")
        await form.locator("[name=contact-phone]").fill("139 0000 0000")
        await picture(patient, "rules-where-390")
        await press(patient, "gates:where.save")
        await expect(form.get_by_role("status")).to_be_visible()
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        await button(doctor, "gates:where.show").click()
        await expect(doctor.locator("[data-part=whereabouts]")).to_contain_text("云州市某路 1 号")
        await doctor.click("[data-act=join]")
        await doctor.click("[data-act=admit]")
        await expect(patient.locator(".preview, figure.tile").first).to_be_visible()
