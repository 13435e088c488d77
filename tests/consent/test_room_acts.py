"""Sealed room_acts of the room: who may say what, what the ledger folds from them, resends included."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from clinic import present, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Consult, Seat
from clinic.errors import InvalidInput, NotPermitted, RoomListChanged
from clinic.people import Role
from clinic.present import NewPerson
from consent import companions, gate, interludes, room_acts
from consent.companions import Declaration
from consent.errors import (
    AskerDecides,
    ConsentMissing,
    DecideFirst,
    ExamDeclined,
    GuestRefusedRecording,
    NoExam,
    NothingToResume,
    OfflineVisit,
    RecordingNotPermitted,
    TranscriptionNotPermitted,
)
from consent.gate import Effect, ExamViews, GuestRefuses, LateJoiner, RecordingPolicy, ResumeBy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from tests.support.builders import World


class Room:
    """A follow-up under way, with a daughter who has signed."""

    def __init__(self, world: World, booked: Booked, consult: Consult, guest: Seat) -> None:
        self.world, self.consult, self.guest = world, consult, guest
        self.doctor, self.patient = booked.doctor_seat, booked.patient_seat

    async def do(self, act: Any, *args: Any, op: str = "", **words: Any) -> Any:
        async with self.world.db.begin() as tx:
            return await act(tx, self.world.sealer, *args, operation_id=op or uuid4().hex, **words)

    async def plain(self, act: Any, *args: Any, **words: Any) -> Any:
        async with self.world.db.begin() as tx:
            return await act(tx, *args, **words)

    async def records(self) -> list[ConsentRecord]:
        return await self.world.records(self.consult)

    async def leave(self, seat: Seat) -> None:
        await self.plain(visit.leave, seat.id, Actor.seated(seat))

    async def refusals(self, policy: RecordingPolicy | None = None, *more: Seat) -> tuple[str, ...]:
        here = [await self.world.seat(seat) for seat in (self.doctor, self.patient, *more)]
        try:
            gate.recording_grant(
                self.consult,
                "r",
                here,
                await self.records(),
                policy=policy or RecordingPolicy(),
                now=self.world.clock(),
                beside=await self.world.beside(self.consult),
            )
        except RecordingNotPermitted as refused:
            return refused.reasons
        return ()


@pytest.fixture
async def room(world: World) -> Room:
    booked = await world.book()
    consult = await world.call(booked)
    guest = await world.guest(consult)
    await world.sign(guest)
    await world.enter(guest)
    return Room(world, booked, consult, await world.admit(guest))


async def test_a_pause_is_one_sealed_record_and_closes_the_gate(room: Room) -> None:
    made = await room.do(room_acts.pause, room.guest.id, op="a" * 16)
    assert await room.do(room_acts.pause, room.guest.id, op="a" * 16) == made, "a resend"
    assert await room.do(room_acts.pause, room.guest.id) == made, "asking again"
    assert (made.action, made.permitted, made.refused, made.template_id) == (ConsentAction.PAUSED, (), (), None)
    assert json.loads(made.evidence)["type"] == "huizhen.privacy-pause"
    assert room.world.sealer.holds(made.institution_id, made.digest, made.seal)
    other = await room.do(room_acts.pause, room.patient.id)
    assert [each.seat_id for each in interludes.pauses(await room.records())] == [room.guest.id, room.patient.id]
    assert (await room.do(room_acts.resume, room.patient.id))[0].withdraws == other.id
    (held,) = interludes.pauses(await room.records())
    assert (held.seat_id, held.since) == (room.guest.id, made.recorded_at)
    assert await room.refusals() == ("rec.privacy_pause",)
    (ended,) = await room.do(room_acts.resume, room.guest.id)
    assert (ended.action, ended.withdraws) == (ConsentAction.RESUMED, made.id)
    assert await room.refusals() == ()


async def test_who_may_end_a_pause(room: Room) -> None:
    with pytest.raises(NothingToResume):
        await room.do(room_acts.resume, room.doctor.id)
    await room.do(room_acts.pause, room.guest.id)
    for other in (room.doctor, room.patient):
        with pytest.raises(AskerDecides):
            await room.do(room_acts.resume, other.id)
    with pytest.raises(AskerDecides):
        await room.do(room_acts.resume, room.patient.id, by=ResumeBy.DOCTOR)
    assert len(await room.do(room_acts.resume, room.doctor.id, by=ResumeBy.DOCTOR)) == 1
    await room.do(room_acts.pause, room.guest.id)
    await room.leave(room.guest)
    with pytest.raises(NotPermitted):
        await room.do(room_acts.resume, room.guest.id)
    with pytest.raises(AskerDecides):
        await room.do(room_acts.resume, room.patient.id)
    (ended,) = await room.do(room_acts.resume, room.doctor.id)
    assert ended.seat_id == room.guest.id
    assert json.loads(ended.evidence)["entered_by"] == room.doctor.id


async def test_each_exam_is_confirmed_by_itself(room: Room) -> None:
    records = await room.records()
    general = replace(records[0], permitted=(Purpose.TREAT, Purpose.INTIMATE), template_id="t1")
    assert interludes.exam([general]) is None, "a general yes in a text opens no view"
    assert not interludes.exam_declined([])
    with pytest.raises(NoExam):
        await room.do(room_acts.end_exam, room.patient.id)
    with pytest.raises(NotPermitted):
        await room.plain(room_acts.request_exam, room.patient.id, operation_id="b" * 16)
    await room.plain(room_acts.request_exam, room.doctor.id, operation_id="b" * 16)
    with pytest.raises(NotPermitted):
        await room.do(room_acts.answer_exam, room.guest.id, agrees=True)
    made = await room.do(room_acts.answer_exam, room.patient.id, agrees=True, op="c" * 16)
    assert await room.do(room_acts.answer_exam, room.patient.id, agrees=True, op="c" * 16) == made
    assert (made.capacity, made.permitted) == (SignerCapacity.SELF, (Purpose.INTIMATE,))
    assert await room.refusals() == ("rec.exam_view",)
    assert await room.refusals(RecordingPolicy(exam_views=ExamViews.BY_CONSENT)) == ()
    with pytest.raises(AskerDecides):
        await room.do(room_acts.end_exam, room.doctor.id)
    ended = await room.do(room_acts.end_exam, room.patient.id, op="d" * 16)
    assert await room.do(room_acts.end_exam, room.patient.id, op="d" * 16) == ended
    assert (ended.action, ended.withdraws) == (ConsentAction.WITHDRAWN, made.id)
    assert interludes.exam(await room.records()) is None
    assert await room.refusals() == ()


async def test_a_no_is_the_last_word_until_the_patient_changes_it(room: Room) -> None:
    said = await room.do(room_acts.answer_exam, room.patient.id, agrees=False)
    assert (said.permitted, said.refused) == ((), (Purpose.INTIMATE,))
    assert interludes.exam_declined(await room.records())
    with pytest.raises(ExamDeclined):
        await room.plain(room_acts.request_exam, room.doctor.id, operation_id="e" * 16)
    await room.do(room_acts.answer_exam, room.patient.id, agrees=True)
    assert not interludes.exam_declined(await room.records())
    await room.leave(room.patient)
    ended = await room.do(room_acts.end_exam, room.doctor.id)
    assert ended.seat_id == room.patient.id


async def test_a_guardian_confirms_as_guardian(room: Room) -> None:
    guardian = await room.world.guest(room.consult, "张父", Role.GUARDIAN)
    await room.world.enter(guardian)
    await room.world.admit(guardian)
    made = await room.do(room_acts.answer_exam, guardian.id, agrees=True)
    assert made.capacity is SignerCapacity.GUARDIAN


async def test_people_at_ones_side(room: Room) -> None:
    def as_doctor() -> Actor:
        return Actor.seated(room.doctor)

    new = NewPerson("赵医生", "doctor", on_camera=True)
    with pytest.raises(NotPermitted):
        await room.plain(present.declare, room.patient.id, new, Actor.seated(room.patient))
    with pytest.raises(NotPermitted):
        await room.plain(present.declare, room.patient.id, new, as_doctor())
    person: Seat = await room.plain(present.declare, room.doctor.id, new, as_doctor())
    assert (person.role, person.created_by, person.relation) == (Role.DECLARED, room.doctor.id, "doctor")
    assert await room.refusals(None, person) == ("rec.person_unsigned",)
    made = await room.do(room_acts.relay_answer, person.id, agrees=True, by=as_doctor(), op="f" * 16)
    assert await room.do(room_acts.relay_answer, person.id, agrees=True, by=as_doctor(), op="f" * 16) == made
    assert (made.capacity, json.loads(made.evidence)["name"]) == (SignerCapacity.RELAYED, "赵医生")
    assert await room.refusals(None, person) == ()
    withdrawn = replace(made, id="w" * 32, action=ConsentAction.WITHDRAWN)
    with pytest.raises(RecordingNotPermitted):  # they speak into somebody else's track
        here = [await room.world.seat(room.doctor), await room.world.seat(room.patient), person]
        ledger = [*await room.records(), withdrawn]
        gate.recording_grant(
            room.consult, "r", here, ledger, policy=RecordingPolicy(), now=room.world.clock(), beside=()
        )
    await room.do(room_acts.relay_answer, person.id, agrees=False, by=as_doctor())
    assert await room.refusals(None, person) == ("rec.person_refused",)
    with pytest.raises(NotPermitted):
        await room.do(room_acts.relay_answer, room.guest.id, agrees=True, by=as_doctor())
    with pytest.raises(NotPermitted):
        await room.plain(present.gone, room.guest.id, room.consult.id, as_doctor())
    gone = await room.plain(present.gone, person.id, room.consult.id, as_doctor())
    async with room.world.db.begin() as tx:
        assert await present.gone(tx, person.id, room.consult.id, as_doctor()) == gone, "twice is once"
    with pytest.raises(NotPermitted):
        await room.do(room_acts.relay_answer, person.id, agrees=True, by=as_doctor())
    for number in range(present.MOST_DECLARED):
        await room.plain(present.declare, room.doctor.id, NewPerson(f"{number}", "other"), as_doctor())
    with pytest.raises(InvalidInput):
        await room.plain(present.declare, room.doctor.id, NewPerson("x", "other"), as_doctor())
    with pytest.raises(InvalidInput):
        await room.plain(present.declare, room.doctor.id, NewPerson("x", "crowd"), as_doctor())
    await room.plain(present.follow, room.doctor.id, room.consult.id, as_doctor())
    async with room.world.db.read() as tx:
        assert await present.declared_at(tx, room.doctor.id, room.consult.id) == []


async def test_the_list_attested_is_the_list_that_holds(room: Room) -> None:
    here = frozenset({room.doctor.id, room.patient.id})
    by = Actor.seated(room.doctor)
    with pytest.raises(RoomListChanged):
        await room.plain(present.attest, room.consult.id, [room.doctor.id], here, by)
    with pytest.raises(NotPermitted):
        await room.plain(present.attest, room.consult.id, sorted(here), here, Actor.seated(room.patient))
    await room.plain(present.attest, room.consult.id, sorted(here), here, by)


async def test_the_door_of_a_recorded_consult(room: Room, world: World) -> None:
    late = await world.guest(room.consult, "李四")
    ledger = await room.records()
    lenient, strict = (
        RecordingPolicy(),
        RecordingPolicy(late_joiner=LateJoiner.WAIT, guest_refuses=GuestRefuses.KEEP_OUT),
    )
    for seat in (room.doctor, room.patient, room.guest):
        gate.require_decision(ledger, seat, strict, now=room.world.clock())
    gate.require_decision(ledger, late, lenient, now=room.world.clock())
    with pytest.raises(DecideFirst):
        gate.require_decision(ledger, late, strict, now=room.world.clock())
    await world.sign(late, rec_av=False)
    ledger = await room.records()
    gate.require_decision(ledger, late, lenient, now=room.world.clock())
    with pytest.raises(GuestRefusedRecording):
        gate.require_decision(ledger, late, strict, now=room.world.clock())


async def test_observers_shares_and_duty(room: Room, world: World) -> None:
    ledger = await room.records()
    observer = replace(room.guest, id="o" * 32, role=Role.OBSERVER)
    with pytest.raises(ConsentMissing) as refused:
        gate.require(ledger, room.consult, observer, now=room.world.clock())
    assert refused.value.purposes == ("observe",)
    agreed = replace(ledger[0], id="x" * 32, permitted=(*ledger[0].permitted, Purpose.OBSERVE))
    gate.require([*ledger, agreed], room.consult, observer, now=room.world.clock())
    gate.require_share(ledger, room.consult, room.doctor, now=room.world.clock())
    with pytest.raises(ConsentMissing):
        gate.require_share([], room.consult, room.doctor, now=room.world.clock())
    await world.sign(room.patient, rec_av=False)
    with pytest.raises(OfflineVisit) as offline:
        gate.require(await room.records(), room.consult, room.patient, "legal_duty", now=room.world.clock())
    assert offline.value.purposes == ("rec_av",)


async def test_transcription_needs_everybody(room: Room) -> None:
    here = [await room.world.seat(seat) for seat in (room.doctor, room.patient, room.guest)]
    ledger = await room.records()
    with pytest.raises(TranscriptionNotPermitted) as refused:
        gate.may_transcribe(room.consult, here, ledger, beside=(), now=room.world.clock())
    assert refused.value.reasons == ("rec.transcription_patient", "rec.transcription_person")
    assert set(refused.value.seats) == {room.patient.id, room.guest.id}
    yes = [
        replace(row, id=f"{number:032d}", permitted=(*row.permitted, Purpose.AI_TRANSCRIBE))
        for number, row in enumerate(ledger)
    ]
    assert gate.may_transcribe(room.consult, here, yes, beside=(), now=room.world.clock()) == {seat.id for seat in here}
    await room.do(room_acts.answer_exam, room.patient.id, agrees=True)
    with pytest.raises(TranscriptionNotPermitted) as refused:
        gate.may_transcribe(room.consult, here, [*yes, (await room.records())[-1]], beside=(), now=room.world.clock())
    assert refused.value.reasons == ("rec.exam_view",)


async def test_whoever_is_there_without_a_link_counts_too(room: Room) -> None:
    """A helper at the patient's device and a person declared at the doctor's side: both decide, each bars alone."""
    doctor, by = Actor.seated(room.doctor), Actor.seated(room.patient)
    person = await room.plain(present.declare, room.doctor.id, NewPerson("李医生", "doctor", on_camera=True), doctor)
    helper = Declaration(True, "张小红", "女儿", in_call=True, permits_recording=False)
    await room.do(companions.declare, room.patient.id, helper, by=by)
    assert await room.refusals(None, person) == ("rec.person_unsigned", "rec.companion_refused")
    await room.do(room_acts.relay_answer, person.id, agrees=True, by=doctor)
    assert await room.refusals(None, person) == ("rec.companion_refused",)
    await room.do(companions.declare, room.patient.id, replace(helper, permits_recording=True), by=by)
    assert await room.refusals(None, person) == ()
    await room.do(room_acts.relay_answer, person.id, agrees=False, by=doctor)
    assert await room.refusals(None, person) == ("rec.person_refused",)


async def test_a_helper_who_can_be_heard_was_never_asked_about_transcription(room: Room) -> None:
    here = [await room.world.seat(seat) for seat in (room.doctor, room.patient)]
    yes = [
        replace(row, id=f"{number:032d}", permitted=(*row.permitted, Purpose.AI_TRANSCRIBE))
        for number, row in enumerate(await room.records())
    ]
    by, helper = Actor.seated(room.patient), Declaration(True, "张小红", "女儿")
    await room.do(companions.declare, room.patient.id, helper, by=by)
    beside = await room.world.beside(room.consult)
    assert gate.may_transcribe(room.consult, here, yes, beside=beside, now=room.world.clock()) == {
        seat.id for seat in here
    }
    heard = replace(helper, in_call=True, permits_recording=True)
    await room.do(companions.declare, room.patient.id, heard, by=by)
    with pytest.raises(TranscriptionNotPermitted) as refused:
        gate.may_transcribe(
            room.consult, here, yes, beside=await room.world.beside(room.consult), now=room.world.clock()
        )
    assert (refused.value.reasons, refused.value.seats) == (("rec.transcription_person",), (room.patient.id,))


def test_what_each_withdrawal_stops(room: Room) -> None:
    policy = RecordingPolicy()
    effects = {purpose: gate.withdrawal_effect(room.patient, purpose, policy) for purpose in Purpose}
    assert effects.pop(Purpose.TREAT) is Effect.END_CONSULT
    assert effects.pop(Purpose.SHARE_PANEL) is Effect.REMOVE_EXPERTS
    assert effects.pop(Purpose.REC_AV) is Effect.STOP_RECORDING
    assert effects.pop(Purpose.OBSERVE) is Effect.REMOVE_OBSERVERS
    assert effects.pop(Purpose.INTIMATE) is Effect.STOP_EXAM_VIEW
    assert effects.pop(Purpose.AI_TRANSCRIBE) is Effect.STOP_TRANSCRIPT
    assert set(effects.values()) == {Effect.PURGE_DERIVED, Effect.STOP_ASSIST, Effect.STOP_TRANSFER}
    assert gate.withdrawal_effect(room.patient, Purpose.REC_AV, policy, "legal_duty") is Effect.END_CONSULT
    assert gate.withdrawal_effect(room.guest, Purpose.REC_AV, policy, "legal_duty") is Effect.DROP_PERSON
