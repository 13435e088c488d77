"""What an answer, a withdrawal or the clock does to the whole request. The rule is pure; one function writes it.

Every act on a sent request saves the request's row: of two acceptances at the same moment one is stale and is tried
again against what the other left, so that never more are taken than were wanted.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.errors import IllegalMove
from clinic.overlays import rules_for
from clinic.panels import hours, seating
from clinic.panels.finding import live, parties_of
from clinic.panels.requests import (
    OPEN,
    TAKING_PART,
    WAITING,
    InvitedParty,
    PanelRequest,
    PartyState,
    ProposalState,
    RequestState,
    Urgency,
)
from clinic.panels.traces import tell
from clinic.roles import Action
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

_BEFORE_THE_CALL = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.CANCELLED)


def outcome(request: PanelRequest, parties: Sequence[InvitedParty]) -> RequestState | None:
    """Where these answers lead a request that waits for them; None: it goes on waiting. Pure."""
    accepted = sum(row.state is PartyState.ACCEPTED for row in parties)
    waiting = any(row.state in OPEN for row in parties)
    if accepted >= request.wanted or (accepted and not waiting):
        return RequestState.CONVENED
    return None if waiting else RequestState.DECLINED


def answer_within(request: PanelRequest, rules: RuleSet) -> timedelta:
    """How long the invited side has (HZ-20)."""
    if request.urgency is Urgency.URGENT:
        return rules.minutes("HZ-20", "urgent_minutes")
    return rules.hours("HZ-20", "routine_hours")


def overdue(request: PanelRequest, now: datetime) -> bool:
    """The time to answer is over and it still waits. Pure in `now`."""
    return request.state in WAITING and request.answer_by is not None and now >= request.answer_by


def reminder_due(request: PanelRequest, party: InvitedParty, rules: RuleSet, now: datetime) -> bool:
    """The last reminder before the time to answer is over: once for each institution (HZ-21). Pure in `now`."""
    if request.state not in WAITING or request.answer_by is None or party.state is not PartyState.ASKED:
        return False
    name = "urgent_minutes" if request.urgency is Urgency.URGENT else "routine_minutes"
    first = request.answer_by - rules.minutes("HZ-21", name)
    return party.reminded_at is None and first <= now < request.answer_by


async def settle(tx: ClinicTransaction, request: PanelRequest, by: Actor) -> PanelRequest:
    """After an answer (which has saved the request's row): convene, decline, or wait on; the institutions that are not
    needed any more are told at once."""
    parties = await parties_of(tx, request)
    to = outcome(request, parties) if request.state in WAITING else None
    if to is None:
        return request
    request = request.move(to, tx.now)
    await tx.panel_requests.save(request)
    for party in parties:
        if party.state in OPEN:
            await let_go(tx, request, party, PartyState.RELEASED, by)
    await tell(tx, EventCode.REQUEST_MOVED, request, by, {"to": to.value}, _taking(parties))
    return request


def _taking(parties: Sequence[InvitedParty]) -> list[InvitedParty]:
    return [row for row in parties if row.state is PartyState.ACCEPTED]


async def let_go(
    tx: ClinicTransaction, request: PanelRequest, party: InvitedParty, to: PartyState, by: Actor
) -> InvitedParty:
    """One institution is released or its time is over: seats closed, its proposals void, told on both trails."""
    asked = party.state is not PartyState.NAMED
    party = party.move(to, tx.now, by.id)
    await tx.invited_parties.save(party)
    if asked:
        for invitation in await seating.of_party(tx, party):
            await seating.release(tx, invitation)
        await void_proposals(tx, party)
        public = {"to": to.value, "invited": party.invited_institution_id}
        await tell(tx, EventCode.PARTY_RELEASED, request, by, public, [party], party.id)
    return party


async def void_proposals(tx: ClinicTransaction, party: InvitedParty) -> None:
    for proposal in await tx.panel_proposals.find(request_id=party.request_id):
        if proposal.party_id == party.id and proposal.state is ProposalState.OPEN:
            await tx.panel_proposals.save(replace(proposal, state=ProposalState.VOID))


async def withdraw(tx: ClinicTransaction, consult_id: str, reason: str, by: Actor) -> PanelRequest:
    """The inviting side takes it back, before the call. Raises IllegalMove, MissingRow, InvalidInput."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    request = await live(tx, consult_id)
    if request is None:
        raise MissingRow("panel_requests")
    if consult.status not in _BEFORE_THE_CALL:
        raise IllegalMove("the panel has begun")
    return await _end(tx, request, checks.text("reason", reason, 500, 2), by)


async def end_with_consult(tx: ClinicTransaction, consult: Consult, by: Actor) -> None:
    """The consult was cancelled: whoever was asked is told."""
    request = await live(tx, consult.id)
    if request is not None:
        await _end(tx, request, consult.outcome_code or "", by)


async def _end(tx: ClinicTransaction, request: PanelRequest, reason: str, by: Actor) -> PanelRequest:
    parties = await parties_of(tx, request)
    request = request.move(RequestState.WITHDRAWN, tx.now, reason)
    await tx.panel_requests.save(request)
    for party in parties:
        if party.state in TAKING_PART:
            await let_go(tx, request, party, PartyState.RELEASED, by)
    await tell(tx, EventCode.REQUEST_MOVED, request, by, {"to": request.state.value})
    return request


async def due(tx: ClinicTransaction) -> list[PanelRequest]:
    """Requests of every house whose time is over, or of which an institution is to be reminded, now."""
    found = []
    for state in sorted(WAITING):
        for request in await tx.panel_requests.find(state=state):
            rules = rules_for(await tx.institutions.get(request.institution_id), tx.now)
            parties = await parties_of(tx, request)
            if overdue(request, tx.now) or any(reminder_due(request, row, rules, tx.now) for row in parties):
                found.append(request)
    return found


async def expire(tx: ClinicTransaction, request_id: str) -> PanelRequest | None:
    """The clock's act: who has not answered is let go; it convenes with those who did. None: not due (any more)."""
    request = await tx.panel_requests.get(request_id)
    if not overdue(request, tx.now):
        return None
    by = Actor.system(request.institution_id)
    for party in await parties_of(tx, request):
        if party.state in OPEN:
            await let_go(tx, request, party, PartyState.EXPIRED, by)
    taking = _taking(await parties_of(tx, request))
    request = request.move(RequestState.CONVENED if taking else RequestState.EXPIRED, tx.now)
    await tx.panel_requests.save(request)
    await tell(tx, EventCode.REQUEST_MOVED, request, by, {"to": request.state.value}, taking)
    return request


async def remind(tx: ClinicTransaction, request_id: str) -> list[InvitedParty]:
    """Institutions reminded now, each once; the reminder stands on both trails and in their list of what is due."""
    request = await tx.panel_requests.get(request_id)
    rules = rules_for(await tx.institutions.get(request.institution_id), tx.now)
    by, told = Actor.system(request.institution_id), []
    for party in await parties_of(tx, request):
        if reminder_due(request, party, rules, tx.now):
            await tx.invited_parties.save(replace(party, reminded_at=tx.now))
            await tell(tx, EventCode.REQUEST_REMINDED, request, by, {}, [party], party.id)
            told.append(party)
    return told


async def shifted(tx: ClinicTransaction, consult: Consult, by: Actor) -> None:
    """The consult has other hours: everybody who accepted is free then, and their calendars hear of it.

    Raises AdmissionRefused.
    """
    await hours.hold_all(tx, consult)
    request = await live(tx, consult.id)
    if request is not None:
        request = replace(request, sequence=request.sequence + 1)
        await tx.panel_requests.save(request)
        stamps = {"starts": int(consult.starts_at.timestamp()), "ends": int(consult.ends_at.timestamp())}
        taking = _taking(await parties_of(tx, request))
        await tell(tx, EventCode.REQUEST_SHIFTED, request, by, stamps, taking)
