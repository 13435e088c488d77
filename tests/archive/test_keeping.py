"""Intake, catalogue, access, holds."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from archive import access, catalogue, holds, intake, retention
from archive.catalogue import Query
from archive.errors import AlreadyDisposed, IllegalMove, NoGrant, Restricted, SameHands
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from archive.records import AccessState, RetainedState
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.errors import InvalidInput, NotPermitted
from clinic.roles import Reach
from consent.records import Purpose
from recording.records import RecordingState
from tests.archive.keep import Kept, fresh, kept
from tests.support.builders import FakeBlobs, FakeKeyRing, World


async def test_a_closed_consult_leaves_four_records(world: World) -> None:
    made = await fresh(world)
    assert set(made.records) == {PROCESS_AV, PROCESS_TEXT, EMR, CONSENT}
    assert {row.trigger_at for row in made.records.values()} == {made.consult.closed_at}
    assert {row.policy_version for row in made.records.values()} == {"cn-2022.1"}
    events = len(world.db.events)
    async with world.db.begin() as tx:  # again: nothing twice
        assert await intake.on_consult_over(tx, made.consult.id) == ()
        again = await intake.on_recording_sealed(tx, made.recording.id)
    assert again == made.records[PROCESS_AV]
    assert len(world.db.events) == events


async def test_the_clock_of_a_recording_begins_when_the_consult_closes(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    recording = await world.recorded(consult, (booked.patient_seat,), FakeKeyRing(), FakeBlobs())
    async with world.db.begin() as tx:
        with pytest.raises(IllegalMove):
            await intake.on_consult_over(tx, consult.id)
        first = await intake.on_recording_sealed(tx, recording.id)
        waiting = await retention.due_list(tx, world.home.id, world.clock() + timedelta(days=4 * 366))
    assert first is not None
    assert first.trigger_at == recording.sealed_at
    assert [item.blocked_by for item in waiting] == [("consult.open",)]
    world.clock.advance(days=2)
    closed = await world.finish(consult)
    async with world.db.begin() as tx:
        await intake.on_consult_over(tx, consult.id)
    assert world.db.rows("retained_records")[0].trigger_at == closed.closed_at


async def test_nothing_recorded_nothing_kept(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    recording = await world.recorded(consult, (booked.patient_seat,), FakeKeyRing(), FakeBlobs())
    async with world.db.begin() as tx:
        for state in (RecordingState.FAILED, RecordingState.ACTIVE):
            await tx.recordings.save(replace(await tx.recordings.get(recording.id), state=state))
        await tx.append(AuditEvent(EventCode.RECORDING_FAILED, world.home.id, "system"))
        with pytest.raises(IllegalMove):
            await intake.on_recording_sealed(tx, recording.id)
        await tx.recordings.save(replace(recording, state=RecordingState.FAILED))
        await tx.append(AuditEvent(EventCode.RECORDING_FAILED, world.home.id, "system"))
        assert await intake.on_recording_sealed(tx, recording.id) is None


async def test_a_cancelled_consult_leaves_its_evidence(world: World) -> None:
    booked = await world.book()
    bare = await world.book(evidence=())
    for each in (booked, bare):
        async with world.db.begin() as tx:
            await booking.cancel(tx, each.consult.id, world.system, "other")
            await intake.on_consult_over(tx, each.consult.id)
    assert [row.record_class for row in world.db.rows("retained_records")] == [EMR]


async def test_withdrawal_restricts_before_and_after_sealing(world: World) -> None:
    made = await fresh(world)
    await world.book()  # booked only: no visit yet
    world.clock.advance(days=400)
    await world.withdraw(made.booked.patient_seat, Purpose.REC_AV)
    async with world.db.read() as tx:
        facts = await retention.facts_of(tx, world.home.id)
    assert facts.withdrawals == {made.consult.id: world.clock()}
    assert facts.last_visits == {world.patient.id: made.consult.ended_at}
    async with world.db.begin() as tx:
        changed = await intake.restrict(tx, made.consult.id, made.booked.patient_seat.id)
        assert await intake.restrict(tx, made.consult.id, made.booked.patient_seat.id) == ()
    assert [row.state for row in changed] == [RetainedState.RESTRICTED]
    second = await world.book()
    consult = await world.call(second)
    await world.withdraw(second.patient_seat, Purpose.REC_AV)
    recording = await world.recorded(consult, (second.patient_seat,), FakeKeyRing(), FakeBlobs())
    async with world.db.begin() as tx:
        await tx.recordings.save(replace(await tx.recordings.get(recording.id), policy_version="stamped.1"))
        await tx.append(AuditEvent(EventCode.RECORDING_SEALED, world.home.id, "system"))
        record = await intake.on_recording_sealed(tx, recording.id)
    assert record is not None
    assert (record.state, record.policy_version) == (RetainedState.RESTRICTED, "stamped.1")


async def test_a_proposed_recording_is_restricted_too(world: World) -> None:
    made = await kept(world)
    await made.propose(PROCESS_AV)
    async with world.db.begin() as tx:
        changed = await intake.restrict(tx, made.consult.id, "x")
    assert (changed[0].state, changed[0].restricted) == (RetainedState.PROPOSED, True)


async def ask(made: Kept, reason: str = "患者投诉，需核对看诊过程") -> str:
    async with made.world.db.begin() as tx:
        return (await access.request(tx, Actor.staff(made.world.archivist), made.recording.id, reason)).id


async def test_asked_given_seen_and_over(world: World) -> None:
    made = await fresh(world)
    archivist, approver = Actor.staff(world.archivist), Actor.staff(world.approver)
    for reason in ("", "想看看"):
        with pytest.raises(InvalidInput):
            await ask(made, reason)
    grant_id = await ask(made)
    with pytest.raises(NoGrant):
        async with world.db.begin() as tx:
            await access.view(tx, archivist, made.recording.id)
    async with world.db.begin() as tx:
        given = await access.decide(tx, approver, grant_id, True, hours=2)
    assert given.expires_at == world.clock() + timedelta(hours=2)
    async with world.db.begin() as tx:
        seen = await access.view(tx, archivist, made.recording.id)
    assert seen.basis is Reach.APPROVED
    assert seen.grant == given
    assert (world.db.events[-1].code, world.db.events[-1].subject_id) == (EventCode.RECORDING_VIEWED, made.recording.id)
    world.clock.advance(hours=2)
    with pytest.raises(NoGrant):
        async with world.db.begin() as tx:
            await access.view(tx, archivist, made.recording.id)
    assert "投诉" not in str(world.db.events)


async def test_grants_are_decided_once_by_another_and_revoked(world: World) -> None:
    made = await fresh(world)
    approver = Actor.staff(world.approver)
    grant_id = await ask(made)
    for hours in (0, 73):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await access.decide(tx, approver, grant_id, True, hours=hours)
    with pytest.raises(SameHands):
        async with world.db.begin() as tx:
            await access.decide(tx, replace(approver, id=world.archivist.id), grant_id, True)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await access.decide(tx, Actor.staff(world.archivist), grant_id, True)
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await access.decide(tx, Actor.staff(world.experts[0]), grant_id, True)
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await access.revoke(tx, approver, grant_id, "还没有批准")
    async with world.db.begin() as tx:
        await access.decide(tx, approver, grant_id, True)
        revoked = await access.revoke(tx, approver, grant_id, "已无必要")
        with pytest.raises(NoGrant):
            await access.require_grant(tx, world.archivist.id, made.recording.id, tx.now)
    assert revoked.state is AccessState.REVOKED
    second = await ask(made)
    async with world.db.begin() as tx:
        refused = await access.decide(tx, approver, second, False, reason="理由不足")
    assert refused.expires_at is None
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await access.decide(tx, approver, second, True)


async def test_treating_people_and_the_patient_see_their_own(world: World) -> None:
    made = await fresh(world)
    guest = Actor.seated(replace(made.booked.patient_seat, id=made.booked.doctor_seat.id, person_id="x"))
    async with world.db.begin() as tx:
        for actor in (Actor.staff(world.doctor), Actor.seated(made.booked.patient_seat)):
            assert (await access.view(tx, actor, made.recording.id)).basis is Reach.OWN
        for actor, refusal in (
            (Actor.staff(world.clinic_doctor), NotPermitted),
            (Actor.staff(world.experts[0]), MissingRow),
            (Actor.staff(world.admin), NotPermitted),
        ):
            with pytest.raises(refusal):
                await access.view(tx, actor, made.recording.id)
    assert guest.id == "x"


async def test_experts_see_it_for_thirty_days_after_signing(world: World) -> None:
    booked = await world.book_panel()
    await world.ask(booked.consult)
    await world.sign(booked.patient_seat)
    async with world.db.read() as tx:
        invitations = await tx.invitations.find(consult_id=booked.consult.id)
    seats = [await world.answer(invitation) for invitation in invitations]
    for seat in (booked.doctor_seat, *seats):
        assert seat is not None
        await world.enter(seat)
    await world.opinion(booked.consult, world.experts[0])
    recording = await world.recorded(booked.consult, (booked.doctor_seat,), FakeKeyRing(), FakeBlobs())
    async with world.db.begin() as tx:
        assert (await access.view(tx, Actor.staff(world.experts[0]), recording.id)).basis is Reach.OWN
        with pytest.raises(NotPermitted):  # has not signed
            await access.view(tx, Actor.staff(world.experts[1]), recording.id)
    world.clock.advance(days=30)
    async with world.db.begin() as tx:
        with pytest.raises(NotPermitted):
            await access.view(tx, Actor.staff(world.experts[0]), recording.id)


async def test_a_nurse_of_the_visit_does_not_play_it(world: World) -> None:
    made = await fresh(world)
    nurse = replace(made.booked.doctor_seat, id=uuid4().hex, role=world.nurse.roles[0], person_id=world.nurse.id)
    async with world.db.begin() as tx:
        await tx.seats.add(nurse)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, world.home.id, "system"))
        with pytest.raises(NotPermitted):
            await access.view(tx, Actor.staff(world.nurse), made.recording.id)


async def test_a_restricted_recording_is_shown_in_a_dispute_and_to_the_patient_only(world: World) -> None:
    made = await fresh(world)
    grant_id = await ask(made)
    async with world.db.begin() as tx:
        await intake.restrict(tx, made.consult.id, "x")
        await access.decide(tx, Actor.staff(world.approver), grant_id, True)
    archivist = Actor.staff(world.archivist)
    for actor in (Actor.staff(world.doctor), archivist):
        with pytest.raises(Restricted):
            async with world.db.begin() as tx:
                await access.view(tx, actor, made.recording.id)
    async with world.db.begin() as tx:
        await holds.place(tx, archivist, made.consult.id, "医疗纠纷")
        assert (await access.view(tx, archivist, made.recording.id)).grant is not None
        await access.view(tx, Actor.seated(made.booked.patient_seat), made.recording.id)
        with pytest.raises(Restricted):
            await access.view(tx, Actor.staff(world.doctor), made.recording.id)


async def test_only_sealed_recordings_play(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    recording = await world.recorded(consult, (booked.patient_seat,), FakeKeyRing(), FakeBlobs())
    async with world.db.begin() as tx:
        await tx.recordings.save(replace(await tx.recordings.get(recording.id), state=RecordingState.ACTIVE))
        await tx.append(AuditEvent(EventCode.RECORDING_STARTED, world.home.id, "system"))
        with pytest.raises(IllegalMove):
            await access.view(tx, Actor.staff(world.doctor), recording.id)


async def test_holds_are_placed_and_lifted_by_different_people(world: World) -> None:
    made = await kept(world)
    archivist, approver = Actor.staff(world.archivist), Actor.staff(world.approver)
    async with world.db.begin() as tx:
        hold = await holds.place(tx, archivist, made.consult.id, "投诉")
        dues = await retention.due_list(tx, world.home.id)
    assert all(item.blocked_by == (f"hold:{hold.id}",) for item in dues)
    assert "投诉" not in str(world.db.events[-1].public)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await holds.lift(tx, archivist, hold.id, "已了结")
    with pytest.raises(SameHands):
        async with world.db.begin() as tx:
            await holds.lift(tx, replace(approver, id=world.archivist.id), hold.id, "已了结")
    async with world.db.begin() as tx:
        await holds.lift(tx, approver, hold.id, "已了结")
        dues = await retention.due_list(tx, world.home.id)
    assert all(item.blocked_by == () for item in dues)
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await holds.lift(tx, approver, hold.id, "已了结")


async def test_the_catalogue(world: World) -> None:
    made = await fresh(world)
    start = world.clock()
    world.clock.advance(days=1)
    other = await fresh(world)
    archivist = Actor.staff(world.archivist)
    async with world.db.begin() as tx:
        everything = await catalogue.search(tx, archivist)
        assert [item.recording.id for item in everything] == [other.recording.id, made.recording.id]
        for query, hits in (
            (Query(text="建明"), 2),
            (Query(text="WANGDOCTOR"), 0),
            (Query(text="王doctor"), 2),
            (Query(since=start + timedelta(hours=1)), 1),
            (Query(until=start + timedelta(hours=1)), 1),
            (Query(doctor_id=world.doctor.id, department="03.04", kind=ConsultKind.FOLLOW_UP), 2),
            (Query(doctor_id=world.clinic_doctor.id), 0),
            (Query(state=RetainedState.ACTIVE, held=False), 2),
            (Query(state=RetainedState.DISPOSED), 0),
            (Query(held=True), 0),
            (Query(limit=1), 1),
        ):
            assert len(await catalogue.search(tx, archivist, query)) == hits
        item = everything[1]
        assert (item.patient_name, item.segments, item.duration_ms, item.size) == ("张建明", 2, 300_000, 76)
        with pytest.raises(NotPermitted):
            await catalogue.search(tx, Actor.staff(world.doctor))
        assert (await catalogue.entry(tx, Actor.staff(world.doctor), made.recording.id)).recording == made.recording
        assert (await catalogue.entry(tx, Actor.seated(made.booked.patient_seat), made.recording.id)).held is False
        with pytest.raises(NotPermitted):
            await catalogue.entry(tx, Actor.staff(world.clinic_doctor), made.recording.id)
        with pytest.raises(MissingRow):
            await catalogue.entry(tx, Actor.staff(world.experts[0]), made.recording.id)
        marks = await catalogue.timeline(tx, made.recording.id, with_chat=True)
        quiet = await catalogue.timeline(tx, made.recording.id, with_chat=False)
    assert {mark.kind for mark in marks} == {"admitted", "left", "consent", "chat"}
    assert "chat" not in {mark.kind for mark in quiet}
    assert marks == sorted(marks, key=lambda mark: mark.at)


async def test_the_timeline_tells_withdrawals_and_gaps(world: World) -> None:
    from recording.records import Gap, GapCause

    made = await fresh(world)
    await world.withdraw(made.booked.patient_seat, Purpose.REC_AV)
    async with world.db.begin() as tx:
        absent = replace(made.booked.patient_seat, id="absent")
        await tx.seats.add(absent)
        now = tx.now
        await tx.gaps.add(Gap("g", world.home.id, made.consult.id, made.recording.id, None, GapCause.CRASH, now, now))
        await tx.append(AuditEvent(EventCode.RECORDING_GAP, world.home.id, "system"))
        marks = await catalogue.timeline(tx, made.recording.id, with_chat=False)
    assert [(mark.kind, mark.detail) for mark in marks if mark.kind in ("gap", "withdrawn")] == [
        ("withdrawn", "rec_av"),
        ("gap", "crash"),
    ]


async def test_the_timeline_tells_privacy_and_exam_views(world: World) -> None:
    from consent import room_acts

    booked = await world.book()
    consult = await world.call(booked)
    made = await world.recorded(consult, (booked.doctor_seat,), FakeKeyRing(), FakeBlobs())
    doctor, patient = booked.doctor_seat.id, booked.patient_seat.id
    async with world.db.begin() as tx:
        await room_acts.pause(tx, world.sealer, doctor, operation_id="1" * 16)
        await room_acts.resume(tx, world.sealer, doctor, operation_id="2" * 16)
        await room_acts.answer_exam(tx, world.sealer, patient, agrees=False, operation_id="3" * 16)
        await room_acts.answer_exam(tx, world.sealer, patient, agrees=True, operation_id="4" * 16)
        await room_acts.end_exam(tx, world.sealer, patient, operation_id="5" * 16)
    async with world.db.read() as tx:
        marks = await catalogue.timeline(tx, made.id, with_chat=False)
    told = [(mark.kind, mark.seat_id) for mark in marks if mark.kind not in ("admitted", "consent")]
    assert told == [
        ("privacy_paused", doctor),
        ("privacy_resumed", doctor),
        ("exam_declined", patient),
        ("exam_confirmed", patient),
        ("exam_ended", patient),
    ]


async def test_nothing_can_be_asked_of_what_is_gone(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    await made.purge(proposed.id)
    for act in (
        lambda tx: access.request(tx, Actor.staff(world.archivist), made.recording.id, "再看一次，理由充分"),
        lambda tx: access.view(tx, Actor.staff(world.doctor), made.recording.id),
    ):
        with pytest.raises(AlreadyDisposed):
            async with world.db.begin() as tx:
                await act(tx)
    async with world.db.read() as tx:
        item = await catalogue.entry(tx, Actor.staff(world.archivist), made.recording.id)
    assert item.destruction is not None
    assert item.destruction.proposed_by == world.archivist.name
    assert item.destruction.approved_by == (world.approver.name, world.approver2.name)
    assert item.destruction.certificate
