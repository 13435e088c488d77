"""The recorder's use cases with the real child process: who may be written, when it starts, stops, seals, survives."""

import asyncio
import io
import os
import signal
import time
from pathlib import Path

import av
import pytest

from audit.events import EventCode
from clinic.people import Role
from consent.errors import RecordingNotPermitted
from consent.gate import Effect
from consent.records import ConsentAction
from recording.errors import KeyDestroyed, NoSpace
from recording.export import export_plain
from recording.manifest import manifest_sha256
from recording.records import GapCause, RecordingState, Segment
from recording.sealed_file import index_of
from tests.recording.world import CONSULT, World, WorldFactory
from tests.support.av_source import flash_and_beep, onsets

pytestmark = pytest.mark.alone

TALK = flash_and_beep(6.0, None)


def stored_clock_ms(world: World, segment: Segment) -> int:
    """Arrival of the last packet in a stored segment, read from the file."""
    return index_of([(world.blobs.directory / segment.blob_key).read_bytes()]).clock_ms


async def started(world: World, *seats: str) -> float:
    await world.recorder.start(CONSULT, "d")
    start = min(world.play(seat, TALK) for seat in seats or ("p", "d"))
    await world.until_state(RecordingState.ACTIVE)
    return start


async def test_a_recording_from_start_to_seal_and_back(world: World, tmp_path: Path) -> None:
    recording = await world.recorder.start(CONSULT, "d")
    assert recording.state is RecordingState.REQUESTED, "nothing is on disk yet, so nobody says recording"
    world.play("p", flash_and_beep(6.0))
    world.play("d", TALK)
    await world.until_state(RecordingState.ACTIVE, 4.0)
    spool = world.policy.spool / recording.id
    assert any(path.stat().st_size > 500 for path in spool.iterdir()), "active only with a fragment on disk"
    await asyncio.sleep(2.5)
    await world.recorder.stop(CONSULT, "ended")
    done = world.recorder.state(CONSULT)
    assert done is not None
    assert (done.state, done.stop_reason) == (RecordingState.SEALED, "ended")
    assert (done.retention_class, done.policy_version) == ("process.av", "cn-2022.1")
    segments, gaps = world.db.rows("segments"), world.db.rows("gaps")
    assert {segment.seat_id for segment in segments} == {"p", "d"}
    assert not any(segment.recovered for segment in segments)
    assert done.manifest_sha256 == manifest_sha256(done.id, segments, gaps)
    assert not spool.exists(), "the spool is empty once everything was read back"
    codes = world.db.codes()
    assert (
        codes.index("rec.grant") < codes.index("rec.start") < codes.index("rec.segment") < codes.index("rec.finalised")
    )
    await check_playback(world, done.id, tmp_path)


async def check_playback(world: World, recording_id: str, tmp_path: Path) -> None:
    playback = world.playback()
    manifest = await playback.manifest(recording_id)
    assert {track["seatId"]: track["seat"]["role"] for track in manifest["tracks"]} == {
        "p": "patient",
        "d": "attending",
    }
    assert 2000 < manifest["durationMs"] < 6000
    rows = {segment.seat_id: segment for segment in world.db.rows("segments")}
    recording, segment = await playback.segment(recording_id, rows["p"].id)
    await playback.check(segment)
    size = await playback.plain_size(segment)
    whole = await playback.read_plain(recording, segment, 0, size)
    assert await playback.read_plain(recording, segment, 1000, 77) == whole[1000:1077]
    flashes, beeps = onsets(whole)
    assert flashes
    assert max(min(abs(f - b) for b in beeps) for f in flashes) < 0.08
    files = await export_plain(playback, recording_id, tmp_path / "export")
    assert len(files.segments) == 2
    assert len(files.joined) == 2
    for joined in files.joined:
        with av.open(str(joined), "r") as container:
            assert len(list(container.decode(audio=0))) > 90
    await world.keys.destroy("inst", recording.key_id)
    with pytest.raises(KeyDestroyed):
        await playback.read_plain(recording, segment, 0, 1)
    with pytest.raises(KeyDestroyed):
        await playback.manifest(recording_id)


