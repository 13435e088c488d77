"""The real application on SQLite in a temporary directory, two institutions with everybody in them, and browsers."""

import base64
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp.test_utils import TestServer

from clinic import attesting, booking, filings, registration
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind, Seat
from clinic.people import IdentityLevel, Institution, Patient, Role, Staff
from consent import templates
from huizhen.app import create_app
from huizhen.auth.limiter import Attempts
from huizhen.auth.passwords import Passwords
from huizhen.auth.staff import StaffDoor
from huizhen.demo_data import signature_png
from huizhen.settings import Settings
from huizhen.store.database import SqlDatabase
from huizhen.wiring import Parts, build
from tests.support import prepared
from tests.support.agreements import agree
from tests.support.clock import FakeClock
from tests.support.proofs import filing

PASSWORD = "correct horse 7"
CARDIOLOGY = "03.04"
ROLES = (
    Role.ATTENDING,
    Role.INVITING,
    Role.EXPERT,
    Role.CHAIR,
    Role.NURSE,
    Role.ARCHIVIST,
    Role.APPROVER,
    Role.REGULATOR,
    Role.AUDITOR,
    Role.ADMIN,
    Role.COORDINATOR,
)
# Canaries: whatever ends up in a log line, a metric or a URL is found by these.
NAMES = {"city": "城甲", "county": "县乙"}
PATIENT_NAME = "患者欧阳鹤"
ID_NUMBER = "000000197001019876"
PHONE = "10099887766"


def operation() -> str:
    return uuid4().hex


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Fast and small: argon2 at its floor, loopback media on free ports."""
    values: dict[str, Any] = {
        "data_dir": folder,
        "port": 0,
        "media_host": "127.0.0.1",
        "argon2_time_cost": 1,
        "argon2_memory_kib": 8,
        "argon2_parallelism": 1,
        "free_space_floor_mb": 16,
        "requests_per_minute": 100_000,
        "login_failures_per_minute": 5,
    }
    return Settings(**(values | changes))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes

    @property
    def code(self) -> str:
        return str(self.body["code"])


class Browser:
    """One cookie jar, and the CSRF token of whoever came in."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session
        self.csrf = ""

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        headers = {"X-CSRF": self.csrf} | options.pop("headers", {})
        if body is not None:
            options["json"] = body
        async with self.session.request(method, self.base + path, headers=headers, **options) as response:
            raw = await response.read()
            decoded = await response.json(content_type=None) if "json" in response.content_type else None
            if isinstance(decoded, dict) and isinstance(decoded.get("csrf"), str):
                self.csrf = decoded["csrf"]
            if method == "HEAD" and "X-Problem" in response.headers:
                decoded = {"code": response.headers["X-Problem"]}
            return Reply(response.status, decoded, dict(response.headers), raw)

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def post(self, path: str, **body: Any) -> Reply:
        return await self.call("POST", path, {"op": operation()} | body)

    async def put(self, path: str, **body: Any) -> Reply:
        return await self.call("PUT", path, {"op": operation()} | body)

    def cookie(self, name: str) -> str:
        return next(c.value for c in self.session.cookie_jar if c.key == name)


@dataclass(slots=True)
class House:
    institution: Institution
    patient: Patient
    staff: dict[Role, Staff] = field(default_factory=dict)
    second_approver: Staff | None = None

    def login(self, role: Role) -> str:
        return self.staff[role].login


@dataclass(slots=True)
class Booked:
    consult: Consult
    doctor: Seat
    patient: Seat
    secret: str


