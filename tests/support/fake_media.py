"""The media plane as signaling sees it: rooms and participants without a single packet."""

from collections.abc import Mapping, Sequence
from typing import Any

from rtc.errors import OfferRefused, ParseError, RoomClosed
from rtc.negotiation import Answer, Negotiated, Offer, Source
from rtc.participant import Grants
from rtc.quality import Level, Quality
from rtc.transport import TransportState
from rtc.viewer import Demand, SlotMapping


class FakeParticipant:
    def __init__(self, participant_id: str, grants: Grants) -> None:
        self.id = participant_id
        self.grants = grants
        self.paused: set[Source] = set()
        self.demands: list[Demand] = []
        self.offers: list[Offer] = []
        self.transports = 0

    def set_grants(self, grants: Grants) -> None:
        self.grants = grants

    def set_paused(self, source: Source, paused: bool) -> None:
        (self.paused.add if paused else self.paused.discard)(source)

    def view(self, demands: Sequence[Demand]) -> None:
        self.demands = list(demands)


class FakeRoom:
    """`history` lists joins and leaves in order, for asserts."""

    def __init__(self, room_id: str, listener: Any) -> None:
        self.id = room_id
        self.listener = listener
        self.closed = False
        self.people: dict[str, FakeParticipant] = {}
        self.history: list[tuple[str, str]] = []
        self.taps: list[Any] = []
        self.spotlit: str | None = None

    @property
    def participants(self) -> Mapping[str, FakeParticipant]:
        return self.people

    def join(self, participant_id: str, grants: Grants) -> FakeParticipant:
        if self.closed:
            raise RoomClosed
        if participant_id in self.people:
            self.people[participant_id].grants = grants
        else:
            self.people[participant_id] = FakeParticipant(participant_id, grants)
            self.history.append(("join", participant_id))
        return self.people[participant_id]

    def leave(self, participant_id: str, reason: str) -> None:
        if self.people.pop(participant_id, None) is not None:
            self.history.append(("leave", participant_id))

    def attach(self, tap: Any) -> None:
        if tap not in self.taps:
            self.taps.append(tap)

    def detach(self, tap: Any) -> None:
        if tap in self.taps:
            self.taps.remove(tap)

    def refresh_taps(self) -> None:
        """Nothing is cached here: taps are asked for every packet."""

    def spotlight(self, participant_id: str | None) -> None:
        self.spotlit = participant_id

    def close(self, reason: str) -> None:
        self.closed = True
        for participant_id in list(self.people):
            self.leave(participant_id, reason)

    def packet(self, sender: str, source: Source) -> set[str]:
        """One packet sent now: who is given it."""
        person = self.people.get(sender)
        if self.closed or person is None or source not in person.grants.publish or source in person.paused:
            return set()
        return {
            each.id
            for each in self.people.values()
            if each.id != sender and each.grants.subscribe and (sender, source) not in each.grants.hidden
        }

    # what a real room would report by itself

    def publish(self, participant_id: str, source: Source, live: bool = True) -> None:
        self.listener.on_producer(self, participant_id, source, live)

    def show(self, viewer: str, *slots: tuple[str, str | None, Source | None]) -> None:
        self.listener.on_slots(self, viewer, [SlotMapping(*slot) for slot in slots])

    def rate(self, participant_id: str, level: Level, *, video_off: bool = False) -> None:
        reason = "" if level is Level.GOOD else "uplink_loss"
        self.listener.on_quality(self, participant_id, Quality(level, 0.05, 0.0, 40, reason, video_off))

    def path(self, participant_id: str, state: TransportState) -> None:
        self.listener.on_transport(self, participant_id, state)


class FakeMedia:
    """`MediaRooms`. An offer of "garbage" is malformed, one of "refused" is refused."""

    def __init__(self) -> None:
        self.rooms: dict[str, FakeRoom] = {}

    def open_room(self, room_id: str, listener: Any) -> FakeRoom:
        room = self.room(room_id)
        if room is None:
            room = self.rooms[room_id] = FakeRoom(room_id, listener)
        return room

    def room(self, room_id: str) -> FakeRoom | None:
        room = self.rooms.get(room_id)
        return None if room is None or room.closed else room

    async def negotiate(self, participant: Any, offer: Offer) -> Answer:
        if "garbage" in offer.sdp:
            raise ParseError("not SDP")
        if "refused" in offer.sdp:
            raise OfferRefused("no fingerprint")
        participant.offers.append(offer)
        participant.transports += 1
        return Answer(f"answer to {offer.sdp}"[:60], Negotiated())
