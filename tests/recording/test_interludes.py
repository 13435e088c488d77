"""Privacy pause and exam view with the real recorder: not one packet of the stretch is in any file."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from clinic.people import Role
from consent import room_acts
from recording.records import GapCause, RecordingState
from tests.recording.test_recorder import started, stored_clock_ms
from tests.recording.world import CONSULT, World
from tests.signaling.ward import FakeSealer


async def _pause(world: World, seat_id: str) -> None:
    async with world.db.begin() as tx:
        await room_acts.pause(tx, FakeSealer(), seat_id, operation_id="pause-operation-1")


async def _resume(world: World, seat_id: str) -> None:
    async with world.db.begin() as tx:
        await room_acts.resume(tx, FakeSealer(), seat_id, operation_id="resume-operation-1")


async def _exam(world: World, seat_id: str) -> None:
    async with world.db.begin() as tx:
        await room_acts.answer_exam(tx, FakeSealer(), seat_id, agrees=True, operation_id="exam-operation-01")


async def _covered(world: World, seat_id: str) -> None:
    async with world.db.begin() as tx:
        await room_acts.end_exam(tx, FakeSealer(), seat_id, operation_id="covered-operation")


@pytest.mark.parametrize(
    ("begin", "end", "who", "reason", "cause"),
    [
        (_pause, _resume, "f", "rec.privacy_pause", GapCause.PRIVACY),
        (_exam, _covered, "p", "rec.exam_view", GapCause.EXAM),
    ],
    ids=["privacy", "exam"],
)
async def test_no_packet_of_the_stretch_is_in_a_file(
    world: World, begin: object, end: object, who: str, reason: str, cause: GapCause
) -> None:
    await world.seat("f", Role.FAMILY)
    await started(world, "p", "d", "f")
    await asyncio.sleep(0.4)
    moment = time.time()
    world.recorder.bar(CONSULT, "act", reason)
    await world.recorder.people_changed(CONSULT)  # barred before anything was committed
    assert world.changes[-1] == (RecordingState.PAUSED, reason)
    await begin(world, who)  # type: ignore[operator]
    world.recorder.unbar(CONSULT, "act")
    world.recorder.unbar(CONSULT, "act")
    await world.recorder.people_changed(CONSULT)
    await asyncio.sleep(0.8)
    assert world.recorder.state(CONSULT).state is RecordingState.PAUSED  # type: ignore[union-attr]
    resumed = time.time()
    await end(world, who)  # type: ignore[operator]
    await world.recorder.people_changed(CONSULT)
    await world.until_state(RecordingState.ACTIVE)
    await asyncio.sleep(0.5)
    await world.recorder.stop(CONSULT, "ended")
    before = after = 0
    for segment in world.db.rows("segments"):
        begins, ends = segment.started_at.timestamp(), stored_clock_ms(world, segment) / 1000
        before, after = before + (ends <= moment + 0.1), after + (begins >= resumed - 0.1)
        assert ends <= moment + 0.1 or begins >= resumed - 0.1, "a packet of the stretch is in a file"
    assert before >= 3
    assert after >= 3, "everybody was recorded before and after"
    (gap,) = world.db.rows("gaps")
    assert (gap.cause, gap.seat_id) == (cause, None)
    assert gap.started_at.timestamp() - moment < 0.5
    assert gap.ended_at.timestamp() >= resumed


async def test_nothing_starts_while_barred_and_a_bar_that_came_to_nothing_leaves_none(world: World) -> None:
    from consent.errors import RecordingNotPermitted

    world.recorder.bar(CONSULT, "act", "rec.privacy_pause")
    with pytest.raises(RecordingNotPermitted) as refused:
        await world.recorder.start(CONSULT, "d")
    assert refused.value.reasons == ("rec.privacy_pause",)
    world.recorder.unbar(CONSULT, "act")
    await started(world)
    world.recorder.bar(CONSULT, "act", "rec.privacy_pause")
    world.recorder.unbar(CONSULT, "act")  # the act was refused
    await world.recorder.people_changed(CONSULT)
    await asyncio.sleep(0.5)
    assert world.recorder.state(CONSULT).state is RecordingState.ACTIVE  # type: ignore[union-attr]
    assert world.live().writing.writing
    await world.recorder.stop(CONSULT, "ended")


async def test_a_bar_that_falls_while_a_grant_is_being_committed_keeps_the_tap_shut(world: World) -> None:
    await started(world)
    live = world.live()
    begin, armed = world.db.begin, True

    def barring() -> object:
        nonlocal armed
        if armed:
            armed = False
            world.recorder.bar(CONSULT, "act", "rec.privacy_pause")
        return begin()

    world.db.begin = barring
    await world.recorder.people_changed(CONSULT)
    assert not live.writing.writing
    assert live.recording.state is RecordingState.PAUSED
    await world.recorder.stop(CONSULT, "ended")


async def test_who_is_in_the_side_room_is_in_no_file_while_the_others_go_on(world: World) -> None:
    """HZ-34: dropped before anything is committed; a gap of theirs alone says why."""
    await started(world, "p", "d")
    await asyncio.sleep(0.4)
    moment = time.time()
    since = datetime.now(UTC)
    world.recorder.set_aside(CONSULT, {"d": since})
    world.recorder.set_aside(CONSULT, {"d": since})
    assert "d" not in world.live().writing.tap._seats, "in the same turn of the event loop"
    await asyncio.sleep(0.3)
    await world.recorder.people_changed(CONSULT)
    await asyncio.sleep(0.6)
    assert world.recorder.state(CONSULT).state is RecordingState.ACTIVE  # type: ignore[union-attr]
    (gap,) = world.db.rows("gaps")
    assert (gap.cause, gap.seat_id, gap.ended_at) == (GapCause.SIDE_ROOM, "d", None)
    back = time.time()
    world.recorder.set_aside(CONSULT, {})
    await world.recorder.people_changed(CONSULT)
    await asyncio.sleep(0.8)
    await world.recorder.stop(CONSULT, "ended")
    of_d = [one for one in world.db.rows("segments") if one.seat_id == "d"]
    for segment in of_d:
        begins, ends = segment.started_at.timestamp(), stored_clock_ms(world, segment) / 1000
        assert ends <= moment + 0.1 or begins >= back - 0.1, "a packet of the side-room is in a file"
    assert len(of_d) >= 2, "recorded before and after"
    of_p = [one for one in world.db.rows("segments") if one.seat_id == "p"]
    assert sum(one.duration_ms for one in of_p) >= 1_500, "the others were recorded all the while"
    (gap,) = world.db.rows("gaps")
    assert gap.ended_at.timestamp() >= back


async def test_who_goes_aside_while_a_grant_is_being_committed_stays_out(world: World) -> None:
    await started(world, "p", "d")
    begin, armed = world.db.begin, True

    def going() -> object:
        nonlocal armed
        if armed:
            armed = False
            world.recorder.set_aside(CONSULT, {"d": datetime.now(UTC)})
        return begin()

    world.db.begin = going
    await world.recorder.people_changed(CONSULT)
    assert world.live().writing.tap._seats == {"p"}
    await world.recorder.stop(CONSULT, "ended")


async def test_a_recording_that_starts_during_a_side_room_leaves_it_out(world: World) -> None:
    world.recorder.set_aside(CONSULT, {"d": datetime.now(UTC)})
    await started(world, "p", "d")
    assert world.live().writing.tap._seats == {"p"}
    assert [(gap.cause, gap.seat_id) for gap in world.db.rows("gaps")] == [(GapCause.SIDE_ROOM, "d")]
    await world.recorder.stop(CONSULT, "ended")
    assert {one.seat_id for one in world.db.rows("segments")} == {"p"}
