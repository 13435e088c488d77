from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from audit.errors import DuplicateOperation, MissingRow
from audit.events import EventCode
from clinic import access, booking, notes, slots, visit
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind, ConsultStatus, Seat, SeatState
from clinic.errors import (
    AdmissionRefused,
    AlreadySigned,
    IllegalMove,
    InvalidInput,
    NotPermitted,
    SeatClosed,
    Unsigned,
)
from clinic.notes import NoteText
from clinic.people import Role
from clinic.sweeper import forgotten, sweep
from tests.support.builders import CARDIOLOGY, World, evidence

Act = Callable[[Any], Awaitable[Any]]


async def test_the_straight_life_of_a_visit(world: World) -> None:
    booked = await world.book()
    assert (await world.enter(booked.patient_seat)).state is SeatState.WAITING
    assert (await world.consult(booked.consult.id)).status is ConsultStatus.WAITING
    assert (await world.enter(booked.doctor_seat)).state is SeatState.ADMITTED
    assert (await world.consult(booked.consult.id)).status is ConsultStatus.WAITING
    assert (await world.admit(booked.patient_seat)).state is SeatState.ADMITTED
    running = await world.consult(booked.consult.id)
    assert running.status is ConsultStatus.IN_PROGRESS
    closed = await world.finish(running)
    assert closed.status is ConsultStatus.CLOSED
    assert (await world.seat(booked.patient_seat)).state is SeatState.LEFT
    assert world.db.codes()[-12:] == [
        "visit.gate_pass", "room.waiting", "visit.moved", "visit.gate_pass", "room.admit", "visit.gate_pass",
        "room.admit", "visit.moved", "visit.moved", "doc.draft", "doc.sign", "visit.moved",
    ]  # fmt: skip


async def test_coming_back_to_a_held_seat_changes_nothing(world: World) -> None:
    booked = await world.book()
    await world.call(booked)
    before = len(world.db.events)
    async with world.db.begin() as tx:
        again = await visit.enter(tx, booked.patient_seat.id)
        admitted = await visit.admit(tx, booked.consult.id, booked.patient_seat.id, Actor.staff(world.doctor))
    assert again.admission is None
    assert admitted.admission is None
    assert again.seat.state is SeatState.ADMITTED
    assert len(world.db.events) == before


async def test_the_second_clinician_opens_the_meeting(world: World) -> None:
    booked = await world.book_panel()
    seats = [await world.answer(invitation) for invitation in await world.ask(booked.consult)]
    await world.enter(seats[0])  # type: ignore[arg-type]
    assert (await world.consult(booked.consult.id)).status is ConsultStatus.WAITING
    await world.enter(booked.doctor_seat)
    assert (await world.consult(booked.consult.id)).status is ConsultStatus.IN_PROGRESS


async def test_the_gate_is_asked_at_the_door_and_again_at_admission(world: World) -> None:
    booked = await world.book()
    await world.enter(booked.patient_seat)
    world.clock.advance(hours=5)
    with pytest.raises(AdmissionRefused) as refused:
        await world.admit(booked.patient_seat)
    assert refused.value.reasons == ("gate.too_late",)
    with pytest.raises(AdmissionRefused):
        await world.enter(booked.doctor_seat)
    async with world.db.begin() as tx:
        await access.record_refusal(
            tx, Actor.seated(booked.doctor_seat), booked.consult.id, booked.doctor_seat.id, refused.value.reasons
        )
    event = world.db.events[-1]
    assert (event.code, event.outcome) == (EventCode.GATE_FAILED, "gate.too_late")
    assert event.public == {"reasons": ["gate.too_late"]}


