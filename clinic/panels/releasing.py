"""An institution the patient stopped sharing with owes nothing more (PIPL art. 15); sharing again, it owes again.

The edge of consent tells who is shared with, in the transaction of the act that changed it.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace

from audit.events import EventCode
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.panels.counting import EXPERTS
from clinic.panels.outcome import HouseRelease
from clinic.panels.traces import event
from clinic.transaction import ClinicTransaction


async def keep(tx: ClinicTransaction, consult: Consult, shared: Collection[str], by: Actor) -> None:
    """Hold the releases against what is shared now. Nothing changes once the consult is over."""
    if consult.over:
        return
    seats = await tx.seats.find(consult_id=consult.id)
    guests = {seat.home_institution_id for seat in seats if seat.role in EXPERTS} - {consult.institution_id}
    known = {row.released_id: row for row in await tx.house_releases.find(consult_id=consult.id)}
    for house in sorted(guests):
        before = known.get(house)
        released = before is not None and before.standing
        if house not in shared and not released:
            await _release(tx, consult, house, before, by)
        elif house in shared and before is not None and released:
            await tx.house_releases.save(replace(before, restored_at=tx.now))
            await tx.append(event(EventCode.EXPERTS_RESTORED, consult, by, house, {"institution": house}))


async def _release(tx: ClinicTransaction, consult: Consult, house: str, before: HouseRelease | None, by: Actor) -> None:
    if before is None:
        row_id = hashlib.sha256(f"house-release:{consult.id}:{house}".encode()).hexdigest()[:32]
        await tx.house_releases.add(HouseRelease(row_id, consult.institution_id, consult.id, house, tx.now))
    else:
        await tx.house_releases.save(replace(before, released_at=tx.now, restored_at=None))
    await tx.append(event(EventCode.EXPERTS_RELEASED, consult, by, house, {"institution": house}))
