"""Nobody is let in on a consent whose ground has shifted: the page asks again, and the door opens with the answer."""

from dataclasses import replace
from uuid import uuid4

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from consent import choices, desk, templates
from consent.records import Purpose
from tests.signaling.ward import Ward, ward
from tests.support.builders import signing


@pytest.fixture
async def house() -> Ward:
    made = await ward()
    async with made.db.begin() as tx:
        await templates.publish(tx, made.consult.institution_id, Actor.system(made.consult.institution_id))
    return made


async def sign(house: Ward, *, again: bool = True) -> None:
    seat = house.seats["patient"]
    async with house.db.begin() as tx:
        shown = await desk.present(tx, seat.id, "zh", again=again)
        given = replace(signing(shown, seat.display_name), operation_id=uuid4().hex)
        await desk.sign(tx, house.live.sealer, seat.id, given)


async def reword(house: Ward) -> None:
    """A new edition of the patient's text, as the operator publishes one."""
    institution_id = house.consult.institution_id
    wording = next(row for row in templates.shipped() if (row.key, row.locale) == ("visit.patient", "zh"))
    async with house.db.begin() as tx:
        await templates.publish_wording(
            tx, institution_id, replace(wording, title="第二版"), Actor.system(institution_id)
        )


async def test_a_patient_signs_the_new_edition_before_they_are_let_in(house: Ward) -> None:
    await sign(house)
    await reword(house)
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    assert (await patient.join())["ok"], "the waiting room is open"
    refused = await doctor.act("admit", seat=patient.seat.id)
    assert (refused["code"], refused["reasons"]) == ("consent.ask_again", ["treat"])
    assert [event.outcome for event in house.db.events if event.code == "visit.gate_fail"] == ["consent.ask_again"]
    assert patient.seat.id not in house.inside
    await sign(house, again=False)
    assert (await doctor.act("admit", seat=patient.seat.id))["ok"]


async def test_an_observer_the_patient_has_not_heard_of_waits(house: Ward) -> None:
    institution_id = house.consult.institution_id
    async with house.db.begin() as tx:
        row = (await choices.settings_of(tx, institution_id)).__class__(
            institution_id, institution_id, ("zh", "en"), (Purpose.OBSERVE,), "", "", tx.now, "system"
        )
        await tx.consent_settings.add(row)
        await tx.append(AuditEvent(EventCode.CONSENT_SETTINGS_CHANGED, institution_id, "system"))
    await sign(house)
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    await patient.join()
    assert (await doctor.act("admit", seat=patient.seat.id))["ok"]
    invited = await doctor.act("guest.invite", role="observer", display_name="小王", relation="医学生")
    await house.live.refresh(house.live.rooms[house.consult.id])
    house.seats["late"] = house.live.rooms[house.consult.id].seats[invited["seat"]]
    student = house.page("late")
    assert (await student.join())["ok"]
    refused = await doctor.act("admit", seat=student.seat.id)
    assert (refused["code"], refused["reasons"]) == ("consent.ask_again", ["observe"])
    await sign(house, again=False)
    assert (await doctor.act("admit", seat=student.seat.id))["ok"]
