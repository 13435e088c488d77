"""Somebody helps at the patient's device: named, on record, asked about recording."""

from clinic.roles import Action
from consent.companions import Declaration
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, seat
from huizhen.api.seat import overview_of
from huizhen.api.shapes.seat import DeclareHelper, SeatOverview
from signaling import consenting


async def declare(call: Call[DeclareHelper]) -> SeatOverview:
    """A helper who is seen or heard and says no stops a running recording before anything is committed."""
    body, services = call.body, call.services
    said = Declaration(body.present, body.name, body.relation, body.in_call, body.permits_recording)
    await consenting.declare_companion(services.live, call.seat.seat.id, said, op=call.op, by=call.actor)
    async with services.db.read() as tx:
        return await overview_of(tx, call.seat)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/seat/helper",
        handler=declare,
        policy=seat(Own.SELF, Action.DECLARE_HELPER),
        body=DeclareHelper,
        answer=SeatOverview,
        unit=Unit.NONE,
        summary="Who helps at this device, or that nobody does any more",
    ),
)
