"""Two people talk; a third socket throws everything it has at the media port. The call does not notice (rows 1-6)."""

import asyncio
import contextlib
import logging
import random
import resource
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtc import rtcp, rtp, stun
from rtc.negotiation import Kind, Source
from rtc.participant import Grants
from rtc.room import Room
from rtc.server import MediaConfig, MediaServer
from rtc.tcplink import MAX_STRANGERS_PER_HOST, STRANGER_SECONDS
from rtc.transport import Transport
from tests.rtc.test_server_calls import Listener
from tests.support.peer import MediaPeer

pytestmark = pytest.mark.alone

ALL = Grants(frozenset(Source), subscribe=True)
PACKETS = 18_000  # of all kinds together
SECONDS = 6.0  # the attack is spread over this
GROWTH = 24 * 1024 * 1024  # bytes of resident memory, the call's own logs and histories included


@dataclass
class Call:
    server: MediaServer
    room: Room
    ann: MediaPeer
    ben: MediaPeer
    captured: list[bytes]  # SRTP and SRTCP that ann really sent

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.port


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    server = await MediaServer.start(MediaConfig(host="127.0.0.1", host6=None))
    room = server.open_room("room", Listener())
    ann, ben = MediaPeer(slots=1), MediaPeer(slots=1)
    captured: list[bytes] = []
    for name, peer in (("ann", ann), ("ben", ben)):
        answer = await server.negotiate(room.join(name, ALL), peer.offer())
        await peer.accept(answer.sdp)
    _tap(ann, captured)
    for peer in (ann, ben):
        peer.start_publishing()
    for peer in (ann, ben):
        video, audio = peer.track(Kind.VIDEO, 0), peer.track(Kind.AUDIO, 0)
        await peer.wait_for(lambda v=video, a=audio: v.packets > 20 and a.packets > 10)  # type: ignore[misc]
    yield Call(server, room, ann, ben, captured)
    for peer in (ann, ben):
        await peer.close()
    await server.close()


def _tap(peer: MediaPeer, captured: list[bytes]) -> None:
    """Somebody on the path keeps what ann sends."""
    send = peer.path.send_raw

    def kept(data: bytes) -> None:
        if data and 127 < data[0] < 192 and len(captured) < 4_000:
            captured.append(data)
        send(data)

    peer.path.send_raw = kept  # type: ignore[method-assign]


