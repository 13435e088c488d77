"""To restrict: act first, then commit and retry. Withdrawal, removal, ending, with a database that refuses."""

import asyncio

import pytest

from clinic.actor import Actor
from clinic.consult import ConsultStatus, SeatState
from clinic.errors import NotPermitted
from consent.errors import NothingToWithdraw
from consent.gate import OnWithdrawal, RecordingPolicy
from consent.records import Purpose
from recording.records import RecordingState
from signaling import closing, consenting, upkeep
from tests.signaling.ward import Ward
from tests.support.session_client import SessionClient, new_op


async def recorded_call(house: Ward, *guests: str) -> tuple[SessionClient, ...]:
    people = await house.in_call(*guests)
    for name in guests:
        await house.sign(name, permitted=(Purpose.REC_AV,))
    assert (await people[0].act("recording.start"))["ok"]
    assert house.recorder.writing[house.consult.id] == {person.seat.id for person in people}
    return people


async def test_the_patients_withdrawal_stops_all_writing_before_it_is_committed(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    written_at_stop: list[list[str]] = []

    async def before(name: str) -> None:
        written_at_stop.append([name, *house.db.codes()[-1:]])

    house.recorder.before = before
    ack = await patient.act("consent.withdraw", purposes=["rec_av"], reason="不想录了")
    assert ack == {"ok": True}
    assert written_at_stop[0][0] == "withdraw"
    assert written_at_stop[0][1] != "consent.withdrawn"
    assert "consent.withdrawn" in house.db.codes()
    recording = house.recorder.state(house.consult.id)
    assert recording is not None
    assert recording.state is RecordingState.SEALED
    assert doctor.heard("consent")[-1]["standing"]["rec_av"] == "withdrawn"
    assert not doctor.seats[patient.seat.id]["recorded"]
    assert house.inside == {doctor.seat.id, patient.seat.id}, "the visit goes on"


async def test_withdrawal_with_a_failing_database_stops_the_writing_and_commits_in_the_end(house: Ward) -> None:
    _doctor, patient = await recorded_call(house)
    failures = 6
    begin = house.db.begin

    def failing() -> object:
        nonlocal failures
        if failures:
            failures -= 1
            house.db.fail_next_commit = OSError("disk full")
        return begin()

    house.db.begin = failing  # type: ignore[method-assign,assignment]
    ack = await patient.act("consent.withdraw", purposes=["rec_av"])
    assert ack == {"ok": True, "pending": True}
    assert house.recorder.writing[house.consult.id] == frozenset()
    assert "consent.withdrawn" not in house.db.codes()
    for _ in range(50):
        await asyncio.sleep(0)
    assert "consent.withdrawn" in house.db.codes()
    assert house.pauses[:3] == [0.05, 0.2, 0.4]


async def test_another_persons_withdrawal_opens_a_privacy_interval(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    assert (await daughter.act("consent.withdraw", purposes=["rec_av"]))["ok"]
    assert house.recorder.writing[house.consult.id] == {doctor.seat.id, patient.seat.id}
    assert patient.recording is not None
    assert patient.recording["state"] == "active"
    assert not patient.seats[daughter.seat.id]["recorded"]


async def test_or_stops_it_by_policy(house: Ward) -> None:
    _doctor, _patient, daughter = await recorded_call(house, "daughter")
    house.live.policy = RecordingPolicy(OnWithdrawal.STOP)
    assert (await daughter.act("consent.withdraw", purposes=["rec_av"]))["ok"]
    assert house.recorder.writing[house.consult.id] == frozenset()


async def test_a_recorder_that_does_not_obey_is_stopped(house: Ward) -> None:
    _doctor, _patient, daughter = await recorded_call(house, "daughter")
    house.recorder.fail = {"withdraw"}
    assert (await daughter.act("consent.withdraw", purposes=["rec_av"]))["ok"]
    assert house.recorder.calls[-2:] != ["withdraw", "withdraw"]
    assert "stop" in house.recorder.calls
    assert house.recorder.writing[house.consult.id] == frozenset()


async def test_a_recorder_that_does_not_answer_a_newcomer_is_stopped_before_they_come_in(house: Ward) -> None:
    doctor, _patient = await recorded_call(house)
    daughter = house.page("daughter")
    await daughter.join()
    house.recorder.fail = {"people_changed"}
    assert (await doctor.act("admit", seat=daughter.seat.id))["ok"]
    assert house.recorder.writing[house.consult.id] == frozenset()
    assert daughter.seat.id in house.inside, "the call goes on"


async def test_withdrawing_treatment_ends_the_visit(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    assert (await patient.act("consent.withdraw", purposes=["treat"]))["ok"]
    row = house.consult_row()
    assert (row.status, row.outcome_code) == (ConsultStatus.CONCLUDING, "consent_withdrawn")
    assert doctor.heard("ended")[-1]["reason"] == "consent_withdrawn"
    assert house.media.room(house.consult.id) is None
    assert house.recorder.writing[house.consult.id] == frozenset()


async def test_withdrawal_from_a_page_outside_the_room(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    seat = house.seat_row("patient")
    op = new_op()
    await consenting.withdraw(house.live, seat.id, [Purpose.REC_AV], reason=None, op=op, by=Actor.seated(seat))
    assert house.recorder.writing[house.consult.id] == frozenset()
    assert doctor.heard("consent")[-1]["standing"]["rec_av"] == "withdrawn"
    with pytest.raises(NothingToWithdraw):
        await consenting.withdraw(
            house.live, seat.id, [Purpose.REC_AV], reason=None, op=new_op(), by=Actor.seated(seat)
        )
    assert patient.connected


async def test_nobody_withdraws_for_another(house: Ward) -> None:
    _doctor, _patient, daughter = await recorded_call(house, "daughter")
    with pytest.raises(NotPermitted):
        await consenting.withdraw(
            house.live,
            house.seats["patient"].id,
            [Purpose.REC_AV],
            reason=None,
            op=new_op(),
            by=Actor.seated(daughter.seat),
        )
    assert len(house.recorder.writing[house.consult.id]) == 3


async def test_a_withdrawal_of_what_was_never_given_changes_nothing(house: Ward) -> None:
    doctor, _patient, daughter = await house.in_call("daughter")
    ack = await daughter.act("consent.withdraw", purposes=["rec_av"])
    assert ack["code"] == "consent.nothing_to_withdraw"
    assert "withdraw" not in house.recorder.calls
    assert (await doctor.act("consent.withdraw", purposes=["rec_av"]))["code"] == "access.denied"


async def test_removed_though_the_database_refuses_stays_out(house: Ward) -> None:
    doctor, _patient, daughter = await house.in_call("daughter")
    begin = house.db.begin
    refusing = True

    def failing() -> object:
        if refusing:
            house.db.fail_next_commit = OSError("locked")
        return begin()

    house.db.begin = failing  # type: ignore[method-assign,assignment]
    waiting: list[asyncio.Event] = []
    sleeps = house.live.sleep

    async def sleep(seconds: float) -> None:
        if seconds >= 0.4:
            waiting.append(asyncio.Event())
            await waiting[-1].wait()
        await sleeps(seconds)

    house.live.sleep = sleep
    ack = await doctor.act("remove", seat=daughter.seat.id)
    assert ack == {"ok": True, "pending": True}
    assert daughter.seat.id not in house.inside
    refusing = False
    house.db.fail_next_commit = None
    assert house.seat_row("daughter").state is SeatState.ADMITTED, "not committed yet"
    assert (await daughter.join())["code"] == "visit.removed", "and still out"
    await asyncio.sleep(0)
    waiting[0].set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.seat_row("daughter").state is SeatState.REMOVED


async def test_removed_while_the_recorder_was_being_asked_gets_no_media(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    daughter = house.page("daughter")
    await daughter.join()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def before(name: str) -> None:
        if name == "people_changed" and not asked.is_set():
            asked.set()
            await answer.wait()

    house.recorder.before = before
    admitting = asyncio.create_task(doctor.act("admit", seat=daughter.seat.id))
    await asked.wait()
    removing = asyncio.create_task(doctor.act("remove", seat=daughter.seat.id))
    await asyncio.sleep(0)
    answer.set()
    await asyncio.gather(admitting, removing)
    assert daughter.seat.id not in house.inside
    assert ("join", daughter.seat.id) not in house.room.history
    assert house.seat_row("daughter").state is SeatState.REMOVED


async def test_ended_while_somebody_joins(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    nurse = house.page("nurse")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def before(name: str) -> None:
        if name == "people_changed" and not asked.is_set():
            asked.set()
            await answer.wait()

    house.recorder.before = before
    room = house.room
    joining = asyncio.create_task(nurse.join())
    await asked.wait()
    assert (await doctor.act("end"))["ok"]
    answer.set()
    assert (await joining)["code"] == "session.over"
    assert ("join", nurse.seat.id) not in room.history
    assert house.live.rooms == {}


async def test_end_needs_a_running_consult_and_the_leading_doctor(house: Ward) -> None:
    doctor = house.page("doctor")
    await doctor.join()
    assert (await doctor.act("end"))["code"] == "visit.illegal_move"
    assert house.inside == {doctor.seat.id}
    doctor, patient = await house.in_call()
    nurse = house.page("nurse")
    await nurse.join()
    for person in (patient, nurse):
        assert (await person.act("end"))["code"] == "access.denied"
    assert (await doctor.act("end"))["ok"]


async def test_end_from_rest_without_a_room(house: Ward) -> None:
    doctor, patient = await house.in_call()
    op = new_op()
    await closing.end(house.live, house.consult.id, Actor.staff(house.doctor), op)
    assert patient.heard("ended")
    assert not doctor.connected
    assert house.consult_row().status is ConsultStatus.CONCLUDING


async def test_cancelled_elsewhere_closes_the_waiting_room(house: Ward) -> None:
    from clinic import booking

    await house.sign("patient", permitted=(Purpose.TREAT,))
    patient = house.page("patient")
    await patient.join()
    async with house.db.begin() as tx:
        await booking.cancel(tx, house.consult.id, Actor.staff(house.doctor), "doctor_unavailable")
    await closing.consult_changed(house.live, house.consult.id)
    assert patient.told("removed")[-1]["reason"] == "ended"
    assert not patient.connected
    assert house.live.rooms == {}


async def test_the_sweeper_ends_what_everybody_forgot(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    institution = house.consult.institution_id
    house.clock.advance(hours=30)
    assert await upkeep.sweep(house.live, house.clock(), [institution]) == [], "people are still there"
    doctor.lose()
    patient.lose()
    await house.tick(61)
    house.clock.advance(hours=5)
    swept = await upkeep.sweep(house.live, house.clock(), [institution])
    assert [(row.status, row.outcome_code) for row in swept] == [(ConsultStatus.CONCLUDING, "swept_left_open")]
    recording = house.recorder.state(house.consult.id)
    assert recording is not None
    assert recording.over
    assert house.live.rooms == {}
