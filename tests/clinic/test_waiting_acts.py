"""Triage, words to the waiting, another doctor, who did not come: each act with its refusals and its evidence."""

import json
from datetime import timedelta
from typing import Any

import pytest

from clinic import absence, booking, line, telling, triage, visit
from clinic.absence import Who
from clinic.actor import Actor
from clinic.consult import ConsultStatus
from clinic.documents import canonical, digest
from clinic.errors import (
    IllegalMove,
    InvalidInput,
    NobodyMissed,
    NotPermitted,
    NotWaiting,
    TooEarly,
    WasPresent,
    WasWaiting,
)
from clinic.people import Staff
from clinic.triage import NewTriage, Vitals, beyond
from tests.clinic.waiting_room import POLICY, in_order, waiting_visit
from tests.support.builders import World

# ---- the line in step with the seats ----------------------------------------------------------------------------


async def test_admitting_removing_and_ending_leave_no_place_behind(world: World) -> None:
    first, second, third, fourth = [await waiting_visit(world) for _ in range(4)]
    assert len(await in_order(world)) == 4
    await world.enter(first.doctor_seat)
    await world.admit(first.patient_seat)
    doctor = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        await visit.remove(tx, second.consult.id, second.patient_seat.id, doctor, "not_invited")
        await booking.cancel(tx, third.consult.id, doctor, "other")
        await visit.terminate(tx, fourth.consult.id, doctor, "needs_examination")
    assert await in_order(world) == []


async def test_leaving_and_coming_back_keeps_the_place_until_the_time_is_over(world: World) -> None:
    first, second = await waiting_visit(world), await waiting_visit(world)
    seat = first.patient_seat
    async with world.db.begin() as tx:
        await visit.leave(tx, seat.id, Actor.seated(seat))
    world.clock.advance(minutes=14)
    came = await world.enter(seat)
    assert await in_order(world) == [seat.id, second.patient_seat.id]
    async with world.db.begin() as tx:
        await visit.leave(tx, seat.id, Actor.seated(seat))
        assert await line.still_kept(tx, seat.id, POLICY)
    world.clock.advance(minutes=16)
    async with world.db.read() as tx:
        assert not await line.still_kept(tx, seat.id, POLICY)
    late = await world.enter(seat)
    assert late.waiting_since != came.waiting_since
    assert await in_order(world) == [second.patient_seat.id, seat.id]


async def test_the_line_knows_how_long_visits_take(world: World) -> None:
    booked = await world.book()
    await world.call(booked)
    world.clock.advance(minutes=12)
    async with world.db.read() as tx:
        assert await line.running(tx, world.doctor.id) == [timedelta(minutes=12)]
    await world.finish(await world.consult(booked.consult.id))
    async with world.db.read() as tx:
        assert await line.recent_lengths(tx, world.doctor.id, POLICY) == [timedelta(minutes=12)]
    world.clock.advance(days=31)
    async with world.db.read() as tx:
        assert await line.recent_lengths(tx, world.doctor.id, POLICY) == []


# ---- triage -----------------------------------------------------------------------------------------------------


def look(**changes: Any) -> NewTriage:
    values: dict[str, Any] = {
        "complaint": "头晕三天", "vitals": Vitals(368, 80, 18, 150, 90, 97, 56), "red_flags": (),
        "advice": "continue_online", "handover": "血压偏高，请关注",
    }  # fmt: skip
    return NewTriage(**{**values, **changes})


async def hand_over(world: World, booked: booking.Booked, new: NewTriage, by: Actor | None = None) -> triage.TriageNote:
    async with world.db.begin() as tx:
        return await triage.hand_over(tx, world.sealer, booked.consult.id, new, by or Actor.staff(world.nurse))


async def test_a_nurse_hands_over_with_a_sealed_note(world: World) -> None:
    booked = await waiting_visit(world)
    note = await hand_over(world, booked, look())
    event = world.db.events[-1]
    assert (event.code, event.public["flags"], event.public["urgent"]) == ("triage.signed", [], False)
    assert note.signature.startswith(f"seal.{world.home.id}.{event.public['document']}")
    assert "头晕" not in json.dumps(event.public)
    async with world.db.read() as tx:
        assert await triage.of_consult(tx, booked.consult.id) == (note,)


