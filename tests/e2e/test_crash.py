"""Must hold 5: the server dies in mid-call, a page is reloaded, a tab crashes, a socket is lost. Nobody has to act."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import TAP_PEERS, House
from tests.e2e.visit import INSTRUMENTS, Visit, clock, impression, until, visit

pytestmark = pytest.mark.browser


async def say(page: Page, text: str) -> None:
    """Into the doctor's chat; returns when the server has acknowledged it (only then the box is emptied)."""
    if not await page.locator("#hz-chat").count():
        await page.click("[data-tab=chat]")
    await page.fill("#hz-chat", text)
    await page.press("#hz-chat", "Enter")
    await expect(page.locator("#hz-chat")).to_have_value("")


async def test_server_killed_in_mid_call(house: House) -> None:
    async with visit(house) as call:
        recording = await call.record()
        consents = call.rows("SELECT id, rev FROM consent_records WHERE consult_id = ? ORDER BY id")
        for n in range(5):
            await say(call.doctor, f"第 {n} 句")
        await asyncio.sleep(3)  # some seconds of film before the end
        house.kill()
        killed = [await clock(page) for page in call.both]
        await asyncio.to_thread(house.start)
        await call.flows(60)
        for page in call.both:
            await expect(page.locator(".banner.active")).to_be_visible(timeout=60_000)  # goes on by itself
        for name, page, start in zip(("doctor", "patient"), call.both, killed, strict=True):
            away = await page.evaluate(
                "since => { const at = __frames.filter(t => t > since + 1000); return at[0] - since; }", start
            )
            print(f"{name}: the other's picture is back {away / 1000:.1f} s after the kill")
        await call.doctor.reload()  # what is shown now comes from the database, not from the page's memory
        await asyncio.sleep(3)
        said = [row[0] for row in call.rows("SELECT text FROM chat_messages WHERE consult_id = ? ORDER BY sent_at")]
        assert said == [f"第 {n} 句" for n in range(5)]
        assert call.rows("SELECT id, rev FROM consent_records WHERE consult_id = ? ORDER BY id") == consents
        await sealed(call, recording)
    report = house.command("verify")
    assert report.returncode == 0, report.stdout + report.stderr


async def sealed(call: Visit, recording: str) -> None:
    """End the consult; the recording is sealed with the crash marked and film on both sides of it."""
    await call.patient.close()
    await call.doctor.click("[data-act=join]")
    await call.doctor.click("[data-act=end]")
    await call.doctor.locator("dialog[open] .danger").click()

    async def over() -> bool:
        return bool(call.rows("SELECT state FROM recordings WHERE id = ?", recording) == [("sealed",)])

    await until(over, 40, "sealed")
    gaps = call.rows("SELECT cause, started_at, ended_at FROM gaps WHERE recording_id = ?", recording)
    crash = [gap for gap in gaps if gap[0] == "crash"]
    assert len(crash) == 1, gaps
    assert crash[0][2] is not None
    films = [row[0] for row in call.rows("SELECT started_at FROM segments WHERE recording_id = ?", recording)]
    # the recorder outlives the server by the moment it needs to close its files: no torn tail is needed here
    assert any(film < crash[0][1] for film in films), "the film of before the kill was lost"
    # the hole ends when the new film is known to be on disk, a little after its first frame
    assert any(film > crash[0][1] for film in films), "nothing was recorded after the restart"


async def test_patient_reloads_and_tab_crashes(house: House) -> None:
    """The seat is taken again without the doctor's doing; a recording that ran goes on."""
    async with visit(house) as call:
        await call.patient.reload()
        await call.flows(40)
        context = call.patient.context
        crashed = await context.new_cdp_session(call.patient)
        async with call.patient.expect_event("crash"):
            dying = asyncio.ensure_future(crashed.send("Page.crash"))  # a dead tab may never answer
        dying.cancel()
        fresh = await context.new_page()
        fresh.set_default_timeout(20_000)
        await fresh.add_init_script(TAP_PEERS)
        await fresh.add_init_script(INSTRUMENTS)
        await fresh.goto(f"{house.url}/p")
        call.patient = fresh
        await call.flows(40)
        assert call.rows("SELECT COUNT(*) FROM seats WHERE consult_id = ? AND state = 'admitted'") == [(2,)]


async def test_lost_socket_resumes_without_touching_media(house: House) -> None:
    """Only signalling is cut: numbers are resumed from the last one, and media does not even notice."""
    async with visit(house) as call:
        peers = [await page.evaluate("__peers.length") for page in call.both]
        since = [await clock(page) for page in call.both]
        for page in call.both:
            await page.context.set_offline(True)  # nothing new is let through ...
            await page.evaluate("__sockets.forEach(socket => socket.close())")  # ... and what there was is gone
        await asyncio.sleep(4)
        for page in call.both:
            await page.context.set_offline(False)
        await say(call.doctor, "听得到吗")
        await expect(call.patient.locator(".controls .dot")).to_be_visible()  # one unread message
        for name, page, start in zip(("doctor", "patient"), call.both, since, strict=True):
            got = await impression(page, start)
            print(f"socket lost, {name}: {got}")
            assert got.longest_freeze < 2
            assert got.longest_silence < 1
        assert [await page.evaluate("__peers.length") for page in call.both] == peers
