"""Steps 1 to 7 of a first consult, as its people do them, in real Chromium pages."""

import asyncio
import re
import sqlite3

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import TAP_PEERS, House, People, confirm_and_check, hears, picture, press, sees, sign, visitors

pytestmark = pytest.mark.browser


async def into_waiting(people: People, link: str, name: str, *, record: bool = True) -> Page:
    page = await signed(people, link, name, record=record)
    await expect(page.locator(".place")).to_be_visible()
    return page


async def signed(people: People, link: str, name: str, *, record: bool = True) -> Page:
    page = await people.page({"width": 390, "height": 844})
    await page.add_init_script(TAP_PEERS)
    await page.goto(people.house.link(link))
    await press(page, "patient:open.go")
    await confirm_and_check(page)
    await sign(page, name, record=record)
    return page


async def witness(clinic: Page, signer: str, own: str) -> None:
    """The inviting doctor saw who signs, on which paper, before the patient does."""
    entry = clinic.locator("li.person", has_text=signer).locator("[data-testid=consent-entry]")
    await entry.locator("summary").click()
    await entry.get_by_label("签字人姓名").fill(signer)
    await entry.get_by_label("看了什么证件").fill("身份证")
    await entry.get_by_label("您的姓名").fill(own)
    await entry.get_by_role("button", name="签名见证").click()
    await expect(entry.get_by_role("status")).to_be_visible()


async def doctor_enters(people: People, login: str, consult: str) -> Page:
    page = await people.staff(login)
    await page.add_init_script(TAP_PEERS)
    await page.goto(f"{people.house.url}/console/consults/{people.house.demo['consults'][consult]}")
    await page.click("[data-act=join]")
    await expect(page.locator(".stage .controls")).to_be_visible()
    return page


def recording_of(house: House, consult: str) -> str:
    """The latest recording of a demo consult, straight from the database."""
    wanted = "SELECT id FROM recordings WHERE consult_id = ? ORDER BY requested_at DESC"
    with sqlite3.connect(f"file:{house.data / 'huizhen.db'}?mode=ro", uri=True) as db:
        row = db.execute(wanted, (house.demo["consults"][consult],)).fetchone()
    return str(row[0])


async def test_visit_recorded_archived_and_destroyed(house: House) -> None:
    async with visitors(house) as people:
        patient = await into_waiting(people, "visit.patient", "张晓明")
        await picture(patient, "patient-waiting")
        doctor = await doctor_enters(people, "doctor", "visit")
        await doctor.click("[data-act=admit]")
        await sees(doctor, 1)
        await sees(patient, 1)
        await hears(doctor, 1)
        await hears(patient, 1)
        await picture(doctor, "doctor-room")
        await picture(patient, "patient-room")

        await doctor.click("[data-act=record]")
        await expect(patient.locator(".banner.active")).to_be_visible()
        await expect(doctor.locator(".banner.active")).to_be_visible()

        family = await into_waiting(people, "visit.family", "张丽")  # signed before the door: recording goes on
        await doctor.click("[data-act=admit]")
        await sees(family, 2)
        await sees(doctor, 2)
        await hears(family, 2)
        await expect(doctor.locator(".banner.active")).to_be_visible()
        await asyncio.sleep(5)  # something to play back

        await doctor.click("[data-act=end]")
        await doctor.locator("dialog[open] .danger").click()
        await expect(doctor.locator("[data-act=sign-paper]")).to_be_visible()
        for key in ("complaint", "findings", "diagnosis", "advice"):
            await doctor.fill(f"textarea[name={key}]", f"{key} 记录")
        await doctor.click("[data-act=save-paper]")
        await doctor.click("[data-act=sign-paper]")
        await doctor.locator("dialog[open] .primary").click()
        await doctor.click("[data-act=close]")
        await expect(doctor.get_by_text("已完成", exact=True)).to_be_visible()
        await picture(patient, "patient-after")

        recording = recording_of(house, "visit")
        await archive_plays(people, recording)
    report = house.command("verify")
    assert report.returncode == 0, report.stdout + report.stderr


