"""After a major version, a birthday or a year, the page asks again; after a mere correction of wording it does not."""

from dataclasses import replace
from datetime import date

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.booking import Booked
from clinic.consult import Seat
from consent import due
from consent.reconsent import Ask, Change
from consent.records import ConsentTemplate, Purpose
from tests.consent.test_drafting import Office, draft, shipped
from tests.support.builders import World


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
        case = (await tx.cases.find(consult_id=booked.consult.id))[0]
        await tx.cases.add(replace(case, id="second", invited_institution_id="a third house"))
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
