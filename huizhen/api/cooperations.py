"""Cooperation agreements: drafted by one side, sealed by both, ended by either."""

from collections.abc import Sequence
from datetime import date

from clinic.calendar import local_date
from clinic.documents import canonical, digest
from clinic.overlays import rules_for
from clinic.parties import agreements, sealing
from clinic.parties.agreements import Terms
from clinic.parties.records import AgreementState, CooperationAgreement
from clinic.people import Staff
from clinic.roles import Action, permits
from huizhen.api import names
from huizhen.api.call import Call
from huizhen.api.parties import holds, party_name
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import NoBody
from huizhen.api.shapes.parties import (
    CooperationRow,
    CooperationsAnswer,
    CooperationView,
    SealBody,
    SealRow,
    StopBody,
    TermsBody,
)
from huizhen.store.tables import StoreTransaction


async def listed(call: Call[NoBody]) -> CooperationsAnswer:
    rows = await agreements.listed(call.tx, call.actor)
    home = await call.tx.institutions.get(call.me.institution_id)
    return CooperationsAnswer(
        items=[await _row(call.tx, row, call.me) for row in rows],
        longest_years=rules_for(home, call.tx.now).value("HZ-35", "longest_years"),
        may_draft=_may(call.me, Action.DRAFT_AGREEMENT),
    )


async def one(call: Call[NoBody]) -> CooperationView:
    agreement = await agreements.readable(call.tx, call.path("cooperation"), call.actor, Action.SEE_AGREEMENTS)
    return await _view(call.tx, agreement, call.me)


async def draft(call: Call[TermsBody]) -> CooperationView:
    return await _view(call.tx, await agreements.draft(call.tx, _terms(call.body), call.actor), call.me)


async def revise(call: Call[TermsBody]) -> CooperationView:
    changed = await agreements.revise(call.tx, call.path("cooperation"), _terms(call.body), call.actor)
    return await _view(call.tx, changed, call.me)


async def seal(call: Call[SealBody]) -> CooperationView:
    """With the password repeated: a seal binds the house."""
    call.services.staff_door.require_step_up(call.staff, call.now)
    done = await sealing.seal(call.tx, call.services.sealer, call.path("cooperation"), call.body.sha256, call.actor)
    return await _view(call.tx, done, call.me)


async def drop(call: Call[StopBody]) -> CooperationView:
    done = await agreements.drop(call.tx, call.path("cooperation"), call.body.reason, call.actor)
    return await _view(call.tx, done, call.me)


async def end(call: Call[StopBody]) -> CooperationView:
    """With the password repeated: nothing new rests on it afterwards."""
    call.services.staff_door.require_step_up(call.staff, call.now)
    done = await agreements.end(call.tx, call.path("cooperation"), call.body.reason, call.actor)
    return await _view(call.tx, done, call.me)


def _terms(body: TermsBody) -> Terms:
    return Terms(
        inviting_id=body.inviting_id,
        invited_id=body.invited_id,
        number=body.number,
        purpose=body.purpose,
        content=body.content,
        kinds=tuple(body.kinds),
        liability=body.liability,
        liability_text=body.liability_text,
        fee_split=body.fee_split,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
    )


async def _row(tx: StoreTransaction, row: CooperationAgreement, me: Staff) -> CooperationRow:
    inviting = await tx.institutions.get(row.inviting_id)
    today = local_date(tx.now, inviting.time_zone)
    valid = holds(row, today)
    left = (row.valid_to - today).days if valid else None
    soon = rules_for(inviting, tx.now).value("HZ-35", "ending_soon_days")
    ours = row.institution_id == me.institution_id
    return CooperationRow(
        id=row.id,
        series_id=row.series_id,
        version=row.version,
        number=row.number,
        inviting=party_name(inviting),
        invited=party_name(await tx.institutions.get(row.invited_id)),
        ours=ours,
        kinds=list(row.covered),
        valid_from=row.valid_from.isoformat(),
        valid_to=row.valid_to.isoformat(),
        state=row.state,
        in_force=valid,
        days_left=left,
        ending_soon=left is not None and left <= soon,
        replaced_on=_day(row.replaced_on),
        ended_on=_day(row.ended_on),
        changed_at=row.changed_at,
        may_seal=_may(me, Action.SEAL_AGREEMENT) and row.state in _to_seal(ours),
        may_edit=_may(me, Action.DRAFT_AGREEMENT) and row.state in _to_edit(ours),
        may_drop=_may(me, Action.DRAFT_AGREEMENT) and row.stands_open,
        may_end=_may(me, Action.END_AGREEMENT) and row.state is AgreementState.SEALED,
    )


