"""Who acts: told to every use case by the edge that authenticated them."""

from dataclasses import dataclass

from clinic.consult import Seat
from clinic.people import Role, Staff


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is a staff, patient or guest-seat id, or "system". `roles`: the account's; in a consult the seat decides."""

    id: str
    institution_id: str
    roles: tuple[Role, ...]
    seat_id: str | None = None

    @classmethod
    def staff(cls, staff: Staff) -> "Actor":
        """A signed-in member of staff."""
        return cls(staff.id, staff.institution_id, staff.roles)

    @classmethod
    def seated(cls, seat: Seat) -> "Actor":
        """Whoever holds a seat, acting from it."""
        return cls(seat.person_id or seat.id, seat.home_institution_id, (seat.role,), seat.id)

    @classmethod
    def system(cls, institution_id: str) -> "Actor":
        """The server's own jobs and its operator's command line."""
        return cls("system", institution_id, (Role.SYSTEM,))
