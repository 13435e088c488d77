"""After a major version, a birthday or a year, the page asks again; after a mere correction of wording it does not."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import guardians
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Seat
from clinic.errors import InvalidInput
from clinic.people import Role
from consent import choices, desk, due, emergency, languages, situation
from consent.emergency import Emergency
from consent.errors import AlreadyRefused, SeatCannotSign
from consent.reconsent import Ask, Change
from consent.records import ConsentTemplate, Purpose, SignerCapacity
from tests.consent.test_drafting import Office, draft, shipped
from tests.support.builders import World, signing


async def asks(world: World, booked: Booked, seat: Seat | None = None) -> tuple[Ask, ...]:
    async with world.db.read() as tx:
        consult = await tx.consults.get(booked.consult.id)
        records = await tx.consent_records.find(consult_id=consult.id)
        return await due.due(tx, consult, seat or booked.patient_seat, records)


async def publish(world: World, key: str, *, major: bool) -> ConsentTemplate:
    office = Office(world)
    base = shipped(key)
    text = draft(key=key, title=f"改{major}", sections=base.sections, questions=base.questions, major=major)
    row = await office.begin(world.archivist, text)
    row = await office.act("review", world.approver, row)
    template: ConsentTemplate = await office.act("publish", world.approver2, row)
    return template


async def test_only_a_major_version_is_asked_again_and_never_a_no(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    assert await asks(world, booked) == ()  # nothing signed yet: nothing to ask again
    await world.sign(booked.patient_seat, rec_av=False)
    await world.sign(guest)
    assert await asks(world, booked) == ()
    await publish(world, "visit.patient", major=False)
    assert await asks(world, booked) == ()
    await publish(world, "visit.patient", major=True)
    assert await asks(world, booked) == (Ask(booked.patient_seat.id, (Purpose.TREAT,), (Change.TEMPLATE_MAJOR,)),)
    assert await asks(world, booked, guest) == ()
    await publish(world, "visit.guest", major=True)
    assert await asks(world, booked, guest) == (Ask(guest.id, (Purpose.REC_AV,), (Change.TEMPLATE_MAJOR,)),)
    await world.sign(booked.patient_seat)
    assert await asks(world, booked) == ()


async def test_a_birthday_a_further_institution_and_a_year(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, birth_date=date(2020, 1, 1)))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))
    assert await asks(world, booked) == ()  # younger than when signed: no birthday in between
    async with world.db.begin() as tx:
        party = (await tx.invited_parties.find(consult_id=booked.consult.id))[0]
        await tx.invited_parties.add(replace(party, id="second", invited_institution_id="a third house"))
        await tx.append(AuditEvent(EventCode.CASE_REQUESTED, world.home.id, "system", booked.consult.id))
    (ask,) = await asks(world, booked)
    assert (ask.purposes, ask.because) == ((Purpose.SHARE_PANEL,), (Change.INSTITUTION,))
    world.clock.advance(days=366)
    (ask,) = await asks(world, booked)
    assert set(ask.purposes) == {Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV}
    assert Change.TOO_OLD in ask.because


async def test_nothing_is_asked_once_the_visit_is_over(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    await world.finish(consult)
    await publish(world, "visit.patient", major=True)
    assert await asks(world, booked) == ()


async def write(world: World, code: EventCode, act: Callable[[Any], Awaitable[object]]) -> None:
    async with world.db.begin() as tx:
        await act(tx)
        await tx.append(AuditEvent(code, world.home.id, "system"))


async def again(world: World, booked: Booked) -> dict[Purpose, set[Change]]:
    """What the patient is asked anew -> why."""
    found: dict[Purpose, set[Change]] = {}
    for ask in await asks(world, booked):
        for purpose in ask.purposes:
            found.setdefault(purpose, set()).update(ask.because)
    return found


async def set_consult(world: World, booked: Booked, **changes: Any) -> None:
    async def act(tx: Any) -> None:
        row = await tx.consults.get(booked.consult.id)
        await tx.consults.save(replace(row, **changes))

    await write(world, EventCode.REASSIGNED, act)


async def questions(world: World, booked: Booked) -> list[Purpose]:
    """What the page shows unasked."""
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    return [row.purpose for row in shown.text.questions]


async def test_another_doctor_is_asked_about_where_the_question_names_the_doctor(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.sign(booked.patient_seat)
    await world.sign(guest)
    await set_consult(world, booked, doctor_id=world.clinic_doctor.id)
    assert await asks(world, booked) == (Ask(booked.patient_seat.id, (Purpose.TREAT,), (Change.DOCTOR,)),)
    assert await asks(world, booked, guest) == ()
    await world.sign(booked.patient_seat)
    assert await asks(world, booked) == ()


async def test_after_a_no_the_same_question_is_not_put_again_but_another_one_is(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat, treat=False, rec_av=False)
    with pytest.raises(AlreadyRefused):
        await questions(world, booked)
    await publish(world, "visit.patient", major=True)
    with pytest.raises(AlreadyRefused):
        await questions(world, booked)
    assert await asks(world, booked) == ()
    await set_consult(world, booked, doctor_id=world.clinic_doctor.id)
    assert await questions(world, booked) == [Purpose.TREAT]  # by another doctor; the recording's question is the same
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        given = signing(shown, booked.patient_seat.display_name, None, treat=False)
        await desk.sign(tx, world.sealer, booked.patient_seat.id, given)
    with pytest.raises(AlreadyRefused):
        await questions(world, booked)


async def test_a_withdrawn_yes_to_sharing_is_asked_of_another_hospital_only(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    await world.sign(booked.patient_seat)
    await world.withdraw(booked.patient_seat, Purpose.SHARE_PANEL)
    assert Purpose.SHARE_PANEL not in await questions(world, booked)

    async def act(tx: Any) -> None:
        party = (await tx.invited_parties.find(consult_id=booked.consult.id))[0]
        await tx.invited_parties.add(replace(party, id="second", invited_institution_id=world.home.id))

    await write(world, EventCode.CASE_REQUESTED, act)
    assert await again(world, booked) == {Purpose.SHARE_PANEL: {Change.INSTITUTION}}
    assert Purpose.SHARE_PANEL in await questions(world, booked)


async def test_a_question_that_cannot_be_filled_in_opens_nothing(world: World) -> None:
    async with world.db.begin() as tx:
        await choices.change(
            tx, Actor.staff(world.archivist), choices.Choices(("zh", "en"), (Purpose.RESEARCH,), ethics_id="2026-1")
        )
    booked = await world.book()
    await world.sign(booked.patient_seat, research=False)
    async with world.db.begin() as tx:
        await choices.change(tx, Actor.staff(world.archivist), choices.Choices(("zh", "en"), ()))
    await publish(world, "visit.patient", major=True)
    assert Purpose.RESEARCH not in await again(world, booked)


async def test_a_longer_retention_is_asked_about_a_shorter_one_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.sign(booked.patient_seat)
    await world.sign(guest)

    class Rules:
        def __init__(self, years: int) -> None:
            self.years = years

        def value(self, rule: str, name: str) -> int:
            assert (rule, name) == ("CN-14", "process_years")
            return self.years

    monkeypatch.setattr(situation, "rules_for", lambda house, now: Rules(2))
    assert await asks(world, booked) == ()
    monkeypatch.setattr(situation, "rules_for", lambda house, now: Rules(6))
    assert await again(world, booked) == {Purpose.REC_AV: {Change.RETENTION}}
    assert [ask.because for ask in await asks(world, booked, guest)] == [(Change.RETENTION,)]


async def test_another_course_but_not_a_further_proof_of_the_same_illness(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat)

    async def prove(diagnosis: str) -> None:
        async def act(tx: Any) -> None:
            row = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[0]
            await tx.follow_up_evidence.add(replace(row, id=diagnosis, diagnosis=diagnosis))

        await write(world, EventCode.EVIDENCE_ADDED, act)

    await prove("糖尿病")
    assert await asks(world, booked) == ()
    await set_consult(world, booked, department="endocrinology")
    assert await again(world, booked) == {each: {Change.OTHER_COURSE} for each in (Purpose.TREAT, Purpose.REC_AV)}
    then = {"kind": "follow_up", "department": "x", "diagnoses": ["高血压"]}
    assert situation.same_course(then, then | {"diagnoses": []})
    assert not situation.same_course(then, then | {"diagnoses": ["糖尿病"]})
    assert not situation.same_course(then, then | {"kind": "advice"})


async def guardian(world: World, name: str) -> str:
    async with world.db.begin() as tx:
        new = guardians.NewGuardian(name, "女儿", "court_order", "号")
        return (await guardians.record_guardian(tx, world.patient.id, new, world.system)).id


async def end(world: World, guardian_id: str) -> None:
    async with world.db.begin() as tx:
        await guardians.end_guardianship(tx, guardian_id, world.system)


async def born(world: World, year: int) -> None:
    async def act(tx: Any) -> None:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, birth_date=date(year, 1, 1)))

    await write(world, EventCode.PATIENT_CHANGED, act)


async def test_another_guardian(world: World) -> None:
    await born(world, world.clock().year - 6)
    first = await guardian(world, "张小红")
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        given = replace(
            signing(shown, "张小红"), capacity=SignerCapacity.GUARDIAN, relation="母亲", child_assents=False
        )
        await desk.sign(tx, world.sealer, booked.patient_seat.id, given)
    await guardian(world, "张大明")
    assert await asks(world, booked) == ()  # two guardians, one has signed
    await end(world, first)
    assert set(await again(world, booked)) == {Purpose.TREAT, Purpose.REC_AV}
    assert (await again(world, booked))[Purpose.TREAT] == {Change.GUARDIAN}


async def test_an_adult_who_is_given_a_guardian(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat)
    world.clock.advance(seconds=60)
    await guardian(world, "张小红")
    assert (await again(world, booked))[Purpose.TREAT] == {Change.GUARDIAN}


async def test_observers_and_machines_and_receivers_abroad(world: World) -> None:
    async def ask_for(*purposes: Purpose, abroad: str = "") -> None:
        async with world.db.begin() as tx:
            given = choices.Choices(("zh", "en"), purposes, abroad=abroad)
            await choices.change(tx, Actor.staff(world.archivist), given)

    await ask_for(Purpose.OBSERVE, Purpose.XBORDER, abroad="A")
    booked = await world.book()
    await world.guest(booked.consult, "小王", Role.OBSERVER)
    await world.sign(booked.patient_seat)
    assert await asks(world, booked) == ()
    await world.guest(booked.consult, "小李", Role.OBSERVER)
    assert await again(world, booked) == {Purpose.OBSERVE: {Change.OBSERVER}}
    await ask_for(Purpose.OBSERVE, Purpose.XBORDER, Purpose.AI_TRANSCRIBE, abroad="B")
    assert set(await again(world, booked)) == {Purpose.OBSERVE, Purpose.XBORDER, Purpose.AI_TRANSCRIBE}
    await world.sign(booked.patient_seat, ai_transcribe=False)
    assert await asks(world, booked) == ()


async def test_another_language_only_when_they_cannot_read_the_signed_one(world: World) -> None:
    booked = await world.book()
    nurse = Actor.staff(world.nurse)
    await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        await languages.note(tx, booked.patient_seat.id, "zh", by=nurse)
    assert await asks(world, booked) == ()
    async with world.db.begin() as tx:
        await languages.note(tx, booked.patient_seat.id, "en", by=nurse)
    assert (await again(world, booked))[Purpose.TREAT] == {Change.LANGUAGE}
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "en")
        given = signing(shown, booked.patient_seat.display_name)
        await desk.sign(tx, world.sealer, booked.patient_seat.id, given)
    assert await asks(world, booked) == ()
    for bad, error in ((booked.doctor_seat.id, SeatCannotSign), (booked.patient_seat.id, InvalidInput)):
        with pytest.raises(error):
            async with world.db.begin() as tx:
                await languages.note(tx, bad, "fr", by=nurse)


async def test_evidence_from_before_says_nothing_of_what_it_did_not_keep(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    old = json.loads(record.evidence)
    del old["rests_on"]
    await set_consult(world, booked, doctor_id=world.clinic_doctor.id)
    async with world.db.read() as tx:
        consult = await tx.consults.get(booked.consult.id)
        aged = replace(record, evidence=json.dumps(old))
        assert await due.due(tx, consult, booked.patient_seat, [aged]) == ()
        assert await due.due(tx, consult, booked.patient_seat, [record]) != ()


async def test_a_no_to_what_was_never_asked_in_writing_stays_closed(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        found = Emergency("op", "昏迷", "电话未接")
        await emergency.approve(tx, world.sealer, booked.consult.id, found, by=Actor.staff(world.approver))
    await world.withdraw(booked.patient_seat, Purpose.TREAT)
    assert await questions(world, booked) == [Purpose.REC_AV]
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        given = signing(shown, booked.patient_seat.display_name)
        await desk.sign(tx, world.sealer, booked.patient_seat.id, given)
    await publish(world, "visit.patient", major=True)
    assert set(await again(world, booked)) == {Purpose.REC_AV}
