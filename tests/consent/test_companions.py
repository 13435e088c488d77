"""Who helps at the patient's device: named, sealed, part of the evidence, asked about recording when seen or heard."""

import json
from dataclasses import replace

import pytest

from audit.transaction import Database
from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.documents import digest
from consent import companions
from consent.companions import Companion, Declaration
from consent.errors import CompanionInvalid, SeatCannotSign
from tests.support.builders import World

DAUGHTER = Declaration(True, " 张小红 ", "女儿", in_call=True, permits_recording=True)
UNWILLING = replace(DAUGHTER, permits_recording=False)
OFF_CAMERA = Declaration(True, "张小红", "女儿")


async def declare(world: World, seat: Seat, said: Declaration, op: str = "") -> Companion:
    operation_id = op or f"declaration-{len(world.db.events):05d}"
    async with world.db.begin() as tx:
        return await companions.declare(
            tx, world.sealer, seat.id, said, operation_id=operation_id, by=Actor.seated(seat)
        )


async def test_a_helper_is_on_record_sealed_and_without_a_name_on_the_trail(world: World) -> None:
    booked = await world.book()
    row = await declare(world, booked.patient_seat, DAUGHTER)
    assert (row.name, row.relation, row.permits_recording) == ("张小红", "女儿", True)
    assert row.digest == digest(row.evidence.encode())
    assert world.sealer.holds(world.home.id, row.digest, row.seal)
    event = world.db.events[-1]
    assert (event.code, event.actor_id, event.subject_id) == ("consent.companion", booked.patient_seat.id, row.id)
    assert event.public["role"] == "helper"
    assert "张" not in str(event)


async def test_the_same_operation_again_changes_nothing(world: World) -> None:
    booked = await world.book()
    first = await declare(world, booked.patient_seat, DAUGHTER, "the-same-operation")
    before = len(world.db.events)
    assert await declare(world, booked.patient_seat, UNWILLING, "the-same-operation") == first
    assert len(world.db.events) == before


async def test_the_consent_says_who_helped_and_only_while_they_did(world: World) -> None:
    booked = await world.book()
    alone = await world.sign(booked.patient_seat)
    assert json.loads(alone.evidence)["helper"] is None
    row = await declare(world, booked.patient_seat, DAUGHTER)
    helped = json.loads((await world.sign(booked.patient_seat)).evidence)["helper"]
    assert helped == {
        "role": "helper", "name": "张小红", "relation": "女儿", "declaration": row.id, "sha256": row.digest,
    }  # fmt: skip
    await declare(world, booked.patient_seat, Declaration(present=False))
    assert json.loads((await world.sign(booked.patient_seat)).evidence)["helper"] is None


@pytest.mark.parametrize(
    "said",
    [
        Declaration(True, "", "女儿"),
        Declaration(True, "张", " "),
        Declaration(True, "x" * 41, "女儿"),
        Declaration(True, "张", "x" * 41),
        Declaration(True, "张", "女儿", in_call=True),
    ],
)
async def test_half_a_declaration_is_refused(world: World, said: Declaration) -> None:
    booked = await world.book()
    with pytest.raises(CompanionInvalid):
        await declare(world, booked.patient_seat, said)


def test_nobody_off_camera_is_asked_about_recording() -> None:
    assert companions.check(replace(OFF_CAMERA, permits_recording=True)).permits_recording is None
    assert companions.check(Declaration(False, "x", "y", in_call=True)) == Declaration(present=False)


async def test_staff_removed_seats_and_past_consults_have_no_helper(world: World) -> None:
    booked = await world.book()
    with pytest.raises(SeatCannotSign):
        await declare(world, booked.doctor_seat, DAUGHTER)
    gone = await world.guest(booked.consult)
    await save_seat(world.db, replace(gone, state=SeatState.REMOVED))
    with pytest.raises(SeatCannotSign):
        await declare(world, gone, DAUGHTER)
    await world.call(booked)
    await world.finish(booked.consult)
    with pytest.raises(SeatCannotSign):
        await declare(world, booked.patient_seat, DAUGHTER)


async def save_seat(db: Database, seat: Seat) -> None:  # type: ignore[type-arg]
    from audit.events import EventCode
    from audit.transaction import AuditEvent

    async with db.begin() as tx:
        await tx.seats.get(seat.id)
        await tx.seats.save(seat)
        await tx.append(AuditEvent(EventCode.ROOM_REMOVED, seat.institution_id, "system", seat.consult_id, seat.id))


async def test_a_helper_who_is_seen_and_says_no_bars_recording(world: World) -> None:
    booked = await world.book()
    patient, doctor = booked.patient_seat, booked.doctor_seat
    rows = [await declare(world, patient, OFF_CAMERA)]
    assert companions.barring(rows, [patient.id, doctor.id]) == ()
    rows.append(await declare(world, patient, UNWILLING))
    assert companions.barring(rows, [patient.id, doctor.id]) == (patient.id,)
    assert companions.barring(rows, [doctor.id]) == ()  # the patient is out of the room
    rows.append(await declare(world, patient, Declaration(present=False)))
    assert companions.barring(rows, [patient.id]) == ()
    rows.append(await declare(world, patient, DAUGHTER))
    assert companions.barring(rows, [patient.id]) == ()


def test_only_a_yes_of_who_is_seen_or_heard_lets_it_record() -> None:
    assert not Declaration(present=False).bars_recording
    assert not Declaration(True, "李", "女儿").bars_recording
    assert Declaration(True, "李", "女儿", in_call=True, permits_recording=False).bars_recording
    assert not Declaration(True, "李", "女儿", in_call=True, permits_recording=True).bars_recording
