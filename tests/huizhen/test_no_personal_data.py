"""What is said in the room stays in the room: chat, SDP, names and advice of a live call reach no log and no figure.

The REST side of the same promise is in test_canaries.py.
"""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import structlog

from clinic.people import Role
from huizhen import logs
from tests.huizhen.world import PATIENT_NAME, Browser, World, operation, settings_for, sign

CHAT = "canary-chat-我儿子的电话是10055554444"
GUEST = "金丝雀女士"
ADVICE = "canary-advice-请尽快到心内科门诊"
OFFER = Path(__file__).parents[1] / "support" / "sdp_samples" / "chromium_plain.sdp"


@pytest.fixture
def written(tmp_path: Path) -> Iterator[io.StringIO]:
    """Everything the process logs, at the most talkative level."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    captured = io.StringIO()
    logs.configure(settings_for(tmp_path, log_level="debug"), captured)
    root.setLevel(logging.DEBUG)
    try:
        yield captured
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


class Page:
    """One page's socket."""

    def __init__(self, browser: Browser, client: socketio.AsyncClient, ticket: str) -> None:
        self.browser, self.client, self.ticket = browser, client, ticket

    async def say(self, event: str, **body: Any) -> dict[str, Any]:
        ack: dict[str, Any] = await self.client.call(event, body, timeout=5)
        return ack


async def _enter(world: World, browser: Browser, path: str) -> Page:
    ticket = (await browser.post(path)).body["ticket"]
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(world.base, auth={"ticket": ticket}, transports=["websocket"], wait_timeout=5)
    page = Page(browser, client, ticket)
    joined = await page.say("join", v=1, op=operation())
    assert joined["ok"], joined
    return page


async def test_a_live_call_leaves_nothing_personal_behind(world: World, written: io.StringIO) -> None:
    booked = await world.book()
    phone = await world.patient(booked)
    await sign(phone)
    doctor = await _enter(world, await world.staff("city", Role.ATTENDING), f"/api/consults/{booked.consult.id}/ticket")
    patient = await _enter(world, phone, "/api/seat/ticket")
    try:
        sdp = OFFER.read_text(encoding="utf-8")
        link = await _talk(doctor, patient, booked.patient.id, sdp)
    finally:
        for page in (doctor, patient):
            await page.client.shutdown()
            if page.client.eio.http is not None:
                await page.client.eio.http.close()
    canaries = {
        "chat": CHAT,
        "guest": GUEST,
        "advice": ADVICE,
        "patient": PATIENT_NAME,
        "doctor": world.houses["city"].staff[Role.ATTENDING].name,
        "phone in chat": "10055554444",
        "guest link": link["url"].partition("#")[2],
        "ticket": patient.ticket,
        "cookie": phone.cookie("hz_device"),
        "address": "127.0.0.1",
        **{f"sdp {line[:14]}": line.partition(":")[2] for line in sdp.splitlines() if line.startswith("a=ice-")},
        **{f"sdp {line[:14]}": line[14:] for line in sdp.splitlines() if line.startswith("a=fingerprint")},
    }
    said = written.getvalue()
    figures = world.parts.services.metrics.render().decode()
    assert 'huizhen_signaling_events_total{label="chat"}' in figures
    assert said.count("\n") >= 3, "nothing was logged: the test looks at the wrong place"
    assert [name for name, canary in canaries.items() if canary in said] == []
    assert [name for name, canary in canaries.items() if canary in figures] == []
    assert GUEST not in link["url"]
    events = [event for event in await world.events() if event.consult_id == booked.consult.id]
    assert "room.chat" in {event.code for event in events}
    for event in events:
        public = json.dumps(dict(event.public), ensure_ascii=False)
        assert [name for name, canary in canaries.items() if canary in public] == [], event.code


async def _talk(doctor: Page, patient: Page, patient_seat: str, sdp: str) -> dict[str, Any]:
    """From admission to the end, refusals included; returns the invited guest's link."""
    assert (await doctor.say("admit", op=operation(), seat=patient_seat))["ok"]
    assert (await patient.say("chat", op=operation(), text=CHAT))["ok"]
    await patient.say("media.offer", sdp=sdp, sources={})
    assert not (await patient.say("media.offer", sdp=f"v=0\r\ns={CHAT}\r\n", sources={}))["ok"]
    assert not (await patient.say("chat", op=operation(), text=CHAT, extra=CHAT))["ok"]
    assert not (await patient.say(f"event {CHAT}"))["ok"]
    invited = await doctor.say("guest.invite", op=operation(), role="family", display_name=GUEST, relation="女儿")
    assert invited["ok"], invited
    ended = await doctor.say("terminate", op=operation(), reason_code="needs_examination", advice=ADVICE)
    assert ended["ok"], ended
    link: dict[str, Any] = invited["link"]
    return link
