"""What is said in the room of a panel (HZ-30 to HZ-34): presiding, and the experts' side-room."""

from typing import Annotated

from pydantic import Field

from signaling.message import Mutation, SeatId


class PanelOpen(Mutation):
    """The quorum is here: from now on it is a panel (HZ-30)."""


class PanelOrder(Mutation):
    """Who speaks after whom."""

    seats: Annotated[list[SeatId], Field(max_length=24)]


class PanelWord(Mutation):
    """Who speaks; null: the floor is free."""

    seat: SeatId | None


class PanelNext(Mutation):
    pass


class PanelSpotlight(Mutation):
    """Whom everybody is shown large; null: nobody."""

    seat: SeatId | None


class PanelChair(Mutation):
    """The chair is handed over."""

    seat: SeatId


class PanelTake(Mutation):
    """The chair is lost (HZ-32)."""


class PanelAsk(Mutation):
    """Somebody is asked to mute themselves; nobody is muted or unmuted by another's hand."""

    seat: SeatId


class SideStart(Mutation):
    """Experts talk among themselves (HZ-34); `inviting`: the inviting doctor may come in."""

    inviting: bool = False


class SideEnter(Mutation):
    pass


class SideLeave(Mutation):
    pass


class SideListen(Mutation):
    """Whether somebody in the side-room also hears the others."""

    on: bool


class SideEnd(Mutation):
    """For everybody in it."""
