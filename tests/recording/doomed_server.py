"""A server process that records until it is killed: `python -m tests.recording.doomed_server FOLDER`.

Prints one line `<pid of the recorder child>` once the recording is active.
"""

import asyncio
import sys
from pathlib import Path

from huizhen.store import migrate
from huizhen.store.database import SqlDatabase
from recording.records import RecordingState
from tests.recording.world import CONSULT, World, open_world
from tests.support.av_source import flash_and_beep


async def open_store(folder: Path) -> SqlDatabase:
    url = f"sqlite:///{folder / 'huizhen.db'}"
    await migrate.upgrade(url)
    return await SqlDatabase.open(url, folder / "keys", deployment="test", node="n1")


async def serve(folder: Path) -> None:
    world: World = await open_world(folder, db=await open_store(folder))
    media = flash_and_beep(30.0, None)
    await world.recorder.start(CONSULT, "d")
    world.play("p", media)
    world.play("d", media)
    await world.until_state(RecordingState.ACTIVE, 15.0)
    sys.stdout.write(f"{world.live().writing.pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
