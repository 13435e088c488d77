"""Streams of devices (WHIP in, WHEP out) on behalf of a seat: an ultrasound, a room camera, a wall display.

A device is a media participant of its own, named "<seat>.<8 hex>": `room.owner_of` gives the seat, whose consent and
recording grant are its own. It exists only while the seat holds media, and is shown as a seat of role "device".
"""

import secrets
from dataclasses import dataclass

from audit.events import EventCode
from clinic.errors import NotPermitted, SeatClosed
from clinic.roles import Action, permits
from clinic.visit import record_room_event
from rtc.negotiation import Kind, Offer, Source
from rtc.participant import Grants
from rtc.sdp import parse
from signaling import showing
from signaling.errors import Busy, RoomOver
from signaling.live import Live
from signaling.room import Device, LiveRoom

PER_SEAT = 4
_SENDS = ("sendonly", "sendrecv")


@dataclass(frozen=True, slots=True)
class Opened:
    resource: str
    sdp: str


@dataclass(frozen=True, slots=True)
class DevicePass:
    """What a verified bearer token says."""

    id: str  # 8 hex
    seat_id: str
    consult_id: str
    kind: str  # "whip" | "whep"
    label: str


async def open_stream(live: Live, entry: DevicePass, sdp: str) -> Opened:
    """Answer a device's offer. The same token again replaces its former stream (devices reconnect by POST).

    Raises ParseError and OfferRefused (nothing changed), RoomOver when the seat holds no media, SeatClosed when this
    device was removed, NotPermitted, Busy.
    """
    room = live.rooms.get(entry.consult_id)
    if room is None or room.ended or entry.seat_id not in room.in_call:
        raise RoomOver
    if not permits(room.seats[entry.seat_id].role, Action.JOIN_MEDIA):
        raise NotPermitted(Action.JOIN_MEDIA.value)
    participant_id = f"{entry.seat_id}.{entry.id}"
    if participant_id in room.barred:
        raise SeatClosed
    of_seat = [d for d in room.devices.values() if d.seat_id == entry.seat_id and d.participant_id != participant_id]
    if len(of_seat) >= PER_SEAT:
        raise Busy
    sources = _sources(sdp) if entry.kind == "whip" else {}
    media = live.media_room(room)
    if media is None:
        raise RoomOver
    known = participant_id in room.devices
    device = Device(participant_id, entry.seat_id, entry.kind, entry.label, secrets.token_urlsafe(18))
    room.devices[participant_id] = device
    try:
        showing.apply(live, room)  # before its first packet: it may stand at the bedside of an exam
        hidden = showing.hidden_from(room, participant_id)
        grants = Grants(frozenset(sources.values()), subscribe=entry.kind == "whep", hidden=hidden)
        participant = media.join(participant_id, grants)
        answer = await live.media.negotiate(participant, Offer(sdp, sources))
        if not known:  # on the trail before the answer: without it the device can neither send nor watch
            async with live.db.begin() as tx:
                await record_room_event(tx, entry.seat_id, EventCode.ROOM_JOINED, _facts(device))
    except BaseException:
        if not known:
            forget(live, room, participant_id, "refused")
        raise
    if room.devices.get(participant_id) is not device:
        raise RoomOver
    live.sync(room)
    return Opened(device.resource, answer.sdp)


def close_stream(live: Live, entry: DevicePass, resource: str) -> bool:
    """End the token's own stream. False when there is none of that name."""
    room = live.rooms.get(entry.consult_id)
    device = room.devices.get(f"{entry.seat_id}.{entry.id}") if room is not None else None
    if room is None or device is None or not secrets.compare_digest(device.resource.encode(), resource.encode()):
        return False
    forget(live, room, device.participant_id, "closed")
    return True


def forget(live: Live, room: LiveRoom, participant_id: str, reason: str) -> None:
    """The device's media ends at once; idempotent."""
    device = room.devices.pop(participant_id, None)
    if device is not None and reason != "refused":
        note_gone(live, device, reason)
    media = live.media_room(room)
    if media is not None:
        media.leave(participant_id, reason)
    view = room.told.pop(participant_id, None)
    room.people.pop(participant_id, None)
    if view is not None:
        from signaling import views

        gone = view.model_copy(update={"state": "left", "online": False, "publishing": [], "recorded": False})
        room.tell("seat", seat=views.plain(gone))


def note_gone(live: Live, device: Device, reason: str) -> None:
    """The end of a device's stream, on the trail as a chore."""

    async def write() -> None:
        async with live.db.begin() as tx:
            await record_room_event(tx, device.seat_id, EventCode.MEDIA_STOPPED, {**_facts(device), "reason": reason})

    live.chores.add("device", write)


def _facts(device: Device) -> dict[str, str]:
    return {"device": device.kind, "stream": device.participant_id.partition(".")[2]}


def _sources(sdp: str) -> dict[str, Source]:
    """What a device sends: its first audio section is the microphone, its first video the camera. Raises ParseError."""
    found: dict[str, Source] = {}
    for section in parse(sdp).media:
        source = Source.MICROPHONE if section.kind == Kind.AUDIO.value else Source.CAMERA
        if section.direction in _SENDS and source not in found.values():
            found[section.mid] = source
    return found
