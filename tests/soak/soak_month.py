"""A month of a region by the use cases: SOAK_DAYS days of SOAK_PANELS requests, on SQLite and a fake clock."""

import os
import random
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from huizhen.store import migrate
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from tests.soak import checks, region
from tests.soak.life import Life
from tests.support.clock import FakeClock

DAYS = int(os.environ.get("SOAK_DAYS", "30"))
PANELS = int(os.environ.get("SOAK_PANELS", "500"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
_MEMORY = Path("/dev/shm")


async def test_a_month() -> None:
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=_MEMORY if _MEMORY.is_dir() else None))
    clock = FakeClock(datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
    url = f"sqlite:///{folder / 'soak.db'}"
    await migrate.upgrade(url)
    db = await SqlDatabase.open(url, folder / "keys", clock=clock, deployment="soak", node="n1")
    try:
        rng = random.Random(SEED)
        started, cpu = time.monotonic(), time.process_time()
        land = await region.found(db, db.sealer, rng, texts=False)
        assert len(land.houses) == 208
        life = Life(db, db.sealer, land, rng)
        founded = time.process_time() - cpu
        cpu = time.process_time()
        for day in range(DAYS + 3):  # three more for what was booked ahead
            await _day(life, clock, asking=PANELS if day < DAYS else 0)
        lived = time.process_time() - cpu
        compared = await checks.no_expert_is_twice_at_one_hour(db)
        events = await checks.rows_and_trail_say_what_was_done(db, land, life.counts)
        signer = Checkpointer(db)
        for house in land.houses:
            await signer.sign(house.institution.id)
        await signer.export_keys()
        cpu = time.process_time()
        leaves, rows = checks.the_log_verifies(folder / "soak.db", folder / "keys")
        verified = time.process_time() - cpu
        size = (folder / "soak.db").stat().st_size
    finally:
        await db.close()
        shutil.rmtree(folder, ignore_errors=True)
    counts = life.counts
    assert counts["busy"] > 0 or DAYS * PANELS < 1000, "the month was too easy to prove anything"
    assert counts["no_quorum"] > 0 or DAYS * PANELS < 1000
    print(f"\n{DAYS} days x {PANELS} (seed {SEED}): {dict(sorted(counts.items()))}")
    print(f"founding 208 institutions: {founded:.1f} s CPU; {1000 * lived / counts['sent']:.1f} ms CPU a panel")
    print(
        f"{compared} pairs of hours, {events} events, {leaves} leaves and {rows} rows verified in {verified:.1f} s CPU"
    )
    print(f"{size / 2**20:.0f} MiB, {time.monotonic() - started:.0f} s in all")


async def _day(life: Life, clock: FakeClock, *, asking: int) -> None:
    """Requests are written at dawn; the hours of the day follow in order."""
    dawn = clock()
    for _ in range(asking):
        await life.ask(dawn)
    for start in sorted(at for at in life.calendar if at < dawn + timedelta(days=1)):
        clock.advance((start - clock()).total_seconds())
        for panel in life.calendar.pop(start):
            await life.meet(panel)
    clock.advance((dawn + timedelta(days=1) - clock()).total_seconds())
