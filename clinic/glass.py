"""The row of an emergency look into a chart."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GlassState(StrEnum):
    ASKED = "asked"  # a minor's record: waits for a responsible person
    OPEN = "open"
    REFUSED = "refused"


class Finding(StrEnum):
    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """A doctor without a seat looked, or asked to look, into a consult's chart. `finding`: what the auditor found."""

    id: str
    institution_id: str
    consult_id: str
    staff_id: str
    reason: str
    state: GlassState
    asked_at: datetime
    expires_at: datetime | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    finding: Finding | None = None
    review_note: str = ""
