"""Playing back what changed while it was recorded: a camera that came on late, and went away again."""

import asyncio
import contextlib
import sqlite3

import pytest
from playwright.async_api import Page, expect

from tests.e2e.house import House, People, button
from tests.e2e.visit import until, visit

pytestmark = pytest.mark.browser


def layouts(house: House, recording: str) -> list[str]:
    """The containers' kinds of the recording's segments, in order of their start."""
    with contextlib.closing(sqlite3.connect(f"file:{house.data / 'huizhen.db'}?mode=ro", uri=True)) as db:
        query = "SELECT mime FROM segments WHERE recording_id = ? ORDER BY started_at"
        return [str(mime) for (mime,) in db.execute(query, (recording,))]


async def shown(page: Page, name: str) -> bool:
    """Whether this person's picture is there and running in the player."""
    return bool(
        await page.locator("figure.person", has_text=name).locator("video").evaluate(
            "v => !v.paused && v.videoWidth > 0 && v.readyState >= 2"
        )
    )  # fmt: skip


async def open_player(people: People, recording: str) -> Page:
    archivist = await people.staff("archivist")
    await archivist.goto(f"{people.house.url}/console/archive/{recording}")
    await archivist.fill("textarea[name=reason]", "患者投诉，需要核对医嘱内容")
    await button(archivist, "archive:askGo").click()
    await expect(archivist.locator(".hz-notice.warn")).to_be_visible()
    approver = await people.staff("approver1")
    await approver.goto(f"{people.house.url}/console/access")
    await button(approver, "archive:decide.grant").first.click()
    await expect(button(approver, "archive:decide.grant")).to_have_count(0)
    await archivist.reload()
    await button(archivist, "archive:view").click()
    return archivist


async def test_camera_that_came_late(house: House) -> None:
    async with visit(house) as call:
        camera = call.patient.locator(".ctl").nth(1)
        await camera.click()
        await expect(call.doctor.locator("figure.tile .blank").first).to_be_visible()
        recording = await call.record()
        await asyncio.sleep(2.5)  # only heard
        await camera.click()
        await asyncio.sleep(4)  # heard and seen
        await call.doctor.click("[data-act=end]")
        await call.doctor.locator("dialog[open] .danger").click()
        await expect(call.doctor.locator("textarea[name=complaint]")).to_be_visible()

        kinds = layouts(house, recording)
        assert any(kind.startswith("audio/") for kind in kinds) and any(kind.startswith("video/") for kind in kinds), (
            kinds
        )
        player = await open_player(call.people, recording)
        await button(player, "archive:player.play").click()
        await until(lambda: shown(player, "张晓明"), 20, "the late camera's picture")
        await player.locator("input.seek").fill("500")  # back to where there was only a voice
        await until(lambda: shown(player, "张晓明"), 20, "the picture once more, after going back")
        await expect(player.locator(".player [role=alert]")).to_have_count(0)