async def test_no_consent_means_no_recording_and_no_file(world: World) -> None:
    await world.seat("f", Role.FAMILY, agrees=None)
    with pytest.raises(RecordingNotPermitted):
        await world.recorder.start(CONSULT, "d")
    world.play("p", TALK)
    await asyncio.sleep(0.4)
    assert list(world.policy.spool.rglob("*")) == []
    assert world.db.rows("recordings") == []
    assert world.keys.keys == {}


async def test_start_is_idempotent(world: World) -> None:
    first = await world.recorder.start(CONSULT, "d")
    assert (await world.recorder.start(CONSULT, "d")).id == first.id


async def test_withdrawal_ends_writing_at_once(world: World) -> None:
    await started(world)
    await asyncio.sleep(0.5)
    moment = time.time()
    await world.recorder.withdraw(CONSULT, "p", Effect.STOP_RECORDING)
    done = world.recorder.state(CONSULT)
    assert done is not None
    assert (done.state, done.stop_reason) == (RecordingState.SEALED, "withdrawn")
    last = max(stored_clock_ms(world, segment) for segment in world.db.rows("segments")) / 1000
    assert moment - 0.5 < last <= moment + 0.2, "the law of this house says 2 s"


async def test_withdrawal_ends_writing_even_when_the_database_is_locked(world: World) -> None:
    await started(world)
    async with world.db.begin():
        moment = time.time()
        stopping = asyncio.create_task(world.recorder.withdraw(CONSULT, "p", Effect.STOP_RECORDING))
        await asyncio.sleep(1.0)
        assert not stopping.done()
    await stopping
    last = max(stored_clock_ms(world, segment) for segment in world.db.rows("segments")) / 1000
    assert last <= moment + 0.2


async def test_one_persons_withdrawal_drops_only_them(world: World) -> None:
    await world.seat("f", Role.FAMILY)
    await started(world, "p", "f")
    await asyncio.sleep(0.5)
    moment = time.time()
    await world.recorder.withdraw(CONSULT, "f", Effect.DROP_PERSON)
    await asyncio.sleep(1.0)
    await world.decide("f", ConsentAction.WITHDRAWN, True)
    await world.recorder.people_changed(CONSULT)
    assert (await world.until_state(RecordingState.ACTIVE)).state is RecordingState.ACTIVE
    await world.recorder.stop(CONSULT, "ended")
    last = {s.seat_id: stored_clock_ms(world, s) / 1000 for s in world.db.rows("segments")}
    assert last["f"] <= moment + 0.2
    assert last["p"] > moment + 0.7
    (gap,) = world.db.rows("gaps")
    assert (gap.seat_id, gap.cause) == ("f", GapCause.WITHDRAWN)
    assert gap.ended_at is not None


async def test_an_unsigned_newcomer_pauses_before_their_media_flows(world: World) -> None:
    await started(world)
    await asyncio.sleep(0.3)
    await world.seat("f", Role.FAMILY, agrees=None)
    moment = time.time()
    await world.recorder.people_changed(CONSULT)
    assert world.recorder.state(CONSULT).state is RecordingState.PAUSED  # type: ignore[union-attr]
    assert world.changes[-1] == (RecordingState.PAUSED, "rec.person_unsigned")
    world.play("f", TALK)
    await asyncio.sleep(0.7)
    resumed = time.time()
    await world.decide("f", ConsentAction.SIGNED, True)
    await world.recorder.people_changed(CONSULT)
    await world.until_state(RecordingState.ACTIVE)
    await asyncio.sleep(0.5)
    await world.recorder.stop(CONSULT, "ended")
    for segment in world.db.rows("segments"):
        begins, ends = segment.started_at.timestamp(), stored_clock_ms(world, segment) / 1000
        assert ends <= moment + 0.1 or begins >= resumed - 0.1, "not one packet of the pause is in a file"
    (gap,) = world.db.rows("gaps")
    assert gap.cause is GapCause.PAUSED
    assert abs(gap.started_at.timestamp() - moment) < 0.5
    assert gap.ended_at.timestamp() >= resumed
    assert "f" in {segment.seat_id for segment in world.db.rows("segments")}


