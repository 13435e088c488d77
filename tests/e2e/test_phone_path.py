"""The patient's way on a phone (must-hold 6): taps counted, bytes counted, helper, reading aloud, one decision a page."""

import contextlib
import gzip
import json
import re
import shutil
import sqlite3
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, Response, expect

from tests.e2e.house import PHONE, ROOT, House, People, button, press, scribble, visitors
from tests.e2e.test_pages import both_languages, look, opened, patient_looks, problems
from tests.e2e.test_playback import open_player
from tests.e2e.visit import SIGN_IN, visit

pytestmark = pytest.mark.browser

FIRST_LOAD = 250_000  # bytes gzipped
# The phone has not been asked for camera and microphone yet (Chromium's fake devices would count as allowed).
UNASKED = "navigator.permissions.query = async () => ({state: 'prompt', addEventListener() {}})"
COUNT_TAPS = "addEventListener('pointerdown', () => window.name = String(Number(window.name || 0) + 1), true)"
WECHAT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.40"
)


async def counted(people: People, *, agent: str | None = None) -> Page:
    """A phone with no permission given yet; window.name survives reloads and counts every touch of the page."""
    context = await people.browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type]
        locale="zh-CN",
        user_agent=agent,
    )
    people.contexts.append(context)
    page = await context.new_page()
    page.set_default_timeout(20_000)
    await page.add_init_script(COUNT_TAPS)
    await page.add_init_script(UNASKED)
    return page


async def taps(page: Page) -> int:
    return int(await page.evaluate("Number(window.name || 0)"))


async def sign_by_hand(page: Page, name: str) -> int:
    """Name and strokes; the touches of the signature itself, which the limit does not count."""
    await page.locator("#sign-name").click()
    await page.keyboard.insert_text(name)
    before = await taps(page)
    await scribble(page)
    return await taps(page) - before


@pytest.mark.beside
async def test_first_time_in_nine_taps_and_a_signature(house: House) -> None:
    async with visitors(house) as people:
        page = await counted(people)
        await page.goto(house.link("visit.patient"))
        await button(page, "patient:open.go").click()
        await button(page, "patient:identity.yes").click()
        await button(page, "patient:devices.open").click()
        await button(page, "patient:devices.next").click()
        await button(page, "assist:read.next").click()
        for purpose in ("treat", "rec_av"):
            pressed = page.locator("[data-decide][aria-pressed=true]")
            await expect(page.locator(f"[data-decide={purpose}-yes]")).to_be_visible()
            await expect(pressed).to_have_count(0)
            await page.locator(f"[data-decide={purpose}-yes]").click()
        drawn = await sign_by_hand(page, "张晓明")
        await button(page, "patient:sign.submit").click()
        await expect(page.locator(".place")).to_be_visible()
        assert await taps(page) - drawn <= 9


@pytest.mark.beside
async def test_signed_beforehand_in_three_taps_on_this_phone_and_on_another(house: House) -> None:
    """Signed days before, camera not tried yet: two taps. On a phone that never saw the link: three and four digits."""
    async with visitors(house) as people:
        page = await counted(people)
        await page.goto(f"{house.url}/p")
        secret = house.demo["links"]["visit.patient"]["secret"]
        signed = {"secret": secret, "name": "张晓明", "decisions": {}, "steps": ["identity", "consent"]}
        assert (await page.evaluate(SIGN_IN, signed))["consent"]["complete"]
        await page.goto("about:blank")
        await page.goto(house.link("visit.patient"))
        await page.evaluate("window.name = ''")
        await button(page, "patient:open.go").click()
        await button(page, "assist:devices.openAndGo").click()
        await expect(page.locator(".place")).to_be_visible()
        assert await taps(page) <= 3

        other = await counted(people)
        await other.goto(house.link("visit.patient"))
        await button(other, "patient:open.go").click()
        await other.keyboard.insert_text(await last_four(house, other))
        await button(other, "assist:factor.go").click()
        await button(other, "assist:devices.openAndGo").click()
        await expect(other.locator("h1")).to_be_visible()
        await expect(
            other.locator(".place, [data-testid=room]").or_(button(other, "patient:replaced.here")).first
        ).to_be_visible()
        assert await taps(other) <= 3


async def last_four(house: House, page: Page) -> str:
    """What the demo prints for a second device; the field has the focus by itself."""
    await expect(page.locator("#factor-value")).to_be_focused()
    found = re.search(r"id …(\w{4})", house.log)
    assert found is not None
    return found.group(1)


