"""What a panel in writing stands on: TREAT, and SHARE_PANEL naming each institution; recording plays no part."""

from dataclasses import replace

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Consult, ConsultStatus
from clinic.errors import NotPermitted
from consent import written
from consent.errors import ConsentMissing
from consent.records import Purpose
from tests.support.builders import World


async def ask(world: World, consult: Consult) -> None:
    async with world.db.begin() as tx:
        await written.ask(tx, consult.id, "不需要视频", Actor.staff(world.clinic_doctor))


async def advance(world: World, consult: Consult) -> Consult | None:
    async with world.db.begin() as tx:
        return await written.advance(tx, consult.id, Actor.staff(world.experts[0]))


def covering(consult: Consult) -> AuditEvent:
    return AuditEvent(EventCode.SEAT_ADDED, consult.institution_id, "system", consult.id)


@pytest.fixture
async def booked(world: World) -> Booked:
    return await world.book_panel()


async def test_without_the_patients_word_nothing_is_asked(world: World, booked: Booked) -> None:
    await world.ask(booked.consult)
    with pytest.raises(ConsentMissing) as missing:
        await ask(world, booked.consult)
    assert missing.value.purposes == ("treat", "share_panel")
    await world.sign(booked.patient_seat, share_panel=False, rec_av=False)
    with pytest.raises(ConsentMissing):
        await ask(world, booked.consult)
    assert world.db.rows("written_consults") == []


async def test_a_no_to_recording_stands_in_nobodys_way(world: World, booked: Booked) -> None:
    invitations = await world.ask(booked.consult)
    await world.sign(booked.patient_seat, rec_av=False)
    await ask(world, booked.consult)
    assert await advance(world, booked.consult) is None
    for invitation in invitations:
        await world.answer(invitation)
    moved = await advance(world, booked.consult)
    assert moved is not None
    assert moved.status is ConsultStatus.CONCLUDING
    assert await advance(world, booked.consult) is None  # begun


async def test_a_share_that_does_not_name_everybody_asked_is_none(world: World, booked: Booked) -> None:
    """PIPL art. 23: each institution is named. One more is asked after the signing."""
    await world.ask(booked.consult)
    await world.sign(booked.patient_seat, rec_av=False)
    async with world.db.begin() as tx:
        (party,) = await tx.invited_parties.find(consult_id=booked.consult.id)
        await tx.invited_parties.add(replace(party, id="another", invited_institution_id="another house"))
        await tx.append(covering(booked.consult))
    with pytest.raises(ConsentMissing) as missing:
        await ask(world, booked.consult)
    assert missing.value.purposes == ("share_panel",)


async def test_a_withdrawal_holds_it_back(world: World, booked: Booked) -> None:
    invitations = await world.ask(booked.consult)
    await world.sign(booked.patient_seat)
    await ask(world, booked.consult)
    await world.answer(invitations[0])
    await world.withdraw(booked.patient_seat, Purpose.SHARE_PANEL)
    await world.answer(invitations[1])
    assert await advance(world, booked.consult) is None
    doctor = Actor.staff(world.clinic_doctor)
    with pytest.raises(ConsentMissing):
        async with world.db.begin() as tx:
            await written.begin(tx, booked.consult.id, doctor)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await written.begin(tx, booked.consult.id, Actor.staff(world.nurse))
    await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        assert (await written.begin(tx, booked.consult.id, doctor)).status is ConsultStatus.CONCLUDING


async def test_a_consult_without_a_patient_seat_has_nobody_to_ask(world: World, booked: Booked) -> None:
    async with world.db.begin() as tx:
        await tx.seats.remove(booked.patient_seat.id)
        await tx.append(covering(booked.consult))
    with pytest.raises(MissingRow):
        async with world.db.read() as tx:
            await written.require(tx, booked.consult)
