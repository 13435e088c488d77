"""People of a panel without a page: a login or a link, a socket, and a media peer that sends a real picture and voice.

They cost a tenth of a Chromium page, so that two cores carry a whole panel. What a page would do by its forms they do by
REST, with the same routes.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import socketio

from rtc.negotiation import Kind, Source
from tests.e2e.house import House
from tests.huizhen.world import Browser, operation, sign
from tests.support.av_source import coded_audio, coded_video
from tests.support.peer import MediaPeer

_SECONDS = 2.0  # of picture and voice, over and over


class Attendant:
    """One person: `door` is the REST side; `enter` opens socket and media."""

    def __init__(self, house: House, door: Browser, ticket_path: str) -> None:
        self.house, self.door = house, door
        self.seat = ""
        self.camera = True
        self.peer = MediaPeer(publish=(Source.MICROPHONE, Source.CAMERA), slots=8)
        self._ticket_path = ticket_path
        self._client = socketio.AsyncClient(reconnection=False)
        self._told: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._talking: asyncio.Task[None] | None = None
        for event in ("room", "direct"):
            self._client.on(event, self._hear)

    async def _hear(self, body: dict[str, Any]) -> None:
        self._told.append(body)
        self._news.set()

    async def say(self, event: str, **body: Any) -> dict[str, Any]:
        ack: dict[str, Any] = await self._client.call(event, body, timeout=10)
        assert ack["ok"], (event, ack)
        return ack

    async def knock(self) -> bool:
        """The socket, and the door behind it; whether it is open already."""
        ticket = (await told(self.door, "POST", self._ticket_path))["ticket"]
        await self._client.connect(self.house.url, auth={"ticket": ticket}, transports=["websocket"], wait_timeout=10)
        joined = await self.say("join", v=1, op=operation())
        return self._in(joined.get("snapshot"))

    def _in(self, snapshot: Any) -> bool:
        """Whoever waits gets a snapshot too."""
        if snapshot is None:
            return False
        self.seat = snapshot["me"]["seat"]
        return any(each["id"] == self.seat and each["state"] == "admitted" for each in snapshot["seats"])

    async def admitted(self) -> None:
        async with asyncio.timeout(20):
            while not any(self._in(each.get("snapshot")) for each in self._told if each["type"] == "admitted"):
                self._news.clear()
                await self._news.wait()

    async def speak(self) -> None:
        """Media both ways, from now until `close`."""
        offer = self.peer.offer()
        sources = {mid: source.value for mid, source in offer.sources.items()}
        answer = await self.say("media.offer", sdp=offer.sdp, sources=sources)
        await self.peer.accept(answer["sdp"])
        self._talking = asyncio.create_task(self._talk())

    async def look_at(self, seats: Sequence[str]) -> None:
        shown = [{"seat": seat, "source": "camera", "width": 320, "height": 180} for seat in seats if seat != self.seat]
        await self.say("media.view", demands=shown)

    async def gets(self, count: int, seconds: float = 30) -> None:
        """The pictures and voices of `count` others arrive."""

        def enough() -> bool:
            arrived = [each.kind for each in self.peer.received.values() if each.packets > 30]
            return min(arrived.count(Kind.VIDEO), arrived.count(Kind.AUDIO)) >= count

        await self.peer.wait_for(enough, seconds)

    async def _talk(self) -> None:
        """50 voice packets and 15 pictures a second, each second a flash and a beep."""
        pictures = itertools.cycle([frame for _, frame, _ in coded_video(_SECONDS, key_every=0.0)][::2])
        voice = itertools.cycle([packet for _, packet in coded_audio(_SECONDS)])
        loop = asyncio.get_running_loop()
        start = loop.time()
        for tick in itertools.count():
            self.peer.send_audio(payload=next(voice))
            if self.camera and tick % 10 in (0, 3, 6):
                self.peer.send_frame(frame=next(pictures))
            if tick % 50 == 5:
                self.peer.send_reports()
            await asyncio.sleep(max(0.0, start + (tick + 1) / 50 - loop.time()))

    async def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.gather(self._talking, return_exceptions=True)
        await self.peer.close()
        await self._client.shutdown()
        if self._client.eio.http is not None:
            await self._client.eio.http.close()


async def told(door: Browser, method: str, path: str, **body: Any) -> Any:
    """The answer's body, where it must be a yes."""
    call = {"GET": door.get, "POST": door.post, "PUT": door.put}[method]
    reply = await call(path, **body)
    assert reply.status == 200, (method, path, reply.status, reply.raw)
    return reply.body


class Attendants:
    """Whoever came without a page; all leave together."""

    def __init__(self, house: House, stack: contextlib.AsyncExitStack) -> None:
        self.house = house
        self._stack = stack

    async def _door(self) -> Browser:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        await self._stack.enter_async_context(session)
        return Browser(self.house.url, session)

    async def login(self, login: str) -> Browser:
        door = await self._door()
        await told(door, "POST", "/api/login", login=login, password=self.house.demo["password"])
        return door

    def attend(self, door: Browser, ticket_path: str) -> Attendant:
        attendant = Attendant(self.house, door, ticket_path)
        self._stack.push_async_callback(attendant.close)
        return attendant

    async def guest(self, secret: str, name: str) -> Attendant:
        """By link, through every form before the door."""
        door = await self._door()
        await told(door, "POST", "/api/links/redeem", secret=secret)
        await told(door, "POST", "/api/seat/identity", confirmed=True)
        checked = {"camera": "ok", "microphone": "ok", "speaker": "unknown", "network": "good", "rtt_ms": 5}
        await told(door, "POST", "/api/seat/device-check", **checked, kbps=5000)
        signed = await sign(door, name)
        assert signed.status == 200, signed.raw
        return self.attend(door, "/api/seat/ticket")


@contextlib.asynccontextmanager
async def attendants(house: House) -> AsyncIterator[Attendants]:
    async with contextlib.AsyncExitStack() as stack:
        yield Attendants(house, stack)
