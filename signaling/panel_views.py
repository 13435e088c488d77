"""What pages are told of a panel's room: who presides, the order, hands, the side-room, the quorum. Everybody is."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from clinic.panels import aside as side_rooms
from signaling import panel_state
from signaling.room import LiveRoom
from signaling.view import View


class SideView(View):
    """Experts are aside: who, since when, who of them also hears the others."""

    by: str
    since: AwareDatetime
    members: list[str]
    hearing: list[str] = Field(default_factory=list)
    inviting: bool = False


class QuorumView(View):
    """`before`: not opened yet; `grace`: lost, and marked at `until`; `lapsed`: the discussion is without quorum."""

    state: Literal["before", "held", "grace", "lapsed"]
    missing: list[str] = Field(default_factory=list)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class PanelView(View):
    quorum: QuorumView
    chair: str | None = None
    heirs: list[str] = Field(default_factory=list)
    opened_at: AwareDatetime | None = None
    turns: list[str] = Field(default_factory=list)
    word: str | None = None
    hands: list[str] = Field(default_factory=list)
    spotlight: str | None = None
    side: SideView | None = None
    side_open_to: list[str] = Field(default_factory=list)


def panel_view(room: LiveRoom, now: datetime) -> PanelView | None:
    """None where the consult is no panel."""
    panel, floor = room.panel, room.panel.floor
    if panel.terms is None:
        return None
    return PanelView(
        quorum=_quorum_view(room),
        chair=panel_state.chair(room),
        heirs=list(panel_state.heirs(room, now)),
        opened_at=floor.opened_at if floor else None,
        turns=list(floor.turns) if floor else [],
        word=floor.word if floor else None,
        hands=panel_state.hands(room),
        spotlight=floor.spotlight if floor else None,
        side=_side_view(room),
        side_open_to=_may_go_aside(room),
    )


def _may_go_aside(room: LiveRoom) -> list[str]:
    """Seats the side-room is open to: to start one while none is on, else to enter it."""
    terms, side = room.panel.terms, room.panel.side
    if terms is None:
        return []
    here = [room.seats[seat_id] for seat_id in sorted(room.in_call) if seat_id in room.seats]
    inviting = side is not None and side.inviting
    return [seat.id for seat in here if side_rooms.admits(terms, seat.role, inviting=inviting)]


def _side_view(room: LiveRoom) -> SideView | None:
    inside = panel_state.aside(room)
    if not inside:
        return None
    side = room.panel.side
    first = min(inside, key=lambda seat_id: (inside[seat_id], seat_id))
    return SideView(
        by=side.started_by if side is not None else first,
        since=side.started_at if side is not None else inside[first],
        members=sorted(inside),
        hearing=sorted(room.panel.hears),
        inviting=side.inviting if side is not None else False,
    )


def _quorum_view(room: LiveRoom) -> QuorumView:
    panel, watch = room.panel, room.panel.watch
    if panel.floor is None or panel.floor.opened_at is None:
        return QuorumView(state="before", missing=list(panel_state.lacking(room)))
    if watch.since is None or panel.terms is None:
        return QuorumView(state="held")
    if watch.lapse is None:
        until = watch.since + panel.terms.grace
        return QuorumView(state="grace", missing=list(watch.missing), since=watch.since, until=until)
    return QuorumView(state="lapsed", missing=list(watch.missing), since=watch.since)
