"""A clock that moves only when told."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday morning, well inside every demo licence


class FakeClock:
    """Aware UTC time, called like any clock (`clock()`), moved by `advance`."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("aware datetimes only")
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def now(self) -> datetime:
        return self._now

    def seconds(self) -> float:
        """Unix seconds."""
        return self._now.timestamp()

    def advance(self, seconds: float = 0, **delta: float) -> datetime:
        """Move by seconds and by `timedelta` keywords (`days=1`); negative values turn the clock back."""
        self._now += timedelta(seconds=seconds, **delta)
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment.astimezone(UTC)
