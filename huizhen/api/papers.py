"""Consents to take away: the paper (PDF) and the receipt, for whoever signed; the paper for staff who may see it."""

from urllib.parse import quote

from aiohttp import web

from clinic.roles import Action
from consent import copies, desk
from consent.attesting import attestable
from consent.records import ConsentAction, ConsentRecord, SignerCapacity
from huizhen.api.call import Call
from huizhen.api.consent_views import record_view
from huizhen.api.route import Own, Route, Table, Unit, seat, staff
from huizhen.api.shapes.base import Items, NoBody, Stream
from huizhen.api.shapes.consult import ConsentView

_NAMES = {
    ("zh", ConsentAction.SIGNED): "我签的同意书",
    ("zh", ConsentAction.WITHDRAWN): "我撤回的同意",
    ("zh", ConsentAction.ASSENTED): "孩子的意见",
    ("zh", ConsentAction.WITNESSED): "见证记录",
    ("en", ConsentAction.SIGNED): "my-consent",
    ("en", ConsentAction.WITHDRAWN): "my-withdrawal",
    ("en", ConsentAction.ASSENTED): "the-childs-assent",
    ("en", ConsentAction.WITNESSED): "witness",
}
_EMERGENCY = {"zh": "紧急批准", "en": "emergency-approval"}


async def own_paper(call: Call[NoBody]) -> web.Response:
    """The giving is on record first; then the paper is made, outside any transaction."""
    async with call.services.db.begin() as tx:
        record = await copies.own(tx, call.seat.seat, call.path("record"), "pdf")
    return _attachment(await call.services.papers.paper(record), record, "pdf", "application/pdf")


async def own_receipt(call: Call[NoBody]) -> web.Response:
    async with call.services.db.begin() as tx:
        record = await copies.own(tx, call.seat.seat, call.path("record"), "receipt")
    return _attachment(await call.services.papers.receipt(record), record, "receipt.json", "application/json")


async def listed(call: Call[NoBody]) -> Items[ConsentView]:
    """What there is to take away, for who may take it."""
    consult = await call.tx.consults.get(call.path("consult"))
    await copies.may_view(call.tx, call.actor, consult)
    records = await desk.records_of(call.tx, consult.id)
    return Items(items=[record_view(record, foreign=False) for record in records if attestable(record)])


async def paper(call: Call[NoBody]) -> web.Response:
    """For staff: the view is on record first."""
    async with call.services.db.begin() as tx:
        record = await copies.view(tx, call.actor, call.path("consult"), call.path("record"))
    return _attachment(await call.services.papers.paper(record), record, "pdf", "application/pdf")


def _attachment(body: bytes, record: ConsentRecord, ending: str, content_type: str) -> web.Response:
    """Never shown inside our own pages; no name of a person in the file's name."""
    plain = f"consent-{record.id[:8]}.{ending}"
    known = _NAMES.get((record.locale, record.action), "consent")
    if record.capacity is SignerCapacity.EMERGENCY:
        known = _EMERGENCY.get(record.locale, "emergency-approval")
    full = quote(f"{known}-{record.id[:8]}.{ending}", safe="")
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}",
        "Cache-Control": "no-store, private",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=body, content_type=content_type, headers=headers)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/seat/consents/{record}/paper",
        handler=own_paper,
        policy=seat(),
        answer=Stream,
        unit=Unit.NONE,
        summary="What I signed or withdrew, as PDF; the copy is on record",
    ),
    Route(
        method="GET",
        path="/api/seat/consents/{record}/receipt",
        handler=own_receipt,
        policy=seat(),
        answer=Stream,
        unit=Unit.NONE,
        summary="The receipt that verifies without the server; the copy is on record",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/consents",
        handler=listed,
        policy=staff(Action.SEE_CHART, Action.EXPORT, own=Own.CONSULT),
        answer=Items[ConsentView],
        summary="Consents of the consult, without their content",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/consents/{record}/paper",
        handler=paper,
        policy=staff(Action.SEE_CHART, Action.EXPORT, own=Own.CONSULT),
        answer=Stream,
        unit=Unit.NONE,
        summary="A consent of the consult as PDF; the view is on record",
    ),
)
