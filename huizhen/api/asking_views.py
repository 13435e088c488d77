"""Requests for a hold and advice to stop a visit, as answers."""

from collections.abc import Sequence

from archive import hold_requests
from archive.records import HoldRequest
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from huizhen.api.names import who
from huizhen.api.shapes.asking import AdviceView, HoldRequestView
from huizhen.store.tables import StoreTransaction


async def hold_request_view(tx: StoreTransaction, row: HoldRequest) -> HoldRequestView:
    return HoldRequestView(
        id=row.id,
        consult_id=row.consult_id,
        asked_as=row.asked_as,
        who=await who(tx, row.asked_by),
        reason=row.reason,
        state=row.state,
        asked_at=row.asked_at,
        decided_by=await who(tx, row.decided_by) if row.decided_by else None,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        hold_id=row.hold_id,
    )


async def own_requests(tx: StoreTransaction, consult: Consult, actor: Actor) -> list[HoldRequestView]:
    """What this member of staff asked, from their seat or their account."""
    asked = await hold_requests.of_party(tx, actor, consult.id)
    return [await hold_request_view(tx, row) for row in asked]


async def advices(tx: StoreTransaction, consult: Consult, seats: Sequence[Seat]) -> list[AdviceView]:
    """Oldest first."""
    names = {seat.id: seat.display_name for seat in seats}
    return [
        AdviceView(
            id=row.id,
            seat=row.seat_id,
            role=row.role,
            who=names.get(row.seat_id, ""),
            reason_code=row.reason_code,
            text=row.text,
            advised_at=row.advised_at,
        )
        for row in await tx.termination_advices.find(consult_id=consult.id)
    ]