class World:
    """The running server and its people."""

    def __init__(self, parts: Parts, base: str, clock: FakeClock, stack: AsyncExitStack) -> None:
        self.parts = parts
        self.base = base
        self.clock = clock
        self.houses: dict[str, House] = {}
        self._stack = stack

    @property
    def db(self) -> Any:
        return self.parts.database

    async def browser(self) -> Browser:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        await self._stack.enter_async_context(session)
        return Browser(self.base, session)

    async def staff(self, house: str, role: Role) -> Browser:
        return await self.login(self.houses[house].login(role))

    async def login(self, login: str, password: str = PASSWORD) -> Browser:
        browser = await self.browser()
        reply = await browser.post("/api/login", login=login, password=password)
        assert reply.status == 200, reply.body
        return browser

    async def book(self, house: str = "city", kind: ConsultKind = ConsultKind.FOLLOW_UP) -> Booked:
        """A consult that is open now, and a link for the patient."""
        owner = self.houses[house]
        doctor = owner.staff[Role.ATTENDING if kind is ConsultKind.FOLLOW_UP else Role.INVITING]
        async with self.db.begin() as tx:
            now = tx.now
            visited = (now - timedelta(days=10)).date().isoformat()
            proof = booking.NewEvidence(CARDIOLOGY, visited, "某医院", "高血压", "MZ1")
            new = booking.NewConsult(
                kind,
                CARDIOLOGY,
                doctor.id,
                owner.patient.id,
                "复诊",
                1_000,
                now - timedelta(minutes=1),
                now + timedelta(hours=2),
                (proof,) if kind is ConsultKind.FOLLOW_UP else (),
            )
            booked = await booking.book(tx, new, Actor.staff(doctor))
            if kind is ConsultKind.FOLLOW_UP:
                kept = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[0]
                await attesting.attest(
                    tx, self.parts.services.sealer, booked.consult.id, kept.id, "高血压", Actor.staff(doctor)
                )
            issued = await self.parts.services.link_door.issue(tx, booked.patient_seat, doctor.id)
        return Booked(booked.consult, booked.doctor_seat, booked.patient_seat, issued.secret)

    async def patient(self, booked: Booked) -> Browser:
        browser = await self.browser()
        reply = await browser.post("/api/links/redeem", secret=booked.secret)
        assert reply.status == 200, reply.body
        return browser

    async def events(self, house: str = "city") -> list[Any]:
        from huizhen.api import render

        async with self.db.read() as tx:
            return await render.trail(tx, self.houses[house].institution.id)


async def sign(
    browser: Browser, name: str = PATIENT_NAME, locale: str = "zh", *, again: bool = False, **decisions: bool
) -> Reply:
    """Read the text and sign it; every question that is not named is answered yes. `again`: anew after a no."""
    shown = (await browser.get(f"/api/seat/consent?locale={locale}&again={str(again).lower()}")).body
    answers = {question["purpose"]: decisions.get(question["purpose"], True) for question in shown["questions"]}
    return await browser.post(
        "/api/seat/consent",
        template_id=shown["template_id"],
        shown_sha256=shown["shown_sha256"],
        locale=locale,
        decisions=answers,
        again=again,
        typed_name=name,
        signature=drawn(),
        reading={"sections": [], "read_aloud": False, "font_px": 18},
    )


async def ask_experts(
    world: World, booked: Booked, clinic: Browser, patient: Browser, *, sharing: bool = True, **case: Any
) -> Reply:
    """The county asks the city: refused until there is an agreement and the patient has agreed before the doctor's
    eyes, then sent. Not `sharing`: the patient takes their word back afterwards.
    """
    county, city = world.houses["county"], world.houses["city"]
    path = f"/api/consults/{booked.consult.id}"
    values = {"invited_institution_id": city.institution.id, "reason": "r", "aim": "a", "summary": "s"}
    values |= {"wanted_specialty": "心血管内科"} | case
    refused = await clinic.post(f"{path}/case", **values)
    assert (refused.status, refused.code) == (409, "visit.not_admitted"), refused.raw
    assert "panel.consent_missing" in refused.body["reasons"]
    async with world.db.begin() as tx:
        if not await tx.cooperation_agreements.find(invited_id=city.institution.id):
            await agree(tx, world.parts.services.sealer, county.institution.id, city.institution.id)
    seen = {"capacity": "self", "basis": "own", "signer_name": PATIENT_NAME, "document": "身份证"}
    seen["typed_name"] = county.staff[Role.INVITING].name
    witnessed = await clinic.post(f"{path}/seats/{booked.patient.id}/consent/witness", **seen)
    assert witnessed.status == 200, witnessed.raw
    assert (await sign(patient)).status == 200
    sent = await clinic.post(f"{path}/case", **values)
    assert sent.status == 200, sent.raw
    if not sharing:
        gone = await patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])
        assert gone.status == 200, gone.raw
    return sent