class Attack:
    """Packets of every kind a stranger can make, from a seed; some are right but for one thing."""

    def __init__(self, call: Call, seed: int) -> None:
        self._call = call
        self._dice = random.Random(seed)
        self._ssrcs = [s.ssrc for group in call.ann.sent.values() for s in group]
        self._ufrag, self._pwd = call.ben.path._remote.ufrag, call.ben.path._remote.pwd
        self.kinds: tuple[Callable[[], bytes], ...] = (
            self.noise, self.empty, self.check_of_nobody, self.check_with_wrong_password, self.check_cut_short,
            self.check_with_flipped_bit, self.hello, self.alert, self.dtls_noise, self.plain_rtp, self.forged_srtp,
            self.replayed, self.replayed_bent, self.plain_rtcp, self.goodbye, self.rtcp_noise, self.turn,
        )  # fmt: skip

    def some(self, low: int, high: int) -> bytes:
        return self._dice.randbytes(self._dice.randint(low, high))

    def noise(self) -> bytes:
        return self.some(1, 1_500)

    def empty(self) -> bytes:
        return b""

    def _check(self, local: str, remote: str, key: bytes) -> bytes:
        return stun.binding_request(
            self._dice.randbytes(12), f"{local}:{remote}", key, tie_breaker=1, priority=1, nominate=True
        )

    def check_of_nobody(self) -> bytes:
        return self._check("nobody", "else", b"guess")

    def check_with_wrong_password(self) -> bytes:
        """The ufrag is on the wire in every check: an attacker on the path knows it, not the password."""
        return self._check(self._ufrag, self._call.ben.path.local.ufrag, self._dice.randbytes(28))

    def check_cut_short(self) -> bytes:
        whole = self._check(self._ufrag, self._call.ben.path.local.ufrag, self._pwd.encode())
        return whole[: self._dice.randint(1, len(whole) - 1)]

    def check_with_flipped_bit(self) -> bytes:
        whole = bytearray(self._check(self._ufrag, self._call.ben.path.local.ufrag, self._pwd.encode()))
        whole[self._dice.randrange(len(whole))] ^= 1 << self._dice.randrange(8)
        return bytes(whole)

    def hello(self) -> bytes:
        body = b"\xfe\xfd" + self._dice.randbytes(32) + b"\x00\x00\x00\x04\x00\xff\xc0\x2b\x01\x00"
        handshake = b"\x01" + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body
        return struct.pack("!BHHIHH", 22, 0xFEFD, 0, 0, 0, len(handshake)) + handshake

    def alert(self) -> bytes:
        fatal = self._dice.choice((b"\x02\x28", b"\x01\x00", b"\x02\x00"))
        return struct.pack("!BHHIHH", 21, 0xFEFD, self._dice.randint(0, 1), 0, self._dice.randint(0, 99), 2) + fatal

    def dtls_noise(self) -> bytes:
        return bytes([self._dice.randint(20, 63)]) + self.some(0, 1_400)

    def _packet(self, payload: bytes) -> bytes:
        sequence, ssrc = self._dice.randrange(65_536), self._dice.choice(self._ssrcs)
        return rtp.build(rtp.RtpPacket(96, True, sequence, self._dice.randrange(2**32), ssrc, {}, payload))

    def plain_rtp(self) -> bytes:
        return self._packet(self.some(0, 1_000))

    def forged_srtp(self) -> bytes:
        return self._packet(self.some(0, 1_000)) + self._dice.randbytes(16)

    def replayed(self) -> bytes:
        return self._dice.choice(self._call.captured)

    def replayed_bent(self) -> bytes:
        packet = bytearray(self.replayed())
        packet[self._dice.randrange(2, len(packet))] ^= 0x40
        return bytes(packet)

    def plain_rtcp(self) -> bytes:
        return rtcp.build_rr(1) + rtcp.build_pli(1, self._dice.choice(self._ssrcs))

    def goodbye(self) -> bytes:
        return struct.pack("!BBHI", 0x81, 203, 1, self._dice.choice(self._ssrcs))

    def rtcp_noise(self) -> bytes:
        return bytes([0x80 | self._dice.randrange(64), self._dice.randint(192, 223)]) + self.some(0, 600)

    def turn(self) -> bytes:
        """An allocate request, a channel message: there is no relay here."""
        return self._dice.choice((b"\x00\x03", b"\x40\x00")) + b"\x00\x08" + self.some(16, 60)


@contextlib.contextmanager
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        yield sock


def answered(sock: socket.socket) -> int:
    """Bytes that came back."""
    total = 0
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while True:
            total += len(sock.recv(4_096))
    return total


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def path_of(call: Call, name: str) -> Transport:
    transport = call.room.participants[name].transport
    assert isinstance(transport, Transport)
    return transport


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def storm(sock: socket.socket, attack: Attack, address: tuple[str, int]) -> int:
    """PACKETS of all kinds, spread over SECONDS so that the call's own clock goes on; how many were sent."""
    sent, began = 0, time.monotonic()
    while sent < PACKETS and time.monotonic() - began < SECONDS + 4:
        for _ in range(60):
            with contextlib.suppress(BlockingIOError):
                sock.sendto(attack.kinds[sent % len(attack.kinds)](), address)
            sent += 1
        await asyncio.sleep(max(0.0, began + SECONDS * sent / PACKETS - time.monotonic()))
    return sent


