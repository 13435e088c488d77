"""The aiohttp application: one error boundary, security headers, routes, and the parts as one cleanup context."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from huizhen import logs, whip
from huizhen.api import dispatch, fhir
from huizhen.api.table import ROUTES
from huizhen.headers import SecurityHeaders
from huizhen.pages import Pages
from huizhen.problems import Problem, problem_of
from huizhen.wiring import Parts

log = logs.get("http")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FILES = frozenset(route.path for route in ROUTES if route.raw)
BODY_GRACE_SECONDS = 5.0  # beyond the limit of a REST request, so that its own refusal comes first
SOCKET_PATH = "/socket.io/"
PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)


def create_app(parts: Parts) -> web.Application:
    """The application over open parts; it starts them and, when it stops, closes them."""
    settings = parts.settings
    app = web.Application(middlewares=[boundary], client_max_size=settings.body_limit)
    app[PARTS] = parts
    app.on_response_prepare.append(SecurityHeaders(settings))
    dispatch.register(app, parts.services, ROUTES)
    app.router.add_routes(whip.routes(parts.live, parts.tokens))
    Pages(settings).register(app)
    parts.edge.attach(app)
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_quieten)
    return app


async def _running(app: web.Application) -> AsyncIterator[None]:
    parts = app[PARTS]
    await parts.start()
    yield
    await parts.close()


async def _quieten(app: web.Application) -> None:
    """Before connections are waited for: sockets are told, or the server would wait for them."""
    await app[PARTS].quieten()


async def _in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """REST has its own limit, sooner; this one is for bodies that never end on the other doors. GET may be a socket."""
    if request.method in ("GET", "HEAD"):
        return await handler(request)
    async with asyncio.timeout(_longest(request)) as clock:
        answer = await handler(request)
    if clock.expired():  # the socket library takes a cancellation for an answer
        raise TimeoutError
    return answer


def _longest(request: web.Request) -> float:
    settings, resource = request.app[PARTS].settings, request.match_info.route.resource
    raw = resource is not None and resource.canonical in _FILES
    return (settings.upload_seconds if raw else settings.request_seconds) + BODY_GRACE_SECONDS


@web.middleware
async def boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nothing leaves this server but an answer or a coded problem."""
    try:
        return await _in_time(request, handler)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return _refused(request, problem_of(error))
    except Exception as error:
        route = request.match_info.route.resource
        problem = problem_of(error)
        if problem.code == "server.error" and request.path.startswith(SOCKET_PATH):
            # its library reads a stranger's first packet and raises whatever comes; sessions answer for themselves
            log.info("malformed socket packet", error=type(error).__name__)
            problem = problem_of(web.HTTPBadRequest())
        if problem.status >= 500:
            where = route.canonical if route is not None else ""
            log.error(  # noqa: TRY400 messages of exceptions stay out of logs
                "request failed", route=where, code=problem.code, error=type(error).__name__, trace=logs.trace(error)
            )
        return _refused(request, problem)


def _refused(request: web.Request, problem: Problem) -> web.Response:
    """In the words of the door that was knocked at."""
    return fhir.refused(problem) if request.path.startswith(f"{fhir.PREFIX}/") else problem.response()
