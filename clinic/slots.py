"""Hours are opened, booked, given back and changed. No place twice, no doctor twice at one time (HZ-10).

Two guards, both kept by the database: a place's id is unique, and each change saves the doctor's one `DoctorBook` row,
so of two changes at the same moment one is refused as stale and tried again against what the other left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking
from clinic.access import authorise
from clinic.actor import Actor
from clinic.booking import Booked, NewConsult, NewEvidence
from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultKind, ConsultStatus
from clinic.errors import DoctorBusy, IllegalMove, InvalidInput, SlotClosed, SlotFull
from clinic.overlays import rules_for
from clinic.panels import hours, settling
from clinic.people import AccountState, Institution, Staff
from clinic.places import Slot, SlotPlace, SlotState, overlap, place_id, release, turn_page, turned
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class NewSlot:
    doctor_id: str
    department: str
    kind: ConsultKind
    starts_at: datetime
    minutes: int
    capacity: int


@dataclass(frozen=True, slots=True)
class NewVisit:
    """What a booking at opened hours still has to say."""

    patient_id: str
    reason: str
    fee_cents: int
    evidence: tuple[NewEvidence, ...] = ()


async def open_slot(tx: ClinicTransaction, new: NewSlot, by: Actor) -> Slot:
    """Open hours for booking. Raises DoctorBusy (overlap), InvalidInput, NotPermitted, MissingRow."""
    doctor = await _doctor(tx, new.doctor_id, by)
    require(by, Action.OPEN_SLOTS, Place(doctor.institution_id))
    institution = await tx.institutions.get(doctor.institution_id)
    leading = rules_for(institution, tx.now).kinds[new.kind].leading
    if leading not in doctor.roles or doctor.state is not AccountState.ACTIVE:
        raise InvalidInput("doctor_id", "does not lead this kind of consult")
    slot = _checked(new, doctor, by, tx.now, institution)
    await turn_page(tx, doctor.id, doctor.institution_id)
    for other in await tx.slots.find(doctor_id=doctor.id, day=slot.day):
        if other.state is SlotState.OPEN and overlap(other.starts_at, other.ends_at, slot.starts_at, slot.ends_at):
            raise DoctorBusy("slot")
    for busy in await hours.engagements(tx, doctor.id, slot.starts_at, slot.ends_at):
        raise hours.refusal(busy, doctor.id)
    await tx.slots.add(slot)
    await tx.append(_event(EventCode.SLOT_OPENED, slot, by, {"capacity": slot.capacity, "kind": slot.kind.value}))
    return slot


async def close_slot(tx: ClinicTransaction, slot_id: str, by: Actor) -> Slot:
    """No further booking; who is booked stays booked. Idempotent. Raises NotPermitted, MissingRow."""
    slot = await _slot(tx, slot_id, by)
    require(by, Action.OPEN_SLOTS, Place(slot.institution_id))
    if slot.state is SlotState.CLOSED:
        return slot
    await turn_page(tx, slot.doctor_id, slot.institution_id)
    slot = replace(slot, state=SlotState.CLOSED)
    await tx.slots.save(slot)
    await tx.append(_event(EventCode.SLOT_CLOSED, slot, by, {}))
    return slot


async def book(tx: ClinicTransaction, slot_id: str, new: NewVisit, by: Actor, number: int | None = None) -> Booked:
    """A consult in a free place, the first one unless a number is given; judged as every booking is.

    Raises SlotClosed, SlotFull, DoctorBusy, AdmissionRefused, InvalidInput, NotPermitted, MissingRow.
    """
    slot = await _slot(tx, slot_id, by)
    number, former = await _free_place(tx, slot, number)
    starts_at, ends_at = slot.time_of(number)
    booked = await booking.book(
        tx,
        NewConsult(
            kind=slot.kind,
            department=slot.department,
            doctor_id=slot.doctor_id,
            patient_id=new.patient_id,
            reason=new.reason,
            fee_cents=new.fee_cents,
            starts_at=starts_at,
            ends_at=ends_at,
            evidence=new.evidence,
        ),
        by,
        held=True,
    )
    await _occupy(tx, slot, number, former, consult_id=booked.consult.id, by=by)
    return booked


async def rebook(tx: ClinicTransaction, consult_id: str, slot_id: str, by: Actor, number: int | None = None) -> Consult:
    """Another time with the same doctor, before the patient came. The former place is free at once.

    Raises IllegalMove, SlotClosed, SlotFull, DoctorBusy, InvalidInput, NotPermitted, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.BOOK, consult)
    slot = await _slot(tx, slot_id, by)
    if consult.status is not ConsultStatus.SCHEDULED:
        raise IllegalMove("the time changes before the patient comes")
    if slot.doctor_id != consult.doctor_id or slot.kind is not consult.kind or slot.department != consult.department:
        raise InvalidInput("slot_id", "hours of another doctor, department or kind")
    number, former = await _free_place(tx, slot, number, moving=consult_id)
    await release(tx, consult_id, by)
    starts_at, ends_at = slot.time_of(number)
    changed = replace(consult, starts_at=starts_at, ends_at=ends_at)
    await tx.consults.save(changed)
    await _occupy(tx, slot, number, former, consult_id=consult_id, by=by)
    times = {"from": _stamp(consult.starts_at), "to": _stamp(starts_at)}
    await tx.append(
        AuditEvent(
            EventCode.TIME_CHANGED, consult.institution_id, by.seat_id or by.id, consult_id, slot.id, public=times
        )
    )
    if consult.kind in PANELS:
        await settling.shifted(tx, changed, by)
    return changed