def _to_seal(ours: bool) -> Sequence[AgreementState]:
    """The drafting side seals the draft, the other side what was offered."""
    return (AgreementState.DRAFT,) if ours else (AgreementState.OFFERED,)


def _to_edit(ours: bool) -> Sequence[AgreementState]:
    """A draft by its own side; a sealed one by either, as a new version."""
    return (AgreementState.DRAFT, AgreementState.SEALED) if ours else (AgreementState.SEALED,)


def _may(me: Staff, action: Action) -> bool:
    return any(permits(role, action) for role in me.roles)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


async def _view(tx: StoreTransaction, row: CooperationAgreement, me: Staff) -> CooperationView:
    words = await sealing.words(tx, row)
    seals = [
        SealRow(
            institution=party_name(await tx.institutions.get(each.institution_id)),
            who=await names.who(tx, each.sealed_by),
            at=each.sealed_at,
            digest=each.digest,
        )
        for each in await agreements.seals_of(tx, row)
    ]
    return CooperationView(
        row=await _row(tx, row, me),
        purpose=row.purpose,
        content=row.content,
        liability=row.liability,
        liability_text=row.liability_text,
        fee_split=row.fee_split,
        seals=seals,
        sha256=digest(canonical(words)),
        document=dict(words),
        ended_by=await names.who(tx, row.ended_by) if row.ended_by else None,
        end_reason=row.end_reason,
    )


_ONE = "/api/cooperations/{cooperation}"

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/cooperations",
        handler=listed,
        policy=staff(Action.SEE_AGREEMENTS, own=Own.HOUSE),
        answer=CooperationsAnswer,
        summary="Agreements of the own institution",
    ),
    Route(
        method="POST",
        path="/api/cooperations",
        handler=draft,
        policy=staff(Action.DRAFT_AGREEMENT, own=Own.HOUSE),
        body=TermsBody,
        answer=CooperationView,
        unit=Unit.WRITE,
        summary="Draft an agreement with another institution",
    ),
    Route(
        method="GET",
        path=_ONE,
        handler=one,
        policy=staff(Action.SEE_AGREEMENTS, own=Own.COOPERATION),
        answer=CooperationView,
        summary="One agreement with its words and seals",
    ),
    Route(
        method="POST",
        path=_ONE,
        handler=revise,
        policy=staff(Action.DRAFT_AGREEMENT, own=Own.COOPERATION),
        body=TermsBody,
        answer=CooperationView,
        unit=Unit.WRITE,
        summary="Rewrite a draft; of a sealed one, begin the next version",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/seal",
        handler=seal,
        policy=staff(Action.SEAL_AGREEMENT, own=Own.COOPERATION),
        body=SealBody,
        answer=CooperationView,
        unit=Unit.WRITE,
        summary="Seal exactly these words, freshly stepped up",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/decline",
        handler=drop,
        policy=staff(Action.DRAFT_AGREEMENT, own=Own.COOPERATION),
        body=StopBody,
        answer=CooperationView,
        unit=Unit.WRITE,
        summary="Take a draft or an offer back, or decline what was offered",
    ),
    Route(
        method="POST",
        path=f"{_ONE}/end",
        handler=end,
        policy=staff(Action.END_AGREEMENT, own=Own.COOPERATION),
        body=StopBody,
        answer=CooperationView,
        unit=Unit.WRITE,
        summary="End an agreement with a reason, freshly stepped up",
    ),
)
