"""Whatever order things happen in, a recording reaches exactly one end, and every row has its event."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.people import Role
from consent.errors import RecordingNotPermitted
from consent.gate import RecordingPolicy
from consent.records import ConsentAction
from recording.errors import IllegalMove
from recording.ledger import Ledger, Present
from recording.ports import RetentionStamp, consent_gate
from recording.records import GapCause, RecordingState, Segment, Track
from tests.recording.world import CONSULT, World, add_consult
from tests.support.memory import MemoryDatabase

STEPS = ["active", "pause", "renew", "drop", "gap", "segment", "finalize", "seal", "refuse", "agree"]


@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_order_of_events_ends_well(steps: list[str]) -> None:
    asyncio.run(walk(steps))


async def walk(steps: list[str]) -> None:
    world = await open_rows()
    ledger = Ledger(world.db, consent_gate(RecordingPolicy()))
    present = Present(("p", "d"), {})
    recording, grant = await ledger.request(CONSULT, "rec", "key", "d", present)
    assert grant.recorded == {"p", "d"}
    written = 0
    for number, step in enumerate([*steps, "finalize", "seal"]):
        try:
            written += await take(step, number, world, ledger, present)
        except (IllegalMove, RecordingNotPermitted):
            continue
    (recording,) = world.db.rows("recordings")
    assert recording.state is (RecordingState.SEALED if world.db.rows("segments") else RecordingState.FAILED)
    assert recording.stopped_at is not None
    assert (recording.retention_class is not None) == (recording.state is RecordingState.SEALED)
    codes = world.db.codes()
    assert codes.count("rec.finalised") + codes.count("rec.failed") == 1
    assert codes.count("rec.stop") == 1
    assert codes.count("rec.segment") == len(world.db.rows("segments")) == written


async def take(step: str, number: int, world: World, ledger: Ledger, present: Present) -> int:
    """One step; how many segments it added."""
    now = datetime.now(UTC)
    if step == "active":
        await ledger.active("rec")
    elif step == "pause":
        await ledger.pause("rec", GapCause.PAUSED, "rec.person_unsigned")
        await ledger.pause("rec", GapCause.CRASH, "crash", now - timedelta(seconds=1))
    elif step == "renew":
        await ledger.renew("rec", present)
    elif step == "drop":
        await ledger.drop("rec", "d")
    elif step == "gap":
        await ledger.gap("rec", GapCause.OVERLOAD, now, None)
        await ledger.end_gap("rec", GapCause.OVERLOAD)
    elif step == "finalize":
        assert (await ledger.finalize("rec", "ended")).state in (RecordingState.FINALIZING, *OVER)
    elif step == "seal":
        await ledger.seal("rec", lambda consult: RetentionStamp("process.av", "1"))
    elif step in ("refuse", "agree"):
        await world.decide("d", ConsentAction.SIGNED, step == "agree")
    elif step == "segment" and not world.db.rows("recordings")[0].over:
        row = Segment(
            uuid4().hex, "inst", CONSULT, "rec", "p", Track.AV, number, "audio/webm", now, 5, 5, "a", "b", f"k{number}"
        )  # fmt: skip
        await ledger.segment(row)
        await ledger.segment(row)
        return 1
    return 0


OVER = (RecordingState.SEALED, RecordingState.FAILED)


async def open_rows() -> World:
    """Rows only: no folder, no child."""
    world = World.__new__(World)
    world.db = MemoryDatabase(lambda: datetime.now(UTC))
    world.present = []
    await add_consult(world)
    await world.seat("p", Role.PATIENT)
    await world.seat("d", Role.ATTENDING)
    return world


async def test_strangers_and_the_withdrawn_are_never_granted() -> None:
    world = await open_rows()
    ledger = Ledger(world.db, consent_gate(RecordingPolicy()))
    try:
        await ledger.judge(CONSULT, "rec", Present(("p", "d", "stranger"), {}))
    except RecordingNotPermitted as refused:
        assert refused.seats == ("stranger",)
    else:
        raise AssertionError("a seat without a row was let in")
    moment = datetime.now(UTC)
    _, grant = await ledger.request(CONSULT, "rec", "key", "d", Present(("p", "d"), {"d": moment}))
    assert grant.recorded == {"p"}
    await world.decide("d", ConsentAction.SIGNED, True)
    _, grant = await ledger.renew("rec", Present(("p", "d"), {"d": moment}))
    assert grant.recorded == {"p", "d"}, "a newer signature counts"
