"""Many consults at once on SQLite: booked in hours, queued, admitted, each by tasks of its own."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from audit.errors import StaleRow
from clinic import filings, line, registration, slots, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import ConsultKind
from clinic.errors import SlotFull
from clinic.overlays import rules_for
from clinic.people import Patient, Role, Staff
from clinic.queueing import line as in_line
from clinic.queueing import outlook, pace_of
from huizhen.store.database import SqlDatabase
from tests.support import prepared
from tests.support.builders import CARDIOLOGY, World, patient, staff
from tests.support.builders import evidence as proof
from tests.support.clock import FakeClock
from tests.support.proofs import filing

PLACES = 10  # of one doctor, five minutes each: all of them may come at the same moment


@dataclass
class Run:
    """What happened; seconds are of this process, all threads."""

    cpu_booking: float = 0.0
    cpu_arriving: float = 0.0
    cpu_admitting: float = 0.0
    booked: dict[str, list[Booked]] = field(default_factory=dict)  # doctor -> visits
    admitted: dict[str, list[str]] = field(default_factory=dict)  # doctor -> patients' seats, as they were let in
    refused: int = 0

    def per_visit(self, seconds: float) -> float:
        """Milliseconds."""
        return 1000 * seconds / sum(map(len, self.booked.values()))


async def crowd(folder: Path, count: int) -> tuple[Run, World, SqlDatabase]:
    """`count` patients (a multiple of PLACES) book, come and are let in, all at once. Close the database after."""
    clock = FakeClock()
    url = f"sqlite:///{folder / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, folder / "keys", clock=clock, deployment="test", node="n1")
    world = await World.create(clock, database)
    doctors, patients = await _people(world, count)
    opened = await _open(world, doctors)
    run = Run()
    began = time.process_time()
    await _book(world, opened, patients, run)
    run.cpu_booking = time.process_time() - began
    clock.advance(minutes=58)
    everybody = [each for visits in run.booked.values() for each in visits]
    for each in everybody:
        await world.ready(each.consult)
    began = time.process_time()
    await asyncio.gather(*(world.enter(each.patient_seat) for each in reversed(everybody)))
    run.cpu_arriving = time.process_time() - began
    await asyncio.gather(*(world.enter(each.doctor_seat) for each in everybody))
    began = time.process_time()
    await asyncio.gather(*(_let_in(world, doctor, run) for doctor in doctors))
    run.cpu_admitting = time.process_time() - began
    return run, world, database


async def _people(world: World, count: int) -> tuple[list[Staff], list[Patient]]:
    async with world.db.begin() as tx:
        doctors = [
            await registration.create_staff(tx, staff(world.home.id, f"crowd{n}", (Role.ATTENDING,)), world.system)
            for n in range(count // PLACES)
        ]
        for doctor in doctors:
            await filings.file_practice(tx, doctor.id, filing(), world.system)
        patients = [
            await registration.create_patient(tx, patient(world.home.id, id_number=f"1101011951{n:08d}"), world.system)
            for n in range(count)
        ]
    return doctors, patients


async def _open(world: World, doctors: Iterable[Staff]) -> list[str]:
    starts_at = world.clock() + timedelta(minutes=60)
    opened = []
    async with world.db.begin() as tx:
        for doctor in doctors:
            new = slots.NewSlot(doctor.id, CARDIOLOGY, ConsultKind.FOLLOW_UP, starts_at, 5 * PLACES, PLACES)
            opened.append((await slots.open_slot(tx, new, Actor.staff(world.nurse))).id)
    return opened


async def _book(world: World, opened: list[str], patients: list[Patient], run: Run) -> None:
    """Everybody tries the first doctor's hours first and goes on until there is a place."""
    nurse = Actor.staff(world.nurse)
    papers = (proof(world.clock().date() - timedelta(days=20)),)

    async def one(number: int, person: Patient) -> None:
        at = number % len(opened)
        while True:
            try:
                async with world.db.begin() as tx:
                    booked = await slots.book(tx, opened[at], slots.NewVisit(person.id, "复诊", 0, papers), nurse)
            except (SlotFull, StaleRow):
                run.refused += 1
                at = (at + 1) % len(opened)
                continue
            run.booked.setdefault(booked.consult.doctor_id, []).append(booked)
            return

    crowded = [number if number % 5 else 0 for number in range(len(patients))]  # every fifth wants the same doctor
    await asyncio.gather(*(one(number, person) for number, person in zip(crowded, patients, strict=True)))


async def _let_in(world: World, doctor: Staff, run: Run) -> None:
    """The doctor calls whoever is next, tells the others their place, until nobody waits."""
    by = Actor.staff(doctor)
    order = run.admitted.setdefault(doctor.id, [])
    policy = rules_for(world.home, world.clock())
    while True:
        async with world.db.read() as tx:
            places = await line.of_doctor(tx, doctor.id)
            running = await line.running(tx, doctor.id)
            ordered = in_line(places, tx.now, policy)
            pace = pace_of([], timedelta(minutes=5), policy)
            for place in ordered[:3]:
                assert outlook(places, place.id, pace, running=running, now=tx.now, policy=policy) is not None
        if not ordered:
            return
        async with world.db.begin() as tx:
            await visit.admit(tx, ordered[0].consult_id, ordered[0].id, by)
        order.append(ordered[0].id)


def check(run: Run, count: int) -> None:
    """No double seat, no lost place, fair order."""
    visits = [each for booked in run.booked.values() for each in booked]
    assert len(visits) == count
    times: set[tuple[str, datetime]] = {(each.consult.doctor_id, each.consult.starts_at) for each in visits}
    assert len(times) == count, "one doctor, one time, one visit"
    for doctor, booked in run.booked.items():
        assert len(booked) == PLACES
        fair = [each.patient_seat.id for each in sorted(booked, key=lambda each: each.consult.starts_at)]
        assert run.admitted[doctor] == fair, "booked time first, whoever came first"
