"""Who helps an elderly person at the same device: named, on record, asked about recording when seen or heard.

A companion has no seat and no link. They sign nothing for the patient; the patient's evidence says who helped. Rows are
only added: the newest one of a seat says who is there now (domain-rules section 6: every present human decides).
Why they are no declared people (`clinic.present`): docs/decisions/0013.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.documents import canonical, digest
from clinic.people import CLINICIANS
from consent.errors import CompanionInvalid, SeatCannotSign
from consent.transaction import ConsentTransaction, Sealer

ROLE = "helper"
LONGEST = 40
REFUSED = "rec.companion_refused"
_WORDS = {True: "permitted", False: "refused", None: "not_asked"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is said at the device. `permits_recording` is decided by the companion, when they are seen or heard."""

    present: bool
    name: str = ""
    relation: str = ""
    in_call: bool = False
    permits_recording: bool | None = None

    @property
    def bars_recording(self) -> bool:
        return self.present and self.in_call and self.permits_recording is not True


@dataclass(frozen=True, slots=True)
class Companion:
    """One declaration as it was committed. Never edited."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str  # whom they help
    present: bool  # False: nobody helps any more
    name: str
    relation: str
    in_call: bool  # will be seen or heard
    permits_recording: bool | None  # None: not asked, as they are neither seen nor heard
    evidence: str  # canonical JSON (RFC 8785)
    digest: str
    seal: str
    recorded_at: datetime

    @property
    def bars_recording(self) -> bool:
        return self.present and self.in_call and self.permits_recording is not True


def check(declaration: Declaration) -> Declaration:
    """Name, relation and the one decision, or nothing at all. Raises CompanionInvalid."""
    if not declaration.present:
        return Declaration(present=False)
    name, relation = declaration.name.strip(), declaration.relation.strip()
    if not 0 < len(name) <= LONGEST or not 0 < len(relation) <= LONGEST:
        raise CompanionInvalid("name or relation")
    if declaration.in_call and declaration.permits_recording is None:
        raise CompanionInvalid("recording is not decided")
    permits = declaration.permits_recording if declaration.in_call else None
    return Declaration(True, name, relation, declaration.in_call, permits)


async def declare(
    tx: ConsentTransaction, sealer: Sealer, seat_id: str, declaration: Declaration, *, operation_id: str, by: Actor
) -> Companion:
    """Put on record who helps at this seat from now on. The same operation id again gives the same row.

    Raises CompanionInvalid, SeatCannotSign (staff, a removed seat, a consult that is over).
    """
    said = check(declaration)
    row_id = hashlib.sha256(f"companion:{seat_id}:{operation_id}".encode()).hexdigest()[:32]
    try:
        return await tx.companions.get(row_id)
    except MissingRow:
        pass
    seat = await tx.seats.get(seat_id)
    consult = await tx.consults.get(seat.consult_id)
    if seat.role in CLINICIANS or seat.state is SeatState.REMOVED or not consult.media_open:
        raise SeatCannotSign()
    await tx.operation(operation_id, seat_id)
    evidence = canonical(_evidence(tx, seat, said))
    row = Companion(
        id=row_id,
        institution_id=seat.institution_id,
        consult_id=seat.consult_id,
        seat_id=seat_id,
        present=said.present,
        name=said.name,
        relation=said.relation,
        in_call=said.in_call,
        permits_recording=said.permits_recording,
        evidence=evidence.decode(),
        digest=digest(evidence),
        seal=sealer.seal(seat.institution_id, digest(evidence), int(tx.now.timestamp())),
        recorded_at=tx.now,
    )
    await tx.companions.add(row)
    await tx.append(_told(row, by))
    return row


def _told(row: Companion, by: Actor) -> AuditEvent:
    public = {
        "role": ROLE,
        "present": row.present,
        "in_call": row.in_call,
        "recording": _WORDS[row.permits_recording],
        "evidence": row.digest,
    }
    actor = by.seat_id or by.id
    return AuditEvent(EventCode.COMPANION_DECLARED, row.institution_id, actor, row.consult_id, row.id, public=public)


def _evidence(tx: ConsentTransaction, seat: Seat, said: Declaration) -> dict[str, Any]:
    return {
        "type": "huizhen.companion",
        "v": 1,
        "role": ROLE,
        "helps": seat.id,
        "consult": seat.consult_id,
        "present": said.present,
        "name": said.name,
        "relation": said.relation,
        "in_call": said.in_call,
        "permits_recording": said.permits_recording,
        "server_time": tx.now,
    }


def helping(rows: Sequence[Companion], seat_id: str) -> Companion | None:
    """Who helps at this seat now: the newest word, oldest first in `rows`."""
    last = next((row for row in reversed(rows) if row.seat_id == seat_id), None)
    return last if last is not None and last.present else None


def barring(rows: Sequence[Companion], seat_ids: Iterable[str]) -> tuple[str, ...]:
    """Seats beside which somebody is seen or heard who does not agree to recording."""
    found = {seat_id: helping(rows, seat_id) for seat_id in seat_ids}
    return tuple(sorted(seat_id for seat_id, row in found.items() if row is not None and row.bars_recording))


def audible(rows: Sequence[Companion], seat_ids: Iterable[str]) -> tuple[str, ...]:
    """Seats beside which somebody is seen or heard, whatever they said of recording."""
    found = {seat_id: helping(rows, seat_id) for seat_id in seat_ids}
    return tuple(sorted(seat_id for seat_id, row in found.items() if row is not None and row.in_call))


def signed_with(row: Companion | None) -> dict[str, Any] | None:
    """What the patient's consent evidence says of the one who helped reading and signing."""
    if row is None:
        return None
    return {"role": ROLE, "name": row.name, "relation": row.relation, "declaration": row.id, "sha256": row.digest}
