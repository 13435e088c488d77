import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from audit.errors import DuplicateOperation
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration, visit
from clinic.actor import Actor
from clinic.consult import SeatState
from clinic.documents import canonical, digest
from clinic.errors import InvalidInput, NotPermitted
from clinic.people import IdentityLevel, Role
from consent import desk, templates
from consent.errors import (
    CapacityInvalid,
    ConsentError,
    DecisionIncomplete,
    IdentityTooLow,
    NothingToWithdraw,
    NotReady,
    SeatCannotSign,
    SignatureInvalid,
    WordingChanged,
)
from consent.records import CapacityBasis, ConsentAction, Purpose, SignerCapacity
from consent.signing import PNG, LocaleSwitch, SectionReading, Signing
from consent.standing import Standing, overview
from tests.support.builders import World, patient, signing


async def test_what_is_shown_is_what_is_sealed(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    assert shown.key == "visit.patient"
    assert world.home.name in shown.text.sections[0].body
    assert "人民币30.00元" in shown.text.sections[4].body
    assert world.db.codes()[-1] == "consent.shown"
    record = await world.sign(booked.patient_seat, rec_av=False)
    assert record.permitted == (Purpose.TREAT,)
    assert record.refused == (Purpose.REC_AV,)
    evidence = json.loads(record.evidence)
    assert record.digest == digest(canonical(evidence)) == digest(record.evidence.encode())
    assert world.sealer.holds(world.home.id, record.digest, record.seal)
    assert evidence["rendered_text_sha256"] == shown.shown_digest
    assert evidence["shown"] == templates.document(shown.text)
    assert evidence["decisions"] == {"rec_av": False, "treat": True}
    assert evidence["signer"]["typed_name"] == "张建明"
    assert evidence["signature"]["duration_ms"] == 240
    event = world.db.events[-1]
    assert event.public["evidence"] == record.digest
    assert "张" not in str(event)


async def test_the_english_text_is_another_version(world: World) -> None:
    booked = await world.book(fee_cents=0)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "en")
    assert "County Hospital" in shown.text.sections[0].body
    assert "free of charge" in shown.text.sections[4].body
    async with world.db.begin() as tx:
        record = await desk.sign(tx, world.sealer, booked.patient_seat.id, signing(shown, " zhang JIANMING"))
    assert record.locale == "en"
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await desk.present(tx, booked.patient_seat.id, "fr")


async def test_a_resend_gives_the_same_record(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        signed = signing(shown, "张建明", "op-1")
        first = await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)
    async with world.db.begin() as tx:
        assert await desk.sign(tx, world.sealer, booked.patient_seat.id, signed) == first
    with pytest.raises(DuplicateOperation):  # the id of a signature is no id for a withdrawal
        async with world.db.begin() as tx:
            await desk.withdraw(
                tx, world.sealer, booked.patient_seat.id, [Purpose.TREAT], reason="", operation_id="op-1",
                by=Actor.seated(booked.patient_seat),
            )  # fmt: skip
    assert len(world.db.rows("consent_records")) == 1


