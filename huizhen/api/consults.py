"""Consults at the console: the day, the list, booking, one consult, its seats and links, its note."""

from datetime import date
from zoneinfo import ZoneInfo

from archive import intake
from clinic import booking, notes, visit
from clinic.access import authorise, held_by
from clinic.calendar import local_date
from clinic.consult import Consult, SeatState
from clinic.errors import NotPermitted
from clinic.notices import NoticeKind
from clinic.panels.records import InvitationState
from clinic.people import CLINICIANS, GUESTS, Role
from clinic.roles import Action
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.detail import Reader, consult_detail, consult_row, invitation_row
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.consult import (
    AddEvidence,
    AddSeat,
    BookConsult,
    Cancel,
    ConsultDetail,
    ConsultQuery,
    ConsultRow,
    DeviceTokenAnswer,
    DeviceTokenBody,
    LinkView,
    NoteBody,
    SeatAdded,
    Today,
)
from huizhen.api.shapes.seat import TicketAnswer
from huizhen.store.tables import StoreTransaction
from huizhen.tokens import DEVICE_LIFETIME, TICKET_SECONDS
from signaling import admittance, closing

_BY_LINK = GUESTS | {Role.PATIENT}  # who comes in by a link; a declared person has no page
_ALL_OF_HOUSE = frozenset({Role.NURSE})  # those who keep the book see every consult of the house


def reader_of(call: Call[B]) -> Reader:
    return Reader(call.actor, call.me, call.services.live, call.now)


async def mine(tx: StoreTransaction, call: Call[B]) -> list[Consult]:
    """Consults this person has something to do with, by start."""
    found: dict[str, Consult] = {}
    if _ALL_OF_HOUSE & set(call.me.roles):
        found |= {row.id: row for row in await tx.consults.find(institution_id=call.me.institution_id)}
    found |= {row.id: row for row in await tx.consults.find(doctor_id=call.me.id)}
    for seat in await tx.seats.find(person_id=call.me.id):
        if seat.consult_id not in found and seat.state is not SeatState.REMOVED:
            found[seat.consult_id] = await tx.consults.get(seat.consult_id)
    return sorted(found.values(), key=lambda consult: (consult.starts_at, consult.id))


async def today(call: Call[NoBody]) -> Today:
    """What is on today, what is open from before, and whose invitations wait for an answer."""
    house = await call.tx.institutions.get(call.me.institution_id)
    day = local_date(call.now, house.time_zone)
    shown = [row for row in await mine(call.tx, call) if _of_today(row, day, house.time_zone)]
    items = [await consult_row(call.tx, row, reader_of(call)) for row in shown]
    asked = [
        await invitation_row(call.tx, row)
        for row in await call.tx.invitations.find(expert_id=call.me.id)
        if row.state is InvitationState.SENT
    ]
    return Today(items=items, waiting=sum(len(row.waiting) for row in items), invitations=asked)


def _of_today(consult: Consult, day: date, time_zone: str) -> bool:
    begun = consult.opened_at is not None or consult.ended_at is not None  # the latter alone: in writing
    unfinished = begun and not consult.over
    return unfinished or local_date(consult.starts_at, time_zone) <= day <= local_date(consult.ends_at, time_zone)


async def consults(call: Call[NoBody]) -> Items[ConsultRow]:
    house = await call.tx.institutions.get(call.me.institution_id)
    query, zone = call.query, ZoneInfo(house.time_zone)
    words = query.q.strip().lower()
    items = []
    for consult in await mine(call.tx, call):
        day = consult.starts_at.astimezone(zone).date()
        if (query.from_ and day < query.from_) or (query.to and day > query.to):
            continue
        if query.status is not None and consult.status is not query.status:
            continue
        row = await consult_row(call.tx, consult, reader_of(call))
        text = " ".join((row.reason, row.doctor.name, row.patient.masked_name, row.department_label.zh, row.id)).lower()
        if words in text:
            items.append(row)
    return Items(items=items)


async def detail_of(call: Call[B], consult_id: str) -> ConsultDetail:
    """The page of one consult, inside the call's transaction."""
    consult = await call.tx.consults.get(consult_id)
    events = await render.trail(call.tx, consult.institution_id, consult_id)
    return await consult_detail(call.tx, consult, reader_of(call), events)