async def test_only_waiting_people_are_admitted_and_only_by_those_who_may(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    with pytest.raises(IllegalMove):
        await world.admit(guest)
    await world.enter(guest)
    other = await world.book()
    for by, refusal in (
        (Actor.seated(guest), NotPermitted),
        (Actor.staff(world.clinic_doctor), NotPermitted),
        (Actor.staff(world.experts[0]), MissingRow),
    ):
        with pytest.raises(refusal):
            async with world.db.begin() as tx:
                await visit.admit(tx, booked.consult.id, guest.id, by)
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await visit.admit(tx, other.consult.id, guest.id, Actor.staff(world.doctor))
    with pytest.raises(MissingRow):  # a seat of another consult gives nothing here
        async with world.db.begin() as tx:
            seat = Actor("x", world.partner.id, (Role.ATTENDING,), other.doctor_seat.id)
            await visit.admit(tx, booked.consult.id, guest.id, seat)


async def test_leaving_and_coming_back_through_the_waiting_room(world: World) -> None:
    booked = await world.book()
    await world.call(booked)
    async with world.db.begin() as tx:
        left = await visit.leave(tx, booked.patient_seat.id, Actor.seated(booked.patient_seat))
        again = await visit.leave(tx, booked.patient_seat.id, world.system)
        with pytest.raises(NotPermitted):
            await visit.leave(tx, booked.patient_seat.id, Actor.staff(world.doctor))
    assert left.state is again.state is SeatState.LEFT
    back = await world.enter(booked.patient_seat)
    assert back.state is SeatState.WAITING
    assert back.waiting_since == left.waiting_since


async def test_removal_is_for_good(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    second = await world.guest(booked.consult, "李二")
    await world.call(booked)
    await world.enter(guest)
    doctor = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        await visit.remove(tx, booked.consult.id, guest.id, doctor, "not_invited")
    assert world.db.codes()[-1] == "room.deny"
    with pytest.raises(SeatClosed):
        await world.enter(guest)
    await world.enter(second)
    await world.admit(second)
    async with world.db.begin() as tx:
        await visit.remove(tx, booked.consult.id, second.id, doctor, "disturbing")
    assert world.db.codes()[-1] == "room.remove"
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await visit.remove(tx, booked.consult.id, booked.doctor_seat.id, doctor, "disturbing")
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await visit.remove(tx, booked.consult.id, booked.patient_seat.id, doctor, "because")


async def test_the_chair_cannot_remove_the_own_seat(world: World) -> None:
    booked = await world.book_panel()
    chair, *_ = [await world.answer(invitation) for invitation in await world.ask(booked.consult)]
    assert chair is not None
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await visit.remove(tx, booked.consult.id, chair.id, Actor.seated(chair), "asked_to_leave")


async def test_ending_in_every_way(world: World) -> None:
    doctor = Actor.staff(world.doctor)
    booked = await world.book()
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await visit.conclude(tx, booked.consult.id, doctor)
    running = await world.call(await world.book())
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await visit.terminate(tx, running.id, doctor, "tired")
    async with world.db.begin() as tx:
        ended = await visit.terminate(tx, running.id, doctor, "needs_examination")
    assert ended.status is ConsultStatus.TERMINATED_UNSUITABLE
    assert ended.over
    running = await world.call(await world.book())
    async with world.db.begin() as tx:
        first = await visit.conclude(tx, running.id, doctor)
    before = len(world.db.events)
    async with world.db.begin() as tx:
        assert await visit.conclude(tx, running.id, doctor) == first
    assert len(world.db.events) == before
    with pytest.raises(AdmissionRefused) as refused:
        await world.enter((await _seats(world, running))[Role.PATIENT])
    assert refused.value.reasons == ("gate.consult_over",)


async def _seats(world: World, consult: Consult) -> dict[Role, Seat]:
    async with world.db.read() as tx:
        return {seat.role: seat for seat in await tx.seats.find(consult_id=consult.id)}


async def test_a_follow_up_closes_only_with_a_signed_note(world: World) -> None:
    doctor = Actor.staff(world.doctor)
    running = await world.call(await world.book())
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await visit.close(tx, running.id, doctor)
    async with world.db.begin() as tx:
        await visit.conclude(tx, running.id, doctor)
    with pytest.raises(Unsigned):
        async with world.db.begin() as tx:
            await visit.close(tx, running.id, doctor)
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            note = await notes.sign(tx, world.sealer, running.id, doctor)
    async with world.db.begin() as tx:
        await notes.save_draft(tx, running.id, NoteText("头晕", "", "", ""), doctor)
    with pytest.raises(InvalidInput) as refused:
        async with world.db.begin() as tx:
            await notes.sign(tx, world.sealer, running.id, doctor)
    assert refused.value.field == "diagnosis"
    async with world.db.begin() as tx:
        await notes.save_draft(tx, running.id, NoteText("头晕", "", "高血压", "服药"), doctor)
        note = await notes.sign(tx, world.sealer, running.id, doctor)
    assert note.signature is not None
    assert world.db.events[-1].public["document"] == world.sealer.sealed[-1][1]
    acts: tuple[Act, ...] = (
        lambda tx: notes.sign(tx, world.sealer, running.id, doctor),
        lambda tx: notes.save_draft(tx, running.id, NoteText("改", "", "", ""), doctor),
    )
    for act in acts:
        with pytest.raises(AlreadySigned):
            async with world.db.begin() as tx:
                await act(tx)
    async with world.db.begin() as tx:
        closed = await visit.close(tx, running.id, doctor)
    assert closed.closed_at is not None
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await notes.save_draft(tx, running.id, NoteText("改", "", "", ""), doctor)


async def test_nobody_else_writes_or_signs_the_note(world: World) -> None:
    running = await world.call(await world.book())
    async with world.db.begin() as tx:
        await notes.save_draft(tx, running.id, NoteText("a", "b", "c", "d"), Actor.staff(world.doctor))
    acts: tuple[Act, ...] = (
        lambda tx: notes.save_draft(tx, running.id, NoteText("a", "", "", ""), Actor.staff(world.clinic_doctor)),
        lambda tx: notes.sign(tx, world.sealer, running.id, Actor.staff(world.clinic_doctor)),
    )
    for act in acts:
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await act(tx)


async def test_chat_is_for_people_in_the_room_and_once_per_operation(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.call(booked)
    async with world.db.begin() as tx:
        message = await visit.say(tx, booked.patient_seat.id, " 您好 ", "op1")
    assert message.text == "您好"
    assert world.db.events[-1].public == {"length": 2}
    with pytest.raises(DuplicateOperation):
        async with world.db.begin() as tx:
            await visit.say(tx, booked.patient_seat.id, "您好", "op1")
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await visit.say(tx, guest.id, "hello")
    async with world.db.begin() as tx:
        await visit.say(tx, booked.doctor_seat.id, "hello")
    assert len(world.db.rows("chat_messages")) == 2


async def test_room_events_are_only_room_events(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        await visit.record_room_event(tx, booked.patient_seat.id, EventCode.MEDIA_PUBLISHED, {"kind": "camera"})
        with pytest.raises(ValueError, match="room"):
            await visit.record_room_event(tx, booked.patient_seat.id, EventCode.KEY_DESTROYED)
    assert world.db.events[-1].public == {"role": "patient", "kind": "camera"}


async def test_the_chart_is_seen_by_those_who_treat_and_each_view_recorded(world: World) -> None:
    booked = await world.book()
    await world.call(booked)
    async with world.db.begin() as tx:
        await notes.save_draft(tx, booked.consult.id, NoteText("头晕", "", "", ""), Actor.staff(world.doctor))
        mine = await access.view_chart(tx, Actor.staff(world.doctor), booked.consult.id)
        theirs = await access.view_chart(tx, Actor.seated(booked.patient_seat), booked.consult.id)
    assert mine.note is not None
    assert theirs.note is None  # a draft is the author's
    assert theirs.patient.id == world.patient.id
    assert len(mine.evidence) == 1
    assert world.db.codes()[-2:] == ["view.chart", "view.chart"]
    guest = await world.guest(booked.consult)
    for actor in (Actor.staff(world.admin), Actor.seated(guest), Actor.staff(world.clinic_doctor)):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await access.view_chart(tx, actor, booked.consult.id)
    async with world.db.begin() as tx:
        await access.record_denied(tx, Actor.staff(world.experts[0]), "see_chart", booked.consult.id)
        await access.record_denied(tx, Actor.staff(world.experts[0]), "administer")
    assert [event.institution_id for event in world.db.events[-2:]] == [world.home.id, world.partner.id]
    assert world.db.events[-1].outcome == "access.denied"
    async with world.db.begin() as tx:
        await access.record_refusal(tx, world.system, booked.consult.id, None, ())
    assert world.db.events[-1].outcome == "visit.not_admitted"


async def test_forgotten_consults_are_ended(world: World) -> None:
    nobody = await world.book()
    waited = await world.book()
    await world.enter(waited.patient_seat)
    running = await world.call(await world.book())
    busy = await world.call(await world.book())
    world.clock.advance(hours=2, minutes=30, seconds=1)
    async with world.db.begin() as tx:
        ended = await sweep(tx, world.home.id, frozenset({busy.id}))
    assert {(consult.id, consult.status, consult.outcome_code) for consult in ended} == {
        (nobody.consult.id, ConsultStatus.NO_SHOW, "swept_nobody_came"),
        (waited.consult.id, ConsultStatus.NO_SHOW, "swept_waited_in_vain"),
        (running.id, ConsultStatus.CONCLUDING, "swept_left_open"),
    }
    assert (await world.seat(waited.patient_seat)).state is SeatState.LEFT
    async with world.db.begin() as tx:
        assert await sweep(tx, world.home.id, frozenset({busy.id})) == []


async def test_nothing_is_swept_before_its_time(world: World) -> None:
    from clinic.rulebook import in_force

    booked = await world.book()
    running = await world.call(await world.book())
    rules = in_force(world.clock().date())
    ends = booked.consult.ends_at
    assert forgotten([booked.consult, running], ends + timedelta(minutes=30), rules) == []
    closed = running.move(ConsultStatus.CONCLUDING, world.clock())
    assert forgotten([closed], ends + timedelta(days=9), rules) == []
    assert [item.to for item in forgotten([running], ends + timedelta(minutes=31), rules)] == [ConsultStatus.CONCLUDING]


async def test_cancelled_consults_admit_nobody(world: World) -> None:
    booked = await world.book()
    await world.enter(booked.patient_seat)
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, world.system, "other")
    with pytest.raises(AdmissionRefused):
        await world.enter(booked.patient_seat)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await visit.say(tx, booked.patient_seat.id, "?")


async def test_a_visit_broken_off_before_the_call_leaves_no_place_and_nobody_waiting(world: World) -> None:
    """As the server does when the consent the visit stood on is withdrawn: whoever waits is let go."""
    start = world.clock() + timedelta(minutes=30)
    by = Actor.staff(world.nurse)
    async with world.db.begin() as tx:
        new = slots.NewSlot(world.doctor.id, CARDIOLOGY, ConsultKind.FOLLOW_UP, start, 20, 1)
        slot = await slots.open_slot(tx, new, by)
        proof = evidence(world.clock().date() - timedelta(days=20))
        booked = await slots.book(tx, slot.id, slots.NewVisit(world.patient.id, "复诊", 0, (proof,)), by)
    await world.enter(booked.patient_seat)
    async with world.db.begin() as tx:
        assert await slots.taken(tx, slot) == {0: booked.consult.id}
        consult = await tx.consults.get(booked.consult.id)
        ended = await visit.end(tx, consult, ConsultStatus.CANCELLED, world.system, "consent_withdrawn")
    assert (ended.status, ended.outcome_code) == (ConsultStatus.CANCELLED, "consent_withdrawn")
    assert (await world.seat(booked.patient_seat)).state is SeatState.LEFT
    async with world.db.read() as tx:
        assert await slots.taken(tx, slot) == {}
        assert [place.open for place in await tx.waiting_places.find()] == [False]
