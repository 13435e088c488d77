"""An expert panel from the county clinic's request to sealed copies that prove themselves, in one run.

In real Chromium: the clinic's doctor, the patient (phone) and the chair. Without a page (tests/e2e/headless.py, the same
routes, real picture and voice): an expert of a second and of a third invited institution, the interpreter, coordinators
and archivists.

By pages: the request on the short form, refused for want of consent, then in three steps from the draft that was kept,
witnessing, the patient's forms, the chair's acceptance, admitting, opening the panel, CT and ECG (brought by the clinic, opened by the chair, seen
in both pages), the chair's opinion and joint report, the decision, the close. By REST: the other institutions' answers,
two opinions (one dissents, and says so once more on the report), the way past a missing paper, taking the copies. By
command line: the verifier.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.headless import Attendant, Attendants, attendants, told
from tests.e2e.house import PATIENCE_MS, TAP_PEERS, House, People, hears, picture, press, sees, visitors
from tests.e2e.test_first_consult import signed, witness
from tests.e2e.test_image_table import files, say
from tests.e2e.visit import until
from tests.huizhen.world import Browser

pytestmark = pytest.mark.browser

INVITED = {"province": "expert1", "city": "expert3", "university": "expert4"}
ASKED = {
    "reason": "反复胸痛三月，原因不明",
    "aim": "明确诊断，指导用药",
    "summary": "高血压十年，心电图与胸部CT见附件。",
}


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Six people with media on two cores: a page may take its time."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=None)


def consult_path(house: House) -> str:
    return f"/api/consults/{house.demo['consults']['panel']}"


async def test_from_request_to_sealed_copies(house: House, tmp_path: Path) -> None:
    async with visitors(house) as people, attendants(house) as others:
        clinic, chair = await asyncio.gather(people.staff("clinic"), people.staff("expert1"))
        for page in (clinic, chair):
            await page.add_init_script(TAP_PEERS)
        patient = await requested(people, clinic)
        experts = await accepted(others, chair)
        interpreter = await invited(others, clinic)
        await together(people, clinic, chair, patient, interpreter, experts)
        await shown(clinic, chair, files(tmp_path))
        await clinic.click("[data-act=end]")
        await clinic.locator("dialog[open] .danger").click()
        await opinions(clinic, chair, experts)
        await decided(clinic, chair, experts)
        await patient.reload()
        await expect(
            patient.get_by_text("转上级医院行冠脉造影，两周后复诊")
        ).to_be_visible()  # what was decided reaches them
        await picture(patient, "panel-patient-after")
        copies_of_all(await taken(house, others, tmp_path), house, tmp_path)


# ---- before the call ------------------------------------------------------------------------------------------------


async def requested(people: People, clinic: Page) -> Page:
    """One house is asked on the consult's own form and refused for want of consent; what was written goes on in three
    steps with two houses more; the patient agrees before the doctor's eyes; sent. Their page.
    """
    demo = people.house.demo
    await clinic.goto(f"{people.house.url}/console/consults/{demo['consults']['panel']}")
    await clinic.click("[data-tab=case]")
    await clinic.select_option("select[name=invited]", demo["institutions"]["province"])
    await expect(clinic.locator("fieldset.experts input")).to_have_count(2)
    await clinic.locator(f"fieldset.experts input[value='{demo['logins']['expert1']}']").check()
    await clinic.fill("input[name=specialty]", "心血管内科")
    for name, text in ASKED.items():
        await clinic.fill(f"textarea[name={'case-reason' if name == 'reason' else name}]", text)
    await clinic.get_by_role("button", name="发出申请").click()
    await expect(clinic.get_by_text("患者还没有同意把资料共享给受邀的机构。")).to_be_visible()
    await expect(clinic.get_by_text("还不能发出，缺这些：")).to_be_visible()
    await picture(clinic, "case-waits-for-consent")
    await clinic.click("[data-act=request-page]")
    await expect(clinic.locator("[name=request-summary]")).to_have_value(ASKED["summary"])
    await clinic.click("[data-act=next]")
    for house, login in INVITED.items():
        await clinic.locator(f"[name=house][value='{demo['institutions'][house]}']").check()
        await clinic.locator(f"[name=wish][value='{demo['logins'][login]}']").check()
    await clinic.select_option("[name=chair]", demo["logins"]["expert1"])
    await clinic.click("[data-act=next]")
    await expect(clinic.locator("[data-part=blocks]")).to_contain_text("患者还没有同意把资料共享给受邀的机构。")
    await expect(clinic.locator("[data-act=send-request]")).to_be_disabled()
    await picture(clinic, "panel-request-waits")
    await clinic.goto(f"{people.house.url}/console/consults/{demo['consults']['panel']}")
    await witness(clinic, "王秀兰", "孙远山")
    patient = await signed(people, "panel.patient", "王秀兰")
    await expect(
        patient.get_by_role("button", name="再试一次")
    ).to_be_visible()  # nobody has accepted: the door is shut
    await to_request(people.house, clinic)
    await expect(clinic.locator("[name=request-aim]")).to_have_value(ASKED["aim"])
    for _ in range(2):
        await clinic.click("[data-act=next]")
    await clinic.click("[data-act=send-request]")
    await clinic.click("[data-tab=case]")
    await expect(clinic.get_by_text("待答复").first).to_be_visible()
    return patient


async def to_request(house: House, clinic: Page) -> None:
    await clinic.goto(f"{house.url}/console/consults/{house.demo['consults']['panel']}/request")


async def accepted(others: Attendants, chair: Page) -> list[Attendant]:
    """The chair on the page; the city by its coordinator; the university's expert for themselves."""
    house = others.house
    await chair.get_by_role("button", name="接受").click()
    await expect(chair.get_by_role("link", name="打开").first).to_be_visible()
    coordinator = await others.login("coordinator")
    (request,) = (await told(coordinator, "GET", "/api/requests"))["items"]
    await told(coordinator, "POST", f"/api/requests/{request['id']}/answer", accept=True)
    found = []
    for login in ("expert3", "expert4"):
        door = await others.login(login)
        for each in (await told(door, "GET", "/api/invitations"))["items"]:
            if each["state"] == "sent":
                await told(door, "POST", f"/api/invitations/{each['id']}/answer", accept=True)
        found.append(others.attend(door, f"{consult_path(house)}/ticket"))
    return found


