"""The ledger decides: nobody gets media before consent, nothing is recorded without everybody's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clinic.consult import Consult, ConsultKind, ConsultStatus, Seat, SeatState
from clinic.people import Role
from consent import gate
from consent.errors import ConsentMissing, RecordingNotPermitted
from consent.gate import Effect, OnWithdrawal, RecordingPolicy
from consent.grant import RecordingGrant
from consent.records import Purpose
from consent.standing import required_purposes, shared_with
from tests.support.builders import World

STOP = RecordingPolicy(OnWithdrawal.STOP)


async def test_no_media_before_treatment_is_agreed(world: World) -> None:
    booked = await world.book()
    seat = booked.patient_seat
    for answers in (None, {"treat": False}):
        if answers:
            await world.sign(seat, **answers)
        with pytest.raises(ConsentMissing) as refused:
            gate.require(await world.records(booked.consult), booked.consult, seat, now=world.clock())
        assert refused.value.purposes == ("treat",)
    await world.sign(seat, rec_av=False)
    records = await world.records(booked.consult)
    gate.require(records, booked.consult, seat, now=world.clock())
    with pytest.raises(ConsentMissing) as refused:
        gate.require(records, booked.consult, seat, "legal_duty", now=world.clock())
    assert refused.value.purposes == ("rec_av",)
    await world.withdraw(seat, Purpose.TREAT)
    with pytest.raises(ConsentMissing):
        gate.require(await world.records(booked.consult), booked.consult, seat, now=world.clock())


async def test_own_staff_and_guests_need_nothing(world: World) -> None:
    booked = await world.book()
    gate.require([], booked.consult, booked.doctor_seat, now=world.clock())
    gate.require([], booked.consult, await world.guest(booked.consult), now=world.clock())


async def test_experts_come_in_only_while_the_patient_shares_with_their_house(world: World) -> None:
    booked = await world.book_panel()
    expert = await world.answer((await world.ask(booked.consult))[0])
    assert expert is not None
    await world.sign(booked.patient_seat, share_panel=False)
    for seat in (expert, booked.patient_seat):
        with pytest.raises(ConsentMissing) as refused:
            gate.require(await world.records(booked.consult), booked.consult, seat, now=world.clock())
        assert refused.value.purposes == ("share_panel",)
    await world.sign(booked.patient_seat)
    records = await world.records(booked.consult)
    gate.require(records, booked.consult, expert, now=world.clock())
    gate.require(records, booked.consult, booked.patient_seat, now=world.clock())
    assert shared_with(records, world.clock()) == {world.partner.id}
    with pytest.raises(ConsentMissing):
        gate.require(records, booked.consult, replace(expert, home_institution_id="a third house"), now=world.clock())
    await world.withdraw(booked.patient_seat, Purpose.SHARE_PANEL)
    with pytest.raises(ConsentMissing):
        gate.require(await world.records(booked.consult), booked.consult, expert, now=world.clock())


def test_required_purposes() -> None:
    assert required_purposes(ConsultKind.EXPERT_CONSULT, Role.PATIENT) == (Purpose.TREAT, Purpose.SHARE_PANEL)
    assert required_purposes(ConsultKind.FOLLOW_UP, Role.FAMILY, "legal_duty") == ()


async def present(world: World, consult: Consult) -> list[Seat]:
    async with world.db.read() as tx:
        return list(await tx.seats.find(consult_id=consult.id, state=SeatState.ADMITTED))


async def refusal(world: World, consult: Consult, policy: RecordingPolicy | None = None) -> RecordingNotPermitted:
    with pytest.raises(RecordingNotPermitted) as refused:
        await grant(world, consult, policy)
    return refused.value


async def grant(world: World, consult: Consult, policy: RecordingPolicy | None = None) -> RecordingGrant:
    records = await world.records(consult)
    return gate.recording_grant(
        await world.consult(consult.id), "rec", await present(world, consult), records,
        policy=policy or RecordingPolicy(), now=world.clock(), beside=await world.beside(consult),
    )  # fmt: skip


async def test_a_grant_is_for_exactly_these_people_and_one_minute(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    made = await grant(world, consult)
    both = {booked.doctor_seat.id, booked.patient_seat.id}
    assert made.seats == made.recorded == both
    assert len(made.consent_ids) == 2
    now = world.clock()
    assert made.allows(booked.patient_seat.id, now + timedelta(seconds=59))
    assert not made.allows(booked.patient_seat.id, now + timedelta(seconds=60))
    assert not made.allows(booked.patient_seat.id, now - timedelta(seconds=1))
    assert not made.allows("somebody", now)


async def test_somebody_unsigned_stops_it(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    consult = await world.call(booked)
    await world.enter(guest)
    await world.admit(guest)
    refused = await refusal(world, consult)
    assert (refused.reasons, refused.seats) == (("rec.person_unsigned",), (guest.id,))
    await world.sign(guest, rec_av=False)
    assert (await refusal(world, consult)).reasons == ("rec.person_refused",)
    await world.sign(guest)
    assert guest.id in (await grant(world, consult)).recorded


async def test_anothers_withdrawal_is_a_privacy_interval_or_the_end(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    consult = await world.call(booked)
    await world.enter(guest)
    await world.admit(guest)
    await world.sign(guest)
    await world.withdraw(guest, Purpose.REC_AV)
    made = await grant(world, consult)
    assert guest.id in made.seats
    assert guest.id not in made.recorded
    refused = await refusal(world, consult, STOP)
    assert (refused.reasons, refused.seats) == (("rec.person_withdrew",), (guest.id,))


@pytest.mark.parametrize("policy", [RecordingPolicy(), STOP])
async def test_the_patients_word_is_needed_always(world: World, policy: RecordingPolicy) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    await world.withdraw(booked.patient_seat, Purpose.REC_AV)
    refused = await refusal(world, consult, policy)
    assert (refused.reasons, refused.seats) == (("rec.patient_withdrew",), (booked.patient_seat.id,))
    async with world.db.begin() as tx:
        from clinic import visit

        await visit.leave(tx, booked.patient_seat.id, world.system)
    assert (await refusal(world, consult, policy)).reasons == ("rec.patient_withdrew",)  # also out of the room
    await world.sign(booked.patient_seat, rec_av=False)
    assert (await refusal(world, consult, policy)).reasons == ("rec.patient_refused",)
    await world.sign(booked.patient_seat)
    assert booked.patient_seat.id not in (await grant(world, consult, policy)).seats


async def test_staff_must_have_the_notice(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat)
    await world.enter(booked.patient_seat)
    await world.enter(booked.doctor_seat)
    await world.admit(booked.patient_seat)
    assert (await refusal(world, booked.consult)).reasons == ("rec.notice_missing",)


async def test_a_closed_or_empty_room_is_not_recorded(world: World) -> None:
    booked = await world.book()
    assert (await refusal(world, booked.consult)).reasons == (
        "rec.consult_not_open", "rec.nobody_present", "rec.patient_unsigned",
    )  # fmt: skip
    consult = await world.call(booked)
    people, records = await present(world, consult), await world.records(consult)
    waiting = [replace(people[0], state=SeatState.WAITING), people[1]]
    foreign = [replace(people[0], consult_id="another"), people[1]]
    for seats in (waiting, foreign):
        with pytest.raises(RecordingNotPermitted) as refused:
            gate.recording_grant(consult, "r", seats, records, policy=RecordingPolicy(), now=world.clock(), beside=())
        assert refused.value.reasons == ("rec.not_admitted",)
    over = replace(consult, status=ConsultStatus.CONCLUDING)
    with pytest.raises(RecordingNotPermitted):
        gate.recording_grant(over, "r", people, records, policy=RecordingPolicy(), now=world.clock(), beside=())
    with pytest.raises(RecordingNotPermitted) as refused:
        gate.recording_grant(consult, "r", people, [], policy=RecordingPolicy(), now=world.clock(), beside=())
    assert set(refused.value.reasons) == {"rec.patient_unsigned", "rec.notice_missing"}


async def test_what_a_withdrawal_does(world: World) -> None:
    booked = await world.book()
    patient, guest = booked.patient_seat, await world.guest(booked.consult)
    usual = RecordingPolicy()
    assert gate.withdrawal_effect(patient, Purpose.TREAT, usual) is Effect.END_CONSULT
    assert gate.withdrawal_effect(patient, Purpose.SHARE_PANEL, usual) is Effect.REMOVE_EXPERTS
    assert gate.withdrawal_effect(patient, Purpose.REC_AV, usual) is Effect.STOP_RECORDING
    assert gate.withdrawal_effect(guest, Purpose.REC_AV, usual) is Effect.DROP_PERSON
    assert gate.withdrawal_effect(guest, Purpose.REC_AV, STOP) is Effect.STOP_RECORDING
