"""Calls end to end: Python peers over real UDP and TCP sockets through MediaServer and the real Room."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

import pytest

from rtc import sdp
from rtc.errors import NotGranted, OfferRefused, ParseError, RoomClosed, UnknownParticipant
from rtc.negotiation import Kind, Offer, Source
from rtc.participant import Grants, Participant
from rtc.quality import Quality
from rtc.room import Room
from rtc.server import MediaConfig, MediaServer, PortTaken, TransportGone
from rtc.srtp import SrtpProfile
from rtc.transport import TransportState
from rtc.viewer import SlotMapping
from tests.rtc.test_sdp import sample
from tests.support.peer import MediaPeer

ALL = Grants(frozenset(Source), subscribe=True)


class Listener:
    """Remembers what a room reported."""

    def __init__(self) -> None:
        self.slots: dict[str, Sequence[SlotMapping]] = {}
        self.short: dict[str, tuple[int, int]] = {}
        self.transports: list[tuple[str, TransportState]] = []
        self.producers: list[tuple[str, Source, bool]] = []

    def on_slots(self, room: Room, participant_id: str, slots: Sequence[SlotMapping]) -> None:
        self.slots[participant_id] = slots

    def on_pool_short(self, room: Room, participant_id: str, audio: int, video: int) -> None:
        self.short[participant_id] = (audio, video)

    def on_speaker(self, room: Room, participant_id: str | None) -> None: ...

    def on_transport(self, room: Room, participant_id: str, state: TransportState) -> None:
        self.transports.append((participant_id, state))

    def on_producer(self, room: Room, participant_id: str, source: Source, live: bool) -> None:
        self.producers.append((participant_id, source, live))

    def on_quality(self, room: Room, participant_id: str, quality: Quality) -> None: ...


class Call:
    """One server, one room, its peers."""

    def __init__(self, server: MediaServer) -> None:
        self.server = server
        self.listener = Listener()
        self.room = server.open_room("room", self.listener)
        self.peers: list[MediaPeer] = []

    async def join(self, name: str, peer: MediaPeer, grants: Grants = ALL) -> Participant:
        self.peers.append(peer)
        participant = self.room.join(name, grants)
        answer = await self.server.negotiate(participant, peer.offer())
        await peer.accept(answer.sdp)
        return participant

    async def renegotiate(self, participant: Participant, peer: MediaPeer) -> None:
        answer = await self.server.negotiate(participant, peer.offer())
        await peer.accept(answer.sdp)

    def slot(self, viewer: str, publisher: str, source: Source) -> str | None:
        """The mid in which `viewer` is shown that stream."""
        rows = self.listener.slots.get(viewer, ())
        return next((r.mid for r in rows if (r.participant_id, r.source) == (publisher, source)), None)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    server = await MediaServer.start(MediaConfig(host="127.0.0.1", host6="::1"))
    call = Call(server)
    yield call
    for peer in call.peers:
        await peer.close()
    await server.close()
    await server.close()
    assert server.front.counters.handler_errors == 0


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_two_people_see_and_hear_each_other(call: Call, tcp: bool) -> None:
    ann, ben = MediaPeer(slots=1, tcp=tcp), MediaPeer(slots=1, tcp=tcp)
    await call.join("ann", ann)
    await call.join("ben", ben)
    for peer in (ann, ben):
        peer.start_publishing()
    for peer, me, other in ((ann, "ann", "ben"), (ben, "ben", "ann")):
        video, audio = peer.track(Kind.VIDEO, 0), peer.track(Kind.AUDIO, 0)
        await peer.wait_for(lambda v=video, a=audio: v.packets > 40 and a.packets > 20)  # type: ignore[misc]
        assert call.slot(me, other, Source.CAMERA) == video.mid
        assert video.keyframes >= 1
        assert video.log[0].payload[0] & 0x10  # begins with a frame's first packet
        assert (video.gaps, audio.gaps, peer.path.undecryptable) == (0, 0, 0)
        assert peer.path.profile is SrtpProfile.AEAD_AES_128_GCM
        assert peer.feedback["twcc"] > 0
        assert peer.feedback["unknown ssrc"] == 0
    assert call.server.front.counters.stranger == 0


async def test_ipv6(call: Call) -> None:
    peer = MediaPeer()
    participant = call.room.join("six", ALL)
    call.peers.append(peer)
    answer = await call.server.negotiate(participant, peer.offer())
    await peer.accept(answer.sdp, address=("::1", call.server.port))
    assert participant.transport is not None
    assert participant.transport.state is TransportState.CONNECTED


async def test_we_take_the_active_role_when_the_offer_is_passive(call: Call) -> None:
    peer = MediaPeer(setup="passive")
    await call.join("passive", peer)
    await asyncio.wait_for(wait_until(lambda: ("passive", TransportState.CONNECTED) in call.listener.transports), 5)


async def test_pool_growth_shows_the_second_person_and_disturbs_nobody(call: Call) -> None:
    viewer, ann, ben = MediaPeer(publish=(), slots=1), MediaPeer(), MediaPeer()
    watching = await call.join("viewer", viewer)
    await call.join("ann", ann)
    ann.start_publishing()
    first = viewer.track(Kind.VIDEO, 0)
    await viewer.wait_for(lambda: first.packets > 20)
    await call.join("ben", ben)
    ben.start_publishing()
    await viewer.wait_for(lambda: call.listener.short.get("viewer", (0, 0))[1] >= 2)
    viewer.add_slots(1)
    await call.renegotiate(watching, viewer)
    second = viewer.track(Kind.VIDEO, 1)
    before = first.packets
    await viewer.wait_for(lambda: second.packets > 20 and first.packets > before + 20)
    assert second.keyframes >= 1
    assert (first.gaps, second.gaps) == (0, 0)
    assert {call.slot("viewer", who, Source.CAMERA) for who in ("ann", "ben")} == {first.mid, second.mid}


async def test_a_slot_is_remapped_when_its_person_leaves(call: Call) -> None:
    viewer, ann, ben = MediaPeer(publish=(), slots=1), MediaPeer(), MediaPeer()
    await call.join("viewer", viewer)
    await call.join("ann", ann)
    ann.start_publishing()
    track = viewer.track(Kind.VIDEO, 0)
    await viewer.wait_for(lambda: track.packets > 20)
    await call.join("ben", ben)
    ben.start_publishing()
    call.room.leave("ann", "left")
    await viewer.wait_for(lambda: call.slot("viewer", "ben", Source.CAMERA) == track.mid)
    before = track.packets
    await viewer.wait_for(lambda: track.packets > before + 30)
    assert track.gaps == 0  # one continuous numbering on one SSRC
    await asyncio.wait_for(ann.path.closed.wait(), 5)  # ann was told


async def test_ice_restart_keeps_media_and_moves_to_the_new_socket(call: Call) -> None:
    viewer, ann = MediaPeer(publish=(), slots=1), MediaPeer()
    watching = await call.join("viewer", viewer)
    await call.join("ann", ann)
    ann.start_publishing()
    track = viewer.track(Kind.VIDEO, 0)
    await viewer.wait_for(lambda: track.packets > 20)
    transport, old = watching.transport, viewer.path.local_address
    await viewer.path.open(("127.0.0.1", call.server.port), tcp=False)
    viewer.restart_ice()
    await call.renegotiate(watching, viewer)
    viewer.path.check()
    before = track.packets
    await viewer.wait_for(lambda: viewer.path.checks_answered > 0 and track.packets > before + 30)
    assert viewer.path.local_address != old
    assert watching.transport is transport
    assert track.gaps <= 2  # what was in flight to the old socket


async def test_roaming_needs_an_authenticated_check(call: Call) -> None:
    """Media from a new address is a stranger's until a check came from there (row 6)."""
    peer = MediaPeer(publish=(Source.MICROPHONE,))
    await call.join("mobile", peer)
    task = peer.path._task
    assert task is not None
    task.cancel()
    await peer.path.open(("127.0.0.1", call.server.port), tcp=False)
    before = call.server.front.counters.stranger
    peer.send_audio()
    while call.server.front.counters.stranger == before:
        await asyncio.sleep(0)
    assert call.listener.producers == []
    peer.path.check()
    peer.send_audio()
    await peer.wait_for(lambda: call.listener.producers != [])
    assert call.listener.producers == [("mobile", Source.MICROPHONE, True)]