async def invited(others: Attendants, clinic: Page) -> Attendant:
    """The interpreter: a guest with a link, who signs what guests sign."""
    guest = {"role": "interpreter", "display_name": "白译宁", "relation": "彝语翻译"}
    added = await say(clinic, "POST", f"{consult_path(others.house)}/seats", **guest)
    return await others.guest(added["link"]["url"].partition("#")[2], "白译宁")


# ---- in the room ----------------------------------------------------------------------------------------------------


async def together(
    people: People, clinic: Page, chair: Page, patient: Page, interpreter: Attendant, experts: list[Attendant]
) -> None:
    """Six people of four institutions see and hear each other; the chair opens the panel."""
    await patient.get_by_role("button", name="再试一次").click()
    await expect(patient.locator(".place")).to_be_visible()
    assert not await interpreter.knock(), "a guest waits outside"
    await clinic.goto(f"{people.house.url}/console/consults/{people.house.demo['consults']['panel']}")
    await clinic.click("[data-act=join]")
    for left in (1, 0):
        await clinic.locator("[data-act=admit]").first.click()
        await expect(clinic.locator("[data-act=admit]")).to_have_count(left)
    await interpreter.admitted()
    await chair.goto(clinic.url)
    await chair.click("[data-act=join]")
    headless = [interpreter, *experts]
    for expert in experts:
        assert await expert.knock()
    for each in headless:
        await each.speak()
    seats = [seat["id"] for seat in (await say(clinic, "GET", consult_path(people.house)))["seats"]]
    for each in headless:
        await each.look_at(seats)
    for page in (clinic, chair, patient):
        await sees(page, 5, 60)
        await hears(page, 5, 60)
    for each in headless:
        await each.gets(5, 60)
    await picture(chair, "panel-room-before")
    for each in headless:  # everybody was seen: from here on fewer pictures, the processors are for the acts
        each.camera = False
    await chair.click("[data-act=panel-open]")
    await expect(chair.locator("[data-act=panel-open]")).to_have_count(0, timeout=3 * PATIENCE_MS)
    for page, name in ((chair, "chair"), (clinic, "clinic"), (patient, "patient")):
        await picture(page, f"panel-room-{name}")
    for page in (chair, clinic):
        await page.keyboard.press("v")
    await press(patient, "shared:room.cameraOff")


async def shown(clinic: Page, chair: Page, images: list[Path]) -> None:
    """CT and ECG, brought by the clinic; the chair opens each, and the clinic's page follows."""
    await clinic.set_input_files("input[name=images]", images)
    await expect(clinic.locator(".upload .good")).to_be_visible(timeout=3 * PATIENCE_MS)
    for modality, drawn in (("CT", ".viewer[data-whole=true]"), ("ECG", ".viewer .leaf svg[role=img]")):
        await chair.locator(f"[data-series={modality}]").click()
        for page in (chair, clinic):
            await expect(page.locator(drawn)).to_be_visible()
        await picture(chair, f"panel-images-{modality.lower()}")


