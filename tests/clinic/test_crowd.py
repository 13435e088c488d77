"""Concurrent booking, queueing and admission on SQLite, small enough for every run; the full size is in tests/bench."""

from pathlib import Path

from tests.clinic.crowd import PLACES, check, crowd


async def test_a_crowd_is_booked_queued_and_admitted_in_order(tmp_path: Path) -> None:
    run, _, database = await crowd(tmp_path, 3 * PLACES)
    await database.close()
    check(run, 3 * PLACES)
    assert run.refused > 0, "somebody had to look for another place"
