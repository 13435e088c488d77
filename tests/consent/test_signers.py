"""Who signs for whom, on which proof, before which witness; and nobody at all, in an emergency."""

import json
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.errors import InvalidInput, NotPermitted
from clinic.people import IdentityLevel
from consent import desk, emergency, gate, witnessing
from consent.emergency import Emergency
from consent.errors import (
    CapacityInvalid,
    EmergencyNotOpen,
    IdentityTooLow,
    NothingToCorrect,
    SeatCannotSign,
    SignatureInvalid,
    WitnessMissing,
)
from consent.records import CapacityBasis, ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Standing, standing
from consent.witnessing import Sighting
from tests.support.builders import World, patient, signing

GUARDIAN, PROXY, RELATIVE, SELF = (
    SignerCapacity.GUARDIAN,
    SignerCapacity.PROXY,
    SignerCapacity.RELATIVE,
    SignerCapacity.SELF,
)


async def signed(world: World, booked: Booked, name: str, **changes: Any) -> ConsentRecord:
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh", again=True)
        return await desk.sign(tx, world.sealer, booked.patient_seat.id, replace(signing(shown, name), **changes))


async def witnessed(world: World, booked: Booked, capacity: SignerCapacity, **changes: Any) -> ConsentRecord:
    by = changes.pop("by", Actor.staff(world.nurse))
    seen: dict[str, Any] = {
        "operation_id": uuid4().hex,
        "capacity": capacity,
        "basis": CapacityBasis.OWN,
        "signer_name": "王芳",
        "document": "户口本 3301",
        "relation": "女儿",
        "typed_name": world.nurse.name,
        **changes,
    }
    async with world.db.begin() as tx:
        return await witnessing.witness(tx, world.sealer, booked.patient_seat.id, Sighting(**seen), by=by)


async def child(world: World, born: date) -> Booked:
    async with world.db.begin() as tx:
        row = await registration.create_patient(tx, patient(world.home.id, name="小明", birth_date=born), world.system)
    return await world.book(patient_id=row.id)


FOR_ADULTS = [
    (GUARDIAN, {"basis": CapacityBasis.INCAPACITY, "relation": "女儿", "proof": "监护人判决书 12"}),
    (PROXY, {"basis": CapacityBasis.AUTHORISED, "authorisation": "授权委托书 7"}),
    (RELATIVE, {"basis": CapacityBasis.NOT_TOLD, "relation": "女儿", "proof": "户口本 3301"}),
]


@pytest.mark.parametrize(("capacity", "claims"), FOR_ADULTS)
async def test_who_signs_for_an_adult_proves_it_before_a_witness(
    world: World, capacity: SignerCapacity, claims: dict[str, Any]
) -> None:
    booked = await world.book()
    with pytest.raises(WitnessMissing):
        await signed(world, booked, "王芳", capacity=capacity, **claims)
    for name in claims:
        with pytest.raises(CapacityInvalid):
            await signed(world, booked, "王芳", capacity=capacity, **{**claims, name: None})
    with pytest.raises(CapacityInvalid):
        await signed(world, booked, "王芳", capacity=capacity, **{**claims, "basis": CapacityBasis.MINOR})
    await witnessed(world, booked, SELF)  # of somebody else: does not do
    with pytest.raises(WitnessMissing):
        await signed(world, booked, "王芳", capacity=capacity, **claims)
    seen = await witnessed(world, booked, capacity)
    with pytest.raises(SignatureInvalid):
        await signed(world, booked, "张建明", capacity=capacity, **claims)
    record = await signed(world, booked, "王芳", capacity=capacity, **claims)
    evidence = json.loads(record.evidence)
    assert record.capacity is capacity
    assert evidence["witness"] == {"record": seen.id, "digest": seen.digest}
    assert {name: evidence["signer"][name] for name in claims} == {name: str(value) for name, value in claims.items()}


