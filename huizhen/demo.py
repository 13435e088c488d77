"""The demo: people of four institutions, two consults that are open now, one that lies years back.

What happened stays: started again, the demo uses its data directory as it is and books new consults when the old ones
are over. `demo.json` (readable by its owner only) keeps the password and the links, so that they stay the same.
"""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from clinic import attesting, booking, filings, registration
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind, ConsultStatus, Seat
from clinic.people import Role
from consent import templates
from huizhen import demo_data, demo_parties, demo_past, qr
from huizhen.auth import secret
from huizhen.auth.limiter import Attempts
from huizhen.auth.passwords import Passwords
from huizhen.auth.staff import StaffDoor
from huizhen.cli_support import console, step
from huizhen.demo_data import CARDIOLOGY, HOUSES
from huizhen.settings import Settings
from huizhen.store.blobs import LocalBlobs
from huizhen.store.database import SqlDatabase
from huizhen.store.keys import replace_file
from huizhen.store.tables import StoreTransaction
from huizhen.wiring import Parts
from signaling import closing

_PAST = timedelta(days=3 * 366 + 40)  # the process records of that day are due
_OPEN_FOR = timedelta(hours=12)
_OVERTIME = timedelta(hours=2)  # the doctor stays on duty after the booked end
_ENOUGH = timedelta(hours=1)  # a consult with less time left is replaced
_GUESTS = {"visit": ("张丽", "女儿"), "panel": ("刘建国", "丈夫")}


@dataclass(slots=True)
class Memory:
    """demo.json."""

    password: str
    institutions: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)  # login -> staff id
    patients: dict[str, str] = field(default_factory=dict)
    consults: dict[str, str] = field(default_factory=dict)
    links: dict[str, dict[str, Any]] = field(default_factory=dict)  # "visit.patient" -> {secret, code, seat}
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryFile:
    """demo.json of a data directory."""

    path: Path

    def load(self) -> Memory:
        if self.path.exists():
            return Memory(**json.loads(self.path.read_text(encoding="utf-8")))
        return Memory(password=f"demo-{secrets.token_hex(3)}")

    def save(self, memory: Memory) -> None:
        replace_file(self.path, json.dumps(asdict(memory), ensure_ascii=False, indent=1).encode(), mode=0o600)


async def found_demo(settings: Settings) -> None:
    """Before the server starts: institutions and people, as of three years and some weeks ago, and a visit of that day.

    Idempotent. A start that is broken off is repeated with fresh institutions: nothing is remembered before the end.
    """
    file = MemoryFile(settings.data_dir / "demo.json")
    memory = file.load()
    if memory.institutions:
        return
    step("demo institutions, people, and a visit three years ago")
    clock = demo_past.PastClock(datetime.now(UTC) - _PAST)
    db = await SqlDatabase.open(
        settings.database, settings.keys_path, clock=clock, deployment=settings.deployment, node=settings.node
    )
    try:
        await _found(db, settings, memory)
        stage = demo_past.Stage(db, LocalBlobs(settings.blobs_path), settings.spool_path, clock.advance)
        async with db.read() as tx:
            doctor = await tx.staff.get(memory.logins["doctor"])
            patient = await tx.patients.get(memory.patients["visit"])
        recording = await demo_past.play(stage, doctor, patient)
        memory.consults["past"] = recording.consult_id
    finally:
        await db.close()
    file.save(memory)


async def _found(db: SqlDatabase, settings: Settings, memory: Memory) -> None:
    door = StaffDoor(db, Passwords(settings), Attempts(settings), settings)
    hashed = await door.hash_password(memory.password)
    verified_until = (datetime.now(UTC) + timedelta(days=365 * 5)).date()
    for house in HOUSES:
        async with db.begin() as tx:
            institution = await registration.create_institution(tx, house.new)
            system = Actor.system(institution.id)
            await templates.publish(tx, institution.id, system)
            for person in house.people:
                staff = await registration.create_staff(tx, person.account(institution.id, verified_until), system)
                await door.set_password(tx, staff, hashed)
                if person.doctor:
                    await filings.file_practice(tx, staff.id, demo_data.filing(person), system)
                memory.logins[person.login] = staff.id
        memory.institutions[house.key] = institution.id
    await demo_parties.found_parties(db, memory.institutions, memory.logins)
    for which, new in (
        ("visit", demo_data.visit_patient(memory.institutions["city"])),
        ("panel", demo_data.panel_patient(memory.institutions["county"])),
    ):
        async with db.begin() as tx:
            patient = await registration.create_patient(tx, new, Actor.system(new.institution_id))
        memory.patients[which] = patient.id


