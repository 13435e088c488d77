"""The Socket.IO door with the real server, the real client and real HTTP on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import socketio
from aiohttp import web

from clinic.people import Role
from consent.records import Purpose
from huizhen import sockets
from huizhen.sockets import SocketEdge
from huizhen.tokens import TokenBook
from signaling.messages import MAX_FRAME
from tests.signaling.ward import Ward, ward
from tests.support.session_client import new_op


class Door:
    """The ward behind a real port."""

    def __init__(self, house: Ward, book: TokenBook, edge: SocketEdge, url: str) -> None:
        self.house, self.book, self.edge, self.url = house, book, edge, url
        self.clients: list[socketio.AsyncClient] = []

    def ticket(self, who: str, device: str = "phone") -> str:
        seat = self.house.seats[who]
        return self.book.issue_ticket(
            seat_id=seat.id,
            consult_id=seat.consult_id,
            institution_id=seat.institution_id,
            role=seat.role,
            device_id=device,
            grants=("mic", "camera", "subscribe"),
        )

    async def connect(self, auth: Any, **headers: str) -> "Page":
        client = socketio.AsyncClient(reconnection=False)
        self.clients.append(client)
        page = Page(client)
        await client.connect(self.url, auth=auth, headers=headers, transports=["websocket"], wait_timeout=5)
        return page

    async def join(self, who: str, device: str = "phone") -> "Page":
        page = await self.connect({"ticket": self.ticket(who, device)})
        page.ack = await page.call("join", {"v": 1, "op": new_op()})
        return page


class Page:
    def __init__(self, client: socketio.AsyncClient) -> None:
        self.client = client
        self.ack: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.closed = asyncio.Event()
        client.on("room", self._hear)
        client.on("direct", self._hear)
        client.on("disconnect", self._closed)

    async def _hear(self, body: dict[str, Any]) -> None:
        self.heard.append(body)
        self.news.set()

    async def _closed(self, reason: str = "") -> None:
        self.closed.set()

    async def call(self, event: str, *body: Any) -> dict[str, Any]:
        ack: dict[str, Any] = await self.client.call(event, body if len(body) != 1 else body[0], timeout=5)
        return ack

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                for event in self.heard:
                    if event["type"] == kind:
                        return event
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    house = await ward()
    book = TokenBook("n1", b"k" * 32, house.clock)
    edge = SocketEdge(house.live, book, ["https://console.example"])
    app = web.Application()
    edge.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await edge.start()
    host, port = runner.addresses[0][:2]
    opened = Door(house, book, edge, f"http://{host}:{port}")
    yield opened
    await edge.close()
    await edge.close()
    for client in opened.clients:
        await client.shutdown()
        if client.eio.http is not None:
            await client.eio.http.close()
    await house.live.close()
    await runner.cleanup()
    assert not edge._sessions
    assert not edge._tasks


async def test_the_overridden_methods_are_still_there() -> None:
    for name in (
        "_handle_eio_connect",
        "_handle_eio_disconnect",
        "_handle_eio_message",
        "_handle_connect",
        "_handle_event",
        "_send_packet",
    ):
        assert callable(getattr(socketio.AsyncServer, name)), name


async def test_a_visit_over_real_sockets(door: Door) -> None:
    await door.house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))
    doctor, patient = await door.join("doctor"), await door.join("patient")
    assert doctor.ack["ok"]
    assert patient.ack["snapshot"]["me"]["role"] == "patient"
    assert (await doctor.call("admit", {"op": new_op(), "seat": door.house.seats["patient"].id}))["ok"]
    assert (await patient.until("admitted"))["snapshot"]["consult"]["status"] == "in_progress"
    assert (await patient.call("media.offer", {"sdp": "x" * 100_000, "sources": {"0": "mic"}}))["ok"], (
        "offers may be long"
    )
    assert (await doctor.call("chat", {"op": new_op(), "text": "你好"}))["ok"]
    assert (await patient.until("chat"))["message"]["text"] == "你好"
    assert (await doctor.call("end", {"op": new_op()}))["ok"]
    await patient.until("ended")
    async with asyncio.timeout(5):
        await patient.closed.wait()


async def test_a_ticket_opens_one_socket_only(door: Door) -> None:
    ticket = door.ticket("doctor")
    page = await door.connect({"ticket": ticket})
    for auth in ({"ticket": ticket}, {"ticket": "forged"}, {"ticket": None}, {}, None, {"ticket": {"a": 1}}, [1], "x"):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await door.connect(auth)
    assert len(door.edge._sessions) == 1
    assert page.client.connected
    async with asyncio.timeout(5):
        while door.edge._knocking or len(door.edge.server.eio.sockets) > 1:
            await asyncio.sleep(0.01)


async def test_an_expired_ticket_says_so(door: Door) -> None:
    ticket = door.ticket("doctor")
    door.house.clock.advance(61)
    told: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    door.clients.append(client)
    client.on("connect_error", told.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(door.url, auth={"ticket": ticket}, transports=["websocket"], wait_timeout=5)
    assert told == [{"message": "token.expired", "data": {"code": "token.expired"}}]


async def test_origins(door: Door) -> None:
    await door.connect({"ticket": door.ticket("doctor")}, Origin="https://console.example")
    await door.connect({"ticket": door.ticket("doctor")}, Origin=door.url)
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "https://console.example.evil.example", "//"):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await door.connect({"ticket": door.ticket("doctor")}, Origin=origin)


async def test_unknown_malformed_and_oversized_events_are_refused_with_an_ack(door: Door) -> None:
    doctor = await door.join("doctor")
    before = len(door.house.db.events)
    assert (await doctor.call("root", {}))["code"] == "session.unknown_event"
    assert (await doctor.call("chat", {"op": new_op(), "text": 5}))["field"] == "text"
    for body in ([], [1, 2], None, "text", 5):
        assert (await doctor.call("chat", body)).get("code") in ("input.invalid", "session.unknown_event"), body
    big = {"op": new_op(), "text": "x" * MAX_FRAME}
    assert not (await doctor.call("chat", big))["ok"]
    assert len(door.house.db.events) == before
    assert (await doctor.call("chat", {"op": new_op(), "text": "still here"}))["ok"]


async def test_a_flood_is_refused_and_others_are_untouched(door: Door) -> None:
    doctor = await door.join("doctor")
    nurse = await door.join("nurse")
    acks = await asyncio.gather(*(doctor.call("hand", {"raised": True}) for _ in range(200)))
    refused = sum(ack.get("code") in ("rate.limited", "session.busy") for ack in acks)
    assert refused >= 150
    assert (await nurse.call("hand", {"raised": True}))["ok"]


async def test_the_socket_goes_and_the_seat_stays(door: Door) -> None:
    await door.join("doctor")
    await door.clients[-1].disconnect()
    async with asyncio.timeout(5):
        while door.edge._sessions:
            await asyncio.sleep(0.01)
    assert door.house.inside == {door.house.seats["doctor"].id}
    assert (await door.join("doctor")).ack["ok"]


async def test_a_second_device_replaces_the_first(door: Door) -> None:
    await door.house.sign("patient", permitted=(Purpose.TREAT,))
    first = await door.join("patient", "phone")
    second = await door.join("patient", "tablet")
    assert second.ack["ok"]
    await first.until("replaced")
    async with asyncio.timeout(5):
        await first.closed.wait()
    assert second.client.connected
    doctor = await door.join("doctor", "office")
    assert doctor.ack["ok"]
    assert (await door.join("doctor", "home")).ack["code"] == "session.other_device"


class Raw:
    """A client without manners: Engine.IO frames by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def closed(self) -> bool:
        async with asyncio.timeout(5):
            while True:
                message = await self.socket.receive()
                if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                    return True
                if message.type is aiohttp.WSMsgType.TEXT and message.data == "2":
                    return False


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def raw(door: Door, http: aiohttp.ClientSession) -> Raw:
    socket = await http.ws_connect(door.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket")
    await socket.receive()
    return Raw(socket)


@pytest.mark.parametrize(
    "frames",
    [
        ['42["join",{}]'],  # an event before any ticket
        ["40" + "x" * 5000],  # more than a knock
        ["40{broken"],
        ['40{"ticket":"forged"}'],
        ["40/admin,"],
        ["45", "451-[]"],
        ['451-["join",{"_placeholder":true,"num":0}]'],
        ["4" + "[" * 3000],
        ["49"],
        ["44boom"],
        ["430[]", "40"],
    ],
)
async def test_without_a_ticket_everything_ends_in_a_hang_up(
    door: Door, http: aiohttp.ClientSession, frames: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    client = await raw(door, http)
    for frame in frames:
        await client.socket.send_str(frame)
    assert await client.closed()
    assert not door.edge._sessions
    assert not door.edge._knocking
    assert "Traceback" not in caplog.text


async def test_malformed_packets_after_the_ticket_end_only_that_socket(
    door: Door, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    nurse = await door.join("nurse")
    for frame in ("42{}", "42[]", "4299999999999999999[]", "4" + "[" * 100_000, "451-", "40"):
        client = await raw(door, http)
        await client.socket.send_str("40" + json.dumps({"ticket": door.ticket("doctor")}))
        await client.socket.receive()
        await client.socket.send_str(frame)
        if frame != "42{}" and frame != "42[]" and not frame.startswith("429"):
            assert await client.closed(), frame[:20]
        await client.socket.close()
    async with http.ws_connect(door.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive()
        await socket.send_str("40" + json.dumps({"ticket": door.ticket("doctor")}))
        await socket.receive()
        await socket.send_bytes(b"\x00" * 300_000)
        assert await Raw(socket).closed(), "larger than any frame"
    assert (await nurse.call("hand", {"raised": True}))["ok"]
    assert "Traceback" not in caplog.text


async def test_knocks_without_a_ticket_are_few_and_short(
    door: Door, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MOST_KNOCKING", 3)
    idle = [await raw(door, http) for _ in range(3)]
    status = 0
    async with http.get(door.url + "/socket.io/?EIO=4&transport=polling") as answer:
        status = answer.status
    assert status == 401
    for eio_sid in door.edge._knocking:
        door.edge._knocking[eio_sid] = 0.0
    assert all([await each.closed() for each in idle])
    assert not door.edge._knocking


async def test_polling_works_where_websockets_do_not(door: Door) -> None:
    client = socketio.AsyncClient(reconnection=False)
    door.clients.append(client)
    await client.connect(door.url, auth={"ticket": door.ticket("doctor")}, transports=["polling"], wait_timeout=5)
    ack = await client.call("join", {"v": 1, "op": new_op()}, timeout=5)
    assert ack["ok"]
    assert ack["snapshot"]["me"]["role"] == Role.ATTENDING
