"""A nurse or an invited expert advises the doctor to stop an unsuitable visit (CN-09). The doctor decides."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.errors import IllegalMove
from clinic.overlays import rules_for
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

LONGEST = 1000


@dataclass(frozen=True, slots=True)
class TerminationAdvice:
    """Said to the leading doctor, kept beside the visit whatever they decide."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    role: Role
    reason_code: str  # of CN-09
    text: str
    advised_at: datetime


async def advise(tx: ClinicTransaction, consult_id: str, reason_code: str, text: str, by: Actor) -> TerminationAdvice:
    """Put the advice on record. Raises NotPermitted, IllegalMove (media is over), InvalidInput, MissingRow."""
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, by, Action.ADVISE_TERMINATION, consult)
    if not consult.media_open:
        raise IllegalMove(f"{consult.status} has ended")
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    advice = TerminationAdvice(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        seat_id=seat.id if seat is not None else by.id,
        role=seat.role if seat is not None else by.roles[0],
        reason_code=checks.one_of("reason_code", reason_code, rules.rules["CN-09"].codes),
        text=checks.text("text", text, LONGEST, 2),
        advised_at=tx.now,
    )
    await tx.termination_advices.add(advice)
    public = {"reason": advice.reason_code, "role": advice.role.value}
    await tx.append(
        AuditEvent(
            EventCode.TERMINATION_ADVISED, consult.institution_id, advice.seat_id, consult_id, advice.id, public=public
        )
    )
    return advice
