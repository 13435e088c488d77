"""Two people, one list, forward only: domain-rules 5.5 and 5.6, with a fault at every step."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from archive import disposal, holds, purge
from archive.errors import (
    AlreadyDisposed,
    ApprovalsMissing,
    ArchiveError,
    ClockJumped,
    Held,
    IllegalMove,
    ListChanged,
    NotDue,
    PurgeIncomplete,
    SameHands,
    StepUpNeeded,
)
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from archive.records import Disposal, DisposalState, RetainedRecord, RetainedState
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.documents import canonical, digest
from clinic.errors import InvalidInput, NotPermitted
from consent import attesting
from consent.attesting import AttestationKind, Attested
from tests.archive.keep import Kept, fresh, kept
from tests.support.builders import Broken, Faults, World
from tests.support.clock import START


async def test_from_proposal_to_certificate(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT))
    done = await made.purge(proposed.id)
    assert done.state is DisposalState.DONE
    assert (world.home.id, made.recording.key_id) not in made.keyring.keys
    assert made.blobs.objects == {}
    assert world.db.rows("chat_messages") == []
    assert len(world.db.rows("segments")) == 2  # digests stay: evidence without content
    assert {row.state for name, row in made.records.items() if name in (PROCESS_AV, PROCESS_TEXT)} == {
        RetainedState.DISPOSED
    }
    assert done.certificate is not None
    certificate = json.loads(done.certificate)
    assert certificate["counts"] == {"records": 2, "segments": 2, "bytes": 76, "rows_removed": {"chat_messages": 1}}
    assert [row["by"] for row in certificate["approved"]] == [world.approver.id, world.approver2.id]
    assert certificate["proposed"]["by"] == world.archivist.id
    assert {row["class"]: row["method"] for row in certificate["records"]} == {
        PROCESS_AV: "cryptoshred+delete", PROCESS_TEXT: "delete",
    }  # fmt: skip
    assert certificate["effective_at"] == (world.clock() + timedelta(days=35)).isoformat()
    assert certificate["tombstones"] == [
        {"key": made.recording.key_id, "sha256": made.keyring.tombstones[world.home.id, made.recording.key_id]}
    ]
    assert done.certificate_seal is not None
    assert world.sealer.holds(world.home.id, digest(canonical(certificate)), done.certificate_seal)
    assert world.db.codes()[-5:] == [
        "retention.purge_intent", "retention.purge_intent", "key.destroyed", "retention.disposed", "retention.disposed",
    ]  # fmt: skip
    assert world.db.events[-1].public["certificate"] == digest(done.certificate.encode())
    before = len(world.db.events)
    assert await made.purge(proposed.id) == done  # again: nothing twice
    assert len(world.db.events) == before


async def test_the_whole_consult_after_fifteen_years(world: World) -> None:
    """Also the private parts of the trail go with the last record, by their key."""
    made = await kept(world)
    async with world.db.begin() as tx:
        record = (await tx.consent_records.find(consult_id=made.consult.id))[0]
        await attesting.keep(tx, record, AttestationKind.CERTIFICATE, Attested("jws", "CN=张建明"))
    world.clock.advance(days=13 * 366)
    done = await made.purge((await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT, EMR, CONSENT))).id)
    for table in ("visit_notes", "follow_up_evidence", "consent_records", "consent_attestations", "chat_messages"):
        assert world.db.rows(table) == [], table
    consult = world.db.rows("consults")[0]
    assert consult.reason == ""
    names = {seat.role.value: seat.display_name for seat in world.db.rows("seats")}
    assert names == {"attending": world.doctor.name, "patient": ""}
    assert [key for key, _ in done.tombstones] == [made.recording.key_id, f"payload-{made.consult.id}"]
    assert made.keyring.keys == {}
    with pytest.raises(AlreadyDisposed):
        async with world.db.begin() as tx:
            await holds.place(tx, Actor.staff(world.archivist), made.consult.id, "太晚了")


async def test_only_what_is_due_and_free_is_proposed(world: World) -> None:
    made = await kept(world)
    with pytest.raises(NotDue):
        await made.propose(PROCESS_AV, EMR)
    await made.propose(PROCESS_TEXT)
    with pytest.raises(IllegalMove):
        await made.propose(PROCESS_TEXT)
    archivist = Actor.staff(world.archivist)
    wanted = made.records[PROCESS_AV].id
    for record_ids, refusal in (([], InvalidInput), ([wanted] * 2, InvalidInput), (["unknown"], MissingRow)):
        with pytest.raises(refusal):
            async with world.db.begin() as tx:
                await disposal.propose(tx, archivist, record_ids, "期满")
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await disposal.propose(tx, Actor.staff(world.approver), [wanted], "期满")
    async with world.db.begin() as tx:
        await holds.place(tx, archivist, made.consult.id, "投诉")
    with pytest.raises(Held):
        await made.propose(PROCESS_AV)


async def approve(made: Kept, actor: Actor, proposed: Disposal, seconds: float | None = 0) -> Disposal:
    stepped = None if seconds is None else made.world.clock() - timedelta(seconds=seconds)
    async with made.world.db.begin() as tx:
        return await disposal.approve(tx, actor, proposed.id, proposed.list_sha256, stepped)


async def test_approvers_are_other_people_freshly_authenticated(world: World) -> None:
    made = await kept(world)
    proposed = await made.propose(PROCESS_AV)
    approver = Actor.staff(world.approver)
    for seconds in (None, 301, -1):
        with pytest.raises(StepUpNeeded):
            await approve(made, approver, proposed, seconds)
    for person in (world.archivist, world.doctor):
        with pytest.raises(NotPermitted):
            await approve(made, Actor.staff(person), proposed)
        with pytest.raises(SameHands):  # even if such a person also were an approver
            await approve(made, replace(approver, id=person.id), proposed)
    await approve(made, approver, proposed, 300)
    with pytest.raises(SameHands):
        await approve(made, approver, proposed)
    with pytest.raises(ApprovalsMissing):
        await made.purge(proposed.id)
    assert made.records[PROCESS_AV].state is RetainedState.PROPOSED
    assert made.blobs.objects


async def test_a_changed_list_voids_approvals(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    archivist = Actor.staff(world.archivist)
    both = [made.records[PROCESS_AV].id, made.records[PROCESS_TEXT].id]
    async with world.db.begin() as tx:
        revised = await disposal.revise(tx, archivist, proposed.id, both)
    assert revised.approvals == ()
    assert revised.list_sha256 != proposed.list_sha256
    with pytest.raises(ListChanged):  # approving the list one saw before
        await approve(made, Actor.staff(world.approver), proposed)
    with pytest.raises(ApprovalsMissing):
        await made.purge(proposed.id)
    async with world.db.begin() as tx:
        shorter = await disposal.revise(tx, archivist, proposed.id, both[1:])
    assert made.records[PROCESS_AV].state is RetainedState.ACTIVE
    assert made.records[PROCESS_AV].disposal_id is None
    await made.propose(PROCESS_AV)
    with pytest.raises(IllegalMove):
        async with world.db.begin() as tx:
            await disposal.revise(tx, archivist, shorter.id, both)


async def test_a_returning_patient_stops_an_approved_list(world: World) -> None:
    made = await kept(world)
    world.clock.advance(days=13 * 366)
    proposed = await made.approve(await made.propose(EMR))
    again = await world.book()
    await world.call(again)
    with pytest.raises(NotDue):
        await made.purge(proposed.id)


async def test_a_corrected_birth_date_changes_the_list(world: World) -> None:
    from datetime import date

    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.patient.id)
        await tx.patients.save(replace(row, birth_date=date(2008, 3, 5)))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, world.home.id, "system"))
    with pytest.raises(NotDue):
        await made.purge(proposed.id)
    world.clock.advance(days=800)
    with pytest.raises(ListChanged):
        await made.purge(proposed.id)


async def test_a_refusal_puts_everything_back(world: World) -> None:
    made = await kept(world)
    async with world.db.begin() as tx:
        from archive import intake

        await intake.restrict(tx, made.consult.id, "x")
    proposed = await made.propose(PROCESS_AV, PROCESS_TEXT)
    async with world.db.begin() as tx:
        refused = await disposal.refuse(tx, Actor.staff(world.approver), proposed.id, "仍有用途")
    assert refused.refused_by == world.approver.id
    assert (made.records[PROCESS_AV].state, made.records[PROCESS_TEXT].state) == (
        RetainedState.RESTRICTED,
        RetainedState.ACTIVE,
    )
    with pytest.raises(IllegalMove):
        await made.purge(proposed.id)
    with pytest.raises(IllegalMove):
        await approve(made, Actor.staff(world.approver), proposed)


async def finished_cleanly(made: Kept, done: Disposal, classes: tuple[str, ...]) -> None:
    """The end is the same, however often it was interrupted."""
    codes = made.world.db.codes()
    assert done.state is DisposalState.DONE
    assert made.blobs.objects == {}
    assert (made.world.home.id, made.recording.key_id) not in made.keyring.keys
    assert codes.count("retention.purge_intent") == 2
    assert codes.count("key.destroyed") == 1
    assert codes.count("retention.disposed") == 2
    assert {made.records[name].state for name in classes} == {RetainedState.DISPOSED}
    assert [row.certificate is not None for row in made.world.db.rows("disposals")] == [True]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 6))
async def test_a_crash_at_every_step_of_the_outside_world(world: World, step: int, after: bool) -> None:
    made = await kept(world)
    classes = (PROCESS_AV, PROCESS_TEXT)
    proposed = await made.approve(await made.propose(*classes))
    faults = Faults(at=step, after=after)
    made.keyring.faults = made.blobs.faults = faults
    with pytest.raises(Broken):
        await made.purge(proposed.id)
    async with world.db.read() as tx:
        assert await purge.unfinished(tx, world.home.id) == [proposed.id]
    assert made.records[PROCESS_AV].state is RetainedState.PURGING
    faults.at = -1
    await finished_cleanly(made, await made.purge(proposed.id), classes)
    assert faults.steps >= 5  # destroy, list, delete, delete, list
    async with world.db.read() as tx:
        assert await purge.unfinished(tx, world.home.id) == []


class Breaking:
    """The database whose n-th write transaction fails at commit."""

    def __init__(self, world: World, at: int) -> None:
        self.db, self.at = world.db, at

    def begin(self) -> object:
        self.at -= 1
        if self.at == 0:
            self.db.fail_next_commit = Broken("commit")
        return self.db.begin()

    def read(self) -> object:
        return self.db.read()


@pytest.mark.parametrize("step", [1, 2, 3])
async def test_a_crash_at_every_commit(world: World, step: int) -> None:
    """Intent, key, certificate."""
    made = await kept(world)
    classes = (PROCESS_AV, PROCESS_TEXT)
    proposed = await made.approve(await made.propose(*classes))
    broken = Breaking(world, step)
    with pytest.raises(Broken):
        await purge.purge(broken, made.keyring, made.blobs, world.sealer, proposed.id)  # type: ignore[arg-type]
    if step == 1:
        assert made.keyring.keys
        assert made.blobs.objects
        assert made.records[PROCESS_AV].state is RetainedState.PROPOSED
    if step == 2:
        assert made.blobs.objects  # no object goes before the tombstone is committed
    await finished_cleanly(made, await made.purge(proposed.id), classes)


async def test_a_hold_before_the_key_wins_and_after_it_comes_too_late(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    archivist = Actor.staff(world.archivist)
    made.keyring.faults.at = 1
    with pytest.raises(Broken):  # intent committed, key still there
        await made.purge(proposed.id)
    async with world.db.begin() as tx:
        hold = await holds.place(tx, archivist, made.consult.id, "医疗纠纷")
    for _ in range(2):
        with pytest.raises(Held):
            await made.purge(proposed.id)
    assert (world.home.id, made.recording.key_id) in made.keyring.keys
    assert made.blobs.objects
    assert made.records[PROCESS_AV].state is RetainedState.PURGING
    async with world.db.begin() as tx:
        await holds.lift(tx, Actor.staff(world.approver), hold.id, "已了结")
    made.keyring.faults.steps, made.keyring.faults.at = 0, 2
    with pytest.raises(Broken):  # the key is gone, the objects are not
        await made.purge(proposed.id)
    async with world.db.begin() as tx:
        late = await holds.place(tx, archivist, made.consult.id, "太晚了")
    assert world.db.events[-1].public == {"already_destroyed": [made.records[PROCESS_AV].id]}
    assert late.lifted_at is None
    assert (await made.purge(proposed.id)).state is DisposalState.DONE


async def test_a_late_hold_still_saves_the_text(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT))
    made.keyring.faults.at = 2
    with pytest.raises(Broken):
        await made.purge(proposed.id)
    async with world.db.begin() as tx:
        hold = await holds.place(tx, Actor.staff(world.archivist), made.consult.id, "投诉")
    with pytest.raises(Held):
        await made.purge(proposed.id)
    assert len(world.db.rows("chat_messages")) == 1
    async with world.db.begin() as tx:
        await holds.lift(tx, Actor.staff(world.approver), hold.id, "已了结")
    await finished_cleanly(made, await made.purge(proposed.id), (PROCESS_AV, PROCESS_TEXT))


async def test_a_held_consult_does_not_keep_the_others_of_the_batch(world: World) -> None:
    held, free = await fresh(world), await fresh(world)
    world.clock.advance(days=3 * 366)
    async with world.db.begin() as tx:
        wanted = [held.records[PROCESS_AV].id, free.records[PROCESS_AV].id]
        proposed = await disposal.propose(tx, Actor.staff(world.archivist), wanted, "期满")
    await held.approve(proposed)
    held.keyring.keys |= free.keyring.keys
    held.blobs.objects |= free.blobs.objects
    held.keyring.faults.at = 1
    with pytest.raises(Broken):
        await held.purge(proposed.id)
    async with world.db.begin() as tx:
        await holds.place(tx, Actor.staff(world.archivist), held.consult.id, "投诉")
    with pytest.raises(Held):
        await held.purge(proposed.id)
    keys = {key_id for _, key_id in held.keyring.keys}
    assert held.recording.key_id in keys
    assert free.recording.key_id not in keys


async def test_a_store_that_lies_is_found_out(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    made.blobs.sticky = set(list(made.blobs.objects)[:1])
    made.blobs.objects[f"{world.home.id}/{made.recording.id}/thumbnail.webp"] = b"x"  # not in any row
    with pytest.raises(PurgeIncomplete):
        await made.purge(proposed.id)
    assert made.records[PROCESS_AV].state is RetainedState.PURGING
    made.blobs.sticky = set()
    assert (await made.purge(proposed.id)).state is DisposalState.DONE
    assert made.blobs.objects == {}


async def test_the_clock_is_not_trusted_when_it_jumps(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    now = world.clock()
    for last_run in (now + timedelta(seconds=1), now - timedelta(hours=48, seconds=1)):
        with pytest.raises(ClockJumped):
            await made.purge(proposed.id, last_run=last_run)
    with pytest.raises(ClockJumped):  # confirmation does not help a clock that went back
        await made.purge(proposed.id, last_run=now + timedelta(seconds=1), confirmed=True)
    with pytest.raises(ClockJumped):
        purge.check_clock(now - timedelta(seconds=1), proposed, purge.Clockwork(), timedelta(hours=48))
    assert made.blobs.objects
    await made.purge(proposed.id, last_run=now - timedelta(hours=47))


async def test_a_confirmed_leap_goes_on(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV))
    done = await made.purge(proposed.id, last_run=world.clock() - timedelta(days=900), confirmed=True)
    assert done.state is DisposalState.DONE


async def test_two_jobs_at_once_make_one_certificate(world: World) -> None:
    made = await kept(world)
    proposed = await made.approve(await made.propose(PROCESS_AV, PROCESS_TEXT))
    one, other = await asyncio.gather(made.purge(proposed.id), made.purge(proposed.id))
    assert one == other
    async with world.db.begin() as tx:  # the slower job arrives at the last step when all is done
        assert await purge._finish(tx, made.keyring, world.sealer, proposed.id) == one
    await finished_cleanly(made, one, (PROCESS_AV, PROCESS_TEXT))


def test_a_record_moves_only_along_its_table() -> None:
    record = RetainedRecord("r", "i", "c", "p", PROCESS_AV, "s", "v", START, RetainedState.ACTIVE, START)
    for state in (RetainedState.PURGING, RetainedState.DISPOSED):
        with pytest.raises(IllegalMove):
            record.move(state, START)


async def test_every_refusal_is_one_of_ours(world: World) -> None:
    for error in (Held, NotDue, SameHands, ListChanged, StepUpNeeded, ApprovalsMissing, ClockJumped, PurgeIncomplete):
        assert issubclass(error, ArchiveError)
        assert error.code.startswith("archive.")