async def test_a_storm_of_datagrams_from_a_third_socket(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    counters = call.server.front.counters
    tracks = [peer.track(kind, 0) for peer in (call.ann, call.ben) for kind in (Kind.AUDIO, Kind.VIDEO)]
    before, memory = [track.packets for track in tracks], resident()
    transports = [path_of(call, name) for name in ("ann", "ben")]
    refused = [transport.counters.refused_in for transport in transports]
    with stranger() as sock, caplog.at_level(logging.INFO):
        sent = await storm(sock, Attack(call, 7), call.address)
        await asyncio.sleep(0.2)
        assert answered(sock) == 0, "a stranger hears nothing"
    assert sent == PACKETS
    assert counters.handler_errors == 0
    assert counters.stranger + counters.malformed + counters.unauthenticated > sent // 2, "they really arrived"
    assert [transport.counters.refused_in for transport in transports] == refused, "no stranger reached the keys"
    arrived = [track.packets - start for track, start in zip(tracks, before, strict=True)]
    assert min(arrived) > SECONDS * 20, arrived
    for track in tracks:
        recovering = track.gaps
        assert recovering == 0, (track.kind, recovering)
    assert not call.ann.path.closed.is_set()
    assert not call.ben.path.closed.is_set()
    assert call.ann.path.undecryptable == call.ben.path.undecryptable == 0
    assert resident() - memory < GROWTH
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


async def test_replays_and_forgeries_from_the_participants_own_address(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker who can write into ann's path: every packet twice, and 2,000 forged ones. Nothing is doubled."""
    ann, ben = call.ann, call.ben
    transport = path_of(call, "ann")
    attack = Attack(call, 11)
    video = ben.track(Kind.VIDEO, 0)
    replayed = list(call.captured)
    refused, before = transport.counters.refused_in, video.packets
    with caplog.at_level(logging.INFO):
        for number in range(4_000):
            kind = number % 4
            packet = (
                replayed[number % len(replayed)]
                if kind < 2
                else attack.forged_srtp()
                if kind == 2
                else attack.replayed_bent()
            )
            ann.path._wire.send(packet)  # type: ignore[union-attr]
            if number % 40 == 0:
                await asyncio.sleep(0.01)
        await ben.wait_for(lambda: video.packets > before + 60)
    assert transport.counters.refused_in - refused >= 3_600, "refused by authentication or the replay window"
    sequences = [packet.sequence for packet in video.log]
    assert len(sequences) == len(set(sequences)), "nothing is shown twice"
    assert video.gaps == 0
    assert not ann.path.closed.is_set()
    assert call.server.front.counters.handler_errors == 0
    assert not [record for record in caplog.records if record.exc_info]


async def test_tcp_strangers_are_few_bounded_and_unheard(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    """Oversized frames, endless frames, silence, a flood of connections: all cut, nobody answered."""
    attack = Attack(call, 13)
    video = call.ben.track(Kind.VIDEO, 0)
    before, open_files = video.packets, open_descriptors()
    links: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    heard = 0
    said = (
        b"\xff\xff" + bytes(8_000),  # a frame longer than any honest one
        b"".join(b"\x00\x40" + attack.some(64, 64) for _ in range(1_100)),  # more than a stranger may send
        b"".join(len(p).to_bytes(2, "big") + p for p in (make() for make in attack.kinds)),
        *[b"\x00"] * 3,  # half a length, then silence
    )
    with caplog.at_level(logging.INFO):
        for number in range(2 * MAX_STRANGERS_PER_HOST + 40):
            reader, writer = await asyncio.open_connection(*call.address)
            links.append((reader, writer))
            writer.write(said[number % len(said)])
        await asyncio.sleep(0.5)
        assert call.server._tcp.strangers <= MAX_STRANGERS_PER_HOST
        await call.ben.wait_for(lambda: video.packets > before + 30)
        for _, writer in links:
            writer.close()
        for reader, _ in links:
            with contextlib.suppress(ConnectionError, TimeoutError):
                heard += len(await asyncio.wait_for(reader.read(), 2))
    assert heard == 0
    await call.ben.wait_for(lambda: call.server._tcp.strangers == 0)
    assert call.server.front.counters.tcp_expired > 0
    assert call.server.front.counters.tcp_refused > 0
    assert open_descriptors() <= open_files + 2
    assert video.gaps == 0
    assert call.server.front.counters.handler_errors == 0
    assert not [record for record in caplog.records if record.exc_info]


async def test_one_participant_cannot_hold_any_number_of_tcp_connections(call: Call) -> None:
    """Each authenticated connection displaces an older one; the displaced ones are closed, and all when they leave."""
    peer = MediaPeer(publish=(Source.MICROPHONE,), tcp=True)
    participant = call.room.join("greedy", ALL)
    answer = await call.server.negotiate(participant, peer.offer())
    await peer.accept(answer.sdp)
    for _ in range(40):
        answered_before = peer.path.checks_answered
        await peer.path.open(call.address, tcp=True)
        peer.path.check()
        await peer.wait_for(lambda n=answered_before: peer.path.checks_answered > n)  # type: ignore[misc]
    assert len(call.server._tcp._links) <= 17
    call.room.leave("greedy", "removed")
    # one whose check came in after the next was opened is nobody's, and ends as such
    await call.ben.wait_for(lambda: not call.server._tcp._links, STRANGER_SECONDS + 5)
    await peer.close()
