"""Privacy pause and exam view as people meet them: buttons, the one big question, banners, and what stops meanwhile."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.house import House, picture, sees
from tests.e2e.visit import guest, visit

pytestmark = pytest.mark.browser

SHOWN = """() => [...document.querySelectorAll('figure.tile video')].filter(v => v.srcObject && v.videoWidth > 0 && v.offsetParent !== null).length"""


async def test_pause_exam_and_people_at_ones_side(house: House) -> None:
    async with visit(house) as call:
        doctor, patient = call.doctor, call.patient
        family = await guest(call.people, "visit.family")
        await doctor.click("[data-act=admit]")
        await sees(family, 2)
        await call.record()

        await patient.locator("[data-act=privacy-pause]").first.click()
        for page in (doctor, patient, family):
            await expect(page.locator("[data-testid=privacy]")).to_contain_text("隐私暂停中")
            await expect(page.locator(".banner.paused")).to_be_visible()
        await picture(patient, "privacy-patient")
        await picture(doctor, "privacy-doctor")
        await doctor.click("[data-act=privacy-resume]")
        await expect(patient.locator(".asks")).to_contain_text("希望继续录像")
        await picture(patient, "privacy-patient-asked")
        await patient.click("[data-act=privacy-resume]")
        for page in (doctor, patient, family):
            await expect(page.locator(".banner.active")).to_be_visible()

        await doctor.click("[data-act=exam-request]")
        question = patient.locator("dialog[open]")
        await expect(question).to_contain_text("您同意让")
        await picture(patient, "exam-question-patient")
        await question.locator(".primary").click()
        for page in (doctor, patient, family):
            await expect(page.locator("[data-testid=privacy]")).to_contain_text("查体进行中")
            await expect(page.locator(".banner.paused")).to_be_visible()
        await sees(doctor, 1)
        async with asyncio.timeout(10):
            while await family.evaluate(SHOWN) > 1:
                await asyncio.sleep(0.2)  # the picture is taken away with the next slot table
        await picture(patient, "exam-patient")
        await picture(doctor, "exam-doctor")
        await picture(family, "exam-family")
        await doctor.click("[data-act=exam-end]")
        await expect(patient.locator("[data-testid=privacy]")).to_contain_text("等待患者整理好衣物")
        await patient.click("[data-act=exam-covered]")
        await sees(family, 2)
        await expect(doctor.locator(".banner.active")).to_be_visible()

        await doctor.click("[data-act=declare]")
        await doctor.fill("[name=side-name]", "赵医生")
        await doctor.locator("form:has([name=side-name]) button[type=submit]").click()
        await expect(patient.locator(".banner.paused")).to_be_visible()
        await picture(doctor, "declared-doctor")
        await doctor.get_by_role("button", name="本人同意录像").click()
        await expect(patient.locator(".banner.active")).to_be_visible()
        await doctor.click("[data-act=attest]")
        await expect(doctor.locator("dialog[open]")).to_contain_text("赵医生")
        await doctor.locator("dialog[open] .primary").click()
        await expect(doctor.get_by_text("已记录：在场人员核对无误。")).to_be_visible()
        causes = [row[0] for row in call.rows("SELECT cause FROM gaps WHERE consult_id = ? ORDER BY started_at")]
        assert causes == ["privacy", "exam", "paused"]
