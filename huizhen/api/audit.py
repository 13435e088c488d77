"""Reading the trail and proving it."""

import asyncio
from typing import Any, cast

from audit import reader
from audit.errors import MissingRow
from audit.reader import ReadEvent, TrailSource
from clinic import regulation
from clinic.errors import NoCase
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action
from huizhen import verification
from huizhen.api import detail
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.archive import AuditQuery, AuditRow, CheckpointAnswer, FindingView, VerifyAnswer
from huizhen.api.shapes.base import Empty, Items, NoBody

_WHOLE = frozenset({Role.AUDITOR})  # the others read what happened, not the private part
_verifying = asyncio.Semaphore(1)


async def events(call: Call[NoBody]) -> Items[AuditRow]:
    """The house's trail, oldest first. `after` is the last seq already seen. Private parts are the auditor's alone.

    A regulator reads the trail of one visit under their case, the reading on record first.
    """
    if Role.REGULATOR in call.me.roles:
        if call.query.consult_id is None:
            raise NoCase
        await _inspected(call, call.query.consult_id)
    async with call.services.db.read() as tx:
        call.transaction = tx
        return await _events(call)


async def _inspected(call: Call[Any], consult_id: str | None) -> None:
    async with call.services.db.begin() as tx:
        if consult_id is None:
            await regulation.inspecting(tx, CaseScope.AUDIT, call.actor)
            return
        consult = await tx.consults.get(consult_id)
        if consult.institution_id != call.me.institution_id:
            raise MissingRow("consults")
        await regulation.use(tx, CaseScope.AUDIT, consult, call.actor)


async def _events(call: Call[NoBody]) -> Items[AuditRow]:
    query, house = call.query, call.me.institution_id
    if query.consult_id is not None:
        consult = await call.tx.consults.get(query.consult_id)
        if consult.institution_id != house:
            raise MissingRow("consults")
    source = cast(TrailSource, call.tx)
    found = await _after(source, house, query.consult_id, query.after, query.limit)
    whole = bool(_WHOLE & set(call.me.roles))
    names: dict[str, str] = {}
    rows = []
    for event in found:
        if event.actor_id not in names:
            names[event.actor_id] = await detail.who(call.tx, event.actor_id)
        rows.append(_row(event, names[event.actor_id], whole))
    return Items(items=rows)


async def _after(source: TrailSource, house: str, consult_id: str | None, after: int, limit: int) -> list[ReadEvent]:
    newest = await reader.events(source, house, None, limit=1)
    epoch = newest[0].epoch if newest else 0
    return await reader.events(source, house, consult_id, after=(epoch, after), limit=limit)


def _row(event: ReadEvent, who: str, whole: bool) -> AuditRow:
    return AuditRow(
        seq=event.seq,
        id=event.event_id,
        t=event.at,
        code=event.code,
        consult_id=event.consult_id,
        actor=event.actor_id,
        who=who,
        subject=event.subject_id,
        outcome=event.outcome,
        public=dict(event.public),
        private=dict(event.private) if whole and event.private is not None else None,
    )


async def checkpoint(call: Call[NoBody]) -> CheckpointAnswer:
    """The signed note over everything committed so far."""
    if Role.REGULATOR in call.me.roles:
        await _inspected(call, None)
    note = await call.services.checkpoints.sign(call.me.institution_id)
    if note is None:
        raise MissingRow("checkpoints")
    return CheckpointAnswer(note=note.decode())


async def verify(call: Call[Empty]) -> VerifyAnswer:
    """The independent verifier over the whole database and the media, in a thread. One at a time."""
    if Role.REGULATOR in call.me.roles:
        await _inspected(call, None)
    async with _verifying:
        await call.services.checkpoints.sign(call.me.institution_id)
        report = await asyncio.to_thread(verification.verify, call.services.settings)
    return VerifyAnswer(
        ok=report.ok,
        findings=[FindingView(code=each.code, where=each.where, what=each.what) for each in report.findings[:500]],
        counts=verification.counts(report),
    )


_READ = Action.READ_AUDIT

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/audit",
        handler=events,
        policy=staff(_READ, own=Own.HOUSE),
        answer=Items[AuditRow],
        query=AuditQuery,
        unit=Unit.NONE,
        summary="The trail of the house",
    ),
    Route(
        method="GET",
        path="/api/audit/checkpoint",
        handler=checkpoint,
        policy=staff(_READ, own=Own.HOUSE),
        answer=CheckpointAnswer,
        unit=Unit.NONE,
        summary="Signed tree head",
    ),
    Route(
        method="POST",
        path="/api/audit/verify",
        handler=verify,
        policy=staff(_READ, own=Own.HOUSE),
        body=Empty,
        answer=VerifyAnswer,
        unit=Unit.NONE,
        summary="Prove trail and media",
    ),
)
