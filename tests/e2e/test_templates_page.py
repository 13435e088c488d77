"""The consent texts at the console: drafted, refused while something is missing, reviewed, published."""

import pytest
from playwright.async_api import expect

from tests.e2e.house import House, picture, visitors

pytestmark = [pytest.mark.browser, pytest.mark.beside]

VISIT = "visit.patient.zh"


async def test_three_people_make_a_new_version(house: House) -> None:
    async with visitors(house) as people:
        archivist = await people.staff("archivist")
        await archivist.goto(f"{house.url}/console/templates")
        await archivist.click(f"[data-begin='{VISIT}']")
        title = archivist.locator("input[name=title]")
        await title.fill("线上复诊知情同意书（新版）")
        emergency = archivist.locator("fieldset", has_text="遇到急病怎么办").first
        text = emergency.locator("textarea").first
        whole = await text.input_value()
        await text.fill("请联系您的医师。")
        await picture(archivist, "templates-editor")
        await archivist.locator("form button[type=submit]").last.click()
        await expect(archivist.locator(".faults")).to_contain_text("急症与120")  # told at once, before any review
        await picture(archivist, "templates-lacking")
        await archivist.get_by_role("button", name="修改", exact=True).click()
        await archivist.locator("fieldset", has_text="遇到急病怎么办").first.locator("textarea").first.fill(whole)
        await archivist.locator("form button[type=submit]").last.click()
        await expect(archivist.locator(".faults")).to_have_count(0)
        await expect(archivist.locator(".part")).to_have_count(1)  # only the title differs from the version in force

        for login, act in (("approver1", "review"), ("approver2", "publish")):
            approver = await people.staff(login)
            await approver.goto(f"{house.url}/console/templates")
            await approver.click("[data-draft]")
            await expect(approver.locator(".part .added")).to_contain_text("新版")
            await picture(approver, f"templates-{act}")
            await approver.click(f"[data-act={act}]")
            if act == "review":
                await expect(approver.locator("[data-act=publish]")).to_have_count(0)  # not the same hands
            else:
                await approver.locator("dialog[open] .primary").click()
            await expect(approver.locator(".hz-notice.good").first).to_be_visible()
        await archivist.reload()
        await expect(archivist.get_by_text("查看第 2 版")).to_be_visible()
