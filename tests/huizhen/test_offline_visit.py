"""Where recording is a legal duty a "no" is answered with the offer of an offline visit: on the page, at the door."""

from dataclasses import replace

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.people import Role
from tests.huizhen.world import World, sign


async def _duty(world: World) -> None:
    async with world.db.begin() as tx:
        house = await tx.institutions.get(world.houses["city"].institution.id)
        await tx.institutions.save(replace(house, recording_basis="legal_duty"))
        await tx.append(AuditEvent(EventCode.INSTITUTION_CHANGED, house.id, "system"))


async def test_a_no_to_a_duty_offers_an_offline_visit_and_a_yes_opens_the_door(world: World) -> None:
    await _duty(world)
    patient = await world.patient(await world.book())
    said_no = await sign(patient, rec_av=False)
    assert said_no.body["consent"]["complete"] is False
    assert said_no.body["consent"]["offline_visit"] is True
    assert said_no.body["institution"]["phone"], "whom to call"
    refused = await patient.post("/api/seat/ticket")
    assert (refused.status, refused.code, refused.body["reasons"]) == (403, "consent.offline_visit", ["rec_av"])
    offered = [event for event in await world.events() if event.code == "visit.offline_offered"]
    assert [event.public for event in offered] == [{"role": "patient", "reason": "consent.offline_visit"}]
    said_yes = await sign(patient, again=True)  # their own wish: nobody asks twice
    assert said_yes.body["consent"]["complete"] is True
    assert said_yes.body["consent"]["offline_visit"] is False
    assert (await patient.post("/api/seat/ticket")).status == 200
    withdrawn = await patient.post("/api/seat/consent/withdraw", purposes=["rec_av"], reason=None)
    assert withdrawn.body["consult"]["status"] == "scheduled", "not begun: the booking may be kept"
    assert (await patient.post("/api/seat/ticket")).code == "consent.offline_visit"


async def test_where_consent_is_the_basis_a_no_costs_nothing(world: World) -> None:
    patient = await world.patient(await world.book())
    said_no = await sign(patient, rec_av=False)
    assert said_no.body["consent"] == {
        "complete": True,
        "standing": {"treat": "permitted", "rec_av": "refused"},
        "again": [],
        "offline_visit": False,
        "reads": None,
    }
    assert (await patient.post("/api/seat/ticket")).status == 200
    assert not [event for event in await world.events() if event.code == "visit.offline_offered"]


async def test_a_nurse_enters_what_was_said_by_telephone_and_nobody_else_does(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    path = f"/api/consults/{booked.consult.id}/seats/{booked.patient.id}/consent/withdraw"
    doctor, nurse = await world.staff("city", Role.ATTENDING), await world.staff("city", Role.NURSE)
    body = {"purposes": ["rec_av"], "reason": "电话告知", "identified": "called_back"}
    assert (await doctor.post(path, **body)).code == "access.denied"
    assert (await nurse.post(path, **body)).status == 200
    assert (await nurse.post(path, **body)).code == "consent.nothing_to_withdraw"
    assert (await patient.get("/api/seat")).body["consent"]["standing"]["rec_av"] == "withdrawn"
    withdrawn = [event for event in await world.events() if event.code == "consent.withdrawn"]
    assert [event.actor_id for event in withdrawn] == [world.houses["city"].staff[Role.NURSE].id]
