"""An archive that answers whatever a test says, and remembers what it was asked."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Liar:
    """A server that answers whatever the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.answer: Handler = self._empty
        self.server = TestServer(self._app())

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._any)
        return app

    async def _any(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)

    async def _empty(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response([])

    def says(self, body: bytes | str = b"", status: int = 200, **headers: Any) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            del request
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(body=body.encode() if isinstance(body, str) else body, status=status, headers=named)

        self.answer = answer

    def holds(self, study: Mapping[str, Any], files: list[tuple[str, bytes]]) -> None:
        """An archive of one study and these files, by their SOP instance UID."""

        async def answer(request: web.Request) -> web.StreamResponse:
            path = request.path
            if path.endswith("/studies"):
                return web.Response(body=json.dumps([study]).encode())
            if path.endswith("/instances"):
                rows = [
                    {"0020000E": {"Value": ["1.3"]}, "00080018": {"Value": [uid]}, "00200013": {"Value": [number]}}
                    for number, (uid, _) in enumerate(files)
                ]
                return web.Response(body=json.dumps(rows).encode())
            found = dict(files)[path.rpartition("/")[2]]
            return web.Response(body=found, headers={"Content-Type": "application/dicom"})

        self.answer = answer
