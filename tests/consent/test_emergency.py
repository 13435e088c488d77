"""Where the head of the institution may approve care, as the approver's page lists it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.people import Role
from consent import emergency
from consent.emergency import Emergency
from consent.records import ConsentRecord, Purpose
from tests.support.builders import World


async def approve(world: World, consult_id: str) -> ConsentRecord:
    found = Emergency("op", "昏迷，须立即处理", "电话三次未接")
    async with world.db.begin() as tx:
        return await emergency.approve(tx, world.sealer, consult_id, found, by=Actor.staff(world.approver))


async def openings(world: World, **changes: Any) -> list[emergency.Opening]:
    async with world.db.begin() as tx:
        return await emergency.openings(tx, by=Actor.staff(changes.get("by", world.approver)))


async def test_approvers_see_where_nobody_has_decided(world: World) -> None:
    booked, signed_one = await world.book(), await world.book()
    await world.sign(signed_one.patient_seat)
    [found] = await openings(world)
    assert (found.consult.id, found.permits, found.approved, found.same_hands) == (
        booked.consult.id,
        (Purpose.TREAT,),
        None,
        False,
    )
    record = await approve(world, booked.consult.id)
    assert [each.approved for each in await openings(world)] == [record]
    await world.sign(booked.patient_seat)  # the person can speak: the approval is over
    assert await openings(world) == []


async def test_a_panel_s_approval_names_sharing_and_the_doctor_s_own_is_marked(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    [found] = await openings(world, by=world.clinic_doctor)
    assert found.permits == (Purpose.TREAT, Purpose.SHARE_PANEL)
    assert found.same_hands


async def test_what_begins_in_days_or_is_over_or_has_no_patient_is_no_emergency(world: World) -> None:
    later = await world.book()
    async with world.db.begin() as tx:
        far = tx.now + emergency.AHEAD
        read = await tx.consults.get(later.consult.id)
        row = replace(read, starts_at=far + timedelta(seconds=1), ends_at=far + timedelta(hours=1))
        await tx.consults.save(row)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, world.home.id, "system"))
    over = await world.book()
    await world.finish(await world.call(over))
    assert await openings(world) == []
    async with world.db.begin() as tx:
        await tx.consults.save(replace(await tx.consults.get(later.consult.id), starts_at=far))
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, world.home.id, "system"))
    assert [each.consult.id for each in await openings(world)] == [later.consult.id]
    async with world.db.begin() as tx:
        await tx.seats.save(replace(await tx.seats.get(later.patient_seat.id), role=Role.GUARDIAN))
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, world.home.id, "system"))
    assert await openings(world) == []