async def detail(call: Call[NoBody]) -> ConsultDetail:
    return await detail_of(call, call.path("consult"))


async def changed(call: Call[B], consult_id: str) -> ConsultDetail:
    """After a committed change: tell the live room, answer with the page."""
    await closing.consult_changed(call.services.live, consult_id)
    async with call.services.db.begin() as tx:
        call.transaction = tx
        return await detail_of(call, consult_id)


async def book(call: Call[BookConsult]) -> ConsultDetail:
    body = call.body
    new = booking.NewConsult(
        kind=body.kind,
        department=body.department,
        doctor_id=body.doctor_id,
        patient_id=body.patient_id,
        reason=body.reason,
        fee_cents=body.fee_cents,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        evidence=tuple(
            booking.NewEvidence(
                each.department, each.visited_on, each.visited_institution, each.diagnosis, each.reference
            )
            for each in body.evidence
        ),
    )
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        booked = await booking.book(tx, new, call.actor)
    async with call.services.db.begin() as tx:
        call.transaction = tx
        return await detail_of(call, booked.consult.id)


async def add_evidence(call: Call[AddEvidence]) -> ConsultDetail:
    body, consult_id = call.body, call.path("consult")
    new = booking.NewEvidence(
        body.department, body.visited_on, body.visited_institution, body.diagnosis, body.reference
    )
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await booking.add_evidence(tx, consult_id, new, call.actor, tuple(body.files))
    return await changed(call, consult_id)