async def test_a_reloaded_page_takes_over_its_seat(call: Call) -> None:
    ann, viewer = MediaPeer(), MediaPeer(publish=(), slots=1)
    participant = await call.join("ann", ann)
    await call.join("viewer", viewer)
    ann.start_publishing()
    track = viewer.track(Kind.VIDEO, 0)
    await viewer.wait_for(lambda: track.packets > 20)
    former = participant.transport
    await ann.close(farewell=False)
    again = MediaPeer()
    assert await call.join("ann", again) is participant
    assert former is not None
    assert former.state is TransportState.CLOSED
    assert participant.transport is not former
    again.start_publishing()
    before = track.packets
    await viewer.wait_for(lambda: track.packets > before + 20)
    assert track.gaps <= 3


async def test_leaving_by_close_notify_is_seen_at_once(call: Call) -> None:
    peer = MediaPeer()
    participant = await call.join("ann", peer)
    await peer.close()
    await asyncio.wait_for(wait_until(lambda: ("ann", TransportState.CLOSED) in call.listener.transports), 5)
    with pytest.raises(TransportGone):  # the same peer connection can not come back
        await call.server.negotiate(participant, peer.offer())


async def wait_until(condition: object) -> None:
    assert callable(condition)
    while not condition():
        await asyncio.sleep(0)


async def test_refused_offers_leave_no_trace(call: Call) -> None:
    participant = call.room.join("x", ALL)
    for text, error in (
        ("garbage", ParseError),
        (sample("chromium_plain").replace("sha-256", "sha-1"), OfferRefused),
        (sample("chromium_plain").replace("UDP/TLS/RTP/SAVPF", "RTP/SAVP"), OfferRefused),
    ):
        with pytest.raises(error):
            await call.server.negotiate(participant, Offer(text))
    assert participant.transport is None
    nobody = call.room.join("y", Grants(frozenset(), subscribe=False))
    with pytest.raises(NotGranted):
        await call.server.negotiate(nobody, Offer(sample("chromium_plain")))
    assert nobody.transport is None
    assert call.server.front._by_ufrag == {}