async def test_urgent_moves_forward_with_an_audited_reason_and_back(world: World) -> None:
    first, second = await waiting_visit(world), await waiting_visit(world)
    urgent = look(red_flags=("chest_pain",), advice="visit_clinic", urgent=True, urgent_reason="胸痛")
    await hand_over(world, second, urgent)
    assert await in_order(world) == [second.patient_seat.id, first.patient_seat.id]
    event = world.db.events[-1]
    assert (event.code, event.private) == ("triage.urgent", {"reason": "胸痛"})
    await hand_over(world, second, urgent)
    assert world.db.codes().count("triage.urgent") == 1
    await hand_over(world, second, look())
    assert world.db.codes()[-1] == "triage.urgent_lifted"
    assert await in_order(world) == [first.patient_seat.id, second.patient_seat.id]


async def test_urgency_found_before_the_patient_came_counts_on_arrival(world: World) -> None:
    first, second = await waiting_visit(world), await world.book()
    await hand_over(world, second, look(urgent=True, urgent_reason="呼吸困难"))
    await world.enter(second.patient_seat)
    assert await in_order(world) == [second.patient_seat.id, first.patient_seat.id]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"complaint": " "}, "complaint"),
        ({"handover": ""}, "handover"),
        ({"advice": "go home"}, "advice"),
        ({"red_flags": ("nonsense",)}, "red_flags"),
        ({"red_flags": ("chest_pain",)}, "advice"),
        ({"vitals": Vitals(oxygen=85)}, "advice"),
        ({"vitals": Vitals(oxygen=101)}, "oxygen"),
        ({"vitals": Vitals(temperature=36)}, "temperature"),
        ({"vitals": Vitals(systolic=80, diastolic=90)}, "diastolic"),
        ({"urgent": True}, "urgent_reason"),
    ],
)
async def test_forms_that_cannot_be_right_are_refused(world: World, changes: dict[str, Any], field: str) -> None:
    booked = await world.book()
    with pytest.raises(InvalidInput) as refused:
        await hand_over(world, booked, look(**changes))
    assert refused.value.field == field


def test_vital_signs_beyond_their_bounds_are_flags() -> None:
    assert beyond(Vitals(), POLICY) == ()
    assert beyond(Vitals(temperature=400, pulse=40, oxygen=90), POLICY) == (), "the bounds themselves are still inside"
    found = beyond(Vitals(temperature=401, pulse=39, systolic=89, oxygen=89, glucose=251), POLICY)
    assert found == (
        "vital_temperature_high", "vital_pulse_low", "vital_systolic_low", "vital_oxygen_low", "vital_glucose_high",
    )  # fmt: skip


async def test_only_a_nurse_triages_and_not_after_the_end(world: World) -> None:
    booked = await world.book()
    with pytest.raises(NotPermitted):
        await hand_over(world, booked, look(), Actor.staff(world.doctor))
    async with world.db.begin() as tx:
        await booking.cancel(tx, booked.consult.id, world.system, "other")
    with pytest.raises(IllegalMove):
        await hand_over(world, booked, look())


# ---- words to the waiting ---------------------------------------------------------------------------------------


async def test_a_line_reaches_one_or_everybody_and_nobody_is_an_error(world: World) -> None:
    first, second, away = await waiting_visit(world), await waiting_visit(world), await world.book()
    async with world.db.begin() as tx:
        one = await telling.tell(tx, first.consult.id, "请稍候", Actor.staff(world.nurse))
        everybody = await telling.tell(
            tx, first.consult.id, "医生还需约15分钟", Actor.staff(world.doctor), everybody=True
        )
    assert [each.consult_id for each in one] == [first.consult.id]
    assert {each.consult_id for each in everybody} == {first.consult.id, second.consult.id}
    assert world.db.events[-1].public == {"length": 9}
    with pytest.raises(NotWaiting):
        async with world.db.begin() as tx:
            await telling.tell(tx, away.consult.id, "?", Actor.staff(world.nurse))
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await telling.tell(tx, first.consult.id, "?", Actor.seated(first.patient_seat))
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await telling.tell(tx, first.consult.id, "x" * 201, Actor.staff(world.nurse))


# ---- who did not come -------------------------------------------------------------------------------------------


async def mark(world: World, booked: booking.Booked, who: Who, by: Staff | None = None) -> absence.Absence:
    async with world.db.begin() as tx:
        return await absence.mark(tx, world.sealer, booked.consult.id, who, Actor.staff(by or world.doctor))