MARKS = ((1, 1, 0),)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda s: replace(s, shown_digest="0" * 64), WordingChanged),
        (lambda s: replace(s, template_id="unknown"), WordingChanged),
        (lambda s: replace(s, decisions={Purpose.TREAT: True}), DecisionIncomplete),
        (lambda s: replace(s, decisions={**s.decisions, Purpose.SHARE_PANEL: True}), DecisionIncomplete),
        (lambda s: replace(s, decisions={**s.decisions, Purpose.REC_AV: 1}), DecisionIncomplete),
        (lambda s: replace(s, strokes=()), SignatureInvalid),
        (lambda s: replace(s, strokes=(MARKS * 20_001,)), SignatureInvalid),
        (lambda s: replace(s, method="typed"), SignatureInvalid),  # typed, yet drawn
        (lambda s: replace(s, method="typed", strokes=(), typed_name="somebody else"), SignatureInvalid),
        (lambda s: replace(s, signature_image=b"GIF89a"), SignatureInvalid),
        (lambda s: replace(s, signature_image=PNG + bytes(300_000)), SignatureInvalid),
        (lambda s: replace(s, typed_name=" "), SignatureInvalid),
        (lambda s: replace(s, typed_name="李四"), SignatureInvalid),
        (lambda s: replace(s, typed_name="张建明" * 50), SignatureInvalid),
        (lambda s: replace(s, reading={"nonsense": SectionReading(0, 0, 0)}), SignatureInvalid),
        (lambda s: replace(s, reading={"provider": SectionReading(0, 0, 101)}), SignatureInvalid),
        (lambda s: replace(s, reading={"provider": SectionReading(-1, 0, 0)}), SignatureInvalid),
        (lambda s: replace(s, reading={"provider": SectionReading(0, 0, 0, 201)}), SignatureInvalid),
        (lambda s: replace(s, decided_ms={Purpose.TEACH: 1}), SignatureInvalid),
        (lambda s: replace(s, decided_ms={Purpose.TREAT: 90_000_000}), SignatureInvalid),
        (lambda s: replace(s, locale_switches=(LocaleSwitch(-1, "en"),)), SignatureInvalid),
        (lambda s: replace(s, locale_switches=(LocaleSwitch(1, "en"),) * 51), SignatureInvalid),
        (lambda s: replace(s, locale_switches=(LocaleSwitch(1, "e" * 13),)), SignatureInvalid),
        (lambda s: replace(s, answers=(3,)), SignatureInvalid),
        (lambda s: replace(s, answers=(0,) * 7), SignatureInvalid),
        (lambda s: replace(s, child_name="张建明"), SignatureInvalid),  # nobody asked a child
        (lambda s: replace(s, device={"agent": "x" * 301}), SignatureInvalid),
        (lambda s: replace(s, device={str(n): "x" for n in range(13)}), SignatureInvalid),
        (lambda s: replace(s, capacity=SignerCapacity.GUARDIAN, relation="父"), CapacityInvalid),
        (lambda s: replace(s, capacity=SignerCapacity.STAFF_NOTICE), CapacityInvalid),
        (lambda s: replace(s, capacity=SignerCapacity.EMERGENCY), CapacityInvalid),
        (lambda s: replace(s, basis=CapacityBasis.INCAPACITY), CapacityInvalid),
    ],
)
async def test_a_faulty_signature_is_refused(
    world: World, change: Callable[[Signing], Signing], refusal: type[ConsentError]
) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    with pytest.raises(refusal):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, booked.patient_seat.id, change(signing(shown, "张建明")))
    assert world.db.rows("consent_records") == []


async def test_reading_and_device_are_kept(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        signed = replace(
            signing(shown, "张建明"), reading={"risks": SectionReading(0, 900, 100)}, device={"agent": "phone"}
        )
    with pytest.raises(SignatureInvalid):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)
    async with world.db.begin() as tx:
        signed = replace(
            signed,
            reading={"limits": SectionReading(10, 900, 100, 22, True, 1200)},
            locale_switches=(LocaleSwitch(1200, "en"),),
            decided_ms={Purpose.TREAT: 4000},
        )
        record = await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)
    evidence = json.loads(record.evidence)
    assert evidence["reading"] == {
        "sections": {
            "limits": {
                "shown_ms": 10,
                "dwell_ms": 900,
                "scrolled": 100,
                "font_px": 22,
                "read_aloud": True,
                "heard_ms": 1200,
            },
        },
        "locale_switches": [{"at_ms": 1200, "locale": "en"}],
        "decided_ms": {"treat": 4000},
    }
    assert evidence["device"] == {"agent": "phone"}


async def test_new_wording_must_be_read_again(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        wording = next(row for row in templates.shipped() if (row.key, row.locale) == ("visit.patient", "zh"))
        await templates.publish_wording(tx, world.home.id, replace(wording, title="新"), world.system)
    with pytest.raises(WordingChanged):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, booked.patient_seat.id, signing(shown, "张建明"))


