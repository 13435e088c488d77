"""The two gates before media: is the seat still open in a consult that is on, and is every needed consent there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import Consult, Seat, SeatState
from clinic.errors import NotPermitted, SeatClosed
from clinic.people import CLINICIANS, Role
from clinic.roles import Action, permits
from consent import due, gate
from consent.errors import AskAgain, ConsentMissing, OfflineVisit
from consent.reconsent import Change
from consent.records import ConsentRecord, Purpose
from consent.standing import required_purposes
from rtc.negotiation import Source
from signaling.errors import RoomOver


@dataclass(frozen=True, slots=True)
class SeatTicket:
    """What a socket ticket says of a seat that passed."""

    seat: Seat
    consult: Consult
    role: Role
    grants: tuple[str, ...]


async def ticket_grants(tx: Any, seat_id: str) -> SeatTicket:
    """For a ticket: who the seat is and what it may do. `tx` is a ConsentTransaction.

    Raises MissingRow, RoomOver, SeatClosed, NotPermitted, ConsentMissing.
    """
    seat: Seat = await tx.seats.get(seat_id)
    consult: Consult = await tx.consults.get(seat.consult_id)
    await pass_gates(tx, consult, seat)
    grants = [] if seat.role is Role.OBSERVER else [Source.MICROPHONE.value, Source.CAMERA.value]
    if permits(seat.role, Action.SHARE_SCREEN):
        grants.append(Source.SCREEN.value)
    return SeatTicket(seat, consult, seat.role, (*grants, "subscribe"))


async def pass_gates(tx: Any, consult: Consult, seat: Seat) -> Sequence[ConsentRecord]:
    """Judge one seat; the consent records read. Raises as `ticket_grants`."""
    if not consult.media_open:
        raise RoomOver
    if seat.state is SeatState.REMOVED:
        raise SeatClosed
    if not permits(seat.role, Action.JOIN_MEDIA):
        raise NotPermitted(Action.JOIN_MEDIA.value)
    records: Sequence[ConsentRecord] = await tx.consent_records.find(consult_id=consult.id)
    institution = await tx.institutions.get(consult.institution_id)
    gate.require(records, consult, seat, institution.recording_basis, now=tx.now)
    return records


async def require_current(tx: Any, consult: Consult, seat: Seat, records: Sequence[ConsentRecord]) -> None:
    """Before somebody is let in: what the patient's consent rests on is still as it was when they signed (domain-rules
    section 6, ask again). Asked of the patient, and of an observer the patient has not heard of. `tx` is a
    ConsentTransaction. Raises AskAgain.
    """
    if seat.role is Role.PATIENT:
        basis = (await tx.institutions.get(consult.institution_id)).recording_basis
        asks = await due.due(tx, consult, seat, records)
        needed = required_purposes(consult.kind, seat.role, basis)
    elif seat.role is Role.OBSERVER:
        patients = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
        asks = tuple([ask for each in patients for ask in await due.due(tx, consult, each, records)])
        asks, needed = tuple(ask for ask in asks if Change.OBSERVER in ask.because), (Purpose.OBSERVE,)
    else:
        return
    stale = [purpose for purpose in needed if any(purpose in ask.purposes for ask in asks)]
    if stale:
        raise AskAgain(tuple(purpose.value for purpose in stale))


async def note_offline(tx: Any, seat_id: str) -> None:
    """After a decision: where recording is a legal duty and the answer was no, that an offline visit was offered goes
    on record. `tx` is a ConsentTransaction."""
    seat: Seat = await tx.seats.get(seat_id)
    consult: Consult = await tx.consults.get(seat.consult_id)
    try:
        await pass_gates(tx, consult, seat)
    except OfflineVisit as refusal:
        public = {"role": seat.role.value, "reason": refusal.code}
        event = EventCode.OFFLINE_OFFERED
        await tx.append(AuditEvent(event, seat.institution_id, seat.id, consult.id, seat.id, public=public))
    except (RoomOver, SeatClosed, NotPermitted, ConsentMissing):
        return


def gives_notice(seat: Seat) -> bool:
    """Staff acknowledge the standing notice on recording by joining."""
    return seat.role in CLINICIANS
