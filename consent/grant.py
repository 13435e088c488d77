"""The permission without which the recorder does not write."""

from dataclasses import dataclass
from datetime import datetime

GRANT_SECONDS = 60
RENEW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RecordingGrant:
    """60 seconds, for exactly these people. Anyone joining ends it; the recorder stops by itself when it lapses."""

    id: str
    institution_id: str
    consult_id: str
    recording_id: str
    seats: frozenset[str]  # everyone present: no more, no fewer
    recorded: frozenset[str]  # whose tracks may be written (a subset of seats)
    consent_ids: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime

    def allows(self, seat_id: str, now: datetime) -> bool:
        return seat_id in self.recorded and self.issued_at <= now < self.expires_at
