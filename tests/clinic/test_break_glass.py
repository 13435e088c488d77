"""Emergency access, and what a guardian may as long as the child is one."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import access, booking, break_glass, evidence_files
from clinic.actor import Actor
from clinic.booking import Booked, NewGuest
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.glass import BrokenGlass, Finding, GlassState
from clinic.people import Role, Staff
from clinic.rulebook import in_force
from tests.support.builders import World

WHY = "急诊抢救需要查看用药史"


async def child(world: World, born: date = date(2012, 5, 1)) -> None:
    async with world.db.begin() as tx:
        for patient in await tx.patients.find():
            await tx.patients.save(replace(patient, birth_date=born))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))


async def broken(world: World, booked: Booked, by: Staff, reason: str = WHY) -> BrokenGlass:
    async with world.db.begin() as tx:
        return await break_glass.open_chart(tx, booked.consult.id, reason, Actor.staff(by))


async def look(world: World, booked: Booked, by: Staff) -> access.Chart:
    async with world.db.begin() as tx:
        return await access.view_chart(tx, Actor.staff(by), booked.consult.id)


@pytest.fixture
async def booked(world: World) -> Booked:
    return await world.book()


async def auditor(world: World, role: Role = Role.AUDITOR) -> Staff:
    return replace(world.archivist, id=f"the-{role}", roles=(role,))


async def test_a_doctor_without_a_seat_looks_for_an_hour_and_the_auditor_reviews(world: World, booked: Booked) -> None:
    other = world.clinic_doctor
    with pytest.raises(NotPermitted):
        await look(world, booked, other)
    glass = await broken(world, booked, other)
    assert glass.state is GlassState.OPEN
    assert (await look(world, booked, other)).patient.id == booked.consult.patient_id
    assert world.db.codes()[-2:] == ["breakglass.opened", "view.chart"]
    assert world.db.events[-1].public == {"glass": glass.id}
    async with world.db.read() as tx:
        consult = await tx.consults.get(booked.consult.id)
        assert await evidence_files.listed(tx, Actor.staff(other), consult.id) == ()
        assert [one.id for one in await break_glass.listed(tx, Actor.staff(await auditor(world)))] == [glass.id]
        assert await break_glass.listed(tx, Actor.staff(world.approver)) != ()
        with pytest.raises(NotPermitted):
            await break_glass.listed(tx, Actor.staff(other))
    async with world.db.begin() as tx:
        reviewer = Actor.staff(await auditor(world))
        done = await break_glass.review(tx, glass.id, Finding.JUSTIFIED, "", reviewer)
        assert (done.reviewed_by, done.finding) == (reviewer.id, Finding.JUSTIFIED)
        with pytest.raises(IllegalMove):
            await break_glass.review(tx, glass.id, Finding.UNJUSTIFIED, "second thoughts", reviewer)
    world.clock.advance(minutes=in_force(world.clock().date()).value("AC-01", "open_minutes"))
    with pytest.raises(NotPermitted):
        await look(world, booked, other)


async def test_who_may_not_break_it(world: World, booked: Booked) -> None:
    with pytest.raises(IllegalMove):
        await broken(world, booked, world.doctor)
    with pytest.raises(InvalidInput):
        await broken(world, booked, world.clinic_doctor, "急")
    for staff in (world.archivist, world.approver, await auditor(world), await auditor(world, Role.ADMIN)):
        with pytest.raises(NotPermitted):
            await broken(world, booked, staff)
    with pytest.raises(MissingRow):
        await broken(world, booked, replace(world.clinic_doctor, institution_id=world.partner.id))


async def test_a_minors_record_needs_another_persons_word_or_a_treatment_relation(world: World, booked: Booked) -> None:
    await child(world)
    other = world.clinic_doctor
    asked = await broken(world, booked, other)
    assert (asked.state, asked.expires_at) == (GlassState.ASKED, None)
    with pytest.raises(NotPermitted):
        await look(world, booked, other)
    async with world.db.begin() as tx:
        with pytest.raises(IllegalMove):
            await break_glass.review(tx, asked.id, Finding.JUSTIFIED, "", Actor.staff(await auditor(world)))
        with pytest.raises(NotPermitted):
            await break_glass.decide(tx, asked.id, True, replace(Actor.staff(world.approver), id=other.id))
        with pytest.raises(NotPermitted):
            await break_glass.decide(tx, asked.id, True, Actor.staff(world.archivist))
        decided = await break_glass.decide(tx, asked.id, True, Actor.staff(world.approver))
        assert decided.expires_at == tx.now + timedelta(hours=1)
        with pytest.raises(IllegalMove):
            await break_glass.decide(tx, asked.id, False, Actor.staff(world.approver))
    assert await look(world, booked, other)
    again = await broken(world, booked, other)
    async with world.db.begin() as tx:
        refused = await break_glass.decide(tx, again.id, False, Actor.staff(world.approver))
    assert (refused.state, refused.expires_at) == (GlassState.REFUSED, None)
    assert world.db.codes()[-1] == "breakglass.refused"


async def test_a_guardian_sees_the_chart_until_the_eighteenth_birthday(world: World, booked: Booked) -> None:
    async with world.db.begin() as tx:
        new = NewGuest(Role.GUARDIAN, "母亲", "母亲")
        seat = await booking.add_guest(tx, booked.consult.id, new, Actor.staff(world.doctor))
    today = world.clock().date()

    async def sees() -> bool:
        async with world.db.begin() as tx:
            try:
                await access.view_chart(tx, Actor.seated(seat), booked.consult.id)
            except NotPermitted:
                return False
        return True

    assert not await sees(), "of age"
    await child(world, date(today.year - 18, today.month, today.day) + timedelta(days=1))
    assert await sees(), "on the last day"
    world.clock.advance(days=1)
    assert not await sees(), "on the birthday"
