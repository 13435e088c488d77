"""What a doctor needs before a reception: a practice filing, a fresh login; and a locker that hides nothing."""

from datetime import date
from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import attesting, filings
from clinic.facts import FilingKind
from clinic.people import Staff


class FakeLocker:
    """Locks by naming the row; opens only what it locked for that row."""

    async def lock(self, institution_id: str, consult_id: str, row_id: str, text: str) -> str:
        return f"locked:{row_id}:{text[::-1]}"

    async def unlock(self, institution_id: str, consult_id: str, row_id: str, sealed: str) -> str:
        prefix = f"locked:{row_id}:"
        assert sealed.startswith(prefix)
        return sealed.removeprefix(prefix)[::-1]


def filing(**changes: Any) -> filings.NewFiling:
    values: dict[str, Any] = {"kind": FilingKind.REGISTERED, "number": "BA-1", "valid_from": date(2015, 7, 1)}
    return filings.NewFiling(**{**values, **changes})


async def prove(tx: Any, member: Staff) -> None:
    """The member of staff signs in, now."""
    await attesting.authenticated(tx, member, "login")
    await tx.append(AuditEvent(EventCode.AUTH_LOGIN, member.institution_id, member.id, subject_id=member.id))
