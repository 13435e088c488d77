"""SIGKILL of a real server process with the real store: after the restart nothing that was on disk is lost."""

import asyncio
import io
import os
import signal
import sys
import time
from pathlib import Path

import av
import pytest

from recording.records import GapCause, RecordingState, Segment
from tests.recording.doomed_server import open_store
from tests.recording.world import CONSULT, World


@pytest.mark.alone
@pytest.mark.parametrize("child_too", [False, True], ids=["server only", "server and recorder at once"])
async def test_a_killed_server_loses_at_most_half_a_second(tmp_path: Path, child_too: bool) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.recording.doomed_server", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    async with asyncio.timeout(40):
        child = int(await server.stdout.readline())
    await asyncio.sleep(1.5)
    server.kill()
    if child_too:
        os.kill(child, signal.SIGKILL)
    moment = time.time()
    await server.wait()
    await gone(child)
    db = await open_store(tmp_path)
    try:
        await recover_and_check(World(tmp_path, db=db, recovery_seconds=0.3), moment, child_too)
    finally:
        await db.close()


async def gone(pid: int) -> None:
    """The orphan ends by itself when its stdin closes."""
    async with asyncio.timeout(5):
        while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.02)


async def recover_and_check(world: World, moment: float, child_too: bool) -> None:
    (found,) = await world.recorder.recover()
    assert found.state is RecordingState.PAUSED
    await world.until_state(RecordingState.SEALED)
    async with world.db.read() as tx:
        recording = await tx.recordings.get(found.id)
        segments: list[Segment] = list(await tx.segments.find(recording_id=found.id))
        (gap,) = await tx.gaps.find(recording_id=found.id)
    assert (gap.cause, gap.seat_id) == (GapCause.CRASH, None)
    assert gap.ended_at is not None
    assert abs(gap.started_at.timestamp() - moment) < 0.6
    assert {s.seat_id for s in segments} == {"p", "d"}
    assert {s.recovered for s in segments} == {child_too}
    ends = [s.started_at.timestamp() + s.duration_ms / 1000 for s in segments]
    print(f"lost when killed ({'both' if child_too else 'server'}): {max(moment - end for end in ends):.3f} s")
    assert all(moment - end <= 0.5 for end in ends)
    playback = world.playback()
    for segment in segments:
        await playback.check(segment)
        data = await playback.read_plain(recording, segment, 0, 1 << 30)
        with av.open(io.BytesIO(data), "r") as container:
            assert len(list(container.decode(audio=0))) > 50
    assert world.recorder.state(CONSULT) is not None
    await world.close()
