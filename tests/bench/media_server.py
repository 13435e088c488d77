"""A media-only server for benchmarks and spikes: WHIP and WHEP without any login. NEVER part of the product.

    python -m tests.bench.media_server --port 18700

POST /whip/{room}[/{feed}] publishes, POST /whep/{room}[/{feed}] receives; DELETE on the Location ends it. Every
connection is a participant. A feed is a room of its own, because a WHEP viewer has one audio and one video section and
names whom it wants; without a feed, the viewer gets the first publisher of the room.
"""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Sequence
from uuid import uuid4

from aiohttp import web

from rtc.errors import MediaError
from rtc.negotiation import Offer, Source
from rtc.participant import Grants
from rtc.quality import Quality
from rtc.room import Room
from rtc.server import MediaConfig, MediaServer
from rtc.transport import TransportState
from rtc.viewer import SlotMapping

PUBLISH = Grants(frozenset(Source), subscribe=False)
VIEW = Grants(frozenset(), subscribe=True)


class Silent:
    """A room listener that only lets go of those whose path ended."""

    def on_slots(self, room: Room, participant_id: str, slots: Sequence[SlotMapping]) -> None: ...
    def on_pool_short(self, room: Room, participant_id: str, audio: int, video: int) -> None: ...
    def on_speaker(self, room: Room, participant_id: str | None) -> None: ...
    def on_producer(self, room: Room, participant_id: str, source: Source, live: bool) -> None: ...
    def on_quality(self, room: Room, participant_id: str, quality: Quality) -> None: ...

    def on_transport(self, room: Room, participant_id: str, state: TransportState) -> None:
        if state in (TransportState.CLOSED, TransportState.FAILED):
            asyncio.get_running_loop().call_soon(room.leave, participant_id, state.value)


class Edge:
    """The two endpoints over one MediaServer."""

    def __init__(self, media: MediaServer) -> None:
        self.media = media
        self.listener = Silent()

    def routes(self, app: web.Application) -> None:
        for path in ("/{kind:whip|whep}/{room}", "/{kind:whip|whep}/{room}/{feed}"):
            app.router.add_post(path, self.post)
        app.router.add_delete("/session/{key:[^/]+/[^/]*/[0-9a-f]+}", self.delete)

    async def post(self, request: web.Request) -> web.Response:
        info = request.match_info
        key = f"{info['room']}/{info.get('feed', '')}"
        room = self.media.open_room(key, self.listener)
        participant = room.join(uuid4().hex, PUBLISH if info["kind"] == "whip" else VIEW)
        try:
            answer = await self.media.negotiate(participant, Offer(await request.text()))
        except MediaError as error:
            room.leave(participant.id, error.code)
            return web.Response(status=400, text=error.code)
        location = f"/session/{key}/{participant.id}"
        return web.Response(status=201, text=answer.sdp, content_type="application/sdp", headers={"Location": location})

    async def delete(self, request: web.Request) -> web.Response:
        key, _, participant_id = request.match_info["key"].rpartition("/")
        room = self.media.room(key)
        if room is not None:
            room.leave(participant_id, "deleted")
        return web.Response()


async def serve(options: argparse.Namespace) -> None:
    media = await MediaServer.start(
        MediaConfig(host=options.host, host6=None, port=options.media_port, announce=tuple(options.announce))
    )
    app = web.Application()
    Edge(media).routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, options.host, options.port).start()
        print(f"http {options.host}:{options.port} media {media.port}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
        await media.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18700, help="HTTP port")
    parser.add_argument("--media-port", type=int, default=0, help="UDP and TCP port, 0 = a free one")
    parser.add_argument("--announce", action="append", default=[], help="candidate address, may be repeated")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options))


if __name__ == "__main__":
    main()
