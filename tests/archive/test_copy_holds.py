"""An institution holds its own sealed copy of a panel: placed by its archivist, lifted by another, nobody else's."""

from dataclasses import dataclass, replace

import pytest

from archive import access, catalogue, copies, disposal, holds, intake, purge, retention
from archive.errors import AlreadyDisposed, Held, IllegalMove, Restricted, SameHands
from archive.policy import PANEL_COPY
from archive.records import Disposal, DisposalState, LegalHold, RetainedState
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import CopyNotReady, InvalidInput, NotPermitted
from clinic.panels import copying
from clinic.panels.outcome import SealedCopy
from clinic.people import Role, Staff
from tests.archive.keep import fresh
from tests.support.builders import FakeBlobs, FakeKeyRing, World, staff
from tests.support.panels import panel_over

WHY = "患者家属提出异议，封存本院副本"


@dataclass
class Shelf:
    """A closed panel with a sealed copy at both houses, and the partner's own archive people."""

    world: World
    consult: Consult
    archivist: Staff
    approver: Staff
    approver2: Staff
    keyring: FakeKeyRing
    blobs: FakeBlobs

    def copy(self, institution_id: str) -> SealedCopy:
        rows: list[SealedCopy] = self.world.db.rows("sealed_copies")
        (found,) = [row for row in rows if row.institution_id == institution_id]
        return found

    @property
    def theirs(self) -> SealedCopy:
        return self.copy(self.world.partner.id)

    async def place(self, by: Staff | None = None, copy: SealedCopy | None = None) -> LegalHold:
        async with self.world.db.begin() as tx:
            return await holds.place_on_copy(tx, Actor.staff(by or self.archivist), (copy or self.theirs).id, WHY)

    async def propose(self) -> Disposal:
        async with self.world.db.begin() as tx:
            due = await retention.due_list(tx, self.world.partner.id)
            wanted = [item.record.id for item in due]
            return await disposal.propose(tx, Actor.staff(self.archivist), wanted, "保存期满")

    async def approve(self, proposed: Disposal) -> None:
        for person in (self.approver, self.approver2):
            async with self.world.db.begin() as tx:
                by = Actor.staff(person)
                await disposal.approve(tx, by, proposed.id, proposed.list_sha256, self.world.clock())

    async def purge(self, proposed: Disposal) -> Disposal:
        world = self.world
        return await purge.purge(world.db, self.keyring, self.blobs, world.sealer, proposed.id)


async def shelved(world: World, made: bool = True) -> Shelf:
    consult = await panel_over(world)
    keyring, blobs = FakeKeyRing(), FakeBlobs()
    async with world.db.begin() as tx:
        there = Actor.system(world.partner.id)
        people = [
            await registration.create_staff(tx, staff(world.partner.id, f"there-{role}-{n}", (role,)), there)
            for n, role in enumerate((Role.ARCHIVIST, Role.APPROVER, Role.APPROVER))
        ]
        for copy in await copying.due(tx) if made else ():
            await keyring.create(copy.institution_id, copy.key_id)
            blobs.objects[copy.blob_key] = b"cipher"
            await intake.on_copy_sealed(tx, await copying.sealed(tx, replace(copy, package_sha256="ab", size=6)))
    return Shelf(world, consult, people[0], people[1], people[2], keyring, blobs)