async def test_a_guest_signs_the_guests_text_in_the_own_name(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    record = await world.sign(guest)
    assert record.permitted == (Purpose.REC_AV,)
    assert json.loads(record.evidence)["signer"]["relation"] == "女儿"
    refusal = await world.sign(await world.guest(booked.consult, "李四"), rec_av=False)
    assert world.db.codes()[-1] == "consent.refused"
    assert refusal.refused == (Purpose.REC_AV,)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, guest.id, "zh")
    assert shown.decided == {Purpose.REC_AV: Standing.PERMITTED}
    for seat, signed in ((guest, signing(shown, "张建明")), (booked.patient_seat, signing(shown, "张建明"))):
        with pytest.raises((SignatureInvalid, WordingChanged)):
            async with world.db.begin() as tx:
                await desk.sign(tx, world.sealer, seat.id, signed)


async def test_who_has_nothing_to_sign(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, guest.id, "zh")
    await world.call(booked)
    async with world.db.begin() as tx:
        await visit.remove(tx, booked.consult.id, guest.id, Actor.staff(world.doctor), "not_invited")
    for seat in (booked.doctor_seat, guest):
        with pytest.raises(SeatCannotSign):
            async with world.db.begin() as tx:
                await desk.present(tx, seat.id, "zh")
        with pytest.raises(SeatCannotSign):
            async with world.db.begin() as tx:
                await desk.sign(tx, world.sealer, seat.id, signing(shown, "张小红"))
    with pytest.raises(SeatCannotSign):
        await world.notice(guest)


@pytest.mark.parametrize(
    ("born", "guardian", "assents", "relation", "allowed"),
    [
        (date(2020, 1, 1), True, False, "母亲", True),
        (date(2020, 1, 1), False, True, "母亲", False),
        (date(2020, 1, 1), True, False, None, False),
        (date(2020, 1, 1), True, False, "x" * 41, False),
        (date(2018, 3, 2), True, False, "母亲", False),
        (date(2018, 3, 2), True, True, "母亲", True),
        (date(2018, 3, 3), True, False, "母亲", True),
        (date(2008, 3, 3), True, True, "母亲", True),
        (date(2008, 3, 2), True, True, "母亲", False),
        (date(2008, 3, 2), False, False, None, True),
    ],
)
async def test_children_by_age(
    world: World, born: date, guardian: bool, assents: bool, relation: str | None, allowed: bool
) -> None:
    async with world.db.begin() as tx:
        child = await registration.create_patient(
            tx, patient(world.home.id, name="小明", birth_date=born), world.system
        )
    booked = await world.book(patient_id=child.id)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    assert shown.guardian_signs == (born > date(2008, 3, 2))
    assert shown.child_must_assent == (date(2008, 3, 2) < born <= date(2018, 3, 2))
    signed = replace(
        signing(shown, "王芳" if guardian else "小明"),
        capacity=SignerCapacity.GUARDIAN if guardian else SignerCapacity.SELF,
        relation=relation,
        child_assents=assents,
        child_name="小明" if assents and shown.child_must_assent else None,
    )
    if allowed:
        async with world.db.begin() as tx:
            record = await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)
        assert record.capacity is signed.capacity
        return
    with pytest.raises(CapacityInvalid):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)


async def test_a_guardian_signs_the_own_name_not_the_childs(world: World) -> None:
    async with world.db.begin() as tx:
        child = await registration.create_patient(
            tx, patient(world.home.id, name="小明", birth_date=date(2020, 1, 1)), world.system
        )
    booked = await world.book(patient_id=child.id)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        signed = replace(signing(shown, "小明"), capacity=SignerCapacity.GUARDIAN, relation="母亲")
        with pytest.raises(SignatureInvalid):
            await desk.sign(tx, world.sealer, booked.patient_seat.id, signed)


async def test_identity_must_be_strong_enough_for_a_yes(world: World) -> None:
    booked = await world.book_panel()
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, identity_level=IdentityLevel.L2))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))
    await world.ask(booked.consult)
    with pytest.raises(IdentityTooLow):
        await world.sign(booked.patient_seat)
    record = await world.sign(booked.patient_seat, share_panel=False)
    assert record.shared_with == ()


