"""A sealed recording with everything around it, as the archive keeps it."""

from dataclasses import dataclass

from archive import access, disposal, holds
from clinic.actor import Actor
from clinic.people import Role
from huizhen import demo_past
from huizhen.store.blobs import LocalBlobs
from recording.records import Recording
from tests.huizhen.world import World


async def played(world: World, house: str = "city") -> Recording:
    """A consult that was recorded, noted and closed at the world's present time."""
    settings = world.parts.settings
    stage = demo_past.Stage(
        world.parts.database, LocalBlobs(settings.blobs_path), settings.spool_path, world.clock.advance
    )
    owner = world.houses[house]
    return await demo_past.play(stage, owner.staff[Role.ATTENDING], owner.patient)


async def archived(world: World) -> dict[str, str]:
    """Ids of a recording, one of its segments, an access request, a hold, and a proposal to dispose of an older one."""
    old = await due(world)
    recording = await played(world)
    house = world.houses["city"]
    archivist = Actor.staff(house.staff[Role.ARCHIVIST])
    async with world.db.begin() as tx:
        proposed = await disposal.propose(tx, archivist, [old.record_id], "three years are over")
        asked = await access.request(tx, archivist, recording.id, "quality control of the month")
        held = await holds.place(tx, archivist, recording.consult_id, "complaint 17")
        segments = await tx.segments.find(recording_id=recording.id)
    return {
        "recording": recording.id,
        "segment": segments[0].id,
        "access": asked.id,
        "hold": held.id,
        "disposal": proposed.id,
    }


@dataclass(frozen=True, slots=True)
class Due:
    """A recording whose keeping has ended."""

    recording: Recording
    record_id: str


async def due(world: World) -> Due:
    recording = await played(world)
    world.clock.advance(days=3 * 366 + 2)
    async with world.db.read() as tx:
        records = await tx.retained_records.find(subject_id=recording.id)
    return Due(recording, records[0].id)