async def test_the_invited_institution_holds_its_own_copy_until_another_person_lifts_it(world: World) -> None:
    shelf = await shelved(world)
    hold = await shelf.place()
    assert (hold.institution_id, hold.consult_id) == (world.partner.id, shelf.consult.id)
    event = world.db.events[-1]
    assert (event.code, event.institution_id, event.public["copy"]) == (
        "hold.placed",
        world.partner.id,
        shelf.theirs.id,
    )
    async with world.db.read() as tx:
        (theirs,) = await copies.kept(tx, Actor.staff(shelf.approver))
        (ours,) = await copies.kept(tx, Actor.staff(world.archivist))
        assert (theirs.holds, theirs.held, ours.holds, ours.held) == ((hold,), True, (), False)
        assert theirs.due_on == ours.due_on is not None
        assert await holds.held(tx, shelf.consult.id, world.partner.id)
        assert not await holds.held(tx, shelf.consult.id, world.home.id)
    async with world.db.begin() as tx:
        with pytest.raises(NotPermitted):  # the archivist places, the approver lifts: never the same hands
            await holds.lift(tx, Actor.staff(shelf.archivist), hold.id, "已了结")
        with pytest.raises(MissingRow):
            await holds.lift(tx, Actor.staff(world.approver), hold.id, "已了结")
        both = replace(Actor.staff(shelf.archivist), roles=(Role.APPROVER,))
        with pytest.raises(SameHands):
            await holds.lift(tx, both, hold.id, "已了结")
        await holds.lift(tx, Actor.staff(shelf.approver), hold.id, "已了结")
        (theirs,) = await copies.kept(tx, Actor.staff(shelf.archivist))
        assert (theirs.held, theirs.holds[0].lifted_by) == (False, shelf.approver.id)
        with pytest.raises(IllegalMove):
            await holds.lift(tx, Actor.staff(shelf.approver), hold.id, "已了结")


async def test_nobody_of_another_institution_and_no_other_role(world: World) -> None:
    shelf = await shelved(world)
    mine = shelf.copy(world.home.id)
    for by, copy, error in (
        (world.archivist, shelf.theirs, MissingRow),
        (shelf.archivist, mine, MissingRow),
        (shelf.approver, shelf.theirs, NotPermitted),
        (world.experts[0], shelf.theirs, NotPermitted),
        (world.clinic_doctor, mine, NotPermitted),
    ):
        with pytest.raises(error):
            await shelf.place(by, copy)
    async with world.db.begin() as tx:
        with pytest.raises(InvalidInput):
            await holds.place_on_copy(tx, Actor.staff(shelf.archivist), shelf.theirs.id, " ")
        with pytest.raises(MissingRow):  # by the consult it is the inviting institution's alone
            await holds.place(tx, Actor.staff(shelf.archivist), shelf.consult.id, WHY)
        with pytest.raises(NotPermitted):
            await copies.kept(tx, Actor.staff(world.experts[0]))
    assert world.db.rows("legal_holds") == []


async def test_at_the_inviting_institution_it_stops_all_of_the_visit(world: World) -> None:
    """A hold is over what one institution keeps of a consult: there that is the copy and the record itself."""
    shelf = await shelved(world)
    async with world.db.begin() as tx:
        await intake.on_consult_over(tx, shelf.consult.id)
    hold = await shelf.place(world.archivist, shelf.copy(world.home.id))
    async with world.db.read() as tx:
        mine, theirs = await retention.assessment(tx, world.home.id), await retention.assessment(tx, world.partner.id)
    assert len(mine) > 1
    assert {item.blocked_by for item in mine} == {(f"hold:{hold.id}",)}
    assert {item.blocked_by for item in theirs} == {()}


async def test_disposal_waits_for_the_hold_wherever_it_stands(world: World) -> None:
    shelf = await shelved(world)
    world.clock.advance(days=16 * 366)
    hold = await shelf.place()
    with pytest.raises(Held):
        await shelf.propose()
    await lift(shelf, hold)
    proposed = await shelf.propose()
    await shelf.approve(proposed)
    hold = await shelf.place()
    with pytest.raises(Held):
        await shelf.purge(proposed)
    assert (world.partner.id, shelf.theirs.key_id) in shelf.keyring.keys
    await shelf.place(world.archivist, shelf.copy(world.home.id))  # the other house's hold stops nothing here
    await lift(shelf, hold)
    done = await shelf.purge(proposed)
    assert done.state is DisposalState.DONE
    assert set(shelf.blobs.objects) == {shelf.copy(world.home.id).blob_key}
    with pytest.raises(AlreadyDisposed):
        await shelf.place()
    async with world.db.begin() as tx:
        (theirs,) = await copies.kept(tx, Actor.staff(shelf.archivist))
        assert theirs.record is not None
        assert (theirs.record.state, theirs.due_on) == (RetainedState.DISPOSED, None)
        with pytest.raises(AlreadyDisposed):
            await copies.take(tx, Actor.staff(shelf.archivist), shelf.theirs.id)
        assert (await copies.take(tx, Actor.staff(world.archivist), shelf.copy(world.home.id).id)).size == 6