async def cancel(call: Call[Cancel]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        consult = await booking.cancel(tx, consult_id, call.actor, call.body.reason_code)
        await call.services.outbox.follow(tx, consult, NoticeKind.CANCELLED, call.op, call.actor)
        await intake.on_consult_over(tx, consult_id)
    return await changed(call, consult_id)


async def close(call: Call[Empty]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await visit.close(tx, consult_id, call.actor)
        await intake.on_consult_over(tx, consult_id)
    institution_id = (await _consult(call, consult_id)).institution_id
    await call.services.checkpoints.sign(institution_id)
    return await changed(call, consult_id)


async def _consult(call: Call[B], consult_id: str) -> Consult:
    async with call.services.db.read() as tx:
        return await tx.consults.get(consult_id)


async def add_seat(call: Call[AddSeat]) -> SeatAdded:
    consult_id, body = call.path("consult"), call.body
    new = booking.NewGuest(Role(body.role), body.display_name, body.relation)
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        seat = await booking.add_guest(tx, consult_id, new, call.actor)
        issued = await call.services.link_door.issue(tx, seat, call.actor.id)
    await closing.consult_changed(call.services.live, consult_id)
    return SeatAdded(seat=seat.id, link=render.link_view(call.services.base_url(), issued))


async def renew_link(call: Call[Empty]) -> LinkView:
    """A new link for the patient's or a guest's seat; the earlier one and the devices it opened end."""
    consult = await call.tx.consults.get(call.path("consult"))
    await authorise(call.tx, call.actor, Action.INVITE_GUEST, consult)
    seat = await call.tx.seats.get(call.path("seat"))
    if seat.role not in _BY_LINK or seat.state is SeatState.REMOVED:
        raise NotPermitted("link")
    issued = await call.services.link_door.issue(call.tx, seat, call.actor.id)
    return render.link_view(call.services.base_url(), issued)


async def ticket(call: Call[Empty]) -> TicketAnswer:
    seat_id = await my_seat(call)
    granted = await admittance.ticket_grants(call.tx, seat_id)
    token = call.services.tokens.issue_ticket(
        seat_id=granted.seat.id,
        consult_id=granted.consult.id,
        institution_id=granted.seat.institution_id,
        role=granted.role,
        device_id=call.staff.session.id,
        grants=granted.grants,
    )
    return TicketAnswer(ticket=token, expires_in=TICKET_SECONDS)


async def my_seat(call: Call[B]) -> str:
    """The caller's seat in the consult. Raises NotPermitted."""
    seats = await call.tx.seats.find(consult_id=call.path("consult"), person_id=call.me.id)
    seat = held_by(seats, call.me.id)
    if seat is None:
        raise NotPermitted(Action.JOIN_MEDIA.value)
    return seat.id


async def device_token(call: Call[DeviceTokenBody]) -> DeviceTokenAnswer:
    """A bearer token for a cart, a scope or a wall; its stream belongs to the caller's seat."""
    seat_id = await my_seat(call)
    granted = await admittance.ticket_grants(call.tx, seat_id)
    if granted.seat.role not in CLINICIANS:
        raise NotPermitted("device")
    token = call.services.tokens.issue_device(
        seat_id=granted.seat.id,
        consult_id=granted.consult.id,
        institution_id=granted.seat.institution_id,
        kind=call.body.kind,
        label=call.body.label,
    )
    url = f"{call.services.base_url()}/{call.body.kind}/{granted.consult.id}"
    return DeviceTokenAnswer(token=token, url=url, expires_in=int(DEVICE_LIFETIME.total_seconds()))


async def save_note(call: Call[NoteBody]) -> ConsultDetail:
    body, consult_id = call.body, call.path("consult")
    text = notes.NoteText(body.complaint, body.findings, body.diagnosis, body.advice)
    await notes.save_draft(call.tx, consult_id, text, call.actor)
    return await detail_of(call, consult_id)


async def sign_note(call: Call[Empty]) -> ConsultDetail:
    consult_id = call.path("consult")
    await notes.sign(call.tx, call.services.sealer, consult_id, call.actor)
    return await detail_of(call, consult_id)


_DOCTORS = (Action.SEE_CHART, Action.BOOK)

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/today",
        handler=today,
        policy=staff(Action.OWN_SESSION, own=Own.HOUSE),
        answer=Today,
        summary="The day",
    ),
    Route(
        method="GET",
        path="/api/consults",
        handler=consults,
        policy=staff(*_DOCTORS, own=Own.HOUSE),
        answer=Items[ConsultRow],
        query=ConsultQuery,
        summary="Consults of mine",
    ),
    Route(
        method="POST",
        path="/api/consults",
        handler=book,
        policy=staff(Action.BOOK, own=Own.HOUSE),
        body=BookConsult,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Book; judged at once",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}",
        handler=detail,
        policy=staff(*_DOCTORS, Action.ANSWER_INVITATION, own=Own.CONSULT),
        answer=ConsultDetail,
        unit=Unit.WRITE,
        claims=False,
        summary="One consult; reading the chart is on record",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/evidence",
        handler=add_evidence,
        policy=staff(Action.ADD_EVIDENCE, own=Own.CONSULT),
        body=AddEvidence,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Proof of an earlier physical visit",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/cancel",
        handler=cancel,
        policy=staff(Action.BOOK, own=Own.CONSULT),
        body=Cancel,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Cancel before the call",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/close",
        handler=close,
        policy=staff(Action.END, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Close; everything must be signed",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/seats",
        handler=add_seat,
        policy=staff(Action.INVITE_GUEST, own=Own.CONSULT),
        body=AddSeat,
        answer=SeatAdded,
        unit=Unit.NONE,
        summary="A seat and link for family, an interpreter or a guardian",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/seats/{seat}/link",
        handler=renew_link,
        policy=staff(Action.INVITE_GUEST, own=Own.CONSULT_SEAT),
        body=Empty,
        answer=LinkView,
        unit=Unit.WRITE,
        summary="A new link; the earlier one ends",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/ticket",
        handler=ticket,
        policy=staff(Action.JOIN_MEDIA, own=Own.CONSULT),
        body=Empty,
        answer=TicketAnswer,
        unit=Unit.READ,
        summary="A ticket for the socket",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/device-token",
        handler=device_token,
        policy=staff(Action.JOIN_MEDIA, own=Own.CONSULT),
        body=DeviceTokenBody,
        answer=DeviceTokenAnswer,
        unit=Unit.READ,
        summary="A bearer token for a WHIP or WHEP device",
    ),
    Route(
        method="PUT",
        path="/api/consults/{consult}/note",
        handler=save_note,
        policy=staff(Action.WRITE_NOTE, own=Own.CONSULT),
        body=NoteBody,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="The visit note as a draft",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/note/sign",
        handler=sign_note,
        policy=staff(Action.SIGN_NOTE, own=Own.CONSULT),
        body=Empty,
        answer=ConsultDetail,
        unit=Unit.WRITE,
        summary="Sign the note; it is immutable then",
    ),
)
