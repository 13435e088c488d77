"""Copies of a consent: for the person who signed (PIPL art. 45), and for staff who may see it. Each is on record."""

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import regulation
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.errors import NotPermitted
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action
from consent.attesting import attestable
from consent.errors import ConsentError
from consent.records import ConsentRecord
from consent.transaction import ConsentTransaction


class NothingOnPaper(ConsentError):
    """A notice acknowledged by joining, a statement made in the room, a correction: there is nothing to print."""

    code = "paper.nothing"


async def own(tx: ConsentTransaction, seat: Seat, record_id: str, form: str) -> ConsentRecord:
    """A copy of what this seat signed or withdrew, as "pdf" or "receipt". Raises MissingRow for anybody else's."""
    record = await tx.consent_records.get(record_id)
    if record.seat_id != seat.id:
        raise MissingRow("consent_records")
    _on_paper(record)
    await tx.append(
        AuditEvent(
            EventCode.CONSENT_COPY_GIVEN, record.institution_id, seat.id, record.consult_id, record.id,
            public={"form": form},
        )
    )  # fmt: skip
    return record


async def may_view(tx: ConsentTransaction, actor: Actor, consult: Consult) -> None:
    """Who may see the chart, and the archivist who hands out copies. Raises NotPermitted, NoCase, MissingRow."""
    if Role.REGULATOR in actor.roles:
        await regulation.covered(tx, CaseScope.CHART, consult, actor)
        return
    try:
        await authorise(tx, actor, Action.SEE_CHART, consult)
    except NotPermitted:
        await authorise(tx, actor, Action.EXPORT, consult)


async def view(tx: ConsentTransaction, actor: Actor, consult_id: str, record_id: str) -> ConsentRecord:
    """A paper for staff, the view on record. Raises NotPermitted, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await may_view(tx, actor, consult)
    record = await tx.consent_records.get(record_id)
    if record.consult_id != consult.id:
        raise MissingRow("consent_records")
    _on_paper(record)
    if Role.REGULATOR in actor.roles:
        await regulation.use(tx, CaseScope.CHART, consult, actor)
    who = actor.seat_id or actor.id
    await tx.append(AuditEvent(EventCode.CONSENT_VIEWED, record.institution_id, who, consult.id, record.id))
    return record


def _on_paper(record: ConsentRecord) -> None:
    if not attestable(record):
        raise NothingOnPaper()
