"""A yes that ran out while people were together goes on record. The ledger itself needs no row: its dates say so."""

import hashlib
from collections.abc import Sequence

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import Consult
from consent.records import Purpose
from consent.transaction import ConsentTransaction
from consent.validity import Lapse


async def note(tx: ConsentTransaction, consult: Consult, found: Sequence[Lapse]) -> None:
    """One event per person. Noting the same lapses again changes nothing: raises DuplicateOperation."""
    system = Actor.system(consult.institution_id)
    for seat_id in dict.fromkeys(lapse.seat_id for lapse in found):
        mine = [lapse for lapse in found if lapse.seat_id == seat_id]
        await tx.operation(_operation(mine), system.id)
        public = {
            "purposes": [each.value for each in Purpose if each in {lapse.purpose for lapse in mine}],
            "records": list(dict.fromkeys(lapse.record_id for lapse in mine)),
        }
        code = EventCode.CONSENT_EXPIRED
        await tx.append(AuditEvent(code, consult.institution_id, system.id, consult.id, seat_id, public=public))


def _operation(mine: Sequence[Lapse]) -> str:
    """Derived from what ran out, so that it is noted once, whoever notices."""
    what = ",".join(sorted(f"{lapse.record_id}:{lapse.purpose}" for lapse in mine))
    return hashlib.sha256(f"expired:{what}".encode()).hexdigest()[:32]
