"""The guard: what strangers send never gets anywhere, costs nothing, and is never answered."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import stun, tcplink
from rtc.front import Front
from rtc.icelite import CheckResult, Credentials, IceLite, Route
from rtc.tcpframing import frame
from rtc.tcplink import TcpPort, bind_tcp
from rtc.udp import UdpPort, UdpRoute, bind_udp
from tests.rtc.test_icelite import FakeRoute

LOCAL = Credentials("ours", "p" * 24)


@dataclass(eq=False)
class FakeEndpoint:
    """An ICE-lite agent with a recorder behind it."""

    ice: IceLite = field(default_factory=lambda: IceLite(LOCAL, "theirs", 0))
    media: list[bytes] = field(default_factory=list)
    dtls: list[bytes] = field(default_factory=list)
    closed_routes: list[Route] = field(default_factory=list)
    fail: bool = False
    alive: bool = True

    def on_check(self, request: stun.BindingRequest, route: Route, now_ns: int) -> CheckResult:
        return self.ice.check(request, route, now_ns)

    def on_media(self, buffer: bytearray, length: int, now_ns: int) -> None:
        if self.fail:
            raise RuntimeError("defect")
        self.media.append(bytes(buffer[:length]))

    def on_dtls(self, datagram: bytes, route_key: Hashable) -> None:
        self.dtls.append(datagram)

    def on_route_closed(self, route: Route) -> None:
        self.closed_routes.append(route)
        self.ice.forget(route)

    def active(self, now_ns: int) -> bool:
        return self.alive


def check(name: str = "ours:theirs", key: str = LOCAL.pwd) -> bytes:
    return stun.binding_request(bytes(12), name, key.encode(), tie_breaker=1, priority=1, nominate=True)


def deliver(front: Front, packet: bytes, key: object) -> bool:
    return front.datagram(bytearray(packet), len(packet), key, 1)


def test_only_a_validated_address_reaches_the_endpoint() -> None:
    front, endpoint, route = Front(), FakeEndpoint(), FakeRoute("peer")
    front.register("ours", endpoint)
    assert not deliver(front, b"\x80rtp", "peer")
    assert not deliver(front, b"\x16dtls", "peer")
    assert front.check(check(), route, 1)
    assert deliver(front, b"\x80rtp", "peer")
    assert deliver(front, b"\x16dtls", "peer")
    assert not deliver(front, b"\x80rtp", "other")
    assert not deliver(front, b"\x40turn channel", "peer")
    assert (endpoint.media, endpoint.dtls) == ([b"\x80rtp"], [b"\x16dtls"])
    assert (front.counters.stranger, front.counters.malformed) == (3, 1)
    front.release(endpoint)
    assert not deliver(front, b"\x80rtp", "peer")
    assert not front.check(check(), route, 1)


@pytest.mark.parametrize(
    "packet",
    [
        check("nobody:theirs"),
        check(key="wrong" * 5),
        check("ours:wrong"),
        check()[:-1] + b"\0",
        b"\0\1",
        check() + b"1234",
    ],
)
def test_unauthenticated_checks_get_silence(packet: bytes) -> None:
    front, endpoint, route = Front(), FakeEndpoint(), FakeRoute("peer")
    front.register("ours", endpoint)
    assert not front.check(packet, route, 1)
    assert route.sent == []
    assert front.endpoints == {}


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_noise_changes_nothing(packet: bytes, known: bool) -> None:
    front, endpoint, route = Front(), FakeEndpoint(), FakeRoute("peer")
    front.register("ours", endpoint)
    if packet[0] < 4:
        front.check(packet, route, 1)
        assert route.sent == []
    else:
        deliver(front, packet, "peer")
    assert (front.endpoints, endpoint.media, endpoint.dtls) == ({}, [], [])


def test_a_live_participants_address_can_not_be_claimed_by_another() -> None:
    """An insider forging another one's source address must not capture it (row 6); a dead one's may be reused."""
    front, victim = Front(), FakeEndpoint()
    thief = FakeEndpoint(IceLite(Credentials("thief", "t" * 24), "theirs", 0))
    front.register("ours", victim)
    front.register("thief", thief)
    front.check(check(), FakeRoute("victim"), 1)
    forged = FakeRoute("victim")
    assert not front.check(check("thief:theirs", "t" * 24), forged, 2)
    assert forged.sent == []
    assert front.endpoints["victim"] is victim
    assert front.counters.claimed == 1
    victim.alive = False
    assert front.check(check("thief:theirs", "t" * 24), forged, 3)
    assert front.endpoints["victim"] is thief
    front.release(victim)
    assert front.endpoints["victim"] is thief


def test_a_defect_in_a_handler_is_contained_and_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    front, endpoint = Front(), FakeEndpoint(fail=True)
    front.register("ours", endpoint)
    front.check(check(), FakeRoute("peer"), 1)
    for _ in range(50):
        deliver(front, b"\x80rtp", "peer")
    assert front.counters.handler_errors == 50
    assert len(caplog.records) == 1


def test_addresses_of_one_endpoint_stay_bounded() -> None:
    front, endpoint = Front(), FakeEndpoint()
    front.register("ours", endpoint)
    for number in range(100):
        front.check(check(), FakeRoute(number), number)
    assert len(front.endpoints) == len(endpoint.ice.routes) == 16


@pytest.fixture
async def udp() -> AsyncIterator[tuple[Front, UdpPort, FakeEndpoint]]:
    front, endpoint = Front(), FakeEndpoint()
    front.register("ours", endpoint)
    port = UdpPort(front, bind_udp("127.0.0.1", 0))
    yield front, port, endpoint
    port.close()
    port.close()


async def test_udp_socket_answers_checks_only(udp: tuple[Front, UdpPort, FakeEndpoint]) -> None:
    front, port, endpoint = udp
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(("127.0.0.1", port.port))
        for packet in (b"", b"\x16\xfe\xfd" + bytes(50), b"\x80" + bytes(40), bytes(3000), b"\x00\x01", check("x:y")):
            client.send(packet)
        client.send(check())
        answer = await asyncio.wait_for(loop.sock_recv(client, 2048), 5)
        # the first thing ever answered is the authenticated check, with our address in it
        assert struct.unpack_from("!H", answer)[0] == stun.MessageType.BINDING_SUCCESS
        assert endpoint.dtls == []
        client.send(b"\x16\xfe\xfdhello")
        client.send(b"\x80media")
        client.send(check())
        await asyncio.wait_for(loop.sock_recv(client, 2048), 5)
        assert (endpoint.dtls, endpoint.media) == ([b"\x16\xfe\xfdhello"], [b"\x80media"])
    assert front.counters.stranger == 2
    assert front.counters.malformed == 3


def test_send_errors_are_counted_never_raised() -> None:
    front = Front()
    sock = bind_udp("127.0.0.1", 0)
    route = UdpRoute(sock, ("127.0.0.1", 9), front.counters)
    assert route.send(b"x")
    assert not route.send(bytes(70000))  # EMSGSIZE
    sock.close()
    assert not route.send(b"x")  # EBADF
    assert front.counters.send_failed == 2


@pytest.fixture
async def tcp() -> AsyncIterator[tuple[Front, TcpPort, FakeEndpoint, int]]:
    front, endpoint = Front(), FakeEndpoint()
    front.register("ours", endpoint)
    port = TcpPort(front)
    sock = bind_tcp("127.0.0.1", 0)
    number = sock.getsockname()[1]
    await port.listen(sock)
    yield front, port, endpoint, number
    await port.close()
    await port.close()


TcpFixture = tuple[Front, TcpPort, FakeEndpoint, int]


async def closed_by_server(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(100), 5) == b""
    except ConnectionError:
        return True


async def test_tcp_check_then_media(tcp: TcpFixture) -> None:
    front, port, endpoint, number = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(frame(b"\x16early") + frame(check()))
    size = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), 5))[0]
    answer = await reader.readexactly(size)
    assert struct.unpack_from("!H", answer)[0] == stun.MessageType.BINDING_SUCCESS
    assert port.strangers == 0
    writer.write(frame(b"\x80media") + frame(check()))
    await asyncio.wait_for(reader.readexactly(2 + size), 5)
    assert (endpoint.media, endpoint.dtls) == ([b"\x80media"], [])
    writer.close()
    await writer.wait_closed()
    while not endpoint.closed_routes:
        await asyncio.sleep(0)
    assert front.endpoints == {}
    assert endpoint.ice.selected is None


async def test_tcp_strangers_are_limited_per_host(tcp: TcpFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    front, port, _, number = tcp
    monkeypatch.setattr(tcplink, "MAX_STRANGERS_PER_HOST", 3)
    kept = [await asyncio.open_connection("127.0.0.1", number) for _ in range(3)]
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    assert await closed_by_server(reader)
    assert port.strangers == 3
    assert front.counters.tcp_refused == 1
    for _, other in (*kept, (reader, writer)):
        other.close()
    while port.strangers:
        await asyncio.sleep(0)


async def test_tcp_stranger_is_cut_by_size_and_by_time(tcp: TcpFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    front, _, _, number = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(frame(b"\x80" + bytes(1000)) * 100)
    assert await closed_by_server(reader)
    writer.close()
    monkeypatch.setattr(tcplink, "STRANGER_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    assert await closed_by_server(reader)
    writer.close()
    assert front.counters.tcp_expired == 2


async def test_tcp_oversized_frame_ends_the_connection(tcp: TcpFixture) -> None:
    front, _, _, number = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")  # 0x4745 bytes of frame: a port scanner
    assert await closed_by_server(reader)
    writer.close()
    assert front.counters.malformed == 1


async def test_tcp_slow_reader_loses_packets_and_costs_no_memory(tcp: TcpFixture) -> None:
    front, _, endpoint, number = tcp
    _, writer = await asyncio.open_connection("127.0.0.1", number, limit=1024)
    writer.write(frame(check()))
    while endpoint.ice.selected is None:
        await asyncio.sleep(0)
    route = endpoint.ice.selected
    packet = bytes(1200)
    for _ in range(20000):  # 24 MB into a connection nobody reads
        if not route.send(packet):
            break
    assert front.counters.send_congested == 1
    writer.close()


async def test_stranger_flood_holds_no_memory(udp: tuple[Front, UdpPort, FakeEndpoint]) -> None:
    front, port, endpoint = udp
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for round_ in range(20):
            for number in range(50):
                client.sendto(bytes([20 + number]) + bytes(1150), ("127.0.0.1", port.port))
            deadline = time.monotonic() + 5
            while front.counters.stranger < (round_ + 1) * 50 and time.monotonic() < deadline:
                await asyncio.sleep(0)
    assert front.counters.stranger == 1000
    assert (front.endpoints, front._routes, endpoint.dtls) == ({}, {}, [])