@pytest.mark.parametrize(
    ("born", "name", "change", "refusal"),
    [
        (date(2009, 1, 1), "小明", {}, CapacityInvalid),  # 17
        (date(2009, 1, 1), "小明", {"basis": CapacityBasis.SELF_SUPPORTING}, CapacityInvalid),  # no proof
        (date(2009, 1, 1), "小明", {"basis": CapacityBasis.SELF_SUPPORTING, "proof": "劳动合同 1"}, None),
        (date(2010, 3, 3), "小明", {"basis": CapacityBasis.SELF_SUPPORTING, "proof": "劳动合同 1"}, CapacityInvalid),
        (date(2009, 1, 1), "王芳", {"capacity": PROXY, "basis": CapacityBasis.AUTHORISED}, CapacityInvalid),
        (date(2009, 1, 1), "王芳", {"capacity": GUARDIAN, "relation": "母亲"}, CapacityInvalid),  # no assent
    ],
)
async def test_sixteen_and_living_on_own_work_is_an_adult(
    world: World, born: date, name: str, change: dict[str, Any], refusal: type[Exception] | None
) -> None:
    booked = await child(world, born)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    assert shown.may_be_self_supporting == (born < date(2010, 3, 3))
    await witnessed(world, booked, SELF)
    if refusal is None:
        record = await signed(world, booked, name, **change)
        assert json.loads(record.evidence)["signer"]["acts_alone"] is True
        return
    with pytest.raises(refusal):
        await signed(world, booked, name, **change)


async def test_the_child_assents_in_its_own_act(world: World) -> None:
    booked = await child(world, date(2014, 5, 5))
    as_guardian: dict[str, Any] = {"capacity": GUARDIAN, "relation": "母亲", "child_assents": True}
    for name in (None, "王芳"):
        with pytest.raises(SignatureInvalid):
            await signed(world, booked, "王芳", **as_guardian, child_name=name)
    record = await signed(world, booked, "王芳", **as_guardian, child_name="小明")
    assent = world.db.rows("consent_records")[-1]
    assert (assent.action, assent.withdraws, assent.permitted) == (ConsentAction.ASSENTED, record.id, ())
    assert json.loads(assent.evidence)["typed_name"] == "小明"
    assert world.sealer.holds(world.home.id, assent.digest, assent.seal)
    assert world.db.codes()[-2:] == ["consent.signed", "consent.assented"]
    evidence = json.loads(record.evidence)["signer"]
    assert (evidence["age"], evidence["parent_consent"]) == (11, True)
    records = await world.records(booked.consult)
    assert standing(records, booked.patient_seat.id, Purpose.TREAT) is Standing.PERMITTED
    with pytest.raises(SignatureInvalid):  # nobody of 18 assents
        await signed(world, await world.book(), "张建明", child_name="张建明")


async def test_a_guest_signs_for_themself_only(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, guest.id, "zh")
        with pytest.raises(CapacityInvalid):
            signing_for = replace(signing(shown, "王芳"), capacity=GUARDIAN, relation="母亲")
            await desk.sign(tx, world.sealer, guest.id, signing_for)


async def test_a_witness_makes_up_for_a_lower_identity(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, identity_level=IdentityLevel.L2))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))
    with pytest.raises(IdentityTooLow, match="share_panel"):
        await world.sign(booked.patient_seat)
    seen = await witnessed(world, booked, SELF)
    world.clock.advance(61 * 60)
    with pytest.raises(IdentityTooLow):  # too long ago
        await world.sign(booked.patient_seat)
    seen = await witnessed(world, booked, SELF)
    await correct(world, seen)
    with pytest.raises(IdentityTooLow):  # entered in error
        await world.sign(booked.patient_seat)
    await witnessed(world, booked, SELF, by=Actor.seated(booked.doctor_seat), typed_name=world.clinic_doctor.name)
    assert Purpose.SHARE_PANEL in (await world.sign(booked.patient_seat)).permitted
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, identity_level=IdentityLevel.L1))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))
    with pytest.raises(IdentityTooLow, match="treat"):  # a witness does not make up for the visit's own minimum
        await world.sign(booked.patient_seat)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"typed_name": "王芳"}, SignatureInvalid),
        ({"document": ""}, InvalidInput),
        ({"signer_name": " "}, InvalidInput),
        ({"capacity": SignerCapacity.EMERGENCY}, InvalidInput),
    ],
)
async def test_a_faulty_sighting_is_refused(world: World, change: dict[str, Any], refusal: type[Exception]) -> None:
    booked = await world.book()
    with pytest.raises(refusal):
        await witnessed(world, booked, **{"capacity": SELF, **change})
    assert world.db.rows("consent_records") == []