async def lift(shelf: Shelf, hold: LegalHold) -> None:
    async with shelf.world.db.begin() as tx:
        await holds.lift(tx, Actor.staff(shelf.approver), hold.id, "争议已了结")


async def test_a_hold_between_intent_and_key_wins_and_after_the_key_comes_too_late(world: World) -> None:
    shelf = await shelved(world)
    world.clock.advance(days=16 * 366)
    proposed = await shelf.propose()
    await shelf.approve(proposed)
    async with world.db.begin() as tx:
        await purge._intend(tx, proposed.id, purge.Clockwork())
    hold = await shelf.place()
    with pytest.raises(Held):
        await shelf.purge(proposed)
    await lift(shelf, hold)
    async with world.db.begin() as tx:
        (thing,) = await purge._encrypted(tx, await tx.disposals.get(proposed.id))
        assert await purge._shred(tx, shelf.keyring, proposed.id, thing)
    with pytest.raises(AlreadyDisposed):
        await shelf.place()


async def test_a_copy_not_made_yet_may_be_held(world: World) -> None:
    shelf = await shelved(world, made=False)
    hold = await shelf.place()
    async with world.db.begin() as tx:
        (theirs,) = await copies.kept(tx, Actor.staff(shelf.archivist))
        assert (theirs.record, theirs.due_on, theirs.holds) == (None, None, (hold,))
        with pytest.raises(CopyNotReady):
            await copies.take(tx, Actor.staff(shelf.archivist), shelf.theirs.id)
        await intake.on_copy_sealed(tx, await copying.sealed(tx, shelf.theirs))
    world.clock.advance(days=16 * 366)
    async with world.db.read() as tx:
        (item,) = await retention.due_list(tx, world.partner.id)
    assert (item.record.record_class, item.blocked_by) == (PANEL_COPY, (f"hold:{hold.id}",))


async def test_another_institutions_hold_says_nothing_of_the_recording(world: World) -> None:
    """It neither shows in the inviting side's catalogue nor opens a restricted recording as a dispute."""
    made = await fresh(world)
    foreign = LegalHold("f" * 32, world.partner.id, made.consult.id, WHY, "somebody", world.clock())
    async with world.db.begin() as tx:
        await tx.legal_holds.add(foreign)
        await tx.append(AuditEvent(EventCode.HOLD_PLACED, world.partner.id, "somebody", made.consult.id, foreign.id))
        await intake.restrict(tx, made.consult.id, "patient")
        grant = await access.request(tx, Actor.staff(world.archivist), made.recording.id, "核对投诉内容，需要查看录像")
        await access.decide(tx, Actor.staff(world.approver), grant.id, True, hours=1)
    async with world.db.begin() as tx:
        assert not (await catalogue.entry(tx, Actor.staff(world.archivist), made.recording.id)).held
        with pytest.raises(Restricted):
            await access.view(tx, Actor.staff(world.archivist), made.recording.id)
        await holds.place(tx, Actor.staff(world.archivist), made.consult.id, "投诉")
        assert (await catalogue.entry(tx, Actor.staff(world.archivist), made.recording.id)).held
        assert (await access.view(tx, Actor.staff(world.archivist), made.recording.id)).grant is not None
