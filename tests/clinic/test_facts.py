"""Filings, roster, guardians, agreements, attestation, whereabouts, authentication: who may record what, and when."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import attesting, booking, filings, guardians, registration, safety, visit
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.facts import Attestation
from clinic.people import Role
from clinic.rejudging import record_change, rejudge
from clinic.safety import Place
from tests.support.builders import CARDIOLOGY, World
from tests.support.clock import START
from tests.support.proofs import FakeLocker, filing, prove

TODAY = START.date()
DAY = timedelta(days=1)
Act = Callable[..., Awaitable[Any]]
PLACE = Place("某路 1 号", "张丽", "139 0000 0000")


async def refused(world: World, error: type[Exception], act: Act, *args: Any) -> None:
    """`act(tx, *args)` raises."""
    with pytest.raises(error):
        async with world.db.begin() as tx:
            await act(tx, *args)


async def _signed(tx: Any, act: Act, *args: Any) -> Attestation:
    word: Attestation = await act(tx, *args)
    return word


async def test_filings_are_recorded_and_revoked_by_the_administrator(world: World) -> None:
    by = Actor.staff(world.admin)
    async with world.db.begin() as tx:
        row = await filings.file_practice(tx, world.doctor.id, filing(valid_to=TODAY), by)
        assert (await filings.revoke_filing(tx, row.id, by)).revoked_at == START
    assert world.db.codes()[-2:] == ["practice.filed", "practice.revoked"]
    await refused(world, IllegalMove, filings.revoke_filing, row.id, by)
    wrong = filing(valid_from=TODAY, valid_to=TODAY - DAY)
    await refused(world, InvalidInput, filings.file_practice, world.doctor.id, wrong, by)
    for actor, error in ((Actor.staff(world.doctor), NotPermitted), (Actor.staff(world.experts[0]), MissingRow)):
        await refused(world, error, filings.file_practice, world.doctor.id, filing(), actor)


async def test_shifts_are_planned_for_verified_doctors(world: World) -> None:
    by, ends = Actor.staff(world.admin), START + timedelta(hours=8)
    async with world.db.begin() as tx:
        shift = await filings.plan_shift(tx, world.doctor.id, CARDIOLOGY, START, ends, by)
        assert (await filings.cancel_shift(tx, shift.id, by)).cancelled_at == START
    await refused(world, IllegalMove, filings.cancel_shift, shift.id, by)
    for starts_at, ends_at, who in (
        (START, START, world.doctor),
        (START, START + timedelta(days=3), world.doctor),
        (START.replace(tzinfo=None), ends, world.doctor),
        (START, ends.replace(tzinfo=None), world.doctor),
        (START, ends, world.nurse),  # not verified (CN-03)
    ):
        await refused(
            world,
            InvalidInput,
            filings.plan_shift,
            who.id,
            CARDIOLOGY,
            starts_at,
            ends_at,
            by,
        )
    async with world.db.begin() as tx:
        await registration.change_staff(tx, world.doctor.id, {"verified_until": TODAY - DAY}, world.system)
    await refused(world, InvalidInput, filings.plan_shift, world.doctor.id, CARDIOLOGY, START, ends, by)


async def test_guardians_and_agreements_are_kept_by_the_desk(world: World) -> None:
    by = Actor.staff(world.nurse)
    mother = guardians.NewGuardian("张母", "母亲", "household_register", "H-1")
    deal = guardians.NewAgreement(world.doctor.id, "JY-1", TODAY, TODAY + DAY)
    async with world.db.begin() as tx:
        guardian = await guardians.record_guardian(tx, world.patient.id, mother, by)
        agreement = await guardians.record_agreement(tx, world.patient.id, deal, by)
        assert (await guardians.end_guardianship(tx, guardian.id, by)).ended_at == START
        assert (await guardians.end_agreement(tx, agreement.id, by)).ended_at == START
    await refused(world, IllegalMove, guardians.end_guardianship, guardian.id, by)
    await refused(world, IllegalMove, guardians.end_agreement, agreement.id, by)
    for new in (
        guardians.NewGuardian("张母", "母亲", "a friend said so", "x"),
        guardians.NewGuardian("张母", "母亲", "court_order", ""),
    ):
        await refused(world, InvalidInput, guardians.record_guardian, world.patient.id, new, by)
    for wrong, error in (
        (guardians.NewAgreement(world.experts[0].id, "J", TODAY, TODAY), MissingRow),
        (guardians.NewAgreement(world.nurse.id, "J", TODAY, TODAY), InvalidInput),
        (guardians.NewAgreement(world.doctor.id, "J", TODAY, TODAY - DAY), InvalidInput),
    ):
        await refused(world, error, guardians.record_agreement, world.patient.id, wrong, by)
    for actor, because in ((Actor.staff(world.admin), NotPermitted), (Actor.staff(world.experts[0]), MissingRow)):
        await refused(world, because, guardians.record_guardian, world.patient.id, mother, actor)


async def test_only_the_doctor_of_the_visit_attests_and_only_what_is_there(world: World) -> None:
    booked, other = await world.book(), await world.book()
    by = Actor.staff(world.doctor)
    async with world.db.read() as tx:
        proof = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[0]
        foreign = (await tx.follow_up_evidence.find(consult_id=other.consult.id))[0]

    def attest(evidence_id: str, who: Actor, diagnosis: str = "高血压", consult_id: str = "") -> tuple[Any, ...]:
        return attesting.attest, world.sealer, consult_id or booked.consult.id, evidence_id, diagnosis, who

    async with world.db.begin() as tx:
        word = await _signed(tx, *attest(proof.id, by))
    document = attesting.attestation_document(word)
    assert (document["diagnosis"], document["visited_on"]) == ("高血压", word.visited_on)
    assert world.sealer.sealed[-1][1] == world.db.events[-1].public["document"]
    await refused(world, MissingRow, *attest(foreign.id, by))
    await refused(world, InvalidInput, *attest(proof.id, by, " "))
    await refused(world, NotPermitted, *attest(proof.id, Actor.staff(world.clinic_doctor)))
    await refused(world, NotPermitted, *attest(proof.id, Actor.seated(booked.patient_seat)))
    advice = await world.book(kind=ConsultKind.ADVICE, evidence=())
    await refused(world, IllegalMove, *attest(proof.id, by, consult_id=advice.consult.id))
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, by, "other")
    await refused(world, IllegalMove, *attest(proof.id, by))


async def test_a_nurse_in_the_room_does_not_attest_for_the_doctor(world: World) -> None:
    booked = await world.book_panel()
    seats = [await world.answer(invitation) for invitation in await world.ask(booked.consult)]
    assert seats[0] is not None
    await refused(
        world,
        NotPermitted,
        attesting.attest,
        world.sealer,
        booked.consult.id,
        "x",
        "高血压",
        Actor.seated(seats[0]),
    )


async def test_whereabouts_are_encrypted_read_by_those_who_treat_and_each_reading_on_record(world: World) -> None:
    booked, locker = await world.book(), FakeLocker()
    doctor = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        assert await safety.read_whereabouts(tx, locker, booked.consult.id, doctor) is None
        row = await safety.tell_whereabouts(tx, locker, booked.consult.id, PLACE, Actor.seated(booked.patient_seat))
    assert PLACE.location not in row.sealed
    assert PLACE.contact_name not in str(world.db.events[-1])
    async with world.db.begin() as tx:
        newer = Place("医院门口", "张丽", "120")
        await safety.tell_whereabouts(tx, locker, booked.consult.id, newer, doctor)
        assert await safety.read_whereabouts(tx, locker, booked.consult.id, doctor) == newer
    assert world.db.codes()[-2:] == ["visit.whereabouts", "view.whereabouts"]
    for place in (Place("x", "张丽", "120"), Place("某路", " ", "120"), Place("某路", "张丽", "1")):
        await refused(
            world,
            InvalidInput,
            safety.tell_whereabouts,
            locker,
            booked.consult.id,
            place,
            doctor,
        )
    await refused(
        world,
        NotPermitted,
        safety.read_whereabouts,
        locker,
        booked.consult.id,
        Actor.staff(world.admin),
    )


async def test_whereabouts_belong_to_an_open_consult(world: World) -> None:
    running = await world.call(await world.book())
    doctor = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        await visit.conclude(tx, running.id, doctor)
    await refused(world, IllegalMove, safety.tell_whereabouts, FakeLocker(), running.id, PLACE, doctor)


async def test_the_last_authentication_counts(world: World) -> None:
    await world.ready((await world.book()).consult)
    world.clock.advance(60)
    async with world.db.begin() as tx:
        await prove(tx, world.doctor)
        rows = await tx.authentications.find(id=world.doctor.id)
    assert [row.at for row in rows] == [world.clock()]


async def test_a_verdict_that_turns_while_people_wait_goes_on_record(world: World) -> None:
    booked = await world.book()
    await world.enter(booked.patient_seat)
    waiting = await world.consult(booked.consult.id)
    async with world.db.begin() as tx:
        assert (await rejudge(tx, waiting)).allowed
        await registration.change_staff(tx, world.doctor.id, {"licence_valid_to": TODAY - DAY}, world.system)
    async with world.db.begin() as tx:
        verdict = await rejudge(tx, waiting)
        await record_change(tx, waiting, verdict, [booked.patient_seat.id])
    event = world.db.events[-1]
    assert (event.code.value, event.outcome) == ("visit.gate_fail", "gate.doctor_unlicensed")
    assert event.public["seats"] == [booked.patient_seat.id]
    assert event.public["stage"] == "join"
    async with world.db.begin() as tx:
        await registration.change_staff(tx, world.doctor.id, {"licence_valid_to": date(2045, 1, 1)}, world.system)
        await record_change(tx, waiting, await rejudge(tx, waiting), [])
    assert (world.db.events[-1].code.value, world.db.events[-1].outcome) == ("visit.gate_pass", "ok")


async def test_a_running_consult_is_asked_only_what_must_stay_true(world: World) -> None:
    running = await world.call(await world.book())
    async with world.db.begin() as tx:
        await registration.change_staff(tx, world.doctor.id, {"licence_valid_to": TODAY - DAY}, world.system)
        assert (await rejudge(tx, running)).allowed


async def test_a_province_is_two_digits(world: World) -> None:
    for wrong in ("1", "浙江", "00"):
        await refused(
            world,
            InvalidInput,
            registration.change_institution,
            world.home.id,
            {"province": wrong},
            world.system,
        )
    assert Role.ATTENDING in world.doctor.roles
