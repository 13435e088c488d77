"""What people do once they are in: media offers, what they show, mute, chat, hand, invitations, quality reports."""

from clinic import visit
from clinic.booking import NewGuest, add_guest
from clinic.people import Role
from consent import gate
from rtc.negotiation import Offer, Source
from rtc.viewer import Demand
from signaling import views
from signaling.errors import NotAdmitted
from signaling.live import Live
from signaling.messages import Chat, GuestInvite, Hand, MediaMute, MediaOffer, MediaView, Stats
from signaling.outcomes import Ack
from signaling.ports import Line, MediaParticipant
from signaling.room import LiveRoom

OK: Ack = {"ok": True}


async def _inside(live: Live, line: Line) -> tuple[LiveRoom, str]:
    """The room and seat of somebody who was admitted. Raises NotJoined, NotAdmitted, RoomOver."""
    room = await live.open(line.caller.consult_id)
    seat = room.require_joined(line)
    if seat.id not in room.in_call:
        raise NotAdmitted
    return room, seat.id


def _media_of(live: Live, room: LiveRoom, seat_id: str) -> MediaParticipant:
    """Raises NotAdmitted: seated, but the recorder is still being asked."""
    media = live.media_room(room)
    participant = media.participants.get(seat_id) if media is not None else None
    if participant is None:
        raise NotAdmitted
    return participant


async def offer(live: Live, line: Line, message: MediaOffer) -> Ack:
    """Answer an offer. Raises ParseError, OfferRefused, NotGranted; a refused offer changes nothing."""
    room, seat_id = await _inside(live, line)
    sources = {mid: Source(name) for mid, name in message.sources.items()}
    if Source.SCREEN in sources.values():
        gate.require_share(room.records, room.consult, room.seats[seat_id], now=live.clock())
    answer = await live.media.negotiate(_media_of(live, room, seat_id), Offer(message.sdp, sources))
    room.person(seat_id).pool = None
    return {"ok": True, "sdp": answer.sdp}


async def view(live: Live, line: Line, message: MediaView) -> Ack:
    """What the page shows, so that no more is sent."""
    room, seat_id = await _inside(live, line)
    known = room.in_call | room.devices.keys()
    demands = [
        Demand(shown.seat, Source(shown.source), shown.width, shown.height)
        for shown in message.demands
        if shown.seat in known and shown.source != "mic"
    ]
    _media_of(live, room, seat_id).view(demands)
    return OK


async def mute(live: Live, line: Line, message: MediaMute) -> Ack:
    """The page muted or unmuted one of its own sources; packets that still come are not forwarded."""
    room, seat_id = await _inside(live, line)
    source = Source(message.source)
    _media_of(live, room, seat_id).set_paused(source, message.muted)
    muted = room.person(seat_id).muted
    (muted.add if message.muted else muted.discard)(source)
    live.sync(room)
    return OK


async def hand(live: Live, line: Line, message: Hand) -> Ack:
    room, seat_id = await _inside(live, line)
    person = room.person(seat_id)
    if person.hand != message.raised:
        person.hand, person.hand_at = message.raised, live.clock() if message.raised else None
    live.sync(room)
    return OK


async def chat(live: Live, line: Line, message: Chat) -> Ack:
    """Committed, then told. Raises NotPermitted, DuplicateOperation."""
    room, seat_id = await _inside(live, line)
    async with live.db.begin() as tx:
        said = await visit.say(tx, seat_id, message.text, operation_id=message.op)
    room.chat.append(said)
    room.tell("chat", message=views.plain(views.chat_view(said)))
    return {"ok": True, "id": said.id}


async def invite(live: Live, line: Line, message: GuestInvite) -> Ack:
    """A seat and its link for family, an interpreter or a guardian. The link is told once."""
    room, seat_id = await _inside(live, line)
    by = room.actor(seat_id)
    async with live.db.begin() as tx:
        await tx.operation(message.op, seat_id)
        guest = NewGuest(Role(message.role), message.display_name, message.relation)
        seat = await add_guest(tx, room.consult.id, guest, by)
        link = await live.issue_link(tx, seat, by)
    await live.settle(room)
    told = {"url": link.url, "qr_svg": link.qr_svg, "expires_at": link.expires_at.isoformat().replace("+00:00", "Z")}
    return {"ok": True, "seat": seat.id, "link": told | ({"code": link.code} if link.code is not None else {})}


async def stats(live: Live, line: Line, message: Stats) -> Ack:
    """Kept for the next quality evidence; more than one report in ten seconds is not looked at."""
    room, seat_id = await _inside(live, line)
    person, now = room.person(seat_id), live.clock()
    if person.stats_at is None or (now - person.stats_at).total_seconds() >= live.limits.stats_every:
        person.stats_at, person.stats = now, message.model_dump()
    return OK
