"""The patient takes home what they signed, and proves it without the server; the doctor opens the paper."""

import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import House, picture, visitors
from tests.e2e.test_first_consult import into_waiting
from tests.e2e.test_pages import look, problems

pytestmark = [pytest.mark.browser, pytest.mark.beside]


async def take(page: Page, what: str, folder: Path) -> Path:
    """Press the button, get the file."""
    async with page.expect_download() as waiting:
        await page.locator(f"[data-act={what}]").first.click()
    download = await waiting.value
    path = folder / download.suggested_filename
    await download.save_as(path)
    return path


async def test_what_was_signed_goes_home(house: House, tmp_path: Path) -> None:
    problems.clear()
    async with visitors(house) as people:
        patient = await into_waiting(people, "visit.patient", "张晓明")
        await patient.locator("details summary").click()
        await expect(patient.locator("[data-act=receipt]")).to_be_visible()
        paper = await take(patient, "paper", tmp_path)
        receipt = await take(patient, "receipt", tmp_path)
        await patient.locator("details").scroll_into_view_if_needed()
        await look(patient, "papers-waiting", "390")
        assert paper.name.startswith("我签的同意书") and paper.suffix == ".pdf"
        said = subprocess.run(
            ["pdfsig", "-nocert", paper], capture_output=True, check=False, timeout=30
        ).stdout.decode()
        assert "Signature is Valid" in said
        proved(house, receipt, True)
        changed = tmp_path / "changed.json"
        changed.write_bytes(receipt.read_bytes().replace(b'"permitted":["treat"', b'"permitted":["trEat"'))
        proved(house, changed, False)

        doctor = await people.staff("doctor")
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        opened = await take(doctor, "paper", tmp_path)
        assert opened.read_bytes().startswith(b"%PDF-")
        await doctor.locator("[data-act=paper]").first.scroll_into_view_if_needed()
        await picture(doctor, "papers-console-1440")
    assert problems == []


def proved(house: House, receipt: Path, wanted: bool) -> None:
    keys = house.data / "keys" / "public.vkeys"
    done = house.command("verify-receipt", str(receipt), "--key", str(keys))
    assert (done.returncode == 0) is wanted, done.stdout + done.stderr
    assert ("OK" in done.stdout) is wanted
