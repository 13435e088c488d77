"""WHIP (RFC 9725) and WHEP endpoints: devices and standard tools send or watch with a bearer token.

    OPTIONS /whip/{consult}             -> 204, Accept-Post: application/sdp
    POST    /whip/{consult}             -> 201, answer, Location
    PATCH   /whip/{consult}/{resource}  -> 405 (no trickle: our candidates are in the answer; ICE restart is a new POST)
    DELETE  /whip/{consult}/{resource}  -> 200
The same under /whep. Refusals are RFC 9457 problems; a token is worth nothing once its seat is out of the call.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from huizhen.tokens import DeviceKind, TokenBook
from rtc.sdp import MAX_SIZE
from signaling.devices import DevicePass, close_stream, open_stream
from signaling.errors import RoomOver, TokenRefused, is_coded, problem_of
from signaling.live import Live

SDP = "application/sdp"
_ALLOWED = "OPTIONS, POST"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(live: Live, book: TokenBook) -> list[web.RouteDef]:
    """To be added to the application as they are: no cookies, no CSRF, the bearer token is everything."""
    found: list[web.RouteDef] = []
    kinds: tuple[DeviceKind, ...] = ("whip", "whep")
    for kind in kinds:
        endpoint = _Endpoint(live, book, kind)
        found += [
            web.options(f"/{kind}/{{consult}}", endpoint.options),
            web.post(f"/{kind}/{{consult}}", _guarded(endpoint.post)),
            web.delete(f"/{kind}/{{consult}}/{{resource}}", _guarded(endpoint.delete)),
            web.patch(f"/{kind}/{{consult}}/{{resource}}", endpoint.patch),
        ]
    return found


class _Endpoint:
    def __init__(self, live: Live, book: TokenBook, kind: DeviceKind) -> None:
        self._live, self._book, self._kind = live, book, kind

    async def options(self, request: web.Request) -> web.Response:
        """What may be posted; open to everybody, tells nothing of the room."""
        del request
        return web.Response(status=204, headers={"Accept-Post": SDP, "Allow": _ALLOWED})

    async def post(self, request: web.Request) -> web.Response:
        entry = self._enter(request)
        if request.content_type != SDP:
            return problem(415, "input.content_type")
        body = await _body(request)
        if body is None:
            return problem(413, "input.too_large")
        try:
            offer = body.decode("utf-8")
        except UnicodeDecodeError:
            return problem(400, "media.malformed")
        opened = await open_stream(self._live, entry, offer)
        location = f"/{self._kind}/{entry.consult_id}/{opened.resource}"
        return web.Response(status=201, text=opened.sdp, content_type=SDP, headers={"Location": location})

    async def delete(self, request: web.Request) -> web.Response:
        entry = self._enter(request)
        if not close_stream(self._live, entry, request.match_info["resource"]):
            return problem(404, "not_found")
        return web.Response(status=200)

    async def patch(self, request: web.Request) -> web.Response:
        """RFC 9725 4.3: a server that does neither trickle nor restarts says so."""
        del request
        response = problem(405, "media.no_patch")
        response.headers["Allow"] = "DELETE"
        return response

    def _enter(self, request: web.Request) -> DevicePass:
        """The token's rights. Raises TokenRefused, also for another consult's token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenRefused
        claims = self._book.read_device(token.strip(), self._kind)
        if claims.consult_id != request.match_info["consult"]:
            raise TokenRefused
        return DevicePass(claims.id, claims.seat_id, claims.consult_id, claims.kind, claims.label)


def _guarded(answer: Answer) -> Answer:
    """Coded errors become problems in one place; others are the application's."""

    async def run(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except Exception as error:
            if not is_coded(error):
                raise
            status, body = problem_of(error)
            if isinstance(error, RoomOver):
                status = 409
            response = problem(status, body["code"])
            if status == 401:
                response.headers["WWW-Authenticate"] = (
                    f'Bearer error="invalid_token", error_description="{body["code"]}"'
                )
            return response

    return run


def problem(status: int, code: str, **more: Any) -> web.Response:
    """RFC 9457."""
    body = {"type": f"urn:huizhen:{code}", "title": code, "status": status, "code": code, **more}
    return web.json_response(body, status=status, content_type="application/problem+json")


async def _body(request: web.Request) -> bytes | None:
    """At most MAX_SIZE bytes; None when there are more."""
    if request.content_length is not None and request.content_length > MAX_SIZE:
        return None
    body = bytearray()
    async for chunk in request.content.iter_chunked(16_384):
        body += chunk
        if len(body) > MAX_SIZE:
            return None
    return bytes(body)
