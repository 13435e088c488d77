"""What one process knows of a panel's room: the rows as last read, and what no row holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clinic.consult import PANELS, Seat, SeatState
from clinic.overlays import rules_for
from clinic.panels import presiding as chairs
from clinic.panels import quorum
from clinic.panels.quorum import Watch
from clinic.panels.room_records import PanelFloor, QuorumLapse, SideRoom
from clinic.panels.terms import PanelTerms, terms_of
from signaling.presence import Whereabouts

if TYPE_CHECKING:
    from signaling.panel_views import PanelView
    from signaling.room import LiveRoom


@dataclass(slots=True)
class PanelState:
    """`terms` None: this consult is no panel. `stepping`: seats whose way into the side-room is not committed yet."""

    terms: PanelTerms | None = None
    floor: PanelFloor | None = None
    side: SideRoom | None = None
    lapses: Sequence[QuorumLapse] = ()
    watch: Watch = field(default_factory=Watch)
    stepping: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)  # seat aside -> since when
    hears: set[str] = field(default_factory=set)  # of those aside: who also hears the others
    told: "PanelView | None" = None


async def read(tx: Any, room: "LiveRoom") -> None:
    """The rows anew; costs nothing where there is no panel. `tx` is a ClinicTransaction."""
    consult, panel = room.consult, room.panel
    if consult.kind not in PANELS:
        return
    if panel.terms is None:
        panel.terms = terms_of(rules_for(await tx.institutions.get(consult.institution_id), tx.now))
    floors = await tx.panel_floors.find(consult_id=consult.id)
    sides = await tx.side_rooms.find(consult_id=consult.id, ended_at=None)
    panel.lapses = await tx.quorum_lapses.find(consult_id=consult.id)
    panel.floor, panel.side = (rows[0] if rows else None for rows in (floors, sides))
    if panel.watch.since is None:
        panel.watch = quorum.watch_of(panel.lapses)


def aside(room: "LiveRoom") -> dict[str, datetime]:
    """Seats in the side-room, committed or on their way in, since when."""
    panel = room.panel
    inside = dict(panel.stepping.values())
    if panel.side is not None:
        for seat_id in panel.side.inside:
            inside.setdefault(seat_id, panel.since.get(seat_id, panel.side.started_at))
    panel.since = inside
    panel.hears &= inside.keys()
    return inside


def connected(room: "LiveRoom") -> list[Seat]:
    """Seats in the call whose connection holds."""
    return [room.seats[each.seat_id] for each in room.presence if _here(room, each.seat_id, each.whereabouts)]


def away(room: "LiveRoom") -> dict[str, datetime]:
    """Seats in the call whose connection is lost, since when."""
    lost = (each for each in room.presence if each.seat_id in room.in_call and each.away_since is not None)
    return {each.seat_id: each.away_since for each in lost if each.away_since is not None}


def _here(room: "LiveRoom", seat_id: str, where: Whereabouts) -> bool:
    seat = room.seats.get(seat_id)
    return (
        seat is not None and seat.state is SeatState.ADMITTED and where is Whereabouts.HERE and seat_id in room.in_call
    )


def chair(room: "LiveRoom") -> str | None:
    return chairs.presiding(room.panel.floor, room.seats.values())


def heirs(room: "LiveRoom", now: datetime) -> tuple[str, ...]:
    """Who may take the chair now."""
    panel = room.panel
    if panel.terms is None:
        return ()
    here = [room.seats[seat_id] for seat_id in sorted(room.in_call) if seat_id in room.seats]
    return chairs.heirs(panel.terms, panel.floor, here, away(room), chair=chair(room), now=now)


def lacking(room: "LiveRoom") -> tuple[str, ...]:
    """Who is missing for a quorum now."""
    terms = room.panel.terms
    return quorum.missing(terms, connected(room), chair(room)) if terms is not None else ()


def hands(room: "LiveRoom") -> list[str]:
    """Raised hands, the first raised first."""
    raised = [
        (person.hand_at, seat_id)
        for seat_id, person in room.people.items()
        if person.hand and person.hand_at is not None and seat_id in room.in_call
    ]
    return [seat_id for _, seat_id in sorted(raised)]