async def archive_plays(people: People, recording: str) -> None:
    archivist = await people.staff("archivist")
    await archivist.goto(f"{people.house.url}/console/archive/{recording}")
    await archivist.fill("textarea[name=reason]", "患者投诉，需要核对医嘱内容")
    await archivist.get_by_role("button", name="提交申请").click()
    await expect(archivist.get_by_text("等待审批人决定")).to_be_visible()

    approver = await people.staff("approver1")
    await approver.goto(f"{people.house.url}/console/access")
    await approver.get_by_role("button", name="批准", exact=True).click()
    await expect(approver.get_by_text("已批准")).to_be_visible()

    await archivist.reload()
    await archivist.get_by_role("button", name="开始播放").click()
    await archivist.get_by_role("button", name="播放", exact=True).click()
    async with asyncio.timeout(20):
        while not await archivist.evaluate(PLAYING, 2):
            await asyncio.sleep(0.3)  # decoding has no event we could wait for
    skew = await archivist.evaluate(SKEW)
    assert skew < 0.25, f"people {skew:.3f} s apart"
    await picture(archivist, "archive-player")
    await expect(archivist.get_by_text("您的这次查阅已经记录在案")).to_be_visible()
    await expect(archivist.get_by_text("陈档之").last).to_be_visible()


PLAYING = """n => [...document.querySelectorAll('.person video')]
  .filter(v => v.currentTime > 1.5 && !v.paused && v.videoWidth > 0).length >= n"""
SKEW = """() => {
  const times = [...document.querySelectorAll('.person video')].filter(v => !v.paused).map(v => v.currentTime);
  return Math.max(...times) - Math.min(...times);
}"""


@pytest.mark.beside
async def test_retention_hold_and_destruction(house: House) -> None:
    """The demo's visit of three years ago is due: a hold stops it, two approvers destroy it, the trail still verifies."""
    due = house.command("retention", "due")
    assert due.returncode == 0, due.stderr
    assert "process.av" in due.stdout
    recording = recording_of(house, "past")
    async with visitors(house) as people:
        archivist = await people.staff("archivist")
        await archivist.goto(f"{house.url}/console/archive/{recording}")
        await archivist.locator("section form input").fill("医疗纠纷，法院要求保全")
        await archivist.get_by_role("button", name="设置保全").click()
        await expect(archivist.get_by_text("法院要求保全")).to_be_visible()
        await archivist.goto(f"{house.url}/console/retention")
        row = archivist.locator("tr", has_text="音视频过程记录")
        await expect(row.get_by_text("法律保全")).to_be_visible()
        await expect(row.locator("input[type=checkbox]")).to_be_disabled()

        first = await people.staff("approver1")
        await first.goto(f"{house.url}/console/retention")
        await first.get_by_role("button", name="解除保全").click()
        await first.locator("form input[maxlength='500']").fill("纠纷已经和解")
        await first.get_by_role("button", name="解除保全").click()
        await expect(first.get_by_text("没有保全。")).to_be_visible()

        await archivist.reload()
        await row.locator("input[type=checkbox]").check()
        await archivist.fill("input[name=reason]", "保存期已满三年")
        await archivist.get_by_role("button", name="提交销毁提议").click()
        await expect(archivist.get_by_text("等待确认")).to_be_visible()
        await expect(archivist.get_by_role("button", name="确认销毁")).to_have_count(0)

        second = await people.staff("approver2")
        for approver in (first, second):
            await approver.goto(f"{house.url}/console/disposals")
            await approver.get_by_role("button", name="确认销毁").click()
            await approver.fill("input[name=step-up]", house.demo["password"])
            await approver.locator("dialog[open] .danger").click()
            await expect(approver.locator("dialog[open]")).to_have_count(0)
        await expect(second.get_by_text("已销毁", exact=True)).to_be_visible()
        await second.get_by_role("button", name="查看销毁证明").click()
        await expect(second.locator("pre.certificate")).to_contain_text("process.av")
        await picture(second, "disposal-certificate")

        await archivist.goto(f"{house.url}/console/archive/{recording}")
        await archivist.get_by_role("button", name="查看销毁记录").click()
        await expect(archivist.get_by_text(re.compile("已于.*销毁，经手人.*吴审言"))).to_be_visible()
        await picture(archivist, "recording-destroyed")
        await archivist.goto(f"{house.url}/console/audit")
        await archivist.get_by_role("button", name="核验全部记录").click()
        await expect(archivist.get_by_text("记录完整，没有被改动。")).to_be_visible()
    report = house.command("verify")
    assert report.returncode == 0, report.stdout + report.stderr
