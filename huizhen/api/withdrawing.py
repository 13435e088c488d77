"""A withdrawal entered by staff for somebody who telephones or stands at the desk (domain-rules section 6)."""

from clinic.roles import Action
from consent.records import Purpose
from huizhen.api.call import Call
from huizhen.api.consults import changed
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.consult import ConsultDetail, EnterWithdrawal
from signaling import consenting


async def enter_withdrawal(call: Call[EnterWithdrawal]) -> ConsultDetail:
    """What stands on it stops first, then the ledger commits; the nurse is named as who entered it."""
    purposes: list[Purpose] = list(dict.fromkeys(call.body.purposes))
    await consenting.withdraw(
        call.services.live, call.path("seat"), purposes, reason=call.body.reason, op=call.op, by=call.actor
    )
    return await changed(call, call.path("consult"))


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/seats/{seat}/withdraw",
        handler=enter_withdrawal,
        policy=staff(Action.WITHDRAW_CONSENT, own=Own.CONSULT_SEAT),
        body=EnterWithdrawal,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Enter a withdrawal; a running recording stops first",
    ),
)