async def test_who_may_witness(world: World) -> None:
    booked = await world.book()
    first = await witnessed(world, booked, SELF, operation_id="op")
    assert await witnessed(world, booked, SELF, operation_id="op") == first
    for by in (world.archivist, world.doctor):
        if by is world.doctor:  # the doctor of the visit may, with their own name
            assert await witnessed(world, booked, SELF, by=Actor.staff(by), typed_name=by.name)
            continue
        with pytest.raises(NotPermitted):
            await witnessed(world, booked, SELF, by=Actor.staff(by), typed_name=by.name)
    async with world.db.begin() as tx:
        with pytest.raises(SeatCannotSign):
            seen = Sighting("o", SELF, CapacityBasis.OWN, "x", "y", "", world.nurse.name)
            await witnessing.witness(tx, world.sealer, booked.doctor_seat.id, seen, by=Actor.staff(world.nurse))


async def approve(world: World, consult_id: str, by: Any, **changes: Any) -> ConsentRecord:
    values = {"operation_id": uuid4().hex, "reason": "昏迷，需要立即会诊", "tried": "电话女儿三次未接", **changes}
    async with world.db.begin() as tx:
        return await emergency.approve(tx, world.sealer, consult_id, Emergency(**values), by=Actor.staff(by))


async def test_an_emergency_is_approved_for_care_only(world: World) -> None:
    booked = await world.book()
    with pytest.raises(NotPermitted):
        await approve(world, booked.consult.id, world.doctor)
    for lacking in ({"reason": ""}, {"tried": " "}):
        with pytest.raises(InvalidInput):
            await approve(world, booked.consult.id, world.approver, **lacking)
    record = await approve(world, booked.consult.id, world.approver, operation_id="op")
    assert await approve(world, booked.consult.id, world.approver, operation_id="op") == record
    assert (record.capacity, record.permitted, record.refused) == (
        SignerCapacity.EMERGENCY,
        (Purpose.TREAT,),
        (),
    )
    assert json.loads(record.evidence)["code"] == "EMERGENCY"
    assert "1220" in json.loads(record.evidence)["basis"]["en"]
    assert world.db.codes()[-1] == "consent.emergency"
    records = await world.records(booked.consult)
    gate.require(records, booked.consult, booked.patient_seat, now=world.clock())
    assert standing(records, booked.patient_seat.id, Purpose.REC_AV) is Standing.UNDECIDED
    with pytest.raises(EmergencyNotOpen):
        await approve(world, booked.consult.id, world.approver2)


async def test_an_emergency_panel_names_the_institution(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    record = await approve(world, booked.consult.id, world.approver)
    assert record.permitted == (Purpose.TREAT, Purpose.SHARE_PANEL)
    assert record.shared_with == (world.partner.id,)


async def test_a_no_is_no_emergency_and_the_doctor_does_not_approve(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat, treat=False)
    with pytest.raises(EmergencyNotOpen, match="decided"):
        await approve(world, booked.consult.id, world.approver)
    other = await world.book()
    async with world.db.begin() as tx:
        row = replace(await tx.seats.get(other.doctor_seat.id), person_id=world.approver.id)
        await tx.seats.save(row)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, world.home.id, "system"))
    with pytest.raises(EmergencyNotOpen, match="same hands"):
        await approve(world, other.consult.id, world.approver)


