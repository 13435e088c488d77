"""Sealed copies of expert consults as their institution's archive keeps them: clock, holds, end."""

from dataclasses import dataclass
from datetime import date

from archive import retention
from archive.errors import AlreadyDisposed
from archive.holds import destroyed
from archive.policy import PANEL_COPY
from archive.ports import ArchiveTransaction
from archive.records import LegalHold, RetainedRecord
from clinic.actor import Actor
from clinic.panels import copying
from clinic.panels.outcome import SealedCopy


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """One copy with its institution's clock (None until it is sealed) and holds, lifted ones too, oldest first."""

    copy: SealedCopy
    record: RetainedRecord | None
    due_on: date | None  # None also when it was destroyed
    holds: tuple[LegalHold, ...]

    @property
    def held(self) -> bool:
        return any(hold.lifted_at is None for hold in self.holds)


async def kept(tx: ArchiveTransaction, actor: Actor) -> tuple[KeptCopy, ...]:
    """All copies of the actor's institution, oldest first. Raises NotPermitted."""
    home = actor.institution_id
    found = await copying.listed(tx, actor)
    records = {
        row.subject_id: row for row in await tx.retained_records.find(institution_id=home, record_class=PANEL_COPY)
    }
    days = {item.record.id: item.due_on for item in await retention.assessment(tx, home)}
    holds: dict[str, list[LegalHold]] = {}
    for hold in await tx.legal_holds.find(institution_id=home):
        holds.setdefault(hold.consult_id, []).append(hold)
    return tuple(_kept(copy, records.get(copy.id), days, holds.get(copy.consult_id, [])) for copy in found)


def _kept(copy: SealedCopy, record: RetainedRecord | None, days: dict[str, date], holds: list[LegalHold]) -> KeptCopy:
    return KeptCopy(copy, record, None if record is None else days.get(record.id), tuple(holds))


async def take(tx: ArchiveTransaction, actor: Actor, copy_id: str) -> SealedCopy:
    """As `clinic.panels.copying.take`; one whose key is destroyed is not said to be taken. Raises AlreadyDisposed."""
    copy = await copying.take(tx, copy_id, actor)
    for record in await tx.retained_records.find(subject_id=copy_id, record_class=PANEL_COPY):
        if await destroyed(tx, record):
            raise AlreadyDisposed()
    return copy
