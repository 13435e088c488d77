"""The inviting side writes its request: a draft that may be changed until it is sent (rules 1.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind
from clinic.errors import IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.panels.finding import drafted, live, named, parties_of
from clinic.panels.requests import InvitedParty, Mode, PanelRequest, PartyState, RequestState, Urgency
from clinic.panels.traces import require_panel, tell
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

LIABILITY_MODES = ("inviting", "shared")
_LIABLE = {ConsultKind.EXPERT_CONSULT: "inviting", ConsultKind.REMOTE_DIAGNOSIS: "shared"}


@dataclass(frozen=True, slots=True)
class Named:
    """An institution to ask, and whom of it the inviting side wishes (nobody: its coordinator assigns)."""

    institution_id: str
    expert_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A draft; what it lacks is said when it is to be sent. `parties`: in the order they are preferred."""

    reason: str
    aim: str
    summary: str
    wanted_department: str
    wanted_specialty: str = ""
    wanted_title: str = ""
    wanted_from: datetime | None = None  # None = the consult's hours
    wanted_to: datetime | None = None
    wanted: int = 0
    urgency: Urgency = Urgency.ROUTINE
    mode: Mode = Mode.DIRECT
    liability_mode: str = ""  # "" = what the kind says: both sides answer for a remote diagnosis
    chair_id: str | None = None
    parties: tuple[Named, ...] = ()


async def draft(tx: ClinicTransaction, consult_id: str, new: NewRequest, by: Actor) -> PanelRequest:
    """Write or rewrite the draft. Raises InvalidInput, IllegalMove (sent already, consult over), MissingRow."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    require_panel(consult)
    if not consult.media_open:
        raise IllegalMove("no experts can be asked to this consult")
    before = await live(tx, consult_id)
    if before is not None and before.state is not RequestState.DRAFT:
        raise IllegalMove("asked already")
    if new.mode is Mode.MATCHED and new.parties:
        raise InvalidInput("parties", "a coordinator names them")
    values = _values(consult, new)
    if before is None:
        request = PanelRequest(
            id=uuid4().hex,
            institution_id=consult.institution_id,
            consult_id=consult_id,
            state=RequestState.DRAFT,
            drafted_by=by.id,
            drafted_at=tx.now,
            sequence=0,
            **values,
        )
        await tx.panel_requests.add(request)
    else:
        request = replace(before, drafted_by=by.id, drafted_at=tx.now, **values)
        await tx.panel_requests.save(request)
    if new.mode is Mode.DIRECT:
        await _name(tx, request, new.parties, by)
    public = {"mode": request.mode.value, "urgency": request.urgency.value, "invited": await named(tx, consult_id)}
    await tell(tx, EventCode.REQUEST_DRAFTED, request, by, public)
    return request


def _values(consult: Consult, new: NewRequest) -> dict[str, Any]:
    starts, ends = new.wanted_from or consult.starts_at, new.wanted_to or consult.ends_at
    if starts.tzinfo is None or ends.tzinfo is None or ends <= starts:
        raise InvalidInput("wanted_to", "not after the start, or without a time zone")
    if new.wanted < 0:
        raise InvalidInput("wanted", "negative")
    return {
        "mode": new.mode,
        "urgency": new.urgency,
        "reason": checks.text("reason", new.reason, 1000, 0),
        "aim": checks.text("aim", new.aim, 1000, 0),
        "summary": checks.text("summary", new.summary, 8000, 0),
        "wanted_department": checks.text("wanted_department", new.wanted_department or consult.department, 64),
        "wanted_specialty": checks.text("wanted_specialty", new.wanted_specialty, 100, 0),
        "wanted_title": checks.text("wanted_title", new.wanted_title, 40, 0),
        "wanted_from": starts,
        "wanted_to": ends,
        "wanted": new.wanted,
        "liability_mode": checks.one_of("liability_mode", new.liability_mode or _LIABLE[consult.kind], LIABILITY_MODES),
        "chair_id": new.chair_id,
    }


async def match(tx: ClinicTransaction, consult_id: str, parties: Sequence[Named], by: Actor) -> PanelRequest:
    """A coordinator of the inviting house picks whom to ask. Raises IllegalMove, InvalidInput, NotPermitted."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.MATCH_REQUEST, consult)
    request = await drafted(tx, consult_id)
    if request.mode is not Mode.MATCHED:
        raise IllegalMove("the doctor names whom to ask")
    await tx.panel_requests.save(request)
    await _name(tx, request, parties, by)
    await tell(tx, EventCode.REQUEST_MATCHED, request, by, {"invited": await named(tx, consult_id)})
    return request


async def _name(tx: ClinicTransaction, request: PanelRequest, wanted: Sequence[Named], by: Actor) -> None:
    """Those named now, in this order; who was named before and is not any more is released."""
    rules = rules_for(await tx.institutions.get(request.institution_id), tx.now)
    if len(wanted) > rules.value("HZ-23", "most_institutions"):
        raise InvalidInput("parties", "too many")
    if len({each.institution_id for each in wanted}) != len(wanted):
        raise InvalidInput("parties", "one twice")
    known = {row.invited_institution_id: row for row in await parties_of(tx, request) if row.state is PartyState.NAMED}
    for rank, each in enumerate(wanted, 1):
        await tx.institutions.get(each.institution_id)
        if len(set(each.expert_ids)) != len(each.expert_ids):
            raise InvalidInput("expert_ids", "one twice")
        before = known.pop(each.institution_id, None)
        if before is not None:
            await tx.invited_parties.save(replace(before, rank=rank, expert_ids=each.expert_ids))
            continue
        await tx.invited_parties.add(
            InvitedParty(
                id=uuid4().hex,
                institution_id=request.institution_id,
                consult_id=request.consult_id,
                request_id=request.id,
                invited_institution_id=each.institution_id,
                rank=rank,
                expert_ids=each.expert_ids,
                state=PartyState.NAMED,
            )
        )
    for gone in known.values():
        await tx.invited_parties.save(gone.move(PartyState.RELEASED, tx.now, by.id))
