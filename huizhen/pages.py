"""The built web client: three pages and their assets."""

import mimetypes
from pathlib import Path

from aiohttp import web

from huizhen.settings import Settings

_MISSING = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>Huizhen</title>
<h1>The web client is not built</h1><h1 lang="zh">网页客户端尚未构建</h1>
<p>Run <code>make run</code> (or <code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>) and reload.</p>
<p lang="zh">请运行 <code>make run</code>,然后刷新本页。</p></html>
"""


def static_folder(settings: Settings) -> Path:
    return settings.static_dir or Path(__file__).with_name("static")


class Pages:
    """Serves `/`, `/p`, `/v`, `/console/*` and `/static/*`. Pages are revalidated, hashed assets kept for a year."""

    def __init__(self, settings: Settings) -> None:
        self._folder = static_folder(settings).resolve()

    def register(self, app: web.Application) -> None:
        app.router.add_get("/", self._landing)
        app.router.add_get("/p", self._patient)
        app.router.add_get("/v", self._check)
        app.router.add_get("/console", self._console)
        app.router.add_get("/console/{rest:.*}", self._console)
        app.router.add_get("/static/{path:[A-Za-z0-9_./-]{1,200}}", self._asset)
        app.router.add_get("/favicon.ico", self._favicon)

    async def _landing(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/console")

    async def _patient(self, request: web.Request) -> web.StreamResponse:
        return self._page("patient.html")

    async def _check(self, request: web.Request) -> web.StreamResponse:
        """Where the QR code of an opinion paper leads: public, and without anything personal."""
        return self._page("check.html")

    async def _console(self, request: web.Request) -> web.StreamResponse:
        return self._page("console.html")

    def _page(self, name: str) -> web.StreamResponse:
        page = self._folder / name
        if not page.is_file():
            return web.Response(status=503, text=_MISSING, content_type="text/html")
        return web.FileResponse(page, headers={"Cache-Control": "no-cache"})

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        path = (self._folder / request.match_info["path"]).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            raise web.HTTPNotFound
        hashed = path.parent.name == "assets"
        caching = "public, max-age=31536000, immutable" if hashed else "no-cache"
        headers = {"Cache-Control": caching, "Content-Type": _content_type(path)}
        return web.FileResponse(path, headers=headers)

    async def _favicon(self, request: web.Request) -> web.StreamResponse:
        icon = self._folder / "favicon.ico"
        return web.FileResponse(icon) if icon.is_file() else web.Response(status=204)


def _content_type(path: Path) -> str:
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed.endswith("javascript") else guessed
