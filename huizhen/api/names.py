"""A name for an id of the trail."""

from audit.errors import MissingRow
from clinic.people import CLINICIANS
from huizhen import masks
from huizhen.store.tables import StoreTransaction


async def who(tx: StoreTransaction, actor_id: str) -> str:
    """A name for an actor id; patients masked, "system" and the unknown as they are."""
    try:
        return (await tx.staff.get(actor_id)).name
    except MissingRow:
        pass
    try:
        return masks.name((await tx.patients.get(actor_id)).name)
    except MissingRow:
        pass
    try:
        seat = await tx.seats.get(actor_id)
        return seat.display_name if seat.role in CLINICIANS else masks.name(seat.display_name)
    except MissingRow:
        return actor_id if actor_id in ("system", "anonymous") else ""