async def test_no_emergency_once_the_visit_is_over(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    await world.finish(consult)
    with pytest.raises(SeatCannotSign):
        await approve(world, booked.consult.id, world.approver)
    with pytest.raises(SeatCannotSign):
        await witnessed(world, booked, SELF)


async def correct(world: World, record: ConsentRecord, **changes: Any) -> ConsentRecord:
    values: dict[str, Any] = {"reason": "记错了患者", "operation_id": uuid4().hex, **changes}
    by = values.pop("by", Actor.staff(world.nurse))
    async with world.db.begin() as tx:
        return await desk.correct(tx, world.sealer, record.id, by=by, **values)


async def test_a_correction_opens_the_question_and_never_says_yes(world: World) -> None:
    booked = await world.book()
    seat = booked.patient_seat
    first = await world.sign(seat)
    gone = await world.withdraw(seat, Purpose.REC_AV)
    made = await correct(world, gone, operation_id="op")
    assert await correct(world, gone, operation_id="op") == made
    assert (made.action, made.withdraws, made.permitted) == (
        ConsentAction.ENTERED_IN_ERROR,
        gone.id,
        (Purpose.REC_AV,),
    )
    records = await world.records(booked.consult)
    assert standing(records, seat.id, Purpose.REC_AV) is Standing.UNDECIDED  # the earlier yes does not come back
    assert standing(records, seat.id, Purpose.TREAT) is Standing.PERMITTED
    part = await correct(world, first)
    assert part.permitted == (Purpose.TREAT,)
    for wrong in (gone, first, made, await world.notice(booked.doctor_seat)):
        with pytest.raises(NothingToCorrect):
            await correct(world, wrong)
    with pytest.raises(InvalidInput):
        await correct(world, await world.sign(seat), reason="")


async def test_what_a_call_rests_on_is_withdrawn_not_corrected(world: World) -> None:
    """A correction stops nothing; a withdrawal stops it first."""
    booked = await world.book()
    await world.call(booked)
    signed_one = next(row for row in world.db.rows("consent_records") if row.capacity is SELF)
    with pytest.raises(NothingToCorrect, match="withdrawal"):
        await correct(world, signed_one)
    gone = await world.withdraw(booked.patient_seat, Purpose.REC_AV)
    assert (await correct(world, gone)).permitted == (Purpose.REC_AV,)


async def test_what_has_been_decided_anew_is_not_corrected(world: World) -> None:
    booked = await world.book()
    old = await world.sign(booked.patient_seat, rec_av=False)
    await world.sign(booked.patient_seat)
    with pytest.raises(NothingToCorrect):
        await correct(world, old)
    with pytest.raises(NotPermitted):
        await correct(world, old, by=Actor.staff(world.admin))


@pytest.mark.parametrize(("answers", "told"), [((), None), ((1,), True), ((0, 1), True), ((1, 2), False)])
async def test_the_comprehension_question_is_recorded_and_never_blocks(
    world: World, answers: tuple[int, ...], told: bool | None
) -> None:
    booked = await world.book()
    record = await signed(world, booked, "张建明", answers=answers)
    assert json.loads(record.evidence)["comprehension"] == {"answers": list(answers), "understood": told}
    assert world.db.events[-1].public.get("understood") == told


async def test_a_text_without_a_question_takes_no_answer(world: World) -> None:
    """Texts published before there were such questions."""
    booked = await world.book()
    async with world.db.begin() as tx:
        rows = await tx.consent_templates.find(key="visit.patient", locale="zh", institution_id=world.home.id)
        old = replace(
            rows[-1], id=uuid4().hex, version=2, sections=tuple(replace(s, check=None) for s in rows[-1].sections)
        )
        await tx.consent_templates.add(old)
        await tx.append(AuditEvent(EventCode.TEMPLATE_PUBLISHED, world.home.id, "system"))
    with pytest.raises(SignatureInvalid):
        await signed(world, booked, "张建明", answers=(0,))
    record = await signed(world, booked, "张建明")
    assert json.loads(record.evidence)["comprehension"]["understood"] is None


async def test_removed_people_sign_nothing(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.call(booked)
    async with world.db.begin() as tx:
        await visit.remove(tx, booked.consult.id, guest.id, Actor.staff(world.doctor), "not_invited")
    with pytest.raises(SeatCannotSign):
        await world.sign(guest)
