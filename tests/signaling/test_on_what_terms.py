"""Who is in the room and on what terms: observers, declared people, late joiners, refusals, further ears."""

from dataclasses import replace
from typing import Any

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import SeatState
from consent.errors import TranscriptionNotPermitted
from consent.gate import GuestRefuses, LateJoiner
from consent.records import Purpose
from recording.records import RecordingState
from rtc.negotiation import Codec, Source
from rtc.sink import TapPacket
from signaling import listening
from tests.signaling.test_privacy import set_policy, writing
from tests.signaling.test_restricting import recorded_call
from tests.signaling.ward import Ward, ward

CAMERA, MIC, SCREEN = Source.CAMERA, Source.MICROPHONE, Source.SCREEN


async def test_an_observer_only_watches_and_only_while_the_patient_lets_them() -> None:
    house = await ward(observed=True)
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV), refused=(Purpose.OBSERVE,))
    doctor, patient, student = (house.page(name) for name in ("doctor", "patient", "student"))
    await doctor.join()
    await patient.join()
    await doctor.act("admit", seat=patient.seat.id)
    refused = await student.join()
    assert (refused["code"], refused["reasons"]) == ("consent.missing", ["observe"])
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV, Purpose.OBSERVE))
    assert (await student.join())["ok"]
    assert (await doctor.act("admit", seat=student.seat.id))["ok"]
    assert student.snapshot is not None
    assert student.snapshot["me"]["publish"] == []
    grants = house.room.people[student.seat.id].grants
    assert (grants.publish, grants.subscribe) == (frozenset(), True)
    assert (await student.act("chat", text="你好"))["code"] == "access.denied"
    assert (await patient.act("consent.withdraw", purposes=["observe"]))["ok"]
    assert student.seat.id not in house.inside
    assert student.told("removed")[-1]["reason"] == "consent_withdrawn"
    assert patient.seat.id in house.inside


async def test_a_patient_does_not_bring_observers(house: Ward) -> None:
    doctor, patient = await house.in_call()
    body = {"role": "observer", "display_name": "小王", "relation": "医学生"}
    assert (await patient.act("guest.invite", **body))["code"] == "access.denied"
    assert (await doctor.act("guest.invite", **body))["ok"]


