"""Helpers and spoken agreements in the room: what is told, what stops, what is marked and what is not."""

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from consent.companions import Declaration
from consent.records import Purpose
from recording.records import Gap, GapCause, RecordingState
from signaling import consenting
from signaling.spoken import LONGEST
from tests.signaling.test_restricting import recorded_call
from tests.signaling.ward import Ward
from tests.support.session_client import SessionClient, new_op

WILLING = Declaration(True, "李小红", "女儿", in_call=True, permits_recording=True)
UNWILLING = Declaration(True, "李小红", "女儿", in_call=True, permits_recording=False)


async def declare(house: Ward, said: Declaration) -> object:
    seat = house.seats["patient"]
    return await consenting.declare_companion(house.live, seat.id, said, op=new_op(), by=Actor.seated(seat))


async def test_everybody_in_the_room_is_told_who_helps(house: Ward) -> None:
    doctor, patient = await house.in_call()
    assert await declare(house, WILLING) == {"ok": True}
    assert doctor.seats[patient.seat.id]["helper"] == {
        "name": "李小红", "relation": "女儿", "in_call": True, "permits_recording": True,
    }  # fmt: skip
    assert (await doctor.act("recording.start"))["ok"]
    await declare(house, Declaration(present=False))
    assert "helper" not in doctor.seats[patient.seat.id]


