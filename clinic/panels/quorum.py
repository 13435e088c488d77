"""Whether enough of a panel is here (HZ-30), and what is kept of the time when it was not (HZ-31)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Consult, Seat
from clinic.panels.room_records import PanelFloor, QuorumLapse
from clinic.panels.terms import PanelTerms
from clinic.people import Role
from clinic.transaction import ClinicTransaction

EXPERTS = frozenset({Role.EXPERT, Role.CHAIR})
NO_EXPERTS = "gate.quorum_experts"
NO_CHAIR = "gate.quorum_chair"
NO_INVITING = "gate.quorum_inviting"


def missing(terms: PanelTerms, here: Iterable[Seat], chair: str | None) -> tuple[str, ...]:
    """Who is missing, coded; empty: there is a quorum. `here`: seats in the call whose connection holds."""
    seats = tuple(here)
    codes = []
    if sum(seat.role in EXPERTS for seat in seats) < terms.least_experts:
        codes.append(NO_EXPERTS)
    if terms.chair_present and chair not in {seat.id for seat in seats}:
        codes.append(NO_CHAIR)
    if terms.inviting_present and not any(seat.role is Role.INVITING for seat in seats):
        codes.append(NO_INVITING)
    return tuple(codes)


@dataclass(frozen=True, slots=True)
class Watch:
    """Where it stands: held, lost since a moment, or marked as missing (`lapse`: that row's id)."""

    missing: tuple[str, ...] = ()
    since: datetime | None = None
    lapse: str | None = None


class Turn(StrEnum):
    """What has just happened to the quorum."""

    SAME = "same"
    LOST = "lost"  # told to everybody; the grace time begins
    BACK = "back"  # within the grace time: told, nothing marked
    LAPSED = "lapsed"  # the grace time is over
    REGAINED = "regained"


def turn(watch: Watch, lacking: tuple[str, ...], now: datetime, grace: timedelta) -> tuple[Watch, Turn]:
    """The next state. Pure; a lapse's id is the caller's to put in once the row is committed."""
    if not lacking:
        if watch.since is None:
            return watch, Turn.SAME
        return Watch(), Turn.REGAINED if watch.lapse is not None else Turn.BACK
    if watch.since is None:
        return Watch(lacking, now), Turn.LOST
    changed = replace(watch, missing=lacking)
    due = watch.lapse is None and now - watch.since >= grace
    return changed, Turn.LAPSED if due else Turn.SAME


def watch_of(lapses: Sequence[QuorumLapse]) -> Watch:
    """After a restart: a lapse that is open goes on."""
    for lapse in lapses:
        if lapse.regained_at is None:
            return Watch(lapse.missing, lapse.lost_at, lapse.id)
    return Watch()


async def mark(tx: ClinicTransaction, consult: Consult, watch: Watch) -> QuorumLapse:
    """From here on the discussion is without quorum. Recording and call go on."""
    lapse = QuorumLapse(
        uuid4().hex, consult.institution_id, consult.id, watch.missing, watch.since or tx.now, marked_at=tx.now
    )
    await tx.quorum_lapses.add(lapse)
    await tx.append(_event(EventCode.QUORUM_LOST, lapse, {"missing": list(lapse.missing)}))
    return lapse


async def regain(tx: ClinicTransaction, lapse_id: str) -> QuorumLapse:
    """The quorum is there again. Idempotent."""
    lapse = await tx.quorum_lapses.get(lapse_id)
    if lapse.regained_at is not None:
        return lapse
    ended = replace(lapse, regained_at=tx.now)
    await tx.quorum_lapses.save(ended)
    await tx.append(_event(EventCode.QUORUM_REGAINED, ended, {"missing": list(lapse.missing)}))
    return ended


@dataclass(frozen=True, slots=True)
class Course:
    """What the outcome says of the discussion: since when it was a panel, and when it was without quorum."""

    chair: str | None  # seat that presided at the end, where the chair was handed over or taken
    opened_at: datetime | None  # None: never opened with the quorum present
    lapses: tuple[QuorumLapse, ...]

    @property
    def whole(self) -> bool:
        """Opened with quorum, and never without it."""
        return self.opened_at is not None and not self.lapses


async def course_of(tx: ClinicTransaction, consult_id: str) -> Course:
    """For the joint report; a lapse nobody ended lasted until the end."""
    floors: Sequence[PanelFloor] = await tx.panel_floors.find(consult_id=consult_id)
    lapses = await tx.quorum_lapses.find(consult_id=consult_id)
    floor = floors[0] if floors else None
    return Course(floor.chair if floor else None, floor.opened_at if floor else None, tuple(lapses))


def _event(code: EventCode, lapse: QuorumLapse, public: dict[str, object]) -> AuditEvent:
    return AuditEvent(code, lapse.institution_id, "system", lapse.consult_id, lapse.id, public=public)
