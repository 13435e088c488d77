"""The image table in figures: `python -m tests.bench.bench_images [slices]`. A CT of 512 x 512 through the server.

Says how long a delivery takes, how large frames and previews are, how long the server needs until the first picture,
and what that comes to on a line of 10 Mbit/s.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from imaging.keeping import AT_ONCE
from tests.huizhen.world import world_at
from tests.images.table import first, panel, parts, sign, stow, value
from tests.support import dicom

T = TypeVar("T")
LINE = 10_000_000 / 8  # bytes a second


async def timed(what: str, work: Awaitable[T]) -> tuple[float, T]:
    started = time.perf_counter()
    done = await work
    seconds = time.perf_counter() - started
    print(f"{what:<52}{seconds * 1000:10.1f} ms")
    return seconds, done


async def main(slices: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with world_at(Path(folder) / "data") as world:
            stage = await panel(world)
            await sign(stage.patient)
            files = dicom.ct_series(slices, 512)
            print(f"{slices} slices, {sum(map(len, files)) / 2**20:.0f} MiB as sent")
            for at in range(0, slices, AT_ONCE):
                some = files[at : at + AT_ONCE]
                _, reply = await timed(f"delivery of {len(some)}", stow(stage.clinic, stage.base, *some))
                assert reply.status == 200
            began = time.perf_counter()
            study = value(await first(stage.expert, stage.base), "0020000D")
            series = value(await first(stage.expert, f"{stage.base}/{study}/series"), "0020000E")
            path = f"{stage.base}/{study}/series/{series}"
            _, one = await timed("opening: metadata of one slice", stage.expert.get(f"{path}/metadata?limit=1"))
            instance = value(one.body[0], "00080018")
            _, frame = await timed("first frame", stage.expert.get(f"{path}/instances/{instance}/frames/1"))
            cold = time.perf_counter() - began
            size = len(parts(frame)[0])
            print(f"{'until the first frame, with both lists':<52}{cold * 1000:10.1f} ms")
            print(
                f"{'the same on 10 Mbit/s':<52}{(cold + size / LINE) * 1000:10.1f} ms, a frame of {size / 1024:.0f} kB"
            )
            _, small = await timed("64 previews", stage.expert.get(f"{path}/previews?limit=64"))
            print(f"{'a preview':<52}{len(small.raw) / len(parts(small)) / 1024:10.1f} kB")
            _, every = await timed(f"metadata of {slices}", stage.expert.get(f"{path}/metadata"))
            packed = int(every.headers.get("Content-Length", 0))
            print(f"{'of which on the line':<52}{packed / 1024:10.1f} kB")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
