"""A panel booked for now: inviting doctor and patient at a county hospital, a chair and an expert of a city hospital,
an expert of a university hospital, family, interpreter, student; the live edge on fakes."""

from dataclasses import replace
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration
from clinic.actor import Actor
from clinic.people import Institution, Role
from consent.records import Purpose
from tests.signaling.ward import FakeSealer, Ward
from tests.support.builders import World, institution, staff
from tests.support.session_client import SessionClient

AGREED = (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV, Purpose.OBSERVE)
EXPERTS = ("chair", "expert", "third")


class PanelWard(Ward):
    """`seats`: doctor (inviting), patient, chair, expert, third, daughter, interpreter, student."""

    university: Institution
    world: World

    async def agree(self, *, only: tuple[str, ...] | None = None) -> None:
        """The patient agrees to everything, sharing with these institutions (both others when left out)."""
        both = (self.world.partner.id, self.university.id)
        await self.sign("patient", permitted=AGREED, shared=both if only is None else only)

    async def come(self, who: str) -> SessionClient:
        """To the door; guests are let in by the doctor."""
        page = self.page(who)
        assert (await page.join(takeover=True))["ok"]
        return page

    async def met(self, *guests: str) -> dict[str, SessionClient]:
        """Doctor, patient, three experts and these guests in the call; nobody has opened the panel."""
        await self.agree()
        pages = {who: await self.come(who) for who in ("doctor", *EXPERTS, "patient", *guests)}
        for who in ("patient", *guests):
            assert (await pages["doctor"].act("admit", seat=self.seats[who].id))["ok"]
        return pages

    async def opened(self, *guests: str) -> dict[str, SessionClient]:
        pages = await self.met(*guests)
        assert (await pages["chair"].act("panel.open")) == {"ok": True}
        return pages


async def panel_ward() -> PanelWard:
    made = PanelWard()
    await furnish_panel(made)
    return made


async def furnish_panel(made: PanelWard) -> None:
    world = made.world = await World.create(made.clock, made.db, FakeSealer())
    made.doctor = world.clinic_doctor
    booked = await world.book_panel()
    made.consult = booked.consult
    made.seats |= {"doctor": booked.doctor_seat, "patient": booked.patient_seat}
    for who, invitation in zip(("chair", "expert"), await world.ask(booked.consult), strict=True):
        seat = await world.answer(invitation)
        assert seat is not None
        made.seats[who] = seat
    async with made.db.begin() as tx:
        made.university = await registration.create_institution(tx, institution("大学附属医院", "University Hospital"))
        there = Actor.system(made.university.id)
        third = await registration.create_staff(tx, staff(made.university.id, "expert3", (Role.EXPERT,)), there)
        seat = replace(
            made.seats["expert"],
            id=uuid4().hex,
            person_id=third.id,
            home_institution_id=made.university.id,
            display_name=third.name,
        )
        await tx.seats.add(seat)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, seat.institution_id, "system", seat.consult_id, seat.id))
        made.seats["third"] = seat
    for name, role in (("daughter", Role.FAMILY), ("interpreter", Role.INTERPRETER), ("student", Role.OBSERVER)):
        made.seats[name] = await world.guest(booked.consult, name, role)
