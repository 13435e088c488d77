from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import booking
from clinic.actor import Actor
from clinic.booking import NewEvidence, NewGuest
from clinic.consult import ConsultKind, ConsultStatus, SeatState
from clinic.errors import AdmissionRefused, IllegalMove, InvalidInput, NotPermitted
from clinic.people import Role
from clinic.rulebook import in_force
from tests.support.builders import CARDIOLOGY, World, evidence
from tests.support.clock import START


async def test_booking_makes_consult_seats_and_evidence(world: World) -> None:
    booked = await world.book()
    assert booked.consult.status is ConsultStatus.SCHEDULED
    assert booked.admission.allowed
    assert (booked.doctor_seat.role, booked.patient_seat.role) == (Role.ATTENDING, Role.PATIENT)
    assert booked.patient_seat.state is SeatState.EXPECTED
    assert world.db.codes()[-4:] == ["visit.booked", "visit.evidence_added", "auth.login", "visit.attested"]
    assert "张" not in str(world.db.events[-4])


async def test_booking_is_judged(world: World) -> None:
    before = len(world.db.events)
    with pytest.raises(AdmissionRefused) as refused:
        await world.book(department="09.09")
    assert refused.value.reasons == ("gate.department_unlicensed", "gate.doctor_scope")
    assert len(world.db.events) == before
    assert world.db.rows("consults") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": datetime(2026, 3, 2, 9)},
        {"ends_at": START},
        {"ends_at": START + timedelta(days=3)},
        {"starts_at": START - timedelta(hours=3), "ends_at": START - timedelta(hours=2)},
        {"fee_cents": -1},
        {"reason": " "},
        {"kind": ConsultKind.EXPERT_CONSULT},
        {"evidence": (evidence(START.date() + timedelta(days=2)),)},
        {"evidence": (NewEvidence(CARDIOLOGY, "yesterday", "x", "x", "x"),)},
    ],
)
async def test_a_faulty_booking_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await world.book(**changes)
    assert world.db.rows("consults") == []


async def test_nobody_books_across_institutions_or_without_the_role(world: World) -> None:
    with pytest.raises(MissingRow):
        await world.book(doctor_id=world.experts[0].id)
    new = booking.NewConsult(
        ConsultKind.FOLLOW_UP, CARDIOLOGY, world.doctor.id, world.patient.id, "x", 0, START, START + timedelta(hours=1)
    )
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await booking.book(tx, new, Actor.staff(world.admin))
    async with world.db.begin() as tx:
        foreign = replace(await tx.patients.get(world.patient.id), id="foreign", institution_id=world.partner.id)
        await tx.patients.add(foreign)
        await tx.append(_covering(world.partner.id))
    with pytest.raises(MissingRow):
        await world.book(patient_id="foreign")


def _covering(institution_id: str) -> Any:
    from audit.events import EventCode
    from audit.transaction import AuditEvent

    return AuditEvent(EventCode.PATIENT_CREATED, institution_id, "system")


async def test_given_rules_are_used(world: World) -> None:
    strict = in_force(START.date())
    rule = strict.rules["CN-06"]
    strict = replace(
        strict, rules={**strict.rules, "CN-06": replace(rule, values={**rule.values, "minimum_identity_level": 4})}
    )
    new = booking.NewConsult(
        ConsultKind.FOLLOW_UP, CARDIOLOGY, world.doctor.id, world.patient.id, "x", 0, START, START + timedelta(hours=1)
    )
    with pytest.raises(AdmissionRefused):
        async with world.db.begin() as tx:
            await booking.book(tx, new, world.system, strict)


async def test_evidence_belongs_before_the_call(world: World) -> None:
    booked = await world.book(evidence=())
    async with world.db.begin() as tx:
        added = await booking.add_evidence(
            tx, booked.consult.id, evidence(START.date()), Actor.seated(booked.patient_seat)
        )
    assert added.added_by == booked.patient_seat.id
    await world.ready(booked.consult)
    await world.call(booked)
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await booking.add_evidence(tx, booked.consult.id, evidence(START.date()), Actor.staff(world.nurse))


async def test_guests_get_seats_by_those_who_may(world: World) -> None:
    booked = await world.book()
    seat = await world.guest(booked.consult)
    assert (seat.role, seat.relation, seat.person_id) == (Role.FAMILY, "女儿", None)
    async with world.db.begin() as tx:
        by_patient = await booking.add_guest(
            tx, booked.consult.id, NewGuest(Role.INTERPRETER, "李译", "翻译"), Actor.seated(booked.patient_seat)
        )
    assert by_patient.created_by == booked.patient_seat.id
    for guest, by in (
        (NewGuest(Role.EXPERT, "x", "y"), Actor.staff(world.nurse)),
        (NewGuest(Role.FAMILY, " ", "y"), Actor.staff(world.nurse)),
    ):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await booking.add_guest(tx, booked.consult.id, guest, by)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await booking.add_guest(tx, booked.consult.id, NewGuest(Role.FAMILY, "x", "y"), Actor.seated(seat))
    for number in range(4):
        await world.guest(booked.consult, f"客{number}")
    with pytest.raises(InvalidInput, match="too many"):
        await world.guest(booked.consult)


async def test_cancel_before_the_call_only(world: World) -> None:
    booked = await world.book()
    nurse = Actor.staff(world.nurse)
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await booking.cancel(tx, booked.consult.id, nurse, "because")
    async with world.db.begin() as tx:
        cancelled = await booking.cancel(tx, booked.consult.id, nurse, "patient_asked")
    assert cancelled.status is ConsultStatus.CANCELLED
    assert cancelled.closed_at == START
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await booking.cancel(tx, booked.consult.id, nurse, "other")
    with pytest.raises(IllegalMove):
        await world.guest(booked.consult)


async def test_an_observer_is_invited_by_those_who_treat_alone(world: World) -> None:
    booked = await world.book()
    observer = NewGuest(Role.OBSERVER, "实习生", "实习医生")
    for by in (Actor.seated(booked.patient_seat), Actor.staff(world.nurse)):
        with pytest.raises(NotPermitted, match="invite_observer"):
            async with world.db.begin() as tx:
                await booking.add_guest(tx, booked.consult.id, observer, by)
    seat = await world.guest(booked.consult, "实习生", Role.OBSERVER)
    assert (seat.role, seat.created_by) == (Role.OBSERVER, world.doctor.id)