async def test_a_panel_text_names_the_institution(world: World) -> None:
    booked = await world.book_panel()
    with pytest.raises(NotReady):
        async with world.db.begin() as tx:
            await desk.present(tx, booked.patient_seat.id, "zh")
    await world.ask(booked.consult)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    assert shown.shared_with == (world.partner.id,)
    assert world.partner.name in shown.text.questions[1].question
    record = await world.sign(booked.patient_seat)
    assert record.shared_with == (world.partner.id,)


async def withdraw(world: World, seat_id: str, by: Actor, *purposes: Purpose, **more: Any) -> Any:
    async with world.db.begin() as tx:
        values = {"reason": "", "operation_id": uuid4().hex, **more}
        return await desk.withdraw(tx, world.sealer, seat_id, purposes, by=by, **values)


async def test_withdrawal_by_the_person_or_by_phone(world: World) -> None:
    booked = await world.book()
    seat = booked.patient_seat
    signed = await world.sign(seat)
    me = Actor.seated(seat)
    first = await withdraw(world, seat.id, me, Purpose.REC_AV, Purpose.SHARE_PANEL, operation_id="op")
    assert first.action is ConsentAction.WITHDRAWN
    assert first.permitted == (Purpose.REC_AV,)
    assert first.withdraws == signed.id
    assert await withdraw(world, seat.id, me, Purpose.REC_AV, operation_id="op") == first
    assert overview(await world.records(booked.consult), seat.id) == {
        Purpose.TREAT: Standing.PERMITTED,
        Purpose.REC_AV: Standing.WITHDRAWN,
    }
    with pytest.raises(NothingToWithdraw):
        await withdraw(world, seat.id, me, Purpose.REC_AV)
    nurse = Actor.staff(world.nurse)
    for lacking in ({}, {"reason": "电话要求"}, {"identified": "called_back"}, {"reason": "a", "identified": "guess"}):
        with pytest.raises(InvalidInput):
            await withdraw(world, seat.id, nurse, Purpose.TREAT, **lacking)
    by_phone = await withdraw(world, seat.id, nurse, Purpose.TREAT, reason="电话要求", identified="called_back")
    evidence = json.loads(by_phone.evidence)
    assert (evidence["entered_by"], evidence["caller_identified"]) == (world.nurse.id, "called_back")
    assert world.db.events[-1].public["by_staff"] is True
    assert "电话" not in str(world.db.events[-1])


async def test_nobody_withdraws_for_another_and_staff_not_at_all(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.sign(booked.patient_seat)
    await world.notice(booked.doctor_seat)
    for seat, by in (
        (booked.patient_seat, Actor.seated(guest)),
        (booked.patient_seat, Actor.staff(world.doctor)),
        (booked.doctor_seat, Actor.staff(world.doctor)),
    ):
        with pytest.raises(NotPermitted):
            await withdraw(world, seat.id, by, Purpose.REC_AV)


async def test_withdrawal_after_the_consult_and_after_removal(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.sign(guest)
    consult = await world.call(booked)
    async with world.db.begin() as tx:
        await visit.remove(tx, consult.id, guest.id, Actor.staff(world.doctor), "not_invited")
    assert (await world.withdraw(guest, Purpose.REC_AV)).permitted == (Purpose.REC_AV,)
    await world.finish(consult)
    assert (await world.seat(booked.patient_seat)).state is SeatState.LEFT
    assert (await world.withdraw(booked.patient_seat, Purpose.REC_AV)).permitted == (Purpose.REC_AV,)


async def test_staff_notice_is_written_once(world: World) -> None:
    booked = await world.book()
    first = await world.notice(booked.doctor_seat)
    assert first.capacity is SignerCapacity.STAFF_NOTICE
    assert await world.notice(booked.doctor_seat) == first
    assert booked.doctor_seat.role is Role.ATTENDING
    assert json.loads(first.evidence)["person"] == world.doctor.id
