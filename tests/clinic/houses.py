"""A county that asks, and three houses with a coordinator and two experts each, for tests of requests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import filings, registration
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Consult, ConsultKind
from clinic.errors import AdmissionRefused
from clinic.panels import board, requesting, sending
from clinic.panels.requests import InvitedParty, PanelRequest
from clinic.people import Institution, Role, Staff
from tests.support.agreements import agree
from tests.support.builders import CARDIOLOGY, World, institution, staff
from tests.support.clock import FakeClock
from tests.support.proofs import filing


@dataclass
class Invited:
    house: Institution
    coordinator: Actor
    experts: list[Staff]

    @property
    def id(self) -> str:
        return self.house.id


@dataclass
class Region:
    """Everybody, with an agreement between the county and each of the three."""

    world: World
    houses: list[Invited]
    doctors: list[Staff]
    coordinator: Actor  # the county's

    @property
    def db(self) -> Any:
        return self.world.db

    @property
    def doctor(self) -> Actor:
        return Actor.staff(self.doctors[0])

    async def book(self, doctor: int = 0, **changes: Any) -> Booked:
        """A panel the day after tomorrow; each doctor has theirs at the same hours."""
        starts = self.world.clock() + timedelta(days=2)
        values = {"starts_at": starts, "ends_at": starts + timedelta(hours=1)} | changes
        return await self.world.book(
            kind=ConsultKind.EXPERT_CONSULT, doctor_id=self.doctors[doctor].id, evidence=(), reason="会诊", **values
        )

    def named(self, *houses: int, experts: int = 2) -> tuple[requesting.Named, ...]:
        found = [self.houses[number] for number in houses]
        return tuple(requesting.Named(each.id, tuple(row.id for row in each.experts[:experts])) for each in found)

    async def draft(self, consult: Consult, *houses: int, experts: int = 2, **changes: Any) -> PanelRequest:
        values: dict[str, Any] = {
            "reason": "诊断不明",
            "aim": "明确诊断",
            "summary": "胸闷三月",
            "wanted_department": CARDIOLOGY,
            "wanted_specialty": "心内科",
            "parties": self.named(*houses, experts=experts),
        }
        by = Actor.staff(next(each for each in self.doctors if each.id == consult.doctor_id))
        async with self.db.begin() as tx:
            return await requesting.draft(tx, consult.id, requesting.NewRequest(**{**values, **changes}), by)

    def words(self, consult: Consult, *unshared: str) -> tuple[sending.Shared, ...]:
        """The patient agreed before the inviting doctor's eyes, to every house but these."""
        seen = frozenset({consult.doctor_id})
        return tuple(
            sending.Shared(each.id, "c" * 32, seen)
            for each in [*self.houses, Invited(self.world.home, self.coordinator, [])]
            if each.id not in unshared
        )

    async def send(self, consult: Consult, words: tuple[sending.Shared, ...] | None = None) -> PanelRequest:
        by = Actor.staff(next(each for each in self.doctors if each.id == consult.doctor_id))
        supplied = sending.Supplied(
            self.words(consult) if words is None else words, (sending.Material("image_study", "d" * 32, "ab" * 32),)
        )
        async with self.db.begin() as tx:
            return (await sending.send(tx, self.world.sealer, consult.id, supplied, by))[0]

    async def asked(self, *houses: int, doctor: int = 0, **changes: Any) -> tuple[Booked, PanelRequest]:
        """Booked, drafted and sent."""
        booked = await self.book(doctor)
        await self.draft(booked.consult, *houses, **changes)
        return booked, await self.send(booked.consult)

    def request(self, request_id: str) -> PanelRequest:
        found: PanelRequest = next(row for row in self.db.rows("panel_requests") if row.id == request_id)
        return found

    def party(self, request_id: str, house: int) -> InvitedParty:
        rows: list[InvitedParty] = self.db.rows("invited_parties")
        home = self.houses[house].id
        return next(row for row in rows if row.request_id == request_id and row.invited_institution_id == home)

    def parties(self, request_id: str) -> list[InvitedParty]:
        rows: list[InvitedParty] = self.db.rows("invited_parties")
        return sorted((row for row in rows if row.request_id == request_id), key=lambda row: row.rank)

    def invitation(self, consult: Consult, expert: Staff) -> Any:
        """The latest one to this expert."""
        rows = [row for row in self.db.rows("invitations") if row.consult_id == consult.id]
        return [row for row in rows if row.expert_id == expert.id][-1]


async def region(clock: FakeClock | None = None, db: Any = None) -> Region:
    """In memory, or on another database with its clock."""
    world = await World.create(clock, db)
    found: list[Invited] = []
    async with world.db.begin() as tx:
        houses = [world.partner]
        for number in (2, 3):
            new = institution(f"市第{number}医院", f"City Hospital {number}")
            houses.append(await registration.create_institution(tx, new))
        for number, house in enumerate(houses, 1):
            there = Actor.system(house.id)
            experts = world.experts if house is world.partner else []
            for each in (1, 2)[len(experts) :]:
                login = f"h{number}expert{each}"
                experts = [*experts, await registration.create_staff(tx, staff(house.id, login, (Role.EXPERT,)), there)]
            coordinator = await registration.create_staff(
                tx, staff(house.id, f"h{number}coo", (Role.COORDINATOR,)), there
            )
            found.append(Invited(house, Actor.staff(coordinator), experts))
            await agree(tx, world.sealer, world.home.id, house.id)
        other = await registration.create_staff(
            tx, staff(world.home.id, "clinic_doctor2", (Role.INVITING,)), world.system
        )
        await filings.file_practice(tx, other.id, filing(), world.system)
        ours = await registration.create_staff(tx, staff(world.home.id, "coo", (Role.COORDINATOR,)), world.system)
    return Region(world, found, [world.clinic_doctor, other], Actor.staff(ours))


async def refused(act: Any) -> tuple[str, ...]:
    with pytest.raises(AdmissionRefused) as caught:
        await act
    return caught.value.reasons


async def changed(at: Region, table: str, row_id: str, **values: Any) -> None:
    async with at.db.begin() as tx:
        row = await getattr(tx, table).get(row_id)
        await getattr(tx, table).save(replace(row, **values))
        await tx.append(AuditEvent(EventCode.STAFF_CHANGED, getattr(row, "institution_id", row.id), "system"))


async def triage(at: Region, act: Callable[..., Any], request: str, *rest: Any, house: int = 0, **named: Any) -> Any:
    async with at.db.begin() as tx:
        return await act(tx, request, *rest, by=at.houses[house].coordinator, **named)


async def due(at: Region, by: Actor) -> list[board.DueLine]:
    async with at.db.read() as tx:
        return await board.due(tx, by)
