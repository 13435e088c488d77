"""A yes lasts its months, to the moment; what has run out permits nothing anywhere, and may be asked again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.errors import DuplicateOperation
from clinic.actor import Actor
from clinic.consult import SeatState
from consent import asking, desk, emergency, expiry, gate, validity
from consent.effects import LateJoiner
from consent.emergency import Emergency
from consent.errors import (
    ConsentMissing,
    DecideFirst,
    EmergencyNotOpen,
    RecordingNotPermitted,
    TranscriptionNotPermitted,
)
from consent.gate import RecordingPolicy
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from consent.standing import Standing, shared_with, standing
from consent.validity import Lapse, expires_at, in_force, lapsed, next_lapse
from tests.support.builders import World

SIGNED = datetime(2026, 3, 2, 9, 30, 15, 250, tzinfo=UTC)
END = datetime(2027, 3, 2, 9, 30, 15, 250, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def record(
    number: int, action: ConsentAction = ConsentAction.SIGNED, at: datetime = SIGNED, **more: Any
) -> ConsentRecord:
    row = ConsentRecord(
        f"r{number}", "i1", "c1", "s1", action, (Purpose.TREAT,), (), (), SignerCapacity.SELF, "t1", "zh", "{}", "",
        "", at,
    )  # fmt: skip
    return replace(row, **more)


def test_twelve_calendar_months_to_the_moment() -> None:
    row = record(1)
    assert expires_at(row, Purpose.TREAT) == END
    assert not validity.expired(row, Purpose.TREAT, END - TICK)
    assert validity.expired(row, Purpose.TREAT, END)
    leap = record(1, at=datetime(2028, 2, 29, 23, 59, tzinfo=UTC))
    assert expires_at(leap, Purpose.TREAT) == datetime(2029, 3, 1, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "row",
    [
        record(1, permitted=(), refused=(Purpose.TREAT,)),
        record(1, capacity=SignerCapacity.STAFF_NOTICE),
        record(1, ConsentAction.WITHDRAWN),
        record(1, permitted=(Purpose.REC_AV,)),
    ],
)
def test_a_no_a_notice_and_a_withdrawal_never_run_out(row: ConsentRecord) -> None:
    assert expires_at(row, Purpose.TREAT) is None
    assert not validity.expired(row, Purpose.TREAT, END)


def test_what_ran_out_is_open_again_whatever_it_had_replaced() -> None:
    before = record(1, at=SIGNED - timedelta(days=3), permitted=(), refused=(Purpose.TREAT, Purpose.TEACH))
    ledger = [before, record(2)]
    assert in_force(ledger, END - TICK) is ledger
    held = in_force(ledger, END)
    assert standing(held, "s1", Purpose.TREAT) is Standing.UNDECIDED
    assert standing(held, "s1", Purpose.TEACH) is Standing.REFUSED
    later = [*ledger, record(3, at=END - timedelta(days=1), permitted=(), refused=(Purpose.TREAT,))]
    assert standing(in_force(later, END), "s1", Purpose.TREAT) is Standing.REFUSED
    renewed = [*ledger, record(3, at=END - timedelta(days=1))]
    assert standing(in_force(renewed, END), "s1", Purpose.TREAT) is Standing.PERMITTED


def test_a_lapse_is_noticed_once_and_only_of_what_still_decided() -> None:
    other = record(2, seat_id="s2", permitted=(Purpose.TREAT, Purpose.REC_AV), at=SIGNED - timedelta(seconds=1))
    ledger = [record(1), other]
    assert next_lapse(ledger, SIGNED) == END - timedelta(seconds=1)
    assert next_lapse(ledger, END - timedelta(seconds=1)) == END
    assert next_lapse(ledger, END) is None
    assert lapsed(ledger, SIGNED, END - timedelta(seconds=2)) == ()
    first = [Lapse("s2", each, "r2", END - timedelta(seconds=1)) for each in (Purpose.TREAT, Purpose.REC_AV)]
    assert lapsed(ledger, SIGNED, END) == (*first, Lapse("s1", Purpose.TREAT, "r1", END))
    assert lapsed(ledger, END, END + timedelta(days=1)) == ()
    anew = [*ledger, record(3, at=END - timedelta(days=9))]
    assert [each.seat_id for each in lapsed(anew, SIGNED, END)] == ["s2", "s2"]


async def test_no_gate_opens_on_a_yes_that_ran_out(world: World) -> None:
    booked = await world.book_panel()
    expert = await world.answer((await world.ask(booked.consult))[0])
    assert expert is not None
    await world.sign(booked.patient_seat)
    records = await world.records(booked.consult)
    end = expires_at(records[0], Purpose.TREAT)
    assert end is not None
    consult, seat, doctor = booked.consult, booked.patient_seat, booked.doctor_seat
    gate.require(records, consult, seat, now=end - TICK)
    gate.require(records, consult, expert, now=end - TICK)
    gate.require_share(records, consult, doctor, now=end - TICK)
    assert shared_with(records, end - TICK) == {world.partner.id}
    with pytest.raises(ConsentMissing) as refused:
        gate.require(records, consult, seat, now=end)
    assert refused.value.purposes == ("treat", "share_panel")
    with pytest.raises(ConsentMissing):
        gate.require(records, consult, expert, now=end)
    with pytest.raises(ConsentMissing):
        gate.require_share(records, consult, doctor, now=end)
    assert shared_with(records, end) == frozenset()


async def test_neither_door_recorder_nor_transcriber_take_it(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    consult = await world.call(booked)
    await world.sign(guest)
    records = await world.records(consult)
    end = expires_at(records[-1], Purpose.REC_AV)
    assert end is not None
    policy = RecordingPolicy(late_joiner=LateJoiner.WAIT)
    gate.require_decision(records, guest, policy, now=end - TICK)
    with pytest.raises(DecideFirst):
        gate.require_decision(records, guest, policy, now=end)
    async with world.db.read() as tx:
        present = list(await tx.seats.find(consult_id=consult.id, state=SeatState.ADMITTED))
    grant = {"policy": RecordingPolicy(), "beside": ()}
    over = end + timedelta(days=1)
    with pytest.raises(RecordingNotPermitted) as refused:
        gate.recording_grant(consult, "r", present, records, now=over, **grant)  # type: ignore[arg-type]
    assert "rec.patient_unsigned" in refused.value.reasons
    with pytest.raises(TranscriptionNotPermitted):
        gate.may_transcribe(consult, present, records, beside=(), now=over)


async def test_an_open_pause_or_exam_view_stays_open_however_old(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    async with world.db.read() as tx:
        present = list(await tx.seats.find(consult_id=consult.id, state=SeatState.ADMITTED))
    seat = booked.patient_seat.id
    confirmed = record(7, seat_id=seat, permitted=(Purpose.INTIMATE,), template_id=None)
    records = [*await world.records(consult), confirmed]
    with pytest.raises(RecordingNotPermitted) as refused:
        gate.recording_grant(
            consult, "r", present, records, policy=RecordingPolicy(), beside=(), now=SIGNED + timedelta(days=800)
        )
    assert "rec.exam_view" in refused.value.reasons


async def test_what_ran_out_is_asked_again_and_an_emergency_may_be_approved(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat, rec_av=False)
    found = Emergency("op", "昏迷", "电话未接")
    by = Actor.staff(world.approver)
    with pytest.raises(EmergencyNotOpen):
        async with world.db.begin() as tx:
            await emergency.approve(tx, world.sealer, booked.consult.id, found, by=by)
    world.clock.advance(days=365)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        assert [row.purpose for row in shown.text.questions] == [Purpose.TREAT]  # not the recording they refused
        assert shown.decided == {Purpose.REC_AV: Standing.REFUSED}
        seat = await tx.seats.get(booked.patient_seat.id)
        where = await asking.outstanding(tx, booked.consult, seat, await desk.records_of(tx, booked.consult.id))
    assert where == {Purpose.TREAT: Standing.UNDECIDED, Purpose.REC_AV: Standing.REFUSED}
    async with world.db.begin() as tx:
        made = await emergency.approve(tx, world.sealer, booked.consult.id, found, by=by)
    assert made.permitted == (Purpose.TREAT,)


async def test_a_lapse_is_noted_once_per_person(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    await world.sign(booked.patient_seat)
    await world.sign(guest)
    found = lapsed(await world.records(booked.consult), world.clock(), world.clock() + timedelta(days=400))
    async with world.db.begin() as tx:
        await expiry.note(tx, booked.consult, found)
    with pytest.raises(DuplicateOperation):
        async with world.db.begin() as tx:
            await expiry.note(tx, booked.consult, found)
    noted = [event for event in world.db.events if event.code == "consent.expired"]
    assert {(event.subject_id, tuple(event.public["purposes"])) for event in noted} == {
        (booked.patient_seat.id, ("treat", "rec_av")),
        (guest.id, ("rec_av",)),
    }
