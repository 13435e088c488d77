"""Closed, recorded consults whose time has come: the starting point of most archive tests."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from archive import disposal, intake, purge
from archive.records import Disposal, RetainedRecord
from clinic import visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Consult
from recording.records import Recording
from tests.support.builders import FakeBlobs, FakeKeyRing, Faults, World


@dataclass
class Kept:
    """One closed consult with a sealed recording, chat, note and consents, taken in by the archive."""

    world: World
    booked: Booked
    consult: Consult
    recording: Recording
    faults: Faults = field(default_factory=Faults)
    keyring: FakeKeyRing = field(default_factory=FakeKeyRing)
    blobs: FakeBlobs = field(default_factory=FakeBlobs)

    @property
    def records(self) -> dict[str, RetainedRecord]:
        return {
            row.record_class: row for row in self.world.db.rows("retained_records") if row.consult_id == self.consult.id
        }

    async def propose(self, *classes: str) -> Disposal:
        wanted = [self.records[name].id for name in classes]
        async with self.world.db.begin() as tx:
            return await disposal.propose(tx, Actor.staff(self.world.archivist), wanted, "保存期满")

    async def approve(self, proposed: Disposal) -> Disposal:
        for person in (self.world.approver, self.world.approver2):
            async with self.world.db.begin() as tx:
                proposed = await disposal.approve(
                    tx, Actor.staff(person), proposed.id, proposed.list_sha256, self.world.clock()
                )
        return proposed

    async def purge(self, disposal_id: str, **more: datetime | bool) -> Disposal:
        world = self.world
        clockwork = purge.Clockwork(**more) if more else None  # type: ignore[arg-type]
        return await purge.purge(world.db, self.keyring, self.blobs, world.sealer, disposal_id, clockwork=clockwork)


async def kept(world: World, **booking: str) -> Kept:
    """After three years and some days (process records are due, the visit record is not)."""
    made = await fresh(world, **booking)
    world.clock.advance(days=3 * 366)
    return made


async def fresh(world: World, **booking: str) -> Kept:
    booked = await world.book(**booking)
    consult = await world.call(booked)
    async with world.db.begin() as tx:
        await visit.say(tx, booked.patient_seat.id, "您好", uuid4().hex)
    faults = Faults()
    keyring, blobs = FakeKeyRing(faults), FakeBlobs(faults)
    await keyring.create(world.home.id, f"payload-{consult.id}")
    recording = await world.recorded(consult, (booked.patient_seat, booked.doctor_seat), keyring, blobs)
    async with world.db.begin() as tx:
        await intake.on_recording_sealed(tx, recording.id)
    closed = await world.finish(consult)
    async with world.db.begin() as tx:
        await intake.on_consult_over(tx, consult.id)
    return Kept(world, booked, closed, recording, faults, keyring, blobs)