def call(house: House, jar: dict[str, str], method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One REST call as a member of staff."""
    request = urllib.request.Request(house.url + path, method=method)
    request.add_header("Content-Type", "application/json")
    if jar:
        request.add_header("Cookie", jar["cookie"])
        request.add_header("X-CSRF", jar["csrf"])
    data = json.dumps({"op": f"{datetime.now(UTC).timestamp():.6f}".replace(".", "-").rjust(20, "0"), **(body or {})})
    with urllib.request.urlopen(request, data.encode() if method != "GET" else None, timeout=20) as answer:
        found = json.loads(answer.read())
        if "set-cookie" in {name.lower() for name in answer.headers}:
            jar["cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
            jar["csrf"] = found.get("csrf", "")
        return found


def booked_in_three_days(house: House) -> str:
    """A link to a follow-up in three days, as the doctor books it."""
    jar: dict[str, str] = {}
    call(house, jar, "POST", "/api/login", {"login": "doctor", "password": house.demo["password"]})
    known = call(house, jar, "GET", f"/api/consults/{house.demo['consults']['visit']}")
    starts = datetime.now(UTC) + timedelta(days=3)
    proof = {
        key: known["evidence"][0][key]
        for key in ("department", "visited_on", "visited_institution", "diagnosis", "reference")
    }
    new = call(house, jar, "POST", "/api/consults", {
        "kind": "follow_up", "department": known["department"], "doctor_id": known["doctor"]["id"],
        "patient_id": known["patient"]["id"], "starts_at": starts.isoformat(), "ends_at": (starts + timedelta(minutes=20)).isoformat(),
        "reason": "三天后复诊", "fee_cents": 0, "evidence": [proof],
    })  # fmt: skip
    seat = next(seat["id"] for seat in new["seats"] if seat["role"] == "patient")
    link = call(house, jar, "POST", f"/api/consults/{new['id']}/seats/{seat}/link")
    return str(link["url"])


@pytest.mark.beside
async def test_read_and_signed_days_before_without_a_camera(house: House) -> None:
    async with opened(house) as people:
        page = await counted(people)
        await page.goto(booked_in_three_days(house))
        await button(page, "patient:open.go").click()
        await button(page, "patient:identity.yes").click()
        await button(page, "assist:read.next").click()
        for purpose in ("treat", "rec_av"):
            await page.locator(f"[data-decide={purpose}-yes]").click()
        await sign_by_hand(page, "张晓明")
        await button(page, "patient:sign.submit").click()
        await expect(button(page, "assist:ready.test")).to_be_visible()
        await patient_looks(page, "9-ready")


@pytest.mark.beside
async def test_how_it_was_read_and_understood_goes_with_the_signature(house: House) -> None:
    """A wrong answer is explained and hinders nobody; another language is another text; the sealed evidence has it."""
    problems.clear()
    async with opened(house) as people:
        page = await counted(people)
        await page.goto(booked_in_three_days(house))
        await button(page, "patient:open.go").click()
        await button(page, "patient:identity.yes").click()
        for language in ("en", "zh"):
            await button(page, f"shared:lang.{language}").click()
            await expect(page.locator(f"article[lang^={language}]")).to_be_visible()
        small = page.locator("fieldset.comprehension")
        options = small.locator("input[type=radio]")
        for option in range(await options.count()):
            await options.nth(option).check()
        await expect(small.locator(".hz-notice")).to_be_visible()
        await small.scroll_into_view_if_needed()
        await look(page, "patient-4-comprehension-zh", "390")
        answers = list(range(await options.count()))
        await button(page, "assist:read.next").click()
        await page.locator("[data-decide=treat-yes]").click()
        await page.locator("[data-decide=rec_av-no]").click()
        await sign_by_hand(page, "张晓明")
        await button(page, "patient:sign.submit").click()
        await expect(button(page, "assist:ready.test")).to_be_visible()
        path = f"file:{house.data / 'huizhen.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
            ((kept,),) = db.execute("SELECT evidence FROM consent_records ORDER BY pos DESC LIMIT 1").fetchall()
    evidence = json.loads(kept)
    assert evidence["decisions"] == {"treat": True, "rec_av": False}
    assert evidence["comprehension"]["answers"] == answers
    assert [each["locale"] for each in evidence["reading"]["locale_switches"]] == ["en", "zh"]
    assert set(evidence["reading"]["decided_ms"]) == {"treat", "rec_av"}
    assert evidence["asked_again_by_signer"] is False
    assert sum(each["dwell_ms"] for each in evidence["reading"]["sections"].values()) > 0
    assert problems == [], "\n".join(problems)


@pytest.mark.beside
async def test_first_load_is_light(house: House) -> None:
    """Everything the page fetched before the first tap, gzipped one by one, whatever the server compresses."""
    sizes: dict[str, int] = {}

    async with visitors(house) as people:
        page = await people.page(PHONE)
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        await page.goto(house.link("visit.patient"))
        await expect(page.locator(".acts .primary")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        for answer in answers:
            sizes[answer.url] = len(gzip.compress(await answer.body()))
    assert any(url.endswith(".js") for url in sizes) and any(url.endswith(".css") for url in sizes)
    assert sum(sizes.values()) <= FIRST_LOAD, sizes


@pytest.mark.beside
def test_first_load_by_the_built_page() -> None:
    """The same from the build: the page, and every script and style it names."""
    static = ROOT / "huizhen" / "static"
    html = (static / "patient.html").read_text()
    names = re.findall(r'(?:src|href)="/static/([^"]+)"', html)
    assert names
    files = [html.encode(), *((static / name).read_bytes() for name in names)]
    assert sum(len(gzip.compress(data)) for data in files) <= FIRST_LOAD


@pytest.mark.beside
async def test_a_helper_says_who_they_are_and_what_they_agree_to(house: House) -> None:
    async with opened(house) as people:
        page = await people.open_link("visit.patient")
        await expect(page.locator(".who")).to_be_visible()
        await page.click("[data-act=helper]")
        await patient_looks(page, "10-helper")
        await page.click("[data-act=aide-next]")
        await expect(page.locator(".hz-notice.bad")).to_be_visible()
        await page.fill("#aide-name", "张小红")
        await page.locator(".chips .hz-btn").first.click()
        await page.click("[data-act=aide-next]")
        await both_languages(page, "patient-10-helper-seen", "390")
        await page.click("[data-act=aide-seen]")
        await both_languages(page, "patient-10-helper-record", "390")
        await page.click("[data-act=aide-record-no]")
        await expect(page.locator("[data-act=helper]")).to_contain_text("张小红")
        doctor = await people.staff("doctor")
        await doctor.goto(f"{house.url}/console/consults/{house.demo['consults']['visit']}")
        matrix = doctor.locator("[data-testid=consent-matrix]")
        await expect(matrix).to_contain_text("张小红")
        await expect(matrix.locator("tr.helper .hz-tag.bad")).to_have_count(1)
        await matrix.scroll_into_view_if_needed()
        await both_languages(doctor, "consult-matrix")


async def test_read_aloud_with_pause_progress_and_speed(house: House) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("Debian's espeak-ng is not installed")
    async with opened(house) as people:
        page = await people.page(PHONE)
        await page.goto(booked_in_three_days(house))
        await press(page, "patient:open.go")
        await press(page, "patient:identity.yes")
        section = page.locator("section[data-key]").first
        await section.get_by_role("button").first.click()
        await expect(section.locator("input[type=range]")).to_be_visible()
        await expect(section.locator("input[type=range]")).not_to_have_value("0")
        await section.get_by_role("button").nth(1).click()
        await expect(section.get_by_role("button").nth(1)).to_contain_text("1.25×")
        await look(page, "patient-4-aloud-zh", "390")
        await section.get_by_role("button").first.click()
        await expect(section).not_to_have_class(re.compile(r"\bread\b"))
        await button(page, "shared:elder.on").click()
        await expect(page.locator(".prompt .hz-btn")).to_be_visible()
        await page.locator(".prompt .hz-btn").click()
        await expect(page.locator(".prompt")).to_be_visible()


@pytest.mark.beside
async def test_wechat_is_told_the_way_out_first(house: House) -> None:
    async with opened(house) as people:
        page = await counted(people, agent=WECHAT)
        await page.goto(house.link("visit.patient"))
        await expect(page.locator("ol.how li").first).to_be_visible()
        await expect(page.locator("ol.how")).to_contain_text("在默认浏览器中打开")
        await patient_looks(page, "0-wechat")


async def test_a_spoken_agreement_is_seen_by_both_and_jumped_to_in_the_player(house: House) -> None:
    problems.clear()
    async with visit(house, until_flowing=False) as call:
        recording = await call.record()
        await call.doctor.click("[data-act=spoken-ask]")
        await expect(call.patient.locator("[data-testid=asking]")).to_contain_text("我同意")
        await expect(call.doctor.locator("[data-testid=asking]")).to_be_visible()
        await look(call.patient, "patient-7-spoken", "390")
        await look(call.doctor, "room-spoken", "390 1440")
        await call.doctor.click("[data-act=spoken-heard]")
        for page in call.both:
            await expect(page.locator(".banner .spoken")).to_be_visible()
        ((began, asked),) = call.rows("SELECT began_at, asked_by FROM spoken_marks WHERE consult_id = ?")
        assert began and asked
        await call.doctor.click("[data-act=end]")
        await call.doctor.locator("dialog[open] .danger").click()
        await expect(call.doctor.locator("textarea[name=complaint]")).to_be_visible()
        player = await open_player(call.people, recording)
        mark = player.locator(".marks .hz-btn", has_text="口头同意")
        await mark.click()
        seek = player.locator("input.seek")
        await expect(seek).not_to_have_value("0")
        await look(player, "player-spoken", "1440")
    assert problems == [], "\n".join(problems)