async def test_a_helper_who_says_no_stops_the_recording_before_anything_is_committed(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    at_stop: list[str] = []

    async def before(name: str) -> None:
        at_stop.append(f"{name} after {house.db.codes()[-1]}")

    house.recorder.before = before
    await declare(house, UNWILLING)
    assert at_stop[0].startswith("stop after ")
    assert "consent.companion" not in at_stop[0]
    recording = house.recorder.state(house.consult.id)
    assert recording is not None and recording.state is RecordingState.SEALED
    house.recorder.before = None
    again = await doctor.act("recording.start")
    assert (again["code"], again["reasons"]) == ("consent.recording_not_permitted", ["rec.companion_refused"])
    assert again["seats"] == [patient.seat.id]
    await declare(house, Declaration(present=False))
    assert (await doctor.act("recording.start"))["ok"]


async def test_the_no_of_a_helper_outlives_a_failing_database(house: Ward) -> None:
    doctor, _ = await recorded_call(house)
    house.db.fail_next_commit = OSError("disk full")
    assert await declare(house, UNWILLING) == {"ok": True}
    assert house.db.codes()[-1] == "consent.companion"
    assert house.live.withdrawing == {}
    assert not (await doctor.act("recording.start"))["ok"]


async def test_a_running_recording_waits_for_a_helper_beside_a_newcomer(house: Ward) -> None:
    """Declared before coming in: the recording pauses when the seat enters, and says for whom it waits."""
    doctor, patient, daughter = await recorded_call(house, "daughter")
    await daughter.act("leave")
    seat = house.seats["daughter"]
    await consenting.declare_companion(house.live, seat.id, UNWILLING, op=new_op(), by=Actor.seated(seat))
    assert (await house.page("daughter").join())["ok"]
    await doctor.act("admit", seat=seat.id)
    told = doctor.heard("recording")[-1]["recording"]
    assert (told["state"], told["reason"]) == ("paused", "rec.companion_refused")
    assert told["waiting_for"] == [seat.id]
    assert patient.seat.id not in told["waiting_for"]


async def spoken(doctor: SessionClient, seat: str, phase: str) -> dict[str, object]:
    return await doctor.act("consent.spoken", seat=seat, phase=phase)


async def test_a_spoken_agreement_is_marked_between_begin_and_end(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    began = house.clock()
    assert (await spoken(doctor, patient.seat.id, "begin"))["ok"]
    assert patient.heard("recording")[-1]["recording"]["asking"] == patient.seat.id
    house.clock.advance(6)
    assert (await spoken(doctor, patient.seat.id, "end"))["ok"]
    told = patient.heard("recording")[-1]["recording"]
    assert "asking" not in told
    assert told["spoken"] == [patient.seat.id]
    (mark,) = house.db.rows("spoken_marks")
    assert (mark.seat_id, mark.asked_by) == (patient.seat.id, doctor.seat.id)
    assert mark.began_at == began
    assert (mark.ended_at - began).total_seconds() == 6
    event = next(event for event in house.db.events if event.code == "consent.spoken")
    assert event.public["recording"] == mark.recording_id
    assert event.actor_id == doctor.seat.id


async def test_only_who_is_being_recorded_can_be_asked(house: Ward) -> None:
    doctor, patient = await house.in_call()
    assert (await spoken(doctor, patient.seat.id, "begin"))["code"] == "consent.spoken_not_recorded"
    assert (await spoken(doctor, doctor.seat.id, "begin"))["code"] == "consent.seat_cannot_sign"
    assert (await spoken(doctor, "nobody", "begin"))["code"] == "consent.seat_cannot_sign"
    assert (await doctor.act("recording.start"))["ok"]
    assert (await spoken(doctor, house.seats["daughter"].id, "begin"))["code"] == "consent.spoken_not_recorded"
    assert (await spoken(patient, patient.seat.id, "begin"))["code"] == "access.denied"


async def test_one_person_is_asked_at_a_time_and_a_forgotten_question_lapses(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    assert (await spoken(doctor, patient.seat.id, "end"))["code"] == "consent.spoken_not_asked"
    await spoken(doctor, patient.seat.id, "begin")
    assert (await spoken(doctor, daughter.seat.id, "begin"))["code"] == "consent.spoken_busy"
    assert (await spoken(doctor, daughter.seat.id, "end"))["code"] == "consent.spoken_not_asked"
    house.clock.advance(LONGEST.total_seconds() + 1)
    assert (await spoken(doctor, patient.seat.id, "end"))["code"] == "consent.spoken_not_asked"
    await spoken(doctor, patient.seat.id, "begin")
    house.clock.advance(LONGEST.total_seconds() + 1)
    assert (await spoken(doctor, daughter.seat.id, "begin"))["ok"]
    assert (await spoken(doctor, daughter.seat.id, "cancel"))["ok"]
    assert house.db.rows("spoken_marks") == []
    assert "asking" not in doctor.heard("recording")[-1]["recording"]


async def test_what_was_not_recorded_is_not_marked(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await spoken(doctor, patient.seat.id, "begin")
    await patient.act("consent.withdraw", purposes=["rec_av"], reason=None)
    assert (await spoken(doctor, patient.seat.id, "end"))["code"] == "consent.spoken_not_recorded"
    assert house.db.rows("spoken_marks") == []


async def test_a_new_recording_does_not_carry_the_question_of_the_old_one(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await spoken(doctor, patient.seat.id, "begin")
    await doctor.act("recording.stop", reason="stopped")
    assert (await doctor.act("recording.start"))["ok"]
    assert (await spoken(doctor, patient.seat.id, "end"))["code"] == "consent.spoken_not_recorded"


async def test_a_hole_in_between_leaves_no_mark(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    for seat_id, kept in ((None, 0), ("somebody-else", 1), (patient.seat.id, 1)):
        await spoken(doctor, patient.seat.id, "begin")
        house.clock.advance(1)
        await hole(house, seat_id)
        house.clock.advance(1)
        await spoken(doctor, patient.seat.id, "end")
        assert len(house.db.rows("spoken_marks")) == kept, seat_id


async def hole(house: Ward, seat_id: str | None) -> None:
    recording = house.recorder.state(house.consult.id)
    assert recording is not None
    now = house.clock()
    async with house.db.begin() as tx:
        gap = Gap(
            new_op(), recording.institution_id, house.consult.id, recording.id, seat_id, GapCause.NETWORK, now, now
        )
        await tx.gaps.add(gap)
        await tx.append(AuditEvent(EventCode.RECORDING_GAP, gap.institution_id, "system", house.consult.id, gap.id))


async def test_a_signature_is_still_needed(house: Ward) -> None:
    """A mark opens no gate: somebody who signed nothing is not recorded, so there is nothing to mark."""
    doctor, patient = await house.in_call()
    await house.sign("patient", permitted=(Purpose.TREAT,), refused=(Purpose.REC_AV,))
    assert (await doctor.act("recording.start"))["code"] == "consent.recording_not_permitted"
    assert (await spoken(doctor, patient.seat.id, "begin"))["code"] == "consent.spoken_not_recorded"