async def test_a_declared_person_pauses_the_recording_until_they_have_agreed(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    assert (await patient.act("person.declare", display_name="x", kind="other"))["code"] == "access.denied"
    ack = await doctor.act("person.declare", display_name="赵医生", kind="doctor", on_camera=False)
    declared = ack["seat"]
    assert writing(house) == frozenset()
    assert doctor.recording is not None
    assert (doctor.recording["reason"], doctor.recording["waiting_for"]) == ("rec.person_unsigned", [declared])
    seen = patient.seats[declared]
    assert (seen["role"], seen["declared_by"], seen["kind"], seen["online"]) == (
        "declared", doctor.seat.id, "doctor", True,
    )  # fmt: skip
    nurse = house.page("nurse")
    await nurse.join()
    assert (await nurse.act("person.answer", seat=declared, agrees=True))["code"] == "access.denied"
    assert (await doctor.act("person.answer", seat=patient.seat.id, agrees=True))["code"] == "visit.removed"
    assert (await doctor.act("person.answer", seat=declared, agrees=True))["ok"]
    assert {doctor.seat.id, patient.seat.id} <= writing(house)
    assert (await doctor.act("person.answer", seat=declared, agrees=False))["ok"]
    assert writing(house) == frozenset(), "a no at one's side stops everybody: the voices mix"
    assert (await doctor.act("person.gone", seat=declared))["ok"]
    assert {doctor.seat.id, patient.seat.id} <= writing(house)
    assert house.live.present(house.consult.id) == tuple(sorted((doctor.seat.id, patient.seat.id, nurse.seat.id)))
    codes = house.db.codes()
    assert codes.count("room.declared") == codes.count("room.declared_gone") == 1


async def test_a_declared_person_who_agreed_at_once_goes_with_the_seat(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    nurse = house.page("nurse")
    await nurse.join()
    ack = await nurse.act("person.declare", display_name="钱护士", kind="nurse", agrees=True)
    assert nurse.seat.id in writing(house)
    assert ack["seat"] in house.live.present(house.consult.id)
    await nurse.act("leave")
    row = next(seat for seat in house.db.rows("seats") if seat.id == ack["seat"])
    assert row.state is SeatState.LEFT
    assert house.live.present(house.consult.id) == tuple(sorted((doctor.seat.id, patient.seat.id)))


async def test_the_doctor_attests_the_list_that_holds(house: Ward) -> None:
    doctor, patient = await house.in_call()
    ack = await doctor.act("person.declare", display_name="赵医生", kind="doctor", agrees=True)
    short = [doctor.seat.id, patient.seat.id]
    assert (await doctor.act("room.attest", seats=short))["code"] == "visit.room_list_changed"
    assert (await doctor.act("room.attest", seats=[*short, ack["seat"]]))["ok"]
    assert (await patient.act("room.attest", seats=short))["code"] == "access.denied"
    assert house.db.codes().count("room.attested") == 1


async def test_a_late_joiner_waits_by_policy_until_they_decide(house: Ward) -> None:
    set_policy(house, late_joiner=LateJoiner.WAIT, guest_refuses=GuestRefuses.KEEP_OUT)
    doctor, _patient = await recorded_call(house)
    daughter = house.page("daughter")
    assert (await daughter.join())["ok"], "the waiting room is open"
    refused = await doctor.act("admit", seat=daughter.seat.id)
    assert (refused["code"], refused["reasons"]) == ("consent.decide_first", ["rec_av"])
    assert len(writing(house)) == 2, "the recording never paused"
    await house.sign("daughter", permitted=(), refused=(Purpose.REC_AV,))
    assert (await doctor.act("admit", seat=daughter.seat.id))["code"] == "consent.guest_refused_recording"
    await house.sign("daughter", permitted=(Purpose.REC_AV,))
    assert (await doctor.act("admit", seat=daughter.seat.id))["ok"]
    assert len(writing(house)) == 3
    refusals = [event for event in house.db.events if event.code == "visit.gate_fail"]
    assert [event.outcome for event in refusals] == ["consent.decide_first", "consent.guest_refused_recording"]


async def test_a_late_joiner_pauses_by_policy_and_a_no_leaves_it_unrecorded(house: Ward) -> None:
    doctor, _patient = await recorded_call(house)
    daughter = house.page("daughter")
    await daughter.join()
    assert (await doctor.act("admit", seat=daughter.seat.id))["ok"]
    assert writing(house) == frozenset()
    await house.sign("daughter", permitted=(), refused=(Purpose.REC_AV,))
    assert writing(house) == frozenset()
    recording = house.recorder.state(house.consult.id)
    assert recording is not None
    assert recording.state is RecordingState.PAUSED


async def test_where_recording_is_a_duty_its_withdrawal_ends_the_visit(house: Ward) -> None:
    async with house.db.begin() as tx:
        (institution,) = await tx.institutions.find()
        await tx.institutions.save(replace(institution, recording_basis="legal_duty"))
        await tx.append(AuditEvent(EventCode.INSTITUTION_CHANGED, institution.id, "system"))
    doctor, patient = await recorded_call(house)
    assert (await patient.act("consent.withdraw", purposes=["rec_av"]))["ok"]
    assert doctor.heard("ended")[-1]["reason"] == "consent_withdrawn"
    assert house.media.room(house.consult.id) is None


class Ear:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def wants(self, participant_id: str, source: Source) -> bool:
        return True

    def write(self, packet: TapPacket) -> None:
        self.heard.append(packet.participant_id)

    def clock(self, report: Any) -> None:
        self.heard.append("clock")

    def ended(self, participant_id: str, source: Source, reason: str) -> None:
        self.heard.append("ended")


async def test_no_transcriber_hears_a_word_without_everybodys_yes(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    room, ear = house.live.rooms[house.consult.id], Ear()
    with pytest.raises(TranscriptionNotPermitted) as refused:
        listening.attach_transcriber(house.live, room, ear)
    assert refused.value.reasons == ("rec.transcription_patient", "rec.transcription_person")
    assert refused.value.seats == (patient.seat.id,)
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV, Purpose.AI_TRANSCRIBE))
    gated = listening.attach_transcriber(house.live, room, ear)
    assert house.room.taps == [gated]

    def speak() -> int:
        before = len(ear.heard)
        for page in (doctor, patient):
            if gated.wants(page.seat.id, MIC):
                gated.write(TapPacket(page.seat.id, MIC, Codec("opus", 111, 48_000), b"", 0.0))
        return len(ear.heard) - before

    assert speak() == 2
    assert not gated.wants(patient.seat.id, CAMERA)
    await patient.act("privacy.pause")
    assert speak() == 0
    await patient.act("privacy.resume")
    assert speak() == 2
    daughter = house.page("daughter")
    await daughter.join()
    await doctor.act("admit", seat=daughter.seat.id)
    assert speak() == 0, "somebody who was not asked can be heard through every microphone"
    await house.sign("daughter", permitted=(Purpose.AI_TRANSCRIBE,))
    assert speak() == 2
    await patient.act("consent.withdraw", purposes=["ai_transcribe"])
    assert speak() == 0
    gated.write(TapPacket(patient.seat.id, MIC, Codec("opus", 111, 48_000), b"", 0.0))
    assert ear.heard[-1] != "clock"
    listening.detach_transcriber(house.live, room, gated)
    listening.detach_transcriber(house.live, room, gated)
    assert house.room.taps == []


async def test_a_screen_is_shared_only_on_the_patients_treatment(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.REC_AV,), refused=(Purpose.TREAT,))
    doctor = house.page("doctor")
    assert (await doctor.join())["ok"]
    assert doctor.snapshot is not None
    assert "screen" not in doctor.snapshot["me"]["publish"]
    assert SCREEN not in house.room.people[doctor.seat.id].grants.publish
    ack = await doctor.emit("media.offer", sdp="v=0", sources={"2": "screen"})
    assert (ack["code"], ack["reasons"]) == ("consent.missing", ["treat"])
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))
    assert (await doctor.emit("media.offer", sdp="v=0", sources={"2": "screen"}))["ok"]
    assert SCREEN in house.room.people[doctor.seat.id].grants.publish