async def taken(tx: ClinicTransaction, slot: Slot) -> dict[int, str]:
    """Booked places of a slot: number -> consult."""
    found = await tx.slot_places.find(slot_id=slot.id)
    return {place.number: place.consult_id for place in found if place.consult_id is not None}


async def on_offer(tx: ClinicTransaction, slots: Sequence[Slot]) -> dict[str, frozenset[int]]:
    """Places one could book now, by slot: neither taken nor over, and the doctor has nothing else then."""
    by_doctor: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.state is SlotState.OPEN and slot.ends_at > tx.now:
            by_doctor.setdefault(slot.doctor_id, []).append(slot)
    found: dict[str, frozenset[int]] = {}
    for doctor_id, own in by_doctor.items():
        first, last = min(slot.starts_at for slot in own), max(slot.ends_at for slot in own)
        busy = await hours.engagements(tx, doctor_id, first, last)
        for slot in own:
            known = await taken(tx, slot)
            found[slot.id] = frozenset(
                number
                for number, (starts_at, ends_at) in enumerate(map(slot.time_of, range(slot.capacity)))
                if number not in known and ends_at > tx.now and not hours.at(busy, starts_at, ends_at)
            )
    return found


async def of_day(tx: ClinicTransaction, institution_id: str, day: str) -> Sequence[Slot]:
    """An institution's hours of one day, by start."""
    found = await tx.slots.find(institution_id=institution_id, day=day)
    return sorted(found, key=lambda slot: (slot.starts_at, slot.doctor_id, slot.id))


async def _doctor(tx: ClinicTransaction, doctor_id: str, by: Actor) -> Staff:
    doctor = await tx.staff.get(doctor_id)
    if doctor.institution_id != by.institution_id:
        raise MissingRow("staff")
    return doctor


async def _slot(tx: ClinicTransaction, slot_id: str, by: Actor) -> Slot:
    slot = await tx.slots.get(slot_id)
    if slot.institution_id != by.institution_id:
        raise MissingRow("slots")
    return slot


