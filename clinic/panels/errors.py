"""Errors of what happens in the room of a panel."""

from clinic.errors import ClinicError


class NotAPanel(ClinicError):
    """This consult has no experts: nobody presides, nobody goes aside."""

    code = "panel.not_a_panel"


class NotPresiding(ClinicError):
    """Only who presides sets the order, gives the word, spotlights and hands over (HZ-32)."""

    code = "panel.not_presiding"


class ChairHeld(ClinicError):
    """The chair is here, or it is somebody else's turn to take over (HZ-32)."""

    code = "panel.chair_held"


class NotForThem(ClinicError):
    """The seat named cannot have it: not in the room, or no expert."""

    code = "panel.not_for_them"


class NoQuorum(ClinicError):
    """Too few of those a panel needs are here (HZ-30); `reasons` say who is missing."""

    code = "panel.no_quorum"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(",".join(reasons))
        self.reasons = reasons


class SideRoomOn(ClinicError):
    """The experts are aside already: enter it instead."""

    code = "panel.side_room_on"


class NoSideRoom(ClinicError):
    """There is none, or you are not in it."""

    code = "panel.no_side_room"


class NotForYou(ClinicError):
    """The side-room is the experts' (HZ-34); the inviting doctor comes in only when asked to."""

    code = "panel.side_room_closed"