def drawn() -> dict[str, Any]:
    png = base64.b64encode(signature_png(40, 20)).decode()
    strokes = [[[1, 2, 0], [3.5, 4, 16], [5, 6, 32], [9, 9, 48]], [[1, 1, 100], [2, 2, 120]]]
    return {"png": f"data:image/png;base64,{png}", "strokes": strokes}


@asynccontextmanager
async def world_at(folder: Path, **changes: Any) -> AsyncIterator[World]:
    """The server, up; closed in order when the block ends."""
    clock = FakeClock()
    settings = settings_for(folder, **changes)
    houses = await _furnished(folder)
    parts = await build(settings, clock)
    async with AsyncExitStack() as stack:
        server = TestServer(create_app(parts))
        await server.start_server()
        stack.push_async_callback(server.close)
        base = str(server.make_url("")).rstrip("/")
        parts.address.url = base
        world = World(parts, base, clock, stack)
        world.houses = houses
        yield world


_founded: dict[str, House] = {}
_template = tempfile.TemporaryDirectory(prefix="huizhen-houses-")  # gone with the process


async def _furnished(folder: Path) -> dict[str, House]:
    """Both houses in the data directory `folder`: founded once per process, copied for each test."""
    template = Path(_template.name) / "data"
    if not _founded:
        settings = settings_for(template)
        await prepared.database_at(settings.database)
        database = await SqlDatabase.open(
            settings.database, settings.keys_path, clock=FakeClock(), deployment=settings.deployment, node=settings.node
        )
        door = StaffDoor(database, Passwords(settings), Attempts(settings), settings)
        for key in ("city", "county"):
            _founded[key] = await _found(database, door, key)
        await database.close()
    shutil.copytree(template, folder)
    return {key: replace(house, staff=dict(house.staff)) for key, house in _founded.items()}


async def _found(database: SqlDatabase, door: StaffDoor, key: str) -> House:
    hashed = await door.hash_password(PASSWORD)
    async with database.begin() as tx:
        new = registration.NewInstitution(
            f"{key}医院", key, f"LIC-{key}", date(2049, 1, 1), (CARDIOLOGY,), "0000-1", name_en=f"{key} hospital"
        )
        institution = await registration.create_institution(tx, new)
        system = Actor.system(institution.id)
        await templates.publish(tx, institution.id, system)
        person = registration.NewPatient(
            institution.id, PATIENT_NAME, date(1970, 1, 1), "F", ID_NUMBER, PHONE, IdentityLevel.L3
        )
        house = House(institution, await registration.create_patient(tx, person, system))
        for role in ROLES:
            house.staff[role] = await _account(tx, door, house, role, hashed, f"{key}-{role.value}")
        house.second_approver = await _account(tx, door, house, Role.APPROVER, hashed, f"{key}-approver-2")
    return house


async def _account(tx: Any, door: StaffDoor, house: House, role: Role, hashed: str, login: str) -> Staff:
    doctor = role in (Role.ATTENDING, Role.INVITING, Role.EXPERT, Role.CHAIR)
    account = registration.NewStaff(
        institution_id=house.institution.id,
        login=login,
        name=f"{NAMES[login.partition('-')[0]]}{secrets.token_hex(2)}",
        roles=(Role.EXPERT, Role.CHAIR) if role is Role.CHAIR else (role,),
        title="医师",
        department=CARDIOLOGY if doctor else None,
        licence_number="L1" if doctor else None,
        licence_valid_to=date(2049, 1, 1) if doctor else None,
        practice_scope=(CARDIOLOGY,) if doctor else (),
        independent_since=date(2000, 1, 1) if doctor else None,
        verified_until=date(2049, 1, 1) if doctor else None,
    )
    staff = await registration.create_staff(tx, account, Actor.system(house.institution.id))
    if doctor:
        await filings.file_practice(tx, staff.id, filing(), Actor.system(house.institution.id))
    await door.set_password(tx, staff, hashed)
    return staff
