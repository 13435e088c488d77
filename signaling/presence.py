"""Who is here (pure). A connection is a lease of 15 s; a person without one keeps the seat for 60 s more.

HERE --connection lost or lease lapsed--> AWAY --60 s--> gone (the caller makes it "left")
AWAY --new connection--> HERE
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LEASE = timedelta(seconds=15)
GRACE = timedelta(seconds=60)


class Whereabouts(StrEnum):
    HERE = "here"
    AWAY = "away"  # socket gone, seat and media kept


@dataclass(slots=True)
class Attendance:
    """One seat's connection. `line_id` None = no connection now; `away_since` is set exactly then."""

    seat_id: str
    device_id: str | None
    line_id: str | None
    leased_until: datetime
    away_since: datetime | None = None

    @property
    def whereabouts(self) -> Whereabouts:
        return Whereabouts.HERE if self.line_id is not None else Whereabouts.AWAY


class Presence:
    """The attendances of one room. At most one per seat: a seat cannot be here twice."""

    def __init__(self) -> None:
        self._seats: dict[str, Attendance] = {}

    def __contains__(self, seat_id: str) -> bool:
        return seat_id in self._seats

    def __iter__(self) -> Iterator[Attendance]:
        return iter(tuple(self._seats.values()))

    def __len__(self) -> int:
        return len(self._seats)

    def get(self, seat_id: str) -> Attendance | None:
        return self._seats.get(seat_id)

    def arrive(self, seat_id: str, line_id: str, device_id: str, now: datetime) -> str | None:
        """Seat taken by this connection. Returns the connection it replaces, if one was still here."""
        known = self._seats.get(seat_id)
        replaced = known.line_id if known is not None and known.line_id != line_id else None
        self._seats[seat_id] = Attendance(seat_id, device_id, line_id, now + LEASE)
        return replaced

    def expect(self, seat_id: str, now: datetime) -> None:
        """Somebody who was here before the server restarted: away from now on, unless known already."""
        self._seats.setdefault(seat_id, Attendance(seat_id, None, None, now, now))

    def held_elsewhere(self, seat_id: str, device_id: str) -> bool:
        """Whether another device than this one is connected in the seat."""
        known = self._seats.get(seat_id)
        return known is not None and known.line_id is not None and known.device_id != device_id

    def renew(self, seat_id: str, line_id: str, now: datetime) -> None:
        known = self._seats.get(seat_id)
        if known is not None and known.line_id == line_id:
            known.leased_until = now + LEASE

    def lost(self, seat_id: str, line_id: str, now: datetime) -> bool:
        """The connection ended. False when it had been replaced or had left before (nothing to do)."""
        known = self._seats.get(seat_id)
        if known is None or known.line_id != line_id:
            return False
        known.line_id, known.away_since = None, now
        return True

    def lapsed(self, now: datetime) -> list[tuple[str, str]]:
        """(seat, connection) of every lease that ran out without the connection telling us."""
        return [(a.seat_id, a.line_id) for a in self if a.line_id is not None and now >= a.leased_until]

    def overdue(self, now: datetime) -> list[str]:
        """Seats whose grace is over."""
        return [a.seat_id for a in self if a.away_since is not None and now >= a.away_since + GRACE]

    def forget(self, seat_id: str) -> str | None:
        """Out of the room. Returns the connection it had."""
        known = self._seats.pop(seat_id, None)
        return known.line_id if known is not None else None
