"""A day of a region through the REST API of one server: SOAK_PANELS panels from the booking to the close, in writing,
because a room's door is a socket. Consents are signed on the patients' pages and witnessed by the inviting doctor."""

import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from clinic.people import Staff
from huizhen.app import create_app
from huizhen.store import migrate
from huizhen.wiring import Parts, build
from tests.huizhen.world import PASSWORD, Browser, settings_for, sign
from tests.soak import checks, region
from tests.soak.region import House, Region
from tests.support.builders import CARDIOLOGY
from tests.support.clock import FakeClock

PANELS = int(os.environ.get("SOAK_PANELS", "500"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
SEEN = {"capacity": "self", "basis": "own", "signer_name": "患者", "document": "身份证", "relation": ""}


@dataclass(slots=True)
class Day:
    parts: Parts
    base: str
    clock: FakeClock
    stack: AsyncExitStack
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    doors: dict[str, Browser] = field(default_factory=dict)

    async def browser(self) -> Browser:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        await self.stack.enter_async_context(session)
        return Browser(self.base, session)

    async def door(self, person: Staff) -> Browser:
        if person.id not in self.doors:
            browser = await self.browser()
            assert (await browser.post("/api/login", login=person.login, password=PASSWORD)).status == 200
            self.doors[person.id] = browser
        return self.doors[person.id]

    async def ok(self, browser: Browser, method: str, path: str, **body: Any) -> Any:
        """The answer of a request that has to be granted, its time kept."""
        began = time.perf_counter()
        reply = await (browser.get(path) if method == "GET" else getattr(browser, method.lower())(path, **body))
        self.took.append(time.perf_counter() - began)
        assert reply.status == 200, (method, path, reply.status, reply.body)
        return reply.body

    async def panel(self, house: House) -> None:
        doctor, partner = self.rng.choice(house.doctors), self.rng.choice(house.partners)
        experts = self.rng.sample(partner.experts, self.rng.choice((1, 1, 2)))
        village, path = await self.door(doctor), ""
        start = self.clock() + timedelta(hours=1)
        booked = await self.ok(
            village,
            "POST",
            "/api/consults",
            kind="expert_consult",
            department=CARDIOLOGY,
            doctor_id=doctor.id,
            patient_id=self.rng.choice(house.patients).id,
            starts_at=start.isoformat(),
            ends_at=(start + timedelta(minutes=30)).isoformat(),
            reason="请会诊",
        )
        self.counts["booked"] += 1
        path = f"/api/consults/{booked['id']}"
        seat = next(each["id"] for each in booked["seats"] if each["role"] == "patient")
        case = {
            "invited_institution_id": partner.institution.id,
            "expert_ids": [each.id for each in experts],
            "chair_id": experts[0].id,
            "reason": "诊断不明",
            "aim": "明确治疗",
            "summary": "摘要",
            "wanted_specialty": "心内科",
        }
        early = await village.post(f"{path}/case", **case)
        assert early.code == "visit.not_admitted", early.body
        await self._consent(village, path, seat, doctor)
        await self.ok(village, "POST", f"{path}/case", **case)
        self.counts["sent"] += 1
        await self.ok(village, "POST", f"{path}/written", reason="不需要视频")
        for expert in experts:
            await self._answer(expert, booked["id"])
        await self._papers(village, path, experts)

    async def _consent(self, village: Browser, path: str, seat: str, doctor: Staff) -> None:
        link = await self.ok(village, "POST", f"{path}/seats/{seat}/link")
        patient = await self.browser()
        await self.ok(patient, "POST", "/api/links/redeem", secret=link["url"].partition("#")[2])
        witness = f"{path}/seats/{seat}/consent/witness"
        await self.ok(village, "POST", witness, **SEEN, typed_name=doctor.name)
        signed = await sign(patient, "张建明", rec_av=False)
        assert signed.status == 200, signed.body
        await patient.session.close()

    async def _answer(self, expert: Staff, consult_id: str) -> None:
        door = await self.door(expert)
        asked = (await self.ok(door, "GET", "/api/today"))["invitations"]
        (mine,) = [each["id"] for each in asked if each["consult_id"] == consult_id]
        await self.ok(door, "POST", f"/api/invitations/{mine}/answer", accept=True)
        self.counts["accepted"] += 1

    async def _papers(self, village: Browser, path: str, experts: list[Staff]) -> None:
        for expert in experts:
            door = await self.door(expert)
            await self.ok(door, "PUT", f"{path}/opinion", text="建议", dissent=False)
            await self.ok(door, "POST", f"{path}/opinion/sign")
            self.counts["opinions"] += 1
        chair = await self.door(experts[0])
        await self.ok(chair, "PUT", f"{path}/report", conclusion="共同意见")
        await self.ok(chair, "POST", f"{path}/report/sign")
        await self.ok(village, "PUT", f"{path}/decision", adoption="adopt", reason="同意", treatment="治疗")
        await self.ok(village, "POST", f"{path}/decision/sign")
        assert (await self.ok(village, "POST", f"{path}/close"))["status"] == "closed"
        self.counts["closed"] += 1


async def _passwords(parts: Parts, land: Region) -> None:
    hashed = await parts.services.staff_door.hash_password(PASSWORD)
    for house in land.houses:
        async with parts.database.begin() as tx:
            for person in (*house.doctors, *house.experts):
                await parts.services.staff_door.set_password(tx, person, hashed)


async def test_a_day_through_the_api(tmp_path: Path) -> None:
    clock, rng = FakeClock(), random.Random(SEED)
    settings = settings_for(tmp_path / "data")
    await migrate.upgrade(settings.database)
    parts = await build(settings, clock)
    async with AsyncExitStack() as stack:
        server = TestServer(create_app(parts))
        await server.start_server()
        stack.push_async_callback(server.close)
        base = str(server.make_url("")).rstrip("/")
        parts.address.url = base
        land = await region.found(parts.database, parts.services.sealer, rng, texts=True)
        await _passwords(parts, land)
        day = Day(parts, base, clock, stack, rng)
        cpu, began = time.process_time(), time.monotonic()
        for number in range(PANELS):
            if number % 50 == 0:
                clock.advance(minutes=2)
            await day.panel(rng.choice(land.inviting))
        spent, lasted = time.process_time() - cpu, time.monotonic() - began
        events = await checks.rows_and_trail_say_what_was_done(parts.database, land, day.counts)
        await checks.no_expert_is_twice_at_one_hour(parts.database)
        keys = settings.keys_path
    leaves, rows = checks.the_log_verifies(settings.data_dir / "huizhen.db", keys)
    took = sorted(day.took)
    print(
        f"\n{PANELS} panels (seed {SEED}): {dict(sorted(day.counts.items()))}, {len(took)} requests in {lasted:.0f} s"
    )
    print(f"{1000 * spent / PANELS:.0f} ms CPU a panel, client and server together")
    print(f"a request: median {1000 * took[len(took) // 2]:.1f} ms, p99 {1000 * took[len(took) * 99 // 100]:.1f} ms")
    print(f"{events} events, {leaves} leaves and {rows} rows verified")
