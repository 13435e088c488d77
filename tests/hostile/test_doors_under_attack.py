"""Guessing, forging and stalling at the doors of the web server."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import socketio
from multidict import CIMultiDict

from clinic.people import Role
from huizhen import sockets
from huizhen.auth.limiter import Attempts
from huizhen.auth.passwords import Passwords
from huizhen.headers import source_of
from tests.huizhen.world import ID_NUMBER, PASSWORD, World, operation, settings_for, sign

pytestmark = pytest.mark.alone


async def test_a_burst_of_guesses_is_limited_like_a_slow_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a burst arrive before the first of them has failed."""
    hashed = 0
    check = Passwords._check

    def counting(self: Passwords, stored: str | None, password: str) -> bool:
        nonlocal hashed
        hashed += 1
        time.sleep(0.005)  # as slow as a hash is, so that all forty are waiting
        return check(self, stored, password)

    monkeypatch.setattr(Passwords, "_check", counting)
    browser, login = await world.browser(), world.houses["city"].login(Role.APPROVER)
    replies = await asyncio.gather(
        *(browser.post("/api/login", login=login, password=f"guess number {n}") for n in range(40))
    )
    assert hashed <= 7, "five failures a minute, and those under way at that moment"
    assert {reply.status for reply in replies} == {401, 429}


async def test_bytes_that_are_no_text_are_refusals(world: World) -> None:
    """Headers and cookies are bytes; a refusal, never a 500."""
    host, port = world.base.removeprefix("http://").split(":")
    staff = await world.staff("city", Role.NURSE)
    cookie = f"hz_staff={staff.cookie('hz_staff')}".encode()
    for head, expected in (
        (b"Cookie: " + cookie + b"\r\nX-CSRF: \xff\xfe", b"403"),
        (b"Cookie: " + cookie + b"\r\nOrigin: http://[", b"403"),
        (b"Cookie: hz_staff=\xff\xfe\xfd\xfc", b"401"),
    ):
        answer = await _raw(host, int(port), b"POST /api/logout HTTP/1.1\r\nHost: a\r\n" + head, b"{}")
        assert answer.startswith(b"HTTP/1.1 " + expected), (head, answer[:200])
    login = b'{"login": "nobody", "password": "nothing at all"}'
    head = b"POST /api/login HTTP/1.1\r\nHost: a\r\nCookie: hz_staff=\xff\xfe"
    assert (await _raw(host, int(port), head, login)).startswith(b"HTTP/1.1 401")
    redeem = b'{"secret": "AAAAAAAAAAAAAAAAAAAAAA"}'
    head = b"POST /api/links/redeem HTTP/1.1\r\nHost: a\r\nCookie: hz_device=\xff\xfe"
    assert (await _raw(host, int(port), head, redeem)).startswith(b"HTTP/1.1 404")


