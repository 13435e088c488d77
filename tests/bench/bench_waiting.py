"""1,000 consults booked, queued and admitted concurrently on SQLite (issue 3, "Must hold" 7): at most 15 ms CPU each.

python -m pytest tests/bench -o python_files='bench_*.py' -s
"""

from pathlib import Path

from tests.clinic.crowd import check, crowd

COUNT = 1_000
MOST_MS = 15.0


async def test_a_thousand_consults_at_once(tmp_path: Path) -> None:
    run, _, database = await crowd(tmp_path, COUNT)
    await database.close()
    check(run, COUNT)
    booking, arriving, admitting = map(run.per_visit, (run.cpu_booking, run.cpu_arriving, run.cpu_admitting))
    print(f"\nCPU per consult: booking {booking:.1f} ms, arriving {arriving:.1f} ms, admission {admitting:.1f} ms")
    assert admitting <= MOST_MS
