"""The gates asked again while people wait, a doctor in one room at a time, a guardian on camera."""

from dataclasses import replace
from datetime import date
from typing import Any

from clinic import guardians, registration
from clinic.actor import Actor
from clinic.consult import ConsultStatus
from clinic.people import Role
from consent.records import Purpose
from rtc.negotiation import Source
from signaling import seen
from tests.signaling.ward import Ward, book
from tests.support.session_client import SessionClient

GONE = date(2026, 3, 1)  # the day before START


async def change_doctor(house: Ward, **changes: Any) -> None:
    async with house.db.begin() as tx:
        system = Actor.system(house.doctor.institution_id)
        await registration.change_staff(tx, house.doctor.id, changes, system)


def told(page: SessionClient) -> list[dict[str, Any]]:
    return [event for event in page.direct if event["type"] == "admission"]


async def test_a_licence_that_ends_mid_queue_is_told_to_patient_and_doctor(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,))
    doctor, patient = house.page("doctor"), house.page("patient")
    assert (await doctor.join())["ok"] and (await patient.join())["ok"]
    assert await seen.recheck(house.live) == 0
    await change_doctor(house, licence_valid_to=GONE)
    assert await seen.recheck(house.live, house.doctor.institution_id) == 1
    expected = {"type": "admission", "allowed": False, "reasons": ["gate.doctor_unlicensed"]}
    assert told(patient) == told(doctor) == [expected]
    event = next(event for event in house.db.events if event.outcome == "gate.doctor_unlicensed")
    assert event.public["seats"] == [patient.seat.id]
    assert await seen.recheck(house.live) == 0  # told once
    ack = await doctor.act("admit", seat=patient.seat.id)
    assert (ack["code"], ack["reasons"]) == ("visit.not_admitted", ["gate.doctor_unlicensed"])
    await change_doctor(house, licence_valid_to=date(2030, 1, 1))
    assert await seen.recheck(house.live) == 1
    assert told(patient)[-1] == {"type": "admission", "allowed": True, "reasons": []}
    assert (await doctor.act("admit", seat=patient.seat.id))["ok"]


async def test_who_comes_back_to_the_waiting_room_is_told_again(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,))
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    await patient.join()
    await change_doctor(house, verified_until=GONE)
    await seen.recheck(house.live)
    again = house.page("patient")
    ack = await again.join()
    assert ack["snapshot"]["refused"] == ["gate.doctor_unverified"]


async def test_another_house_is_left_alone_and_an_empty_room_is_not_asked(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,))
    patient = house.page("patient")
    await patient.join()
    await change_doctor(house, licence_valid_to=GONE)
    assert await seen.recheck(house.live, "another") == 0
    assert await seen.recheck(house.live, house.doctor.institution_id) == 1
    room = house.live.rooms[house.consult.id]
    room.ended = True
    assert await seen.recheck_room(house.live, room) is False
    room.ended = False
    room.consult = replace(room.consult, id="gone")
    assert await seen.recheck_room(house.live, room) is False


async def test_time_alone_turns_a_verdict(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,))
    patient = house.page("patient")
    await patient.join()
    house.clock.advance(hours=5)
    assert await seen.recheck(house.live) == 1
    assert told(patient)[-1]["reasons"] == ["gate.too_late"]


async def test_a_running_consult_is_not_disturbed(house: Ward) -> None:
    doctor, patient = await house.in_call()
    await change_doctor(house, licence_valid_to=GONE)
    assert await seen.recheck(house.live) == 0
    assert told(doctor) == told(patient) == []


async def test_a_doctor_is_in_one_room_at_a_time(house: Ward) -> None:
    first = dict(house.seats)
    doctor, _ = await house.in_call()
    second = await book(house, house.consult.patient_id)
    elsewhere = SessionClient(house.live, house.seats["doctor"], "another-device")
    refused = await elsewhere.join()
    assert (refused["code"], refused["reasons"]) == ("visit.not_admitted", ["gate.doctor_elsewhere"])
    assert (await doctor.act("leave"))["ok"]
    assert (await elsewhere.join())["ok"]
    assert house.consult_row().status is ConsultStatus.IN_PROGRESS  # the first goes on without them
    assert second.id != house.consult.id and first["doctor"].id != house.seats["doctor"].id


async def test_a_lost_connection_holds_nobody_in_the_other_room(house: Ward) -> None:
    doctor, _ = await house.in_call()
    await book(house, house.consult.patient_id)
    doctor.lose()
    elsewhere = SessionClient(house.live, house.seats["doctor"], "another-device")
    assert (await elsewhere.join())["ok"]
    assert doctor.seat.id not in house.inside


async def test_a_small_child_is_received_with_the_guardian_on_camera(house: Ward) -> None:
    async with house.db.begin() as tx:
        patient = await tx.patients.get(house.consult.patient_id)
        await tx.patients.save(replace(patient, birth_date=date(2021, 5, 1)))
        system = Actor.system(house.doctor.institution_id)
        mother = guardians.NewGuardian("李母", "母亲", "birth_certificate", "B-1")
        await guardians.record_guardian(tx, patient.id, mother, system)
        seat = await tx.seats.get(house.seats["daughter"].id)
        await tx.seats.save(replace(seat, role=Role.GUARDIAN))
        from audit.events import EventCode
        from audit.transaction import AuditEvent

        await tx.append(AuditEvent(EventCode.SEAT_ADDED, patient.institution_id, "system", house.consult.id))
    house.seats["guardian"] = replace(house.seats.pop("daughter"), role=Role.GUARDIAN)
    await house.sign("patient", permitted=(Purpose.TREAT,))
    doctor, child, mother_page = house.page("doctor"), house.page("patient"), house.page("guardian")
    for page in (doctor, child, mother_page):
        assert (await page.join())["ok"]
    early = await doctor.act("admit", seat=child.seat.id)
    assert early["reasons"] == ["gate.guardian_not_on_camera"]
    assert (await doctor.act("admit", seat=mother_page.seat.id))["ok"]
    room = house.live.rooms[house.consult.id]
    house.live.media_events.on_producer(room.consult, mother_page.seat.id, Source.CAMERA, True)
    assert (await doctor.act("admit", seat=child.seat.id))["ok"]
    house.live.media_events.on_producer(room.consult, mother_page.seat.id, Source.CAMERA, False)
    await house.drain()
    assert told(doctor)[-1]["reasons"] == ["gate.guardian_not_on_camera"]
    house.live.media_events.on_producer(room.consult, mother_page.seat.id, Source.CAMERA, True)
    await house.drain()
    assert told(doctor)[-1]["allowed"] is True