async def test_a_patient_who_never_came_is_marked_with_sealed_evidence(world: World) -> None:
    booked = await world.book()
    await world.enter(booked.doctor_seat)
    world.clock.advance(minutes=15)
    marked = await mark(world, booked, Who.PATIENT)
    consult = await world.consult(booked.consult.id)
    assert (consult.status, consult.outcome_code) == (ConsultStatus.NO_SHOW, "patient_absent")
    said = json.loads(marked.evidence)
    start = int(booked.consult.starts_at.timestamp())
    assert said["doctor_inside"] == [start, start + 900]
    assert (said["waited"], said["link_opened_at"], said["notice_state"]) == ([], 0, "none")
    event = next(each for each in world.db.events if each.code == "visit.absence")
    assert event.public["document"] == digest(canonical(said))
    assert event.public["doctor_inside"] == said["doctor_inside"]
    assert marked.signature.startswith(f"seal.{world.home.id}.{event.public['document']}")
    with pytest.raises(IllegalMove):
        await mark(world, booked, Who.PATIENT)


async def test_too_early_is_too_early(world: World) -> None:
    booked = await world.book()
    world.clock.advance(minutes=14.9)
    for who in Who:
        with pytest.raises(TooEarly):
            await mark(world, booked, who)


async def test_a_patient_who_waits_or_has_waited_is_never_a_no_show(world: World) -> None:
    booked = await waiting_visit(world)
    world.clock.advance(minutes=20)
    with pytest.raises(WasWaiting):
        await mark(world, booked, Who.PATIENT)
    async with world.db.begin() as tx:
        await visit.leave(tx, booked.patient_seat.id, Actor.seated(booked.patient_seat))
    with pytest.raises(WasWaiting):
        await mark(world, booked, Who.PATIENT)
    marked = await mark(world, booked, Who.DOCTOR, by=world.nurse)
    assert json.loads(marked.evidence)["waited"] != []
    assert (await world.consult(booked.consult.id)).outcome_code == "doctor_absent"


async def test_a_short_look_in_is_not_waiting(world: World) -> None:
    booked = await waiting_visit(world)
    world.clock.advance(minutes=4)
    async with world.db.begin() as tx:
        await visit.leave(tx, booked.patient_seat.id, Actor.seated(booked.patient_seat))
    world.clock.advance(minutes=20)
    with pytest.raises(NobodyMissed):
        await mark(world, booked, Who.DOCTOR)
    await mark(world, booked, Who.PATIENT)


async def test_a_doctor_who_was_there_is_not_absent(world: World) -> None:
    booked = await waiting_visit(world)
    await world.enter(booked.doctor_seat)
    world.clock.advance(minutes=20)
    with pytest.raises(WasPresent):
        await mark(world, booked, Who.DOCTOR, by=world.nurse)


async def test_who_may_record_an_absence(world: World) -> None:
    booked = await world.book()
    world.clock.advance(minutes=20)
    with pytest.raises(NotPermitted):
        await mark(world, booked, Who.PATIENT, by=world.archivist)
    await mark(world, booked, Who.PATIENT, by=world.nurse)


async def test_the_evidence_is_read_from_the_trail(world: World) -> None:
    from audit.events import EventCode
    from audit.transaction import AuditEvent

    booked = await world.book()
    seat = booked.patient_seat
    steps: list[tuple[EventCode, dict[str, Any]]] = [
        (EventCode.LINK_ISSUED, {}),
        (EventCode.NOTICE_QUEUED, {"kind": "invitation", "state": "queued"}),
        (EventCode.NOTICE_SENT, {"kind": "invitation", "state": "for_staff"}),
        (EventCode.NOTICE_SENT, {"kind": "reminder", "state": "for_staff"}),
        (EventCode.LINK_REDEEMED, {}),
        (EventCode.DEVICE_CHECKED, {}),
        (EventCode.LINK_REDEEMED, {}),
    ]
    for code, public in steps:
        world.clock.advance(minutes=1)
        async with world.db.begin() as tx:
            await tx.append(AuditEvent(code, seat.institution_id, "system", seat.consult_id, seat.id, public=public))
    async with world.db.read() as tx:
        found = await absence.read(tx, booked.consult)
    start = world.clock() - timedelta(minutes=7)
    assert found.invited_at == start + timedelta(minutes=1)
    assert (found.notice_state, found.reminders) == ("for_staff", 1)
    assert found.link_opened_at == start + timedelta(minutes=5)
    assert found.device_checked_at == start + timedelta(minutes=6)
    assert (found.waited, found.waits, found.doctor_inside) == ((), False, ())
