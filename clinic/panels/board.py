"""Requests as the two houses see them: the board, one request, and what waits for whom. Reading changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import After
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import NotPermitted
from clinic.overlays import rules_for
from clinic.panels import seating
from clinic.panels.records import Invitation, InvitationState
from clinic.panels.requests import (
    WAITING,
    InvitedParty,
    Mode,
    PanelRequest,
    PartyState,
    Proposal,
    ProposalState,
    RequestState,
)
from clinic.panels.traces import tell
from clinic.people import Role
from clinic.roles import Action, Place, require
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


class Side(StrEnum):
    OUT = "out"  # ours, to others
    IN = "in"  # others', to us


@dataclass(frozen=True, slots=True)
class Line:
    """One request on the board; `parties`: all of them for the inviting house, the own one for the invited."""

    request: PanelRequest
    consult: Consult
    parties: tuple[InvitedParty, ...]
    invitations: tuple[Invitation, ...]
    proposals: tuple[Proposal, ...]

    def waiting_seconds(self, now: datetime) -> int:
        """How long the inviting side has waited for an answer; 0 when it waits for none."""
        sent = self.request.sent_at
        return int((now - sent).total_seconds()) if sent is not None and self.request.state in WAITING else 0


async def board(tx: ClinicTransaction, side: Side, by: Actor) -> list[Line]:
    """The own house's requests of one side that wait, or were drafted lately (HZ-24): urgent ones first, then the
    longest waiting. Raises NotPermitted."""
    require(by, Action.SEE_REQUESTS, Place(by.institution_id))
    home = by.institution_id
    since = tx.now - rules_for(await tx.institutions.get(home), tx.now).days("HZ-24", "board_days")
    if side is Side.OUT:
        asked = [tx.panel_requests.query(institution_id=home, drafted_at=After(since))]
        asked += [tx.panel_requests.query(institution_id=home, state=state) for state in _UNDECIDED]
        await tx.fetch(*asked)
        lines = await lines_of(tx, {row.id: row for query in asked for row in query.rows}.values(), None)
    else:
        parties = await tx.invited_parties.find(invited_institution_id=home)
        requests = await requests_of(tx, [row for row in parties if row.case_id is not None])
        lines = await lines_of(tx, [row for row in requests if row.drafted_at > since or row.state in _UNDECIDED], home)
    return sorted(lines, key=_order)


_UNDECIDED = (RequestState.DRAFT, *sorted(WAITING))


async def requests_of(tx: ClinicTransaction, parties: Iterable[InvitedParty]) -> list[PanelRequest]:
    """The requests that named them, each once, in one journey."""
    queries = [tx.panel_requests.query(id=each) for each in dict.fromkeys(row.request_id for row in parties)]
    await tx.fetch(*queries)
    return [query.one() for query in queries]


def _order(line: Line) -> tuple[bool, bool, datetime, str]:
    """What waits for an answer first, of that the urgent, of those the oldest."""
    request = line.request
    return request.state not in WAITING, request.urgency.value != "urgent", request.drafted_at, request.id


async def line_of(tx: ClinicTransaction, request: PanelRequest, home: str | None) -> Line:
    """`home` None: the inviting house sees everybody; otherwise what concerns this house."""
    return (await lines_of(tx, (request,), home))[0]


async def lines_of(tx: ClinicTransaction, requests: Iterable[PanelRequest], home: str | None) -> list[Line]:
    """As `line_of`, of all of them in one journey."""
    asked = [
        (
            request,
            tx.consults.query(id=request.consult_id),
            tx.invited_parties.query(request_id=request.id),
            tx.invitations.query(consult_id=request.consult_id),
            tx.panel_proposals.query(request_id=request.id),
        )
        for request in requests
    ]
    await tx.fetch(*(query for row in asked for query in row[1:]))
    found = []
    for request, consult, named, invitations, proposals in asked:
        parties = sorted(
            (row for row in named.rows if home in (None, row.invited_institution_id)), key=lambda row: row.rank
        )
        cases = {row.case_id for row in parties if row.case_id is not None}
        ids = {row.id for row in parties}
        invited = tuple(row for row in invitations.rows if row.case_id in cases)
        offered = tuple(row for row in proposals.rows if row.party_id in ids)
        found.append(Line(request, consult.one(), tuple(parties), invited, offered))
    return found


async def one(tx: ClinicTransaction, request_id: str, by: Actor) -> Line:
    """One request without its words. Raises MissingRow for a house that was never asked, NotPermitted."""
    request = await tx.panel_requests.get(request_id)
    home = None if request.institution_id == by.institution_id else by.institution_id
    line = await line_of(tx, request, home)
    if home is not None and not any(row.case_id is not None for row in line.parties):
        raise MissingRow("panel_requests")
    require(by, Action.SEE_REQUESTS, Place(by.institution_id))
    return line


async def read(tx: ClinicTransaction, request_id: str, by: Actor, shared: Iterable[str]) -> Line:
    """With its words, the reading on both trails. `shared`: institutions the patient shares with now.

    Raises NotPermitted where the patient does not share (any more), the house takes no part, or the person neither
    coordinates nor was asked; MissingRow.
    """
    line = await one(tx, request_id, by)
    coordinates = Role.COORDINATOR in by.roles
    if line.request.institution_id == by.institution_id:
        if not coordinates:
            await authorise(tx, by, Action.REQUEST_CASE, line.consult)
    else:
        asked = coordinates or any(row.expert_id == by.id and row.state in seating.LIVE for row in line.invitations)
        taking = any(row.state in _CONCERNED for row in line.parties)
        if by.institution_id not in set(shared) or not (asked and taking):
            raise NotPermitted(Action.SEE_REQUESTS.value)
    own = [row for row in line.parties if row.invited_institution_id == by.institution_id]
    await tell(tx, EventCode.CHART_VIEWED, line.request, by, {"part": "request"}, own)
    return line


_CONCERNED = (PartyState.ASKED, PartyState.PROPOSED, PartyState.ACCEPTED)


class Due(StrEnum):
    """What somebody has to do."""

    MATCH = "match"  # coordinator of the inviting house: name institutions
    SEND = "send"  # inviting doctor: the draft waits
    DECIDE = "decide"  # inviting side: a proposal waits
    ASK_OTHERS = "ask_others"  # inviting doctor: nobody takes part
    TRIAGE = "triage"  # coordinator of the invited house: nobody is assigned
    ACCEPT = "accept"  # coordinator of the invited house: experts are assigned, the house has not answered
    ANSWER = "answer"  # expert
    BEGINS = "begins"  # whoever takes part: the panel begins soon


@dataclass(frozen=True, slots=True)
class DueLine:
    what: Due
    request: PanelRequest
    consult: Consult
    by: datetime | None  # until when
    reminded: bool = False
    subject: str = ""  # the proposal or invitation


def due_of(line: Line, by: Actor, rules: RuleSet, now: datetime) -> list[DueLine]:
    """What of this request waits for this person. Pure."""
    found = [
        *(_for_inviting(line, by) if line.request.institution_id == by.institution_id else _for_invited(line, by)),
        *_for_expert(line, by, rules, now),
    ]
    if _leads(line, by) and line.request.state is RequestState.CONVENED and begins_soon(line.consult, rules, now):
        found.append(DueLine(Due.BEGINS, line.request, line.consult, line.consult.starts_at))
    return found


def begins_soon(consult: Consult, rules: RuleSet, now: datetime) -> bool:
    """Within the time staff are reminded of a panel before it begins (HZ-22). Pure."""
    return consult.media_open and now < consult.starts_at <= now + rules.minutes("HZ-22", "before_minutes")


def _leads(line: Line, by: Actor) -> bool:
    return line.consult.doctor_id == by.id


def _for_inviting(line: Line, by: Actor) -> list[DueLine]:
    request, consult = line.request, line.consult
    coordinates, leads = Role.COORDINATOR in by.roles, _leads(line, by)
    if not consult.media_open:
        return []
    found = []
    unmatched = request.mode is Mode.MATCHED and not any(row.state is PartyState.NAMED for row in line.parties)
    if request.state is RequestState.DRAFT and unmatched and coordinates:
        found.append(DueLine(Due.MATCH, request, consult, request.wanted_to))
    if request.state is RequestState.DRAFT and not unmatched and leads:
        found.append(DueLine(Due.SEND, request, consult, request.wanted_to))
    if request.state in (RequestState.DECLINED, RequestState.EXPIRED) and leads:
        found.append(DueLine(Due.ASK_OTHERS, request, consult, consult.starts_at))
    for row in line.proposals:
        if row.state is ProposalState.OPEN:
            found.append(DueLine(Due.DECIDE, request, consult, request.answer_by, subject=row.id))
    return found


def _for_invited(line: Line, by: Actor) -> list[DueLine]:
    if Role.COORDINATOR not in by.roles or line.request.state not in WAITING:
        return []
    found = []
    for party in line.parties:
        if party.state is PartyState.ASKED:
            assigned = any(row.case_id == party.case_id and row.state in seating.LIVE for row in line.invitations)
            what = Due.ACCEPT if assigned else Due.TRIAGE
            reminded = party.reminded_at is not None
            found.append(DueLine(what, line.request, line.consult, line.request.answer_by, reminded, party.id))
    return found


def _for_expert(line: Line, by: Actor, rules: RuleSet, now: datetime) -> list[DueLine]:
    request, consult = line.request, line.consult
    found = []
    for row in line.invitations:
        if row.expert_id != by.id:
            continue
        if row.state is InvitationState.SENT and consult.media_open:
            found.append(DueLine(Due.ANSWER, request, consult, request.answer_by, subject=row.id))
        if row.state is InvitationState.ACCEPTED and begins_soon(consult, rules, now):
            found.append(DueLine(Due.BEGINS, request, consult, consult.starts_at, subject=row.id))
    return found


async def due(tx: ClinicTransaction, by: Actor) -> list[DueLine]:
    """What waits for this person, the most pressing first. Raises NotPermitted."""
    require(by, Action.SEE_REQUESTS, Place(by.institution_id))
    rules = rules_for(await tx.institutions.get(by.institution_id), tx.now)
    lines = {line.request.id: line for line in await _concerning(tx, by)}
    found = [each for line in lines.values() for each in due_of(line, by, rules, tx.now)]
    return sorted(found, key=lambda each: (each.by is None, each.by or tx.now, each.request.id))


async def _concerning(tx: ClinicTransaction, by: Actor) -> Sequence[Line]:
    """Requests of either side that may wait for this person."""
    if Role.COORDINATOR in by.roles:
        return [*await board(tx, Side.OUT, by), *await board(tx, Side.IN, by)]
    found = []
    for consult in await tx.consults.find(doctor_id=by.id):
        found += [await line_of(tx, row, None) for row in await tx.panel_requests.find(consult_id=consult.id)]
    for invitation in await tx.invitations.find(expert_id=by.id):
        if invitation.state in seating.LIVE:
            requests = await tx.panel_requests.find(consult_id=invitation.consult_id)
            found += [await line_of(tx, row, by.institution_id) for row in requests]
    return found
