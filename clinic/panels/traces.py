"""What the acts of a panel share: its kinds of consult, and its events."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import PANELS, Consult
from clinic.errors import IllegalMove
from clinic.panels.requests import InvitedParty, PanelRequest
from clinic.transaction import ClinicTransaction


def require_panel(consult: Consult) -> None:
    if consult.kind not in PANELS:
        raise IllegalMove("not an expert consult")


def event(code: EventCode, consult: Consult, by: Actor, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    return AuditEvent(code, consult.institution_id, by.seat_id or by.id, consult.id, subject_id, public=public)


async def tell(  # noqa: PLR0917
    tx: ClinicTransaction,
    code: EventCode,
    request: PanelRequest,
    by: Actor,
    public: dict[str, Any],
    parties: Iterable[InvitedParty] = (),
    subject: str = "",
) -> None:
    """One act on both sides' trails: the inviting house's, and those of the parties it concerns, under one `act`."""
    said = public | {"act": uuid4().hex, "request": request.id}
    who, about = by.seat_id or by.id, subject or request.id
    houses = dict.fromkeys((request.institution_id, *(party.invited_institution_id for party in parties)))
    for house in houses:
        await tx.append(AuditEvent(code, house, who, request.consult_id, about, public=said))
