"""What the acts of a panel share: its kinds of consult, and its events."""

from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import PANELS, Consult
from clinic.errors import IllegalMove


def require_panel(consult: Consult) -> None:
    if consult.kind not in PANELS:
        raise IllegalMove("not an expert consult")


def event(code: EventCode, consult: Consult, by: Actor, subject_id: str, public: dict[str, Any]) -> AuditEvent:
    return AuditEvent(code, consult.institution_id, by.seat_id or by.id, consult.id, subject_id, public=public)