# ---- the outcome ----------------------------------------------------------------------------------------------------


async def opinions(clinic: Page, chair: Page, experts: list[Attendant]) -> None:
    """Three, of three institutions; the last does not agree. Nothing closes meanwhile."""
    await chair.fill("textarea[name=text]", "考虑不稳定型心绞痛，建议冠脉造影。")
    await sign_paper(chair)
    path = consult_path(experts[0].house)
    for expert, text, dissent in zip(
        experts, ("同意造影，先调整降压药。", "胸痛不典型，建议先行胃镜检查。"), (False, True), strict=True
    ):
        await told(expert.door, "PUT", f"{path}/opinion", text=text, dissent=dissent)
        await told(expert.door, "POST", f"{path}/opinion/sign")
    await clinic.reload()
    await clinic.click("[data-tab=papers]")
    await expect(clinic.locator("[data-part=missing] li")).to_have_count(2)
    await expect(clinic.locator("[data-act=close]")).to_have_count(0)
    await picture(clinic, "panel-outcome-missing")


async def sign_paper(page: Page) -> None:
    before = await page.locator(".hz-notice.good", has_text="签名，不能再改").count()
    await page.locator("[data-act=sign-paper]").first.click()
    await page.locator("dialog[open] .primary").click()
    await expect(page.locator(".hz-notice.good", has_text="签名，不能再改")).to_have_count(before + 1)


async def decided(clinic: Page, chair: Page, experts: list[Attendant]) -> None:
    """The chair's report over the three, the dissent kept; the doctor's decision; closed."""
    await chair.reload()
    await chair.click("[data-tab=papers]")
    await expect(chair.locator("textarea[name=conclusion]")).to_have_value(re.compile("胃镜"))
    await chair.fill("textarea[name=conclusion]", "多数意见：不稳定型心绞痛，行冠脉造影；一位专家建议先行胃镜。")
    await sign_paper(chair)
    path = consult_path(experts[0].house)
    await told(experts[1].door, "POST", f"{path}/report/mark", agrees=False, remark="仍建议先行胃镜")
    await picture(chair, "panel-report")
    await clinic.reload()
    await clinic.click("[data-tab=papers]")
    await expect(clinic.get_by_text("仍建议先行胃镜")).to_be_visible()
    await clinic.fill("textarea[name=reason]", "采纳多数意见")
    await clinic.fill("textarea[name=treatment]", "转上级医院行冠脉造影，两周后复诊")
    await sign_paper(clinic)
    await clinic.click("[data-act=close]")
    await expect(clinic.get_by_text("已完成", exact=True)).to_be_visible()
    await picture(clinic, "panel-closed")


# ---- the copies -----------------------------------------------------------------------------------------------------


async def taken(house: House, others: Attendants, folder: Path) -> dict[str, Path]:
    """The server is killed as soon as the consult is closed; started again, its first pass makes what is due."""
    path = consult_path(house)  # the demo books another panel when it starts
    house.kill()
    house.start()
    doctor = await others.login("clinic")

    async def sealed() -> bool:
        rows = (await told(doctor, "GET", path))["outcome"]["copies"]
        return len(rows) == 4 and all(row["state"] == "sealed" for row in rows)

    await until(sealed, 30, "four copies sealed")
    found = {}
    for key, login in (("city", "archivist"), ("county", "clinic-archivist")):
        found[key] = await package(await others.login(login), folder / f"{key}.zip")
    return found


async def package(archivist: Browser, path: Path) -> Path:
    (row,) = (await told(archivist, "GET", "/api/copies"))["items"]
    got = await archivist.get(f"/api/copies/{row['id']}/package")
    assert got.status == 200, got.raw
    path.write_bytes(got.raw)
    return path


def copies_of_all(copies: dict[str, Path], house: House, folder: Path) -> None:
    """Both verify by command line, against the public keys alone; one damaged byte is told, and harms no other."""
    keys = str(house.data / "keys" / "public.vkeys")

    def verified(path: Path) -> tuple[int, Any]:
        done = house.command("verify", str(path), "--keys", keys, "--json")
        return done.returncode, json.loads(done.stdout)

    damaged = bytearray(copies["city"].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "damaged.zip").write_bytes(damaged)
    status, report = verified(folder / "damaged.zip")
    assert (status, report["ok"]) == (1, False)
    assert report["findings"]
    for path in copies.values():
        status, report = verified(path)
        assert (status, report["findings"]) == (0, []), report
