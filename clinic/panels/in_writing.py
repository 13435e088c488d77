"""That a panel is answered in writing, as a row; what has no room asks here (HZ-45)."""

from dataclasses import dataclass
from datetime import datetime

from clinic.consult import Consult, SeatState
from clinic.errors import IllegalMove
from clinic.people import Role
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class WrittenConsult:
    """`id` is the consult's. `due_at`: when the opinions are due, as the rules said when it was asked."""

    id: str
    institution_id: str
    consult_id: str
    reason: str
    asked_by: str
    asked_at: datetime
    due_at: datetime
    begun_at: datetime | None = None


class InWriting(IllegalMove):
    """The consult has no room: it is answered in writing."""

    code = "visit.in_writing"


class NotInWriting(IllegalMove):
    """The institution does not let this kind of consult be answered in writing (HZ-45)."""

    code = "visit.not_in_writing"


class NobodyTakesPart(IllegalMove):
    """No expert has accepted."""

    code = "visit.nobody_takes_part"


async def of(tx: ClinicTransaction, consult_id: str) -> WrittenConsult | None:
    """What was asked in writing; None for a consult on video."""
    return next(iter(await tx.written_consults.find(id=consult_id)), None)


async def require_room(tx: ClinicTransaction, consult: Consult) -> None:
    """Raises InWriting."""
    if await of(tx, consult.id) is not None:
        raise InWriting()


async def taking_part(tx: ClinicTransaction, consult: Consult) -> frozenset[str]:
    """Experts who accepted and were not removed since: each of them owes an opinion."""
    seats = await tx.seats.find(consult_id=consult.id)
    return frozenset(
        seat.person_id
        for seat in seats
        if seat.role in (Role.EXPERT, Role.CHAIR) and seat.person_id and seat.state is not SeatState.REMOVED
    )