class Demo:
    """On the running server: consults that are open now, their links, and how to get in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._db = parts.database
        self._file = MemoryFile(parts.settings.data_dir / "demo.json")
        self._memory = self._file.load()

    async def present(self) -> None:
        """Idempotent: roll forward and print."""
        step("demo consults")
        await self._consult("visit", ConsultKind.FOLLOW_UP, "doctor")
        await self._consult("panel", ConsultKind.EXPERT_CONSULT, "clinic")
        base = self._parts.address()
        self._memory.urls = {name: f"{base}/p#{link['secret']}" for name, link in self._memory.links.items()}
        self._memory.urls["console"] = f"{base}/console"
        self._file.save(self._memory)
        self._print()

    async def _consult(self, which: str, kind: ConsultKind, login: str) -> None:
        """The consult of this kind that is open now, with its links; booked anew when the former is over."""
        known = await self._usable(which)
        if known is None:
            known = await self._book(which, kind, login)
            self._memory.consults[which] = known.id
            self._file.save(self._memory)
        await self._links(which, known)

    async def _usable(self, which: str) -> Consult | None:
        consult_id = self._memory.consults.get(which)
        if consult_id is None:
            return None
        async with self._db.read() as tx:
            consult = await tx.consults.get(consult_id)
            now = tx.now
        if consult.status is ConsultStatus.IN_PROGRESS:
            return consult
        if consult.media_open and consult.ends_at - now > _ENOUGH:
            return consult
        if consult.status in (ConsultStatus.SCHEDULED, ConsultStatus.WAITING):
            await self._retire(consult)
        return None

    async def _retire(self, consult: Consult) -> None:
        async with self._db.begin() as tx:
            await booking.cancel(tx, consult.id, await self._doctor(tx, consult.doctor_id), "other")
        await closing.consult_changed(self._parts.live, consult.id)

    @staticmethod
    async def _doctor(tx: StoreTransaction, staff_id: str) -> Actor:
        return Actor.staff(await tx.staff.get(staff_id))

    async def _book(self, which: str, kind: ConsultKind, login: str) -> Consult:
        async with self._db.begin() as tx:
            now = tx.now
            new = booking.NewConsult(
                kind=kind,
                department=CARDIOLOGY,
                doctor_id=self._memory.logins[login],
                patient_id=self._memory.patients[which],
                reason="高血压复诊,近两周偶有胸闷" if which == "visit" else "反复胸痛,冠脉造影后治疗方案待定",
                fee_cents=3_000 if which == "visit" else 0,
                starts_at=_to_minute(now - timedelta(minutes=5)),
                ends_at=_to_minute(now + _OPEN_FOR),
                evidence=self._evidence(which, now),
            )
            doctor = await self._doctor(tx, new.doctor_id)
            await self._filed(tx, login, doctor)
            booked = await booking.book(tx, new, doctor)
            await filings.plan_shift(
                tx, doctor.id, CARDIOLOGY, new.starts_at, new.ends_at + _OVERTIME, Actor.system(doctor.institution_id)
            )
            for proof in await tx.follow_up_evidence.find(consult_id=booked.consult.id):
                await attesting.attest(
                    tx, self._parts.services.sealer, booked.consult.id, proof.id, proof.diagnosis, doctor
                )
        return booked.consult

    @staticmethod
    async def _filed(tx: StoreTransaction, login: str, doctor: Actor) -> None:
        """A directory from before filings were asked for (CN-05) gets them now."""
        if await tx.practice_filings.find(staff_id=doctor.id):
            return
        person = next(each for house in HOUSES for each in house.people if each.login == login)
        await filings.file_practice(tx, doctor.id, demo_data.filing(person), Actor.system(doctor.institution_id))

    @staticmethod
    def _evidence(which: str, now: datetime) -> tuple[booking.NewEvidence, ...]:
        if which != "visit":
            return ()
        visited = (now - timedelta(days=20)).date().isoformat()
        return (booking.NewEvidence(CARDIOLOGY, visited, "云州市第一人民医院", "原发性高血压 2 级", "MZ0000123"),)

    async def _links(self, which: str, consult: Consult) -> None:
        """The patient's and the family member's links; kept over restarts as long as they live."""
        async with self._db.begin() as tx:
            seats = await tx.seats.find(consult_id=consult.id)
            patient = next(seat for seat in seats if seat.role is Role.PATIENT)
            family = next((seat for seat in seats if seat.role is Role.FAMILY), None)
            if family is None:
                name, relation = _GUESTS[which]
                guest = booking.NewGuest(Role.FAMILY, name, relation)
                family = await booking.add_guest(tx, consult.id, guest, await self._doctor(tx, consult.doctor_id))
            for key, seat in ((f"{which}.patient", patient), (f"{which}.family", family)):
                await self._link(tx, key, seat)

    async def _link(self, tx: StoreTransaction, key: str, seat: Seat) -> None:
        known = self._memory.links.get(key)
        if known is not None and known["seat"] == seat.id:
            rows = await tx.join_links.find(id=secret.fingerprint(known["secret"]))
            if rows and rows[0].revoked_at is None and rows[0].expires_at - tx.now > _OPEN_FOR:
                return
        issued = await self._parts.services.link_door.issue(tx, seat, "system")
        self._memory.links[key] = {"seat": seat.id, "secret": issued.secret, "code": issued.code}

    def _print(self) -> None:
        urls, memory = self._memory.urls, self._memory
        links = Table("demo", "link", "asked on a second device", title="People without a login", expand=False)
        last4 = {
            "visit": demo_data.visit_patient("").id_number[-4:],
            "panel": demo_data.panel_patient("").id_number[-4:],
        }
        for key, words in _LINK_WORDS.items():
            which, _, who = key.partition(".")
            asked = f"id …{last4[which]}" if who == "patient" else f"code {memory.links[key]['code']}"
            links.add_row(words, urls[key], asked)
        console.print(links)
        people = Table("login", "who", "house", title="Console", expand=False)
        for house in HOUSES:
            for person in house.people:
                roles = ", ".join(role.value for role in person.roles)
                people.add_row(person.login, f"{person.name} · {roles}", house.new.short_name)
        console.print(people)
        console.print(f"console  {urls['console']}   password of all: [bold]{memory.password}[/]", highlight=False)
        console.print("[bold]patient link[/] (scan with a phone on the same network: make run LAN=1)", highlight=False)
        console.file.write(qr.terminal(urls["visit.patient"]))
        console.file.flush()


_LINK_WORDS = {
    "visit.patient": "复诊患者 张晓明 (patient)",
    "visit.family": "家属 张丽 (daughter)",
    "panel.patient": "会诊患者 王秀兰 (panel patient)",
    "panel.family": "家属 刘建国 (husband)",
}


def _to_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
