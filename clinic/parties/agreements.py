"""Cooperation agreements between two institutions (远程医疗服务管理规范 三(一); domain-rules 1.3).

One side drafts and seals it, which offers it to the other; with the second seal it is in force within its dates. Each
seal keeps a copy of the words on the trail and in the rows of the house that sealed. A new version replaces the old
one from its first day. Without an agreement in force no request goes from one house to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.actor import Actor
from clinic.calendar import add_years, local_date
from clinic.consult import PANELS, ConsultKind
from clinic.errors import IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.parties.records import AgreementSeal, AgreementState, CooperationAgreement, Liability
from clinic.parties.traces import tell
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class Terms:
    """What the two agree on; the days are both included."""

    inviting_id: str
    invited_id: str
    number: str
    purpose: str
    content: str
    kinds: tuple[str, ...]
    liability: str
    liability_text: str
    fee_split: str
    valid_from: date
    valid_to: date


async def in_force(
    tx: ClinicTransaction, inviting_id: str, invited_id: str, kind: ConsultKind, on: date
) -> CooperationAgreement | None:
    """The agreement a request of this kind may rest on that day (of the inviting house's calendar), or None."""
    rows = await tx.cooperation_agreements.find(inviting_id=inviting_id, invited_id=invited_id)
    return choose(rows, kind, on)


def choose(rows: Sequence[CooperationAgreement], kind: ConsultKind, on: date) -> CooperationAgreement | None:
    """Of several that cover the day, the one sealed last."""
    covering = [row for row in rows if row.covers(kind, on) and row.sealed_at is not None]
    return max(covering, key=lambda row: (row.sealed_at, row.version, row.id), default=None)


async def draft(tx: ClinicTransaction, terms: Terms, by: Actor) -> CooperationAgreement:
    """Begin an agreement with another institution. Raises NotPermitted, InvalidInput, MissingRow."""
    return await _added(tx, terms, by, None)


async def revise(tx: ClinicTransaction, agreement_id: str, terms: Terms, by: Actor) -> CooperationAgreement:
    """A draft is rewritten in place; a sealed agreement gets its next version. Raises IllegalMove otherwise."""
    before = await readable(tx, agreement_id, by, Action.DRAFT_AGREEMENT)
    if before.state is AgreementState.SEALED:
        return await _added(tx, terms, by, before)
    if before.state is not AgreementState.DRAFT:
        raise IllegalMove(f"{before.state} is not rewritten")
    first = None if before.version == 1 else await tx.cooperation_agreements.get(before.series_id)
    checked = await _checked(tx, terms, by, first)
    changed = replace(
        checked,
        id=before.id,
        series_id=before.series_id,
        version=before.version,
        drafted_by=before.drafted_by,
        drafted_at=before.drafted_at,
    )
    await tx.cooperation_agreements.save(changed)
    await tell(tx, EventCode.COOPERATION_DRAFTED, changed, by)
    return changed


async def drop(tx: ClinicTransaction, agreement_id: str, reason: str, by: Actor) -> CooperationAgreement:
    """The drafting side takes it back, or the other side declines what was offered; with a reason."""
    agreement = await readable(tx, agreement_id, by, Action.DRAFT_AGREEMENT)
    declined = agreement.move(AgreementState.DECLINED)
    return await _stopped(tx, declined, EventCode.COOPERATION_DECLINED, reason, by)


async def end(tx: ClinicTransaction, agreement_id: str, reason: str, by: Actor) -> CooperationAgreement:
    """Either side ends it, with its other versions: from today nothing new rests on it, what was asked before goes on.

    Raises IllegalMove (not in force), InvalidInput (no reason), MissingRow, NotPermitted.
    """
    agreement = await readable(tx, agreement_id, by, Action.END_AGREEMENT)
    today = local_date(tx.now, (await tx.institutions.get(agreement.inviting_id)).time_zone)
    ended = replace(agreement.move(AgreementState.ENDED), ended_on=today)
    for version in await tx.cooperation_agreements.find(series_id=agreement.series_id, state=AgreementState.SEALED):
        if version.id != agreement.id:
            also = replace(version.move(AgreementState.ENDED), ended_on=today)
            await _stopped(tx, also, EventCode.COOPERATION_ENDED, reason, by)
    return await _stopped(tx, ended, EventCode.COOPERATION_ENDED, reason, by)


async def listed(tx: ClinicTransaction, by: Actor) -> Sequence[CooperationAgreement]:
    """The own house's agreements, newest first; another's draft is not shown before it is offered."""
    require(by, Action.SEE_AGREEMENTS, Place(by.institution_id))
    home = by.institution_id
    inviting = await tx.cooperation_agreements.find(inviting_id=home)
    invited = await tx.cooperation_agreements.find(invited_id=home)
    shown = [row for row in (*inviting, *invited) if row.shown_to(home)]
    return sorted(shown, key=lambda row: (row.changed_at, row.id), reverse=True)


async def seals_of(tx: ClinicTransaction, agreement: CooperationAgreement) -> Sequence[AgreementSeal]:
    """Who sealed it when, the drafting side first."""
    return await tx.agreement_seals.find(agreement_id=agreement.id)


async def readable(tx: ClinicTransaction, agreement_id: str, by: Actor, action: Action) -> CooperationAgreement:
    """The agreement, for one of its parties. Raises MissingRow for anybody else, NotPermitted."""
    agreement = await tx.cooperation_agreements.get(agreement_id)
    if not agreement.shown_to(by.institution_id):
        raise MissingRow("cooperation_agreements")
    require(by, action, Place(by.institution_id))
    return agreement


async def _stopped(
    tx: ClinicTransaction, stopped: CooperationAgreement, code: EventCode, reason: str, by: Actor
) -> CooperationAgreement:
    said = checks.text("reason", reason, 1000, 2)
    row = replace(stopped, ended_at=tx.now, ended_by=by.id, end_reason=said, changed_at=tx.now)
    await tx.cooperation_agreements.save(row)
    await tell(tx, code, row, by, said)
    return row


async def _added(
    tx: ClinicTransaction, terms: Terms, by: Actor, before: CooperationAgreement | None
) -> CooperationAgreement:
    """A first version, or the one after the newest of its series."""
    agreement = await _checked(tx, terms, by, before)
    if before is not None:
        series = await tx.cooperation_agreements.find(series_id=before.series_id)
        agreement = replace(agreement, series_id=before.series_id, version=1 + max(row.version for row in series))
    await tx.cooperation_agreements.add(agreement)
    await tell(tx, EventCode.COOPERATION_DRAFTED, agreement, by)
    return agreement


async def _checked(
    tx: ClinicTransaction, terms: Terms, by: Actor, before: CooperationAgreement | None
) -> CooperationAgreement:
    """A draft of these terms. `before`: the version it replaces, whose parties stay."""
    require(by, Action.DRAFT_AGREEMENT, Place(by.institution_id))
    parties = {terms.inviting_id, terms.invited_id}
    if by.institution_id not in parties:
        raise InvalidInput("inviting_id", "the own institution is not a party")
    if len(parties) != 2:
        raise InvalidInput("invited_id", "two different institutions agree")
    if before is not None and (terms.inviting_id, terms.invited_id) != (before.inviting_id, before.invited_id):
        raise InvalidInput("invited_id", "a new version is between the same two")
    inviting = await tx.institutions.get(terms.inviting_id)
    await tx.institutions.get(terms.invited_id)
    longest = rules_for(inviting, tx.now).value("HZ-35", "longest_years")
    _check_days(terms, local_date(tx.now, inviting.time_zone), longest)
    row_id = uuid4().hex
    return CooperationAgreement(
        id=row_id,
        institution_id=by.institution_id,
        series_id=row_id,
        version=1,
        inviting_id=terms.inviting_id,
        invited_id=terms.invited_id,
        number=checks.text("number", terms.number, 64),
        purpose=checks.text("purpose", terms.purpose, 1000, 2),
        content=checks.text("content", terms.content, 8000, 2),
        kinds=_kinds(terms.kinds),
        liability=Liability(checks.one_of("liability", terms.liability, [each.value for each in Liability])),
        liability_text=checks.text("liability_text", terms.liability_text, 2000, 2),
        fee_split=checks.text("fee_split", terms.fee_split, 2000, 2),
        valid_from=terms.valid_from,
        valid_to=terms.valid_to,
        state=AgreementState.DRAFT,
        drafted_by=by.id,
        drafted_at=tx.now,
        changed_at=tx.now,
    )


def _check_days(terms: Terms, today: date, longest_years: int) -> None:
    if terms.valid_to < terms.valid_from:
        raise InvalidInput("valid_to", "before valid_from")
    if terms.valid_to < today:
        raise InvalidInput("valid_to", "over already")
    if terms.valid_to >= add_years(terms.valid_from, longest_years):
        raise InvalidInput("valid_to", "longer than an agreement may run")


def _kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    allowed = sorted(kind.value for kind in PANELS)
    checks.not_empty("kinds", kinds)
    return tuple(dict.fromkeys(checks.one_of("kinds", kind, allowed) for kind in kinds))
