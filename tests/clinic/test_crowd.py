"""Concurrent booking, queueing and admission on SQLite, small enough for every run; the full size is in tests/bench."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from clinic import visit
from clinic.actor import Actor
from huizhen.store import one_hop
from huizhen.store.database import SqlDatabase
from tests.clinic.crowd import PLACES, check, crowd
from tests.support import prepared
from tests.support.builders import World
from tests.support.clock import FakeClock

MOST_JOURNEYS = 10
MOST_STATEMENTS = 22


async def test_a_crowd_is_booked_queued_and_admitted_in_order(tmp_path: Path) -> None:
    run, _, database = await crowd(tmp_path, 3 * PLACES)
    await database.close()
    check(run, 3 * PLACES)
    assert run.refused > 0, "somebody had to look for another place"


async def test_an_admission_goes_to_the_database_a_few_times_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the CPU of an admission hangs on, counted: unlike seconds it is the same on every machine."""
    url = f"sqlite:///{tmp_path / 'data' / 'huizhen.db'}"
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=FakeClock(), deployment="test", node="n1")
    world = await World.create(FakeClock(), database)
    booked = await world.book()
    await world.enter(booked.patient_seat)
    await world.enter(booked.doctor_seat)
    journeys: list[int] = []
    in_order = one_hop._in_order

    def counted(connection: object, orders: Sequence[one_hop.Order]) -> list[one_hop.Answer]:
        journeys.append(len(orders))
        return in_order(connection, orders)  # type: ignore[arg-type]

    monkeypatch.setattr(one_hop, "_in_order", counted)
    async with database.begin() as tx:
        entered = await visit.admit(tx, booked.consult.id, booked.patient_seat.id, Actor.staff(world.doctor))
    await database.close()
    assert entered.admission is not None and entered.admission.allowed
    assert len(journeys) <= MOST_JOURNEYS and sum(journeys) <= MOST_STATEMENTS, journeys
