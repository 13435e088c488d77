"""What a panel's room leaves behind: who presided and in what order people spoke, who went aside, when the quorum was
missing (domain-rules 1.3, 7)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PanelFloor:
    """One per panel, as it stands; each change is an event. `chair` None: nobody handed it over or took it yet."""

    id: str  # the consult's
    institution_id: str  # inviting
    consult_id: str
    chair: str | None = None  # seat
    chair_since: datetime | None = None
    turns: tuple[str, ...] = ()  # seats in speaking order
    turn: int = 0  # so many of them have had theirs
    word: str | None = None  # seat that speaks
    spotlight: str | None = None  # seat everybody is shown large
    opened_at: datetime | None = None  # with the quorum present (HZ-30)
    opened_by: str | None = None  # seat


@dataclass(frozen=True, slots=True)
class SideRoom:
    """Experts talking among themselves; nothing of it reaches anybody else or any recording (HZ-34)."""

    id: str
    institution_id: str
    consult_id: str
    started_by: str  # seat
    started_at: datetime
    inviting: bool  # the inviting doctor may come in
    inside: tuple[str, ...]  # seats there now
    came: tuple[str, ...]  # everybody who ever was
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuorumLapse:
    """A stretch of discussion without quorum, once the grace time was over (HZ-30, HZ-31)."""

    id: str
    institution_id: str
    consult_id: str
    missing: tuple[str, ...]  # codes
    lost_at: datetime
    marked_at: datetime
    regained_at: datetime | None = None  # None: until the end
