"""Asking for a legal hold: who may, what the archivist answers, what is then stopped."""

from datetime import timedelta

import pytest

from archive import hold_requests, holds
from archive.disposal import require_clear
from archive.errors import AlreadyDisposed, AskedAlready, Held, IllegalMove
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from archive.records import HoldAskState, HoldRequest
from archive.retention import due_list
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import regulation
from clinic.actor import Actor
from clinic.advising import TerminationAdvice
from clinic.errors import CaseOver, InvalidInput, NoCase, NotPermitted
from clinic.people import Role
from clinic.regulation import NewCase
from tests.archive.keep import Kept, fresh, kept
from tests.support.builders import World

WHY = "对诊疗有异议，要求封存"


async def asked(made: Kept, by: Actor, reason: str = WHY) -> HoldRequest:
    async with made.world.db.begin() as tx:
        return await hold_requests.ask(tx, by, made.consult.id, reason)


async def answered(made: Kept, request: HoldRequest, grant: bool, reason: str = "") -> HoldRequest:
    async with made.world.db.begin() as tx:
        return await hold_requests.decide(tx, Actor.staff(made.world.archivist), request.id, grant, reason)


async def test_the_patient_asks_and_the_archivist_places_it(world: World) -> None:
    made = await fresh(world)
    patient = Actor.seated(made.booked.patient_seat)
    request = await asked(made, patient)
    assert (request.asked_by, request.asked_as) == (made.booked.patient_seat.id, "patient")
    with pytest.raises(AskedAlready):
        await asked(made, patient)
    granted = await answered(made, request, True)
    assert granted.state is HoldAskState.GRANTED
    assert world.db.codes()[-2:] == ["hold.placed", "hold.granted"]
    async with world.db.read() as tx:
        assert await holds.held(tx, made.consult.id, made.consult.institution_id)
        hold = await tx.legal_holds.get(granted.hold_id or "")
        assert (hold.reason, hold.placed_by) == (WHY, world.archivist.id)
        assert await hold_requests.of_party(tx, patient, made.consult.id) == [granted]
        assert await hold_requests.of_house(tx, Actor.staff(world.archivist)) == (granted,)
    with pytest.raises(IllegalMove):
        await answered(made, granted, False, "twice")
    assert (await asked(made, patient)).state is HoldAskState.ASKED, "a new reason may be asked again"


async def test_the_doctor_asks_and_is_refused_with_a_reason(world: World) -> None:
    made = await fresh(world)
    request = await asked(made, Actor.staff(world.doctor))
    assert (request.asked_by, request.asked_as) == (world.doctor.id, "attending")
    with pytest.raises(InvalidInput):
        await answered(made, request, False)
    refused = await answered(made, request, False, "已有同一事由的封存")
    assert (refused.state, refused.hold_id) == (HoldAskState.REFUSED, None)
    assert world.db.codes()[-1] == "hold.refused"
    async with world.db.read() as tx:
        assert not await holds.held(tx, made.consult.id, made.consult.institution_id)


async def test_nothing_is_destroyed_while_a_request_waits(world: World) -> None:
    made = await kept(world)
    later = world.clock() + timedelta(days=40 * 366)
    request = await asked(made, Actor.staff(world.doctor))
    async with world.db.read() as tx:
        assert await holds.held(tx, made.consult.id, made.consult.institution_id)
        due = [item for item in await due_list(tx, world.home.id, later) if item.record.consult_id == made.consult.id]
        assert due and all("asked" in item.blocked_by for item in due)
        with pytest.raises(Held):
            await require_clear(tx, world.home.id, due)
    await answered(made, request, False, "已有同一事由的封存")
    async with world.db.read() as tx:
        assert not await holds.held(tx, made.consult.id, made.consult.institution_id)
        due = [item for item in await due_list(tx, world.home.id, later) if item.record.consult_id == made.consult.id]
        assert not any("asked" in item.blocked_by for item in due)


async def test_who_may_not_ask_or_answer(world: World) -> None:
    made = await fresh(world)
    for staff in (world.clinic_doctor, world.nurse, world.archivist, world.approver, world.admin):
        with pytest.raises(NotPermitted):
            await asked(made, Actor.staff(staff))
    with pytest.raises(MissingRow):
        await asked(made, Actor.staff(world.experts[0]))
    with pytest.raises(InvalidInput):
        await asked(made, Actor.staff(world.doctor), " ")
    request = await asked(made, Actor.staff(world.doctor))
    for by in (world.doctor, world.approver):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await hold_requests.decide(tx, Actor.staff(by), request.id, True, "")
        with pytest.raises(NotPermitted):
            async with world.db.read() as tx:
                await hold_requests.of_house(tx, Actor.staff(by))


async def test_a_regulator_asks_under_a_case(world: World) -> None:
    made = await fresh(world)
    by = Actor("reg", world.home.id, (Role.REGULATOR,))
    with pytest.raises(NoCase):
        await asked(made, by)
    day = made.consult.starts_at.date()
    new = NewCase(
        "卫监17", "区监督所", "投诉核查调取资料", ("chart",), day, day, ends_at=world.clock() + timedelta(days=2)
    )
    async with world.db.begin() as tx:
        case = await regulation.ask(tx, new, by)
        await regulation.decide(tx, case.id, True, "", Actor.staff(world.approver))
    request = await asked(made, by)
    assert request.asked_as == "regulator"
    assert world.db.codes()[-2:] == ["regulator.used", "hold.asked"]
    world.clock.advance(days=2)
    with pytest.raises(CaseOver):
        await asked(made, by)


async def test_nothing_is_left_to_hold(world: World) -> None:
    made = await kept(world)
    seat = made.booked.doctor_seat
    async with world.db.begin() as tx:  # what was said of the patient goes with the visit's record
        said = TerminationAdvice(
            "a" * 32, world.home.id, made.consult.id, seat.id, Role.NURSE, "emergency", "胸痛", world.clock()
        )
        await tx.termination_advices.add(said)
        await tx.append(AuditEvent(EventCode.TERMINATION_ADVISED, world.home.id, seat.id, made.consult.id))
    world.clock.advance(days=366 * 13)
    proposed = await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT, EMR, CONSENT))
    await made.purge(proposed.id)
    assert world.db.rows("termination_advices") == []
    request = await asked(made, Actor.staff(world.doctor))
    with pytest.raises(AlreadyDisposed):
        await answered(made, request, True)
    assert (await answered(made, request, False, "已依法销毁")).state is HoldAskState.REFUSED