async def _raw(host: str, port: int, head: bytes, body: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    more = b"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head + more + body)
    answer = await asyncio.wait_for(reader.read(65_536), 5)
    writer.close()
    return answer


def _request(remote: str, *forwarded: str) -> Any:
    return SimpleNamespace(remote=remote, headers=CIMultiDict([("X-Forwarded-For", line) for line in forwarded]))


def test_a_forged_forwarding_header_does_not_change_who_is_counted(tmp_path: Any) -> None:
    behind = settings_for(tmp_path, proxy_count=1)
    assert source_of(_request("10.0.0.1", "1.2.3.4, 198.51.100.7"), behind) == "198.51.100.7"
    assert source_of(_request("10.0.0.1", "1.2.3.4", "198.51.100.7"), behind) == "198.51.100.7", "a line of its own"
    assert source_of(_request("192.0.2.1", "1.2.3.4"), settings_for(tmp_path)) == "192.0.2.1"


def test_an_ipv6_customer_is_one_source(tmp_path: Any) -> None:
    here = settings_for(tmp_path)
    one, two = (source_of(_request(f"2001:db8:1:2::{n}"), here) for n in ("1", "ff:0:1"))
    assert one == two
    assert one != source_of(_request("2001:db8:1:3::1"), here)
    assert source_of(_request("::ffff:192.0.2.9"), here) == "192.0.2.9"
    assert source_of(_request("fe80::1%eth0"), here) == source_of(_request("fe80::2"), here)


async def test_the_owner_coming_back_gives_a_guesser_no_more_tries(world: World) -> None:
    booked = await world.book()
    owner, thief = await world.patient(booked), await world.browser()
    for _ in range(4):
        refused = await thief.post("/api/links/redeem", secret=booked.secret, second_factor="0000")
        assert refused.code == "link.second_factor"
    world.parts.services.link_door._attempts = Attempts(world.parts.settings)  # a minute later
    assert (await owner.post("/api/links/redeem", secret=booked.secret)).status == 200, "by cookie, no factor asked"
    await thief.post("/api/links/redeem", secret=booked.secret, second_factor="0001")
    locked = await thief.post("/api/links/redeem", secret=booked.secret, second_factor=ID_NUMBER[-4:])
    assert locked.code == "link.locked"


async def test_figures_are_not_for_those_whom_a_proxy_lets_through(world: World) -> None:
    browser = await world.browser()
    assert (await browser.get("/metrics")).status == 200
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"):
        assert (await browser.get("/metrics", headers={name: "x"})).status == 403, name


async def test_an_ampersand_in_a_search_is_text(world: World) -> None:
    archivist = await world.staff("city", Role.ARCHIVIST)
    assert (await archivist.get("/api/archive/recordings?q=a%26state%3Dactive")).status == 200
    assert (await archivist.get("/api/archive/recordings?q=a%2526b")).status == 200
    assert (await archivist.get("/api/archive/recordings?q=a&colour=red")).code == "request.query"


async def test_a_body_that_never_ends_is_given_up_on_every_door(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by polling to the socket door, which reads without a clock of its own."""
    monkeypatch.setattr("huizhen.app.BODY_GRACE_SECONDS", 0.0)
    host, port = world.base.removeprefix("http://").split(":")
    browser = await world.browser()
    opened = await browser.get("/socket.io/?EIO=4&transport=polling")
    sid = opened.raw.decode().partition('"sid":"')[2].partition('"')[0]
    assert sid
    for path in (f"/socket.io/?EIO=4&transport=polling&sid={sid}", "/api/login"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: 1000\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 5)
        assert answer.startswith(b"HTTP/1.1 503"), (path, answer)
        writer.close()


async def _knock(world: World, session: aiohttp.ClientSession) -> int:
    async with session.get(world.base + "/socket.io/?EIO=4&transport=polling") as answer:
        return answer.status


async def test_one_source_cannot_take_every_place_at_the_socket_door(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MOST_KNOCKING_PER_SOURCE", 3)
    browser = await world.browser()
    assert [await _knock(world, browser.session) for _ in range(4)] == [200, 200, 200, 401]
    monkeypatch.setattr(world.parts.edge, "source", lambda request: "somebody else")
    assert await _knock(world, browser.session) == 200


async def test_sockets_of_one_seat_are_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MOST_PER_SEAT", 2)
    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    clients = []
    for _ in range(4):
        ticket = (await patient.post("/api/seat/ticket")).body["ticket"]
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(world.base, auth={"ticket": ticket}, transports=["websocket"])
        clients.append(client)
    async with asyncio.timeout(5):
        while [client.connected for client in clients] != [False, False, True, True]:
            await asyncio.sleep(0.01)
    for client in clients:
        await client.disconnect()


async def test_hostile_traffic_beside_a_live_socket_leaves_it_alive(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    ticket = (await patient.post("/api/seat/ticket")).body["ticket"]
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(world.base, auth={"ticket": ticket}, transports=["websocket"])
    assert (await client.call("join", {"v": 1, "op": operation()}, timeout=5))["ok"]
    host, port = world.base.removeprefix("http://").split(":")
    stranger = await world.browser()
    for junk in (b"\x00" * 4_096, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"\x16\x03\x01" * 99):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(junk)
        writer.close()
    for data in (
        b"4" * 9_000,
        b'40{"ticket":"x"}',
        b"42[" + b"[" * 3_000,
        b"\xff\xfe",
        b'451-["join",{"_placeholder":true}]',
    ):
        async with stranger.session.ws_connect(
            world.base.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        ) as wire:
            await wire.send_str(data.decode("latin-1"))
            await wire.send_bytes(data)
    for event, body in (("join", {"v": 10**18}), ("nothing", []), ("media.offer", {"sdp": "v=0" * 9_000}), ("chat", 1)):
        refused = await client.call(event, body, timeout=5)
        assert refused["ok"] is False
        assert refused["code"] != "server.internal", event
    again = await client.call("join", {"v": 1, "op": operation()}, timeout=5)
    assert again["ok"]
    assert client.connected
    await client.disconnect()


async def test_settings_of_the_test_are_no_weaker_than_they_claim(world: World) -> None:
    settings = world.parts.settings
    assert settings.login_failures_per_minute == 5
    assert (await world.login(world.houses["city"].login(Role.NURSE), PASSWORD)).csrf
