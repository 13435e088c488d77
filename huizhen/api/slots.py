"""Opened hours at the console: the week, opening and closing them, booking a place, another time."""

from datetime import timedelta

from clinic import slots
from clinic.booking import NewEvidence
from clinic.calendar import local_date
from clinic.notices import NoticeKind
from clinic.places import Slot
from clinic.roles import Action
from huizhen import masks
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.consults import changed, detail_of
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.consult import ConsultDetail
from huizhen.api.shapes.waiting import BookPlace, ChangeTime, OpenSlot, PlaceView, SlotQuery, SlotView
from huizhen.store.tables import StoreTransaction


async def slot_view(tx: StoreTransaction, slot: Slot, offered: frozenset[int] | None = None) -> SlotView:
    """With each place and, where it is booked, for whom (masked). `offered`: places that may be booked, when read."""
    taken = await slots.taken(tx, slot)
    if offered is None:
        offered = (await slots.on_offer(tx, [slot])).get(slot.id, frozenset())
    places = []
    for number in range(slot.capacity):
        starts_at, ends_at = slot.time_of(number)
        consult_id = taken.get(number)
        name = None
        if consult_id is not None:
            consult = await tx.consults.get(consult_id)
            name = masks.name((await tx.patients.get(consult.patient_id)).name)
        places.append(
            PlaceView(
                number=number,
                starts_at=starts_at,
                ends_at=ends_at,
                free=number in offered,
                consult_id=consult_id,
                patient=name,
            )
        )
    return SlotView(
        id=slot.id,
        doctor=render.doctor_row(await tx.staff.get(slot.doctor_id)),
        department=slot.department,
        department_label=render.department(slot.department),
        kind=slot.kind,
        day=slot.day,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        capacity=slot.capacity,
        taken=len(taken),
        state=slot.state,
        places=places,
    )


async def week(call: Call[NoBody]) -> Items[SlotView]:
    """The house's hours from a day on, by start."""
    house = await call.tx.institutions.get(call.me.institution_id)
    first = call.query.from_ or local_date(call.now, house.time_zone)
    shown: list[Slot] = []
    for offset in range(call.query.days):
        day = (first + timedelta(days=offset)).isoformat()
        found = await slots.of_day(call.tx, house.id, day)
        shown += [slot for slot in found if call.query.doctor_id in (None, slot.doctor_id)]
    offered = await slots.on_offer(call.tx, shown)
    return Items(items=[await slot_view(call.tx, slot, offered.get(slot.id, frozenset())) for slot in shown])


async def open_slot(call: Call[OpenSlot]) -> SlotView:
    body = call.body
    new = slots.NewSlot(body.doctor_id, body.department, body.kind, body.starts_at, body.minutes, body.capacity)
    return await slot_view(call.tx, await slots.open_slot(call.tx, new, call.actor))


async def close_slot(call: Call[Empty]) -> SlotView:
    return await slot_view(call.tx, await slots.close_slot(call.tx, call.path("slot"), call.actor))


async def book(call: Call[BookPlace]) -> ConsultDetail:
    body = call.body
    evidence = tuple(
        NewEvidence(each.department, each.visited_on, each.visited_institution, each.diagnosis, each.reference)
        for each in body.evidence
    )
    new = slots.NewVisit(body.patient_id, body.reason, body.fee_cents, evidence)
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        booked = await slots.book(tx, call.path("slot"), new, call.actor, body.number)
    async with call.services.db.begin() as tx:
        call.transaction = tx
        return await detail_of(call, booked.consult.id)


async def change_time(call: Call[ChangeTime]) -> ConsultDetail:
    """Another place; a patient who was invited by message is told by message."""
    consult_id, body = call.path("consult"), call.body
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        consult = await slots.rebook(tx, consult_id, body.slot_id, call.actor, body.number)
        key = f"{call.op}:{int(consult.starts_at.timestamp())}"
        await call.services.outbox.follow(tx, consult, NoticeKind.TIME_CHANGED, key, call.actor)
    return await changed(call, consult_id)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/slots",
        handler=week,
        policy=staff(Action.OPEN_SLOTS, Action.BOOK, own=Own.HOUSE),
        answer=Items[SlotView],
        query=SlotQuery,
        summary="Opened hours and their places",
    ),
    Route(
        method="POST",
        path="/api/slots",
        handler=open_slot,
        policy=staff(Action.OPEN_SLOTS, own=Own.HOUSE),
        body=OpenSlot,
        answer=SlotView,
        unit=Unit.WRITE,
        summary="Open hours for booking",
    ),
    Route(
        method="POST",
        path="/api/slots/{slot}/close",
        handler=close_slot,
        policy=staff(Action.OPEN_SLOTS, own=Own.SLOT),
        body=Empty,
        answer=SlotView,
        unit=Unit.WRITE,
        summary="No further booking in these hours",
    ),
    Route(
        method="POST",
        path="/api/slots/{slot}/book",
        handler=book,
        policy=staff(Action.BOOK, own=Own.SLOT),
        body=BookPlace,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Book a place; judged at once",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/time",
        handler=change_time,
        policy=staff(Action.BOOK, own=Own.CONSULT),
        body=ChangeTime,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Another time with the same doctor",
    ),
)
