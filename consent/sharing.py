"""What the ledger says of sharing with other institutions, as a request between institutions has to know it."""

import json
from collections.abc import Container
from datetime import datetime
from typing import Any

from clinic.actor import Actor
from clinic.consult import Consult
from clinic.panels import releasing
from clinic.panels.sending import Shared
from consent.records import ConsentAction, Purpose, SignerCapacity
from consent.standing import Ledger, Standing, decisive
from consent.transaction import ConsentTransaction
from consent.validity import in_force


async def settle(tx: ConsentTransaction, consult: Consult, touched: Container[Purpose], by: Actor) -> None:
    """After an act of the ledger, in its transaction: who owes an opinion rests on who is shared with now."""
    if Purpose.SHARE_PANEL in touched:
        words = shared_words(await tx.consent_records.find(consult_id=consult.id), tx.now)
        await releasing.keep(tx, consult, {each.institution_id for each in words}, by)


def shared_words(records: Ledger, now: datetime) -> tuple[Shared, ...]:
    """Every institution the patient shares with now: the record that names it, and who witnessed its signing. Pure."""
    held = in_force(records, now)
    found: dict[str, Shared] = {}
    for seat_id in dict.fromkeys(record.seat_id for record in held):
        where, record = decisive(held, seat_id, Purpose.SHARE_PANEL)
        if record is None or where is not Standing.PERMITTED:
            continue
        emergency = record.capacity is SignerCapacity.EMERGENCY
        witnesses = _witnesses(records, json.loads(record.evidence))
        found |= {each: Shared(each, record.id, witnesses, emergency) for each in record.shared_with}
    return tuple(found.values())


def _witnesses(records: Ledger, evidence: dict[str, Any]) -> frozenset[str]:
    """Staff whose sighting the signature rests on; none when it was entered in error since."""
    said = evidence.get("witness")
    if said is None:
        return frozenset()
    voided = {record.withdraws for record in records if record.action is ConsentAction.ENTERED_IN_ERROR}
    return frozenset(
        str(json.loads(record.evidence)["witness"]["staff"])
        for record in records
        if record.id == said["record"] and record.action is ConsentAction.WITNESSED and record.id not in voided
    )
