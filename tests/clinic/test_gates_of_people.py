"""The gates about small children, consent, the doctor's card, whereabouts and duty; facts as use cases leave them."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from clinic import attesting, booking, guardians
from clinic.actor import Actor
from clinic.admission import AdmissionFacts, GateState, Present, Stage, facts_of, judge
from clinic.consult import ConsultKind
from clinic.errors import AdmissionRefused
from clinic.facts import Attestation, DutyShift, Guardianship, Whereabouts
from clinic.people import Role
from tests.clinic.gate_rules import DAY, RULES, TODAY, codes, of, relaxed, strict
from tests.support.builders import CARDIOLOGY, World
from tests.support.clock import START

# -- CN-10, HZ-04: small children -------------------------------------------------------------------------------------


def child(known: AdmissionFacts, born: date, proof: str = "birth_certificate", **more: Any) -> AdmissionFacts:
    guardian = Guardianship(
        "g", known.institution.id, known.patient.id, "张母", "母亲", proof, "B1" if proof else "", "n", START
    )
    facts = replace(
        of(known, "patient", birth_date=born), guardians=(guardian,), present=Present(guardian_on_camera=True)
    )
    return replace(facts, **more)


@pytest.mark.parametrize(
    ("born", "small"), [(date(2020, 3, 3), True), (date(2020, 3, 2), False), (date(2020, 3, 1), False)]
)
async def test_cn_10_the_day_before_on_and_after_the_sixth_birthday(
    known: AdmissionFacts, born: date, small: bool
) -> None:
    assert codes(child(known, born)) == ()
    assert codes(child(known, born, guardians=())) == (("gate.guardian_missing",) if small else ())
    unseen = child(known, born, present=Present())
    assert codes(unseen) == (("gate.guardian_not_on_camera",) if small else ())
    assert codes(unseen, stage=Stage.JOIN) == ()


async def test_cn_10_proof_end_and_a_stricter_age(known: AdmissionFacts) -> None:
    young = date(2021, 1, 1)
    assert codes(child(known, young, proof="")) == ("gate.guardian_unproven",)
    ended = child(known, young)
    ended = replace(ended, guardians=(replace(ended.guardians[0], ended_at=START),))
    assert codes(ended) == ("gate.guardian_missing",)
    eight = child(known, date(2018, 3, 3), guardians=())
    assert codes(eight) == ()
    assert codes(eight, strict(CN_10={"under_age": 8})) == ("gate.guardian_missing",)
    rule = replace(RULES.rules["CN-10"], values={"under_age": 6, "proof": 0})
    assert codes(child(known, young, proof=""), replace(RULES, rules={**RULES.rules, "CN-10": rule})) == ()


async def test_hz_04_the_guardian_first_and_throughout(known: AdmissionFacts) -> None:
    young = child(known, date(2021, 1, 1), present=Present(guardian_on_camera=False))
    assert codes(young) == codes(young, stage=Stage.RUNNING) == ("gate.guardian_not_on_camera",)
    coming = replace(young, present=Present(entering=Role.GUARDIAN))
    assert codes(coming) == ()
    rule = replace(RULES.rules["HZ-04"], values={"on_camera": 0})
    assert codes(young, replace(RULES, rules={**RULES.rules, "HZ-04": rule})) == ()
    running = judge(young, RULES, START, Stage.RUNNING)
    assert {gate.state for gate in running.gates if gate.rule != "HZ-04"} == {GateState.LATER}


# -- CN-12, CN-13 -----------------------------------------------------------------------------------------------------


async def test_cn_12_consent_unsigned_signed_and_not_known_here(known: AdmissionFacts) -> None:
    assert codes(replace(known, present=Present(consented=False))) == ("gate.consent_missing",)
    assert codes(replace(known, present=Present(consented=True))) == ()
    assert codes(replace(known, present=Present(consented=None))) == ()
    assert codes(replace(known, present=Present(consented=False)), stage=Stage.JOIN) == ()
    assert codes(replace(known, present=Present(consented=False)), relaxed("CN-12")) == ()


async def test_cn_13_the_doctors_card(known: AdmissionFacts) -> None:
    assert codes(of(known, "doctor", title=" ")) == ("gate.card_incomplete",)
    assert codes(of(known, "doctor", name=" ")) == ("gate.card_incomplete",)
    rule = replace(RULES.rules["CN-13"], values={"title": 0})
    assert codes(of(known, "doctor", title=""), replace(RULES, rules={**RULES.rules, "CN-13": rule})) == ()


# -- HZ-02, HZ-03 -----------------------------------------------------------------------------------------------------


async def test_hz_02_is_a_reminder_until_a_province_requires_it(known: AdmissionFacts) -> None:
    required = strict(HZ_02={"required": 1})
    assert codes(known) == ()
    assert codes(known, required) == ("gate.whereabouts_unknown",)
    assert codes(known, required, Stage.JOIN) == ()
    told = Whereabouts("w", known.institution.id, known.consult.id, "sealed", "seat", START)
    assert codes(replace(known, whereabouts=told), required) == ()


@pytest.mark.parametrize(
    ("begins", "ends", "changes", "good"),
    [
        (0, 60, {}, True),  # the minute it begins
        (1, 60, {}, False),
        (-60, 1, {}, True),
        (-60, 0, {}, False),  # the minute it ends
        (-60, 60, {"department": "09"}, False),
        (-60, 60, {"cancelled_at": START}, False),
    ],
)
async def test_hz_03_on_duty_the_minute_before_on_and_after(
    known: AdmissionFacts, begins: int, ends: int, changes: dict[str, Any], good: bool
) -> None:
    shift = DutyShift(
        "s", known.institution.id, known.doctor.id, CARDIOLOGY,
        START + timedelta(minutes=begins), START + timedelta(minutes=ends), "a", START,
    )  # fmt: skip
    facts = replace(known, shifts=(replace(shift, **changes),))
    required = strict(HZ_03={"required": 1})
    expected = () if good else ("gate.doctor_off_duty",)
    assert codes(facts) == ()
    for stage in (Stage.BOOKING, Stage.JOIN, Stage.RECEPTION):
        assert codes(facts, required, stage) == expected
    assert codes(replace(facts, received_at=START), required) == ()


# -- facts as the use cases leave them ---------------------------------------------------------------------------------


async def test_a_child_with_its_guardian_is_admitted(world: World) -> None:
    from clinic import registration, visit
    from clinic.people import IdentityLevel
    from tests.support.builders import patient

    async with world.db.begin() as tx:
        new = patient(world.home.id, birth_date=date(2021, 5, 1), identity_level=IdentityLevel.L2)
        kid = await registration.create_patient(tx, new, world.system)
    booked = await world.book(patient_id=kid.id)
    with pytest.raises(AdmissionRefused) as refused:
        await world.enter(booked.patient_seat)
    assert refused.value.reasons == ("gate.guardian_missing",)
    async with world.db.begin() as tx:
        mother = guardians.NewGuardian("张母", "母亲", "household_register", "H-1")
        await guardians.record_guardian(tx, kid.id, mother, world.system)
    await world.enter(booked.patient_seat)
    guest = await world.guest(booked.consult, "张母", Role.GUARDIAN)
    await world.enter(guest)
    await world.admit(guest)
    with pytest.raises(AdmissionRefused) as refused:
        await world.admit(booked.patient_seat)
    assert refused.value.reasons == ("gate.guardian_not_on_camera",)
    async with world.db.begin() as tx:
        seen = Present(consented=True, guardian_on_camera=True)
        by = Actor.staff(world.doctor)
        entered = await visit.admit(tx, booked.consult.id, booked.patient_seat.id, by, present=seen)
    assert entered.admission is not None and entered.admission.stage is Stage.RECEPTION


async def test_booking_reads_agreements_and_shifts(world: World) -> None:
    with pytest.raises(AdmissionRefused) as refused:
        await world.book(kind=ConsultKind.FAMILY_DOCTOR, evidence=())
    assert refused.value.reasons == ("gate.agreement_missing",)
    async with world.db.begin() as tx:
        new = guardians.NewAgreement(world.doctor.id, "JY-1", TODAY, TODAY + 365 * DAY)
        await guardians.record_agreement(tx, world.patient.id, new, world.system)
    booked = await world.book(kind=ConsultKind.FAMILY_DOCTOR, evidence=())
    assert (await world.call(booked)).opened_at is not None
    assert booked.doctor_seat.role is Role.ATTENDING


async def test_a_later_attestation_takes_the_place_of_the_earlier(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        await booking.add_evidence(
            tx, booked.consult.id,
            booking.NewEvidence(CARDIOLOGY, "2026-02-20", "县人民医院", "高血压 2 级", "MZ2"), world.system,
        )  # fmt: skip
        newer = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[1]
        signed: Attestation = await attesting.attest(
            tx, world.sealer, booked.consult.id, newer.id, "高血压 2 级", Actor.staff(world.doctor)
        )
        facts = await facts_of(tx, booked.consult)
    assert facts.attestation == signed
    assert signed.signature.startswith("seal.")