async def test_a_signed_newcomer_costs_nothing(world: World) -> None:
    await started(world)
    await world.seat("f", Role.FAMILY)
    await world.recorder.people_changed(CONSULT)
    world.play("f", TALK)
    await world.until(lambda: any("f.av" in p.name for p in world.policy.spool.rglob("*.hzs")))
    await world.recorder.stop(CONSULT, "ended")
    assert world.db.rows("gaps") == []
    per_person = [s.seat_id for s in world.db.rows("segments")]
    assert sorted(per_person) == ["d", "f", "p"], "nobody's segment was cut by the new grant"


async def test_a_revoked_permission_found_at_renewal_pauses(make_world: WorldFactory) -> None:
    world = await make_world(renew_seconds=0.3)
    await started(world)
    await world.decide("d", ConsentAction.SIGNED, False)
    await world.until_state(RecordingState.PAUSED, 3.0)
    assert world.db.codes().count(EventCode.RECORDING_GRANTED) >= 1


async def test_without_media_it_says_so_and_waits(make_world: WorldFactory) -> None:
    world = await make_world(start_seconds=0.3)
    await world.recorder.start(CONSULT, "d")
    await world.until(lambda: (RecordingState.REQUESTED, "not_started") in world.changes, 5.0)
    world.play("p", TALK)
    await world.until_state(RecordingState.ACTIVE)


async def test_a_mute_child_is_replaced_once_and_then_it_fails(make_world: WorldFactory) -> None:
    world = await make_world(start_seconds=0.4)
    await world.recorder.start(CONSULT, "d")
    os.kill(world.live().writing.pid, signal.SIGSTOP)
    world.play("p", TALK)
    await world.until(lambda: (RecordingState.REQUESTED, "not_started") in world.changes, 5.0)
    await world.until_state(RecordingState.ACTIVE)  # the second child works


async def test_full_disk_is_said_and_stops_only_the_recording(world: World) -> None:
    await started(world)
    world.free = 0
    await world.until_state(RecordingState.SEALED, 5.0)
    assert any(reason == "no_space" for _, reason in world.changes)
    assert world.db.rows("recordings")[0].stop_reason == "no_space"
    assert world.db.rows("segments")
    with pytest.raises(NoSpace):
        await world.recorder.start(CONSULT, "d")


async def test_a_failing_store_delays_sealing_and_loses_nothing(make_world: WorldFactory) -> None:
    world = await make_world(seal_seconds=0.5)
    real = world.blobs.put
    failures = [3]

    async def put(key: str, source: Path) -> str:
        if failures[0]:
            failures[0] -= 1
            raise OSError("store is down")
        return str(await real(key, source))

    world.blobs.put = put
    await started(world)
    await world.recorder.stop(CONSULT, "ended")
    assert world.recorder.state(CONSULT).state is RecordingState.FINALIZING  # type: ignore[union-attr]
    await world.until_state(RecordingState.SEALED)
    assert len(world.db.rows("segments")) == 2


async def test_a_store_that_lies_about_the_bytes_is_not_believed(make_world: WorldFactory) -> None:
    world = await make_world(seal_seconds=0.3)

    async def put(key: str, source: Path) -> str:
        return "f" * 64

    world.blobs.put = put
    await started(world)
    await world.recorder.stop(CONSULT, "ended")
    assert world.db.rows("segments") == []
    assert len(list(world.policy.spool.rglob("*.hzs"))) == 2, "the only true copy stays"


async def test_nothing_written_ends_as_failed(world: World) -> None:
    await world.recorder.start(CONSULT, "d")
    await world.recorder.stop(CONSULT, "ended")
    assert world.db.rows("recordings")[0].state is RecordingState.FAILED
    assert "rec.failed" in world.db.codes()