async def test_a_refused_growth_leaves_the_call_as_it_was(call: Call) -> None:
    peer = MediaPeer(slots=1)
    participant = await call.join("ann", peer)
    transport = participant.transport
    good = peer.offer().sdp
    with pytest.raises(OfferRefused):
        await call.server.negotiate(participant, Offer(good.replace("RTP/SAVPF", "RTP/AVP")))
    answer = await call.server.negotiate(participant, peer.offer())
    assert participant.transport is transport
    assert {r.ssrc for r in answer.negotiated.receive} == {r.ssrc for r in peer.received.values()}


async def test_a_stolen_certificate_name_is_not_enough(call: Call) -> None:
    """The offer's fingerprint belongs to another certificate: no keys, no media, FAILED."""
    peer, other = MediaPeer(), MediaPeer()
    participant = call.room.join("mallory", ALL)
    text = peer.offer().sdp.replace(peer.certificate.fingerprint.value, other.certificate.fingerprint.value)
    answer = await call.server.negotiate(participant, Offer(text))
    call.peers.append(peer)
    with pytest.raises((ConnectionError, TimeoutError)):
        await peer.accept(answer.sdp, timeout=1.0)
        await asyncio.wait_for(peer.path.closed.wait(), 1)
        raise ConnectionError
    assert participant.transport is not None
    assert participant.transport.state is TransportState.FAILED


async def test_rooms_and_ends(call: Call) -> None:
    assert call.server.open_room("room", Listener()) is call.room
    assert call.server.room("other") is None
    peer = MediaPeer()
    participant = await call.join("ann", peer)
    offer = peer.offer()
    call.room.leave("ann", "kicked")
    with pytest.raises(UnknownParticipant):
        await call.server.negotiate(participant, offer)
    call.room.close("over")
    assert call.server.room("room") is None
    with pytest.raises(RoomClosed):
        await call.server.negotiate(participant, offer)
    await asyncio.wait_for(peer.path.closed.wait(), 5)


async def test_candidates_and_ports() -> None:
    config = MediaConfig(host="127.0.0.1", host6=None, announce=("udp:192.0.2.1:99", "[2001:db8::1]", "2001:db8::2"))
    server = await MediaServer.start(config)
    try:
        lines = [(c.protocol, c.host, c.port) for c in server.candidates]
        assert lines == [
            ("udp", "192.0.2.1", 99),
            ("udp", "2001:db8::1", server.port),
            ("udp", "2001:db8::2", server.port),
            ("tcp", "2001:db8::1", server.port),
            ("tcp", "2001:db8::2", server.port),
        ]
        with pytest.raises(PortTaken):
            await MediaServer.start(MediaConfig(host="127.0.0.1", host6=None, port=server.port))
    finally:
        await server.close()
    with pytest.raises(RoomClosed):
        server.open_room("x", Listener())


async def test_udp_only_server_offers_no_tcp() -> None:
    server = await MediaServer.start(MediaConfig(host="127.0.0.1", host6=None, tcp=False))
    room = server.open_room("r", Listener())
    answer = await server.negotiate(room.join("p", ALL), Offer(sample("chromium_plain")))
    await server.close()
    assert "tcptype" not in answer.sdp
    assert sdp.parse(answer.sdp).ice_lite


@pytest.mark.parametrize("setup", ["actpass", "passive"], ids=["we are server", "we are client"])
async def test_a_third_socket_can_not_disturb_a_call(call: Call, setup: str) -> None:
    """Row 1: hello, alert, media and STUN noise before, during and after the handshake; both DTLS roles."""
    hello = b"\x16\xfe\xff" + bytes(8) + b"\x00\x30\x01\x00\x00\x24" + bytes(42)
    alert = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
    noise = (
        hello,
        alert,
        b"\x80\x60" + bytes(40),
        b"\x80\xc8" + bytes(40),
        b"\x00\x01\x00\x00" + bytes(16),
        b"\x40",
        b"",
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.setblocking(False)
        attacker.connect(("127.0.0.1", call.server.port))

        async def attack() -> None:
            while True:
                for packet in noise * 5:
                    with contextlib.suppress(BlockingIOError):
                        attacker.send(packet)
                await asyncio.sleep(0)

        task = asyncio.create_task(attack())
        try:
            ann, viewer = MediaPeer(setup=setup), MediaPeer(publish=(), slots=1, setup=setup)
            await call.join("ann", ann)
            await call.join("viewer", viewer)
            ann.start_publishing()
            track = viewer.track(Kind.VIDEO, 0)
            await viewer.wait_for(lambda: track.packets > 30)
        finally:
            task.cancel()
        with pytest.raises(BlockingIOError):
            attacker.recv(100)  # not one byte in return
    counters = call.server.front.counters
    assert counters.stranger > 100
    assert counters.malformed > 100
    assert ("ann", TransportState.FAILED) not in call.listener.transports
