"""Judging again what was judged: while people wait, and while a small child is seen, facts may change.

Who waits and what they were told is the caller's; here the verdict is made and a change of it goes on record.
"""

from collections.abc import Sequence

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.admission import Admission, Present, Stage, facts_of, judge
from clinic.consult import Consult, ConsultStatus
from clinic.overlays import rules_for
from clinic.transaction import ClinicTransaction


async def rejudge(tx: ClinicTransaction, consult: Consult, present: Present | None = None) -> Admission:
    """The verdict now: at the door while they wait, for what must stay true while they talk."""
    facts = await facts_of(tx, consult, present)
    stage = Stage.RUNNING if consult.status is ConsultStatus.IN_PROGRESS else Stage.JOIN
    return judge(facts, rules_for(facts.institution, tx.now), tx.now, stage)


async def record_change(tx: ClinicTransaction, consult: Consult, verdict: Admission, seats: Sequence[str]) -> None:
    """That a standing verdict turned, and which seats were waiting for it."""
    code = EventCode.GATE_PASSED if verdict.allowed else EventCode.GATE_FAILED
    await tx.append(
        AuditEvent(
            code,
            consult.institution_id,
            Actor.system(consult.institution_id).id,
            consult.id,
            consult.id,
            outcome="ok" if verdict.allowed else verdict.codes[0],
            public={
                "reasons": list(verdict.codes),
                "stage": verdict.stage.value,
                "rules": verdict.rules_version,
                "read": list(verdict.evidence_read),
                "seats": list(seats),
            },
        )
    )
