"""The image table in two browsers: a county clinic brings a CT and an ECG, the expert opens them, both see the same."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, expect

from tests.e2e.house import PATIENCE_MS, PHONE, House, People, visitors
from tests.e2e.looking import look, problems
from tests.e2e.visit import SIGN_IN, blank
from tests.support import dicom

pytestmark = pytest.mark.browser

# What the pages of a panel do before anybody opens a picture, by the page's own fetch.
SAY = """async ([method, path, body]) => {
  const me = await (await fetch('/api/me')).json();
  const op = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const answer = await fetch(path, {method, headers: {'Content-Type': 'application/json', 'X-CSRF': me.csrf},
    body: method === 'GET' ? undefined : JSON.stringify({op, ...body})});
  const json = await answer.json();
  if (!answer.ok) throw new Error(path + ' ' + answer.status + ' ' + JSON.stringify(json));
  return json;
}"""
# Of the demo's panel patient, as far as it is said.
HERS: dict[str, Any] = {
    "PatientName": "WANG^XIULAN=王秀兰",
    "PatientID": None,
    "PatientBirthDate": None,
    "PatientSex": None,
}


async def say(page: Page, method: str, path: str, **body: Any) -> Any:
    return await page.evaluate(SAY, [method, path, body])


async def asked(people: People, clinic: Page, expert: Page) -> Page:
    """The clinic asks, the patient agrees before its eyes, the request goes out, the expert comes. The patient's page."""
    consult = f"/api/consults/{people.house.demo['consults']['panel']}"
    invited = people.house.demo["institutions"]["province"]
    doctors = await say(clinic, "GET", f"/api/directory/institutions/{invited}/experts")
    chosen = next(each["id"] for each in doctors["items"] if each["name"] == "赵仁心")
    case = {
        "invited_institution_id": invited,
        "expert_ids": [chosen],
        "chair_id": chosen,
        "wanted_specialty": "呼吸内科",
    }
    case |= {"reason": "咳嗽待查", "aim": "明确诊断", "summary": "胸部CT"}
    with pytest.raises(PlaywrightError, match=r"panel\.consent_missing"):
        await say(clinic, "POST", f"{consult}/case", **case)
    seats = (await say(clinic, "GET", consult))["seats"]
    seat = next(each["id"] for each in seats if each["role"] == "patient")
    seen = {"capacity": "self", "basis": "own", "signer_name": "王秀兰", "document": "身份证", "typed_name": "孙远山"}
    await say(clinic, "POST", f"{consult}/seats/{seat}/consent/witness", **seen)
    patient = await blank(people, PHONE, "/p")
    link = people.house.demo["links"]["panel.patient"]["secret"]
    steps = ["identity", "devices", "consent"]
    await patient.evaluate(SIGN_IN, {"secret": link, "name": "王秀兰", "decisions": {}, "steps": steps})
    await say(clinic, "POST", f"{consult}/case", **case)
    waiting = next(
        each["id"] for each in (await say(expert, "GET", "/api/invitations"))["items"] if each["state"] == "sent"
    )
    await say(expert, "POST", f"/api/invitations/{waiting}/answer", accept=True)
    return patient


async def both_open(people: People) -> tuple[Page, Page, Page]:
    """The clinic's page and the expert's, on the consult, in the call; the patient's, outside."""
    clinic, expert = await people.staff("clinic"), await people.staff("expert1")
    patient = await asked(people, clinic, expert)
    for page in (clinic, expert):
        await page.goto(f"{people.house.url}/console/consults/{people.house.demo['consults']['panel']}")
        await page.click("[data-act=join]")
        await expect(page.locator(".stage .controls")).to_be_visible()
    return clinic, expert, patient


# A patient's page knows its seat, not a login.
UNSHARE = """async () => {
  const {csrf} = await (await fetch('/api/seat')).json();
  const op = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const answer = await fetch('/api/seat/consent/withdraw', {method: 'POST', headers: {'Content-Type': 'application/json', 'X-CSRF': csrf},
    body: JSON.stringify({op, purposes: ['share_panel']})});
  if (!answer.ok) throw new Error(await answer.text());
}"""
COLOURS = "people => people.map(one => one.innerText.trim() + getComputedStyle(one.querySelector('i')).backgroundColor)"


def files(folder: Path, slices: int = 6, side: int = 128) -> list[Path]:
    found = []
    ecg = dicom.ecg(8, StudyDescription="心电图", SeriesDescription="静息12导联", **HERS)
    for number, data in enumerate([*dicom.ct_series(slices, side, **HERS), ecg]):
        found.append(folder / f"{number:03}.dcm")
        found[-1].write_bytes(data)
    return found


async def test_what_one_scrolls_to_the_other_sees(house: House, tmp_path: Path) -> None:
    """And everybody has one colour on both pages; who looks apart comes back; a withdrawal leaves no picture behind."""
    problems.clear()
    async with visitors(house) as people:
        clinic, expert, patient = await both_open(people)
        await clinic.set_input_files("input[name=images]", files(tmp_path))
        await expect(clinic.locator(".upload .good")).to_be_visible(timeout=PATIENCE_MS)
        await clinic.click("[data-series=CT]")
        for page in (clinic, expert):  # the expert follows: opened there too, and on record
            await expect(page.locator(".viewer[data-whole=true]")).to_be_visible(timeout=PATIENCE_MS)
        at = int(await clinic.locator(".viewer").get_attribute("data-at") or "")
        frame = clinic.locator(".frame")
        await frame.focus()
        await clinic.keyboard.press("ArrowDown")
        for page in (clinic, expert):
            await expect(page.locator(f".viewer[data-at='{at + 1}']")).to_be_visible()
        box = await frame.bounding_box()
        assert box is not None
        await clinic.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await clinic.mouse.move(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2 + 9)
        await expect(expert.locator("[data-hand]")).to_have_count(1)
        await expert.click("[data-act=lead]")
        await expect(clinic.locator("[data-part=lead] .who")).to_contain_text("赵仁心")
        people_of = "[data-part=lead] .people li"
        assert await clinic.locator(people_of).evaluate_all(COLOURS) == await expert.locator(people_of).evaluate_all(
            COLOURS
        )
        await look(expert, "image-table-ct", "1440")
        await clinic.click("[data-act=follow]")
        await frame.focus()
        await clinic.keyboard.press("Home")
        await expect(clinic.locator(".viewer[data-at='0']")).to_be_visible()
        await expect(expert.locator(".viewer")).to_have_attribute("data-at", str(at + 1))
        await clinic.click("[data-act=follow]")
        await expect(clinic.locator(f".viewer[data-at='{at + 1}']")).to_be_visible()
        await patient.evaluate(UNSHARE)
        await expect(expert.get_by_text("您的通话和影像已经关闭")).to_be_visible()
        for gone in (".viewer", "[data-series]", "[data-act=join]"):
            await expect(expert.locator(gone)).to_have_count(0)
        await expect(expert.get_by_text("王秀兰")).to_have_count(0)
        await expect(clinic.get_by_text("患者已不再共享资料")).to_be_visible()
        await look(expert, "image-table-withdrawn", "390 1440")
    assert problems == [], "\n".join(problems)
