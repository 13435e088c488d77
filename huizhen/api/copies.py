"""Sealed copies for the archivist of their institution, and the public check of a paper's code."""

from aiohttp import web

from archive import copies, holds
from clinic.roles import Action
from huizhen.api.archive import hold_view
from huizhen.api.call import Call
from huizhen.api.outcome_views import copy_view
from huizhen.api.route import Own, Route, Table, Unit, public, staff
from huizhen.api.shapes.archive import BecauseBody, HoldView, RetainedView
from huizhen.api.shapes.base import Items, NoBody, Stream
from huizhen.api.shapes.outcome import KeptCopyView, PaperCheck
from huizhen.store.tables import StoreTransaction


async def listed(call: Call[NoBody]) -> Items[KeptCopyView]:
    rows = await copies.kept(call.tx, call.actor)
    return Items(items=[await _kept_view(call.tx, row) for row in reversed(rows)])


async def _kept_view(tx: StoreTransaction, row: copies.KeptCopy) -> KeptCopyView:
    """Why it is held is said to the archive of its own institution only, so not in `copy_view`."""
    record = row.record
    retained = (
        None
        if record is None
        else RetainedView(
            record_id=record.id,
            state=record.state.value,
            due_on=None if row.due_on is None else row.due_on.isoformat(),
            policy_version=record.policy_version,
            held=row.held,
        )
    )
    shown = await copy_view(tx, row.copy)
    held_by = [await hold_view(tx, hold) for hold in row.holds]
    return KeptCopyView(**shown.model_dump(), retained=retained, holds=held_by)


async def place_hold(call: Call[BecauseBody]) -> HoldView:
    hold = await holds.place_on_copy(call.tx, call.actor, call.path("copy"), call.body.reason)
    return await hold_view(call.tx, hold)


async def package(call: Call[NoBody]) -> web.Response:
    """The taking is on record first; then the copy is read and opened, outside any transaction."""
    async with call.services.db.begin() as tx:
        copy = await copies.take(tx, call.actor, call.path("copy"))
    data = await call.services.outcome.read(copy)
    headers = {
        "Content-Disposition": f'attachment; filename="huizhen-copy-{copy.id[:8]}.zip"',
        "Cache-Control": "no-store, private",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=data, content_type="application/zip", headers=headers)


async def check(call: Call[NoBody]) -> PaperCheck:
    """Who issued the paper of this code, and its digests. Nothing of the patient, the doctors or the consult."""
    code = call.path("code")
    filed = await call.tx.opinion_papers.find(code=code)
    if not filed:
        return PaperCheck(known=False, code=code)
    paper = filed[0]
    house = await call.tx.institutions.get(paper.institution_id)
    consult = await call.tx.consults.get(paper.consult_id)
    return PaperCheck(
        known=True,
        code=code,
        institution=house.name,
        institution_en=house.name_en,
        kind=consult.kind,
        made_at=paper.made_at,
        document_sha256=paper.document_sha256,
        pdf_sha256=paper.pdf_sha256,
        sealed=call.services.sealer.holds(paper.institution_id, paper.document_sha256, paper.seal),
    )


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/copies",
        handler=listed,
        policy=staff(Action.SEE_COPIES, own=Own.HOUSE),
        answer=Items[KeptCopyView],
        summary="My institution's sealed copies of expert consults, their clocks and holds",
    ),
    Route(
        method="GET",
        path="/api/copies/{copy}/package",
        handler=package,
        policy=staff(Action.TAKE_COPY, own=Own.COPY),
        answer=Stream,
        unit=Unit.NONE,
        summary="One copy as a zip that `huizhen verify` proves; the taking is on record",
    ),
    Route(
        method="POST",
        path="/api/copies/{copy}/holds",
        handler=place_hold,
        policy=staff(Action.PLACE_HOLD, own=Own.COPY),
        body=BecauseBody,
        answer=HoldView,
        unit=Unit.WRITE,
        summary="Stop erasure of my institution's copy; lifted as any hold, by another person",
    ),
    Route(
        method="GET",
        path="/api/opinion-papers/{code}",
        handler=check,
        policy=public(),
        answer=PaperCheck,
        summary="Whether a paper of this code was issued here, and its digests; nothing personal",
    ),
)
