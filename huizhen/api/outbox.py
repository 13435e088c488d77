"""Messages to patients and staff: sending an invitation, the outbox, reading one out (on record), another try."""

from clinic import notices
from clinic.access import authorise, held_by
from clinic.consult import SeatState
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.notices import TO_STAFF, Channel, Notice, NoticeKind
from clinic.people import Role
from clinic.roles import Action
from huizhen import masks, qr
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.waiting import InviteBody, LetterView, NoticeRow, OutboxQuery
from huizhen.outbox import Addressed, patient_seat
from huizhen.store.tables import StoreTransaction


async def row_of(tx: StoreTransaction, notice: Notice) -> NoticeRow:
    """Without its content. A message to staff says nothing of the patient, who may be another house's."""
    if notice.kind in TO_STAFF:
        person = await tx.staff.get(notice.seat_id)
        patient, to, to_en = "", person.name, person.name_en
    else:
        consult = await tx.consults.get(notice.consult_id)
        patient, to, to_en = masks.name((await tx.patients.get(consult.patient_id)).name), None, ""
    return NoticeRow(
        id=notice.id,
        consult_id=notice.consult_id,
        patient=patient,
        staff=to,
        staff_en=to_en,
        kind=notice.kind,
        channel=notice.channel,
        locale=notice.locale,
        address_hint=notice.address_hint,
        state=notice.state,
        attempts=notice.attempts,
        queued_at=notice.queued_at,
        next_try_at=notice.next_try_at,
        settled_at=notice.settled_at,
        last_code=notice.last_code,
        revealed_at=notice.revealed_at,
        held=notice.held,
    )


async def invite(call: Call[InviteBody]) -> NoticeRow:
    """A fresh link to the patient by message; an earlier link and the devices it opened end."""
    body = call.body
    if body.channel is Channel.ACCOUNT:
        raise InvalidInput("channel", "staff's")
    consult = await call.tx.consults.get(call.path("consult"))
    await authorise(call.tx, call.actor, Action.NOTIFY, consult)
    if not consult.media_open:
        raise IllegalMove("the room is closed")
    seat = await patient_seat(call.tx, consult)
    issued = await call.services.link_door.issue(call.tx, seat, call.actor.id)
    url = render.link_view(call.services.base_url(), issued).url
    new = Addressed(NoticeKind.INVITATION, call.op, body.channel, body.locale, body.address, url)
    queued = await call.services.outbox.queue(call.tx, consult, new, call.actor)
    if queued is None:
        raise IllegalMove("queued before")
    return await row_of(call.tx, queued)


async def outbox(call: Call[NoBody]) -> Items[NoticeRow]:
    """Newest first. A nurse sees the house's, a doctor those of the own visits and those to them."""
    query = call.query
    found = await call.tx.notices.find(institution_id=call.me.institution_id)
    items: list[NoticeRow] = []
    for notice in reversed(found):
        if query.state not in (None, notice.state) or query.consult_id not in (None, notice.consult_id):
            continue
        if len(items) < _MOST and await _mine(call, notice):
            items.append(await row_of(call.tx, notice))
    return Items(items=items)


_MOST = 500


async def _mine(call: Call[B], notice: Notice) -> bool:
    if Role.NURSE in call.me.roles:
        return True
    if notice.kind in TO_STAFF:
        return notice.seat_id == call.me.id
    seat = held_by(await call.tx.seats.find(consult_id=notice.consult_id), call.me.id)
    return seat is not None and seat.state is not SeatState.REMOVED


async def _own(call: Call[B]) -> Notice:
    """Raises NotPermitted for somebody else's visit."""
    notice = await call.tx.notices.get(call.path("notice"))
    if not await _mine(call, notice):
        raise NotPermitted(Action.NOTIFY.value)
    return notice


async def reveal(call: Call[Empty]) -> LetterView:
    notice = await _own(call)
    letter = await notices.reveal(call.tx, call.services.outbox.envelope, notice, call.actor)
    picture = qr.svg(letter.url) if letter.url else ""
    return LetterView(subject=letter.subject, text=letter.text, address=letter.address, url=letter.url, qr_svg=picture)


async def retry(call: Call[Empty]) -> NoticeRow:
    return await row_of(call.tx, await notices.try_again(call.tx, await _own(call), call.actor))


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/consults/{consult}/invite",
        handler=invite,
        policy=staff(Action.NOTIFY, own=Own.CONSULT),
        body=InviteBody,
        answer=NoticeRow,
        unit=Unit.WRITE,
        summary="Send the patient a link by message",
    ),
    Route(
        method="GET",
        path="/api/outbox",
        handler=outbox,
        policy=staff(Action.NOTIFY, own=Own.HOUSE),
        answer=Items[NoticeRow],
        query=OutboxQuery,
        summary="Messages to patients and what became of them",
    ),
    Route(
        method="POST",
        path="/api/outbox/{notice}/reveal",
        handler=reveal,
        policy=staff(Action.NOTIFY, own=Own.NOTICE),
        body=Empty,
        answer=LetterView,
        unit=Unit.WRITE,
        summary="Read a message to hand it over; on record",
    ),
    Route(
        method="POST",
        path="/api/outbox/{notice}/retry",
        handler=retry,
        policy=staff(Action.NOTIFY, own=Own.NOTICE),
        body=Empty,
        answer=NoticeRow,
        unit=Unit.WRITE,
        summary="Try a dead letter again",
    ),
)