def _checked(new: NewSlot, doctor: Staff, by: Actor, now: datetime, house: Institution) -> Slot:
    policy, time_zone = rules_for(house, now), house.time_zone
    if new.starts_at.tzinfo is None:
        raise InvalidInput("starts_at", "without a time zone")
    if not now < new.starts_at <= now + timedelta(days=policy.value("HZ-10", "furthest_days")):
        raise InvalidInput("starts_at", "in the past, or too far ahead")
    if not 1 <= new.capacity <= policy.value("HZ-10", "most_places"):
        raise InvalidInput("capacity", "out of range")
    shortest, longest = policy.value("HZ-10", "shortest_minutes"), policy.value("HZ-10", "longest_minutes")
    if not shortest * new.capacity <= new.minutes <= longest or new.minutes % new.capacity:
        raise InvalidInput("minutes", "each place needs the same whole minutes")
    ends_at = new.starts_at + timedelta(minutes=new.minutes)
    day = local_date(new.starts_at, time_zone)
    if local_date(ends_at - timedelta(microseconds=1), time_zone) != day:
        raise InvalidInput("minutes", "beyond midnight")
    if new.department not in doctor.practice_scope and new.kind is ConsultKind.FOLLOW_UP:
        raise InvalidInput("department", "not of this doctor")
    return Slot(
        id=uuid4().hex,
        institution_id=doctor.institution_id,
        doctor_id=doctor.id,
        department=new.department,
        kind=new.kind,
        day=day.isoformat(),
        starts_at=new.starts_at,
        ends_at=ends_at,
        capacity=new.capacity,
        state=SlotState.OPEN,
        opened_by=by.id,
        opened_at=now,
    )


async def _free_place(
    tx: ClinicTransaction, slot: Slot, wanted: int | None, moving: str | None = None
) -> tuple[int, SlotPlace | None]:
    """As `_free`, with the page turned: it is read first, and what others left is read after it."""
    page, places = tx.doctor_books.query(id=slot.doctor_id), tx.slot_places.query(slot_id=slot.id)
    await tx.fetch(page, places)
    found = await _free(tx, slot, places.rows, wanted, moving)
    await turned(tx, page.last(), slot.doctor_id, slot.institution_id)
    return found


async def _free(
    tx: ClinicTransaction, slot: Slot, places: Sequence[SlotPlace], wanted: int | None, moving: str | None
) -> tuple[int, SlotPlace | None]:
    """A free place, with its row when it was booked before. `moving`: a consult that will not stand in its own way."""
    if slot.state is not SlotState.OPEN:
        raise SlotClosed()
    if wanted is not None and not 0 <= wanted < slot.capacity:
        raise InvalidInput("number", "no such place")
    known = {place.number: place for place in places}
    numbers = range(slot.capacity) if wanted is None else (wanted,)
    free = [n for n in numbers if n not in known or known[n].consult_id is None]
    coming = [n for n in free if slot.time_of(n)[1] > tx.now]
    if not coming:
        raise SlotFull()
    busy = await hours.engagements(tx, slot.doctor_id, slot.time_of(coming[0])[0], slot.ends_at, moving)
    for number in coming:
        if not hours.at(busy, *slot.time_of(number)):
            return number, known.get(number)
    raise hours.refusal(hours.at(busy, *slot.time_of(coming[0]))[0], slot.doctor_id)


async def _occupy(
    tx: ClinicTransaction, slot: Slot, number: int, former: SlotPlace | None, *, consult_id: str, by: Actor
) -> None:
    if former is None:
        place = SlotPlace(
            place_id(slot.id, number), slot.institution_id, slot.id, number, slot.doctor_id, consult_id, tx.now
        )
        await tx.slot_places.add(place)
    else:
        await tx.slot_places.save(replace(former, consult_id=consult_id, changed_at=tx.now))
    await tx.append(
        AuditEvent(
            EventCode.PLACE_TAKEN, slot.institution_id, by.seat_id or by.id, consult_id, slot.id,
            public={"number": number},
        )
    )  # fmt: skip


def _stamp(moment: datetime) -> int:
    """Unix seconds, as events hold times."""
    return int(moment.timestamp())


def _event(code: EventCode, slot: Slot, by: Actor, public: dict[str, int | str]) -> AuditEvent:
    return AuditEvent(code, slot.institution_id, by.id, None, slot.id, public=public)