async def test_the_dead_childs_recording_goes_on_with_a_gap(world: World) -> None:
    losses: list[float] = []
    world.play("p", flash_and_beep(12.0, key_every=1.0))
    await world.recorder.start(CONSULT, "d")
    await world.until_state(RecordingState.ACTIVE)
    for _ in range(3):
        await asyncio.sleep(1.2)
        before = len(world.db.rows("segments"))
        os.kill(world.live().writing.pid, signal.SIGKILL)
        moment = time.time()
        await world.until(lambda before=before: len(world.db.rows("segments")) > before)  # type: ignore[misc]
        segment = world.db.rows("segments")[-1]
        assert segment.recovered
        losses.append(moment - (segment.started_at.timestamp() + segment.duration_ms / 1000))
        await world.until(lambda: world.db.rows("gaps")[-1].ended_at is not None)
    await world.recorder.stop(CONSULT, "ended")
    print("lost on kill -9:", [f"{loss:.3f}" for loss in losses])
    assert max(losses) <= 0.5
    assert [gap.cause for gap in world.db.rows("gaps")] == [GapCause.CRASH] * 3
    playback = world.playback()
    for row in world.db.rows("segments"):
        recording, segment = await playback.segment(row.recording_id, row.id)
        data = await playback.read_plain(recording, segment, 0, 1 << 30)
        with av.open(io.BytesIO(data), "r") as container:
            assert len(list(container.decode(audio=0))) > 5


async def test_after_a_restart_it_waits_paused_and_resumes(world: World) -> None:
    await started(world, "p")
    await asyncio.sleep(1.0)
    old = world.live()
    await crash(world)
    world.recorder = world.new_recorder()
    (found,) = await world.recorder.recover()
    assert found.id == old.recording.id
    assert found.state is RecordingState.PAUSED
    world.present = ["p", "d"]
    await world.recorder.people_changed(CONSULT)
    world.play("p", TALK)
    await world.until_state(RecordingState.ACTIVE)
    await world.recorder.stop(CONSULT, "ended")
    assert world.db.rows("recordings")[0].state is RecordingState.SEALED
    assert [s.number for s in world.db.rows("segments") if s.seat_id == "p"] == [0, 1]
    assert [gap.cause for gap in world.db.rows("gaps")] == [GapCause.CRASH]
    assert not (world.policy.spool / found.id).exists()


async def test_after_a_restart_nobody_comes_back(make_world: WorldFactory) -> None:
    world = await make_world(recovery_seconds=0.3)
    await started(world)
    await asyncio.sleep(0.5)
    await crash(world)
    world.recorder = world.new_recorder()
    await world.recorder.recover()
    await world.until_state(RecordingState.SEALED)
    assert world.db.rows("recordings")[0].stop_reason == "crash"
    assert len(world.db.rows("segments")) == 2


async def crash(world: World) -> None:
    """The server dies: no code of it runs any more, its pipes close, its child seals and ends by itself."""
    live = world.live()
    pid = live.writing.pid
    for task in (live._task, live.writing._pump, live.shelf._task):
        task.cancel()
    live.writing._stopping = True
    live.writing._child._listener = None
    world.room.detach(live.writing.tap)
    live.writing._child._process.stdin.close()
    await asyncio.wait_for(live.writing._child.exited.wait(), 3.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await world.recorder._pool.close()
    world.recorder._live.clear()
    world.present = []


async def test_the_child_ends_when_the_server_is_gone_and_seals_what_it_has(world: World) -> None:
    await started(world)
    folder = world.policy.spool / world.live().recording.id
    await crash(world)
    files = list(folder.glob("*.hzs"))
    assert len(files) == 2
    assert all(index_of([file.read_bytes()]).sealed for file in files)


async def test_key_is_in_neither_arguments_nor_environment(world: World) -> None:
    await started(world)
    (key,) = world.keys.keys.values()
    process = Path(f"/proc/{world.live().writing.pid}")
    for name in ("cmdline", "environ"):
        seen = (process / name).read_bytes()
        assert key.hex().encode() not in seen
        assert key not in seen


async def test_closing_the_server_keeps_the_recording_for_the_next_start(world: World) -> None:
    await started(world)
    await world.recorder.close()
    assert world.db.rows("recordings")[0].state is RecordingState.PAUSED
    assert len(world.db.rows("segments")) == 2
    assert not any(segment.recovered for segment in world.db.rows("segments"))
