"""Uploaded papers as rows: who may add, see and link them, how many, until when; each act on record (CN-07)."""

import asyncio
from typing import Any

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import booking, evidence_files, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.errors import IllegalMove, NotPermitted
from clinic.evidence_files import MOST_FILES, TooManyFiles
from clinic.upload import EvidenceFile, FileKind
from tests.store.samples import sample
from tests.support.builders import World, evidence


def paper(booked: Booked, file_id: str = "f1", **changes: Any) -> EvidenceFile:
    values = {"consult_id": booked.consult.id, "evidence_id": None, "kind": FileKind.JPEG, **changes}
    made: EvidenceFile = sample(EvidenceFile, file_id, booked.consult.institution_id, **values)
    return made


async def keep(world: World, file: EvidenceFile, by: Actor) -> EvidenceFile:
    async with world.db.begin() as tx:
        return await evidence_files.keep(tx, file, by)


async def enter_proof(world: World, booked: Booked, *file_ids: str) -> str:
    """The doctor enters what the papers say; the proof's id."""
    async with world.db.begin() as tx:
        new = evidence(world.clock().date())
        proof = await booking.add_evidence(tx, booked.consult.id, new, Actor.staff(world.doctor), file_ids)
    return proof.id


async def test_a_patient_adds_a_paper_and_the_doctor_links_it_once(world: World) -> None:
    booked = await world.book()
    kept = await keep(world, paper(booked), Actor.seated(booked.patient_seat))
    assert (kept.added_by, kept.added_at) == (booked.patient_seat.id, world.clock())
    assert world.db.events[-1].public["sha256"] == kept.sha256
    proof = await enter_proof(world, booked, "f1", "f1")
    assert [each.public for each in world.db.events if each.code == EventCode.EVIDENCE_LINKED] == [{"evidence": proof}]
    with pytest.raises(NotPermitted, match="another proof"):
        await enter_proof(world, booked, "f1")
    assert [row.evidence_id for row in world.db.rows("evidence_files")] == [proof]


async def test_a_paper_of_another_visit_is_neither_shown_nor_linked(world: World) -> None:
    booked, other = await world.book(), await world.book()
    await keep(world, paper(booked), Actor.seated(booked.patient_seat))
    events = len(world.db.events)
    with pytest.raises(MissingRow, match="evidence_files"):
        await enter_proof(world, other, "f1")
    with pytest.raises(MissingRow, match="evidence_files"):
        async with world.db.begin() as tx:
            await evidence_files.view(tx, Actor.staff(world.doctor), other.consult.id, "f1")
    assert len(world.db.events) == events, "nothing of a refused act is kept"


async def test_whoever_sees_the_chart_sees_the_papers_and_is_on_record(world: World) -> None:
    booked = await world.book()
    kept = await keep(world, paper(booked), Actor.seated(booked.patient_seat))
    doctor = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        assert await evidence_files.listed(tx, doctor, booked.consult.id) == (kept,)
        assert await evidence_files.view(tx, doctor, booked.consult.id, "f1") == kept
    seen = world.db.events[-1]
    assert (seen.code, seen.actor_id, seen.subject_id) == (EventCode.EVIDENCE_VIEWED, world.doctor.id, "f1")
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await evidence_files.view(tx, Actor.staff(world.admin), booked.consult.id, "f1")
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await evidence_files.listed(tx, Actor.staff(world.admin), booked.consult.id)


async def test_so_many_papers_and_no_more(world: World) -> None:
    booked = await world.book()
    by = Actor.seated(booked.patient_seat)
    for number in range(MOST_FILES):
        files = world.db.rows("evidence_files")
        assert evidence_files.takes_more(booked.consult, files)
        await keep(world, paper(booked, f"f{number}"), by)
    assert not evidence_files.takes_more(booked.consult, world.db.rows("evidence_files"))
    with pytest.raises(TooManyFiles) as refused:
        await keep(world, paper(booked, "one more"), by)
    assert refused.value.code == "visit.too_many_files"
    assert len(world.db.rows("evidence_files")) == MOST_FILES


async def test_two_at_once_at_the_limit_leave_one(world: World) -> None:
    booked = await world.book()
    by = Actor.seated(booked.patient_seat)
    for number in range(MOST_FILES - 1):
        await keep(world, paper(booked, f"f{number}"), by)
    both = (keep(world, paper(booked, f"last{n}"), by) for n in (1, 2))
    came = await asyncio.gather(*both, return_exceptions=True)
    assert {type(each) for each in came} == {EvidenceFile, TooManyFiles}
    assert len(world.db.rows("evidence_files")) == MOST_FILES


async def test_papers_come_during_the_visit_and_not_after_it(world: World) -> None:
    booked = await world.book()
    running = await world.call(booked)
    by = Actor.seated(booked.patient_seat)
    assert evidence_files.takes_more(running, ())
    await keep(world, paper(booked), by)
    async with world.db.begin() as tx:
        over = await visit.conclude(tx, booked.consult.id, Actor.staff(world.doctor))
    assert not evidence_files.takes_more(over, ())
    with pytest.raises(IllegalMove, match="before the visit ends"):
        await keep(world, paper(booked, "late"), by)
    assert [row.id for row in world.db.rows("evidence_files")] == ["f1"]
