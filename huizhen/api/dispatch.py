"""From a request to a handler and back: rate, session, CSRF, role, body, ownership, transaction, refusal on record."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError

from archive.errors import NoGrant, SameHands
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import record_denied, record_refusal
from clinic.actor import Actor
from clinic.errors import AdmissionRefused, CaseOver, NoCase, NotPermitted
from consent.errors import ConsentMissing
from huizhen import logs
from huizhen.api.call import DEVICE_COOKIE, STAFF_COOKIE, Call, Caller
from huizhen.api.own import CHECKS
from huizhen.api.route import Door, Route, Table, Unit
from huizhen.api.shapes.base import NoBody
from huizhen.auth import secret
from huizhen.auth.errors import AuthError, CsrfInvalid, StepUpRequired, TooManyAttempts
from huizhen.auth.links import SeatCaller
from huizhen.headers import own_origin, source_of
from huizhen.problems import CODED, RequestError, problem_of
from huizhen.services import Services

log = logs.get("http")

_ON_RECORD = (NotPermitted, ConsentMissing, NoGrant, SameHands, StepUpRequired, NoCase, CaseOver)
_LOOPBACK = ("127.0.0.1", "::1")
# Who sends these is a proxy, not a browser on this machine.
_RELAYED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def register(app: web.Application, services: Services, table: Table) -> None:
    """Put every route of the table into the application."""
    for route in table:
        app.router.add_route(route.method, route.pattern, _handler(services, route), name=None)


def _handler(services: Services, route: Route[Any]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        status = 500
        try:
            async with asyncio.timeout(_patience(services, route)):
                response = await _answer(services, route, request)
            status = response.status
        except (*CODED, RequestError, TimeoutError) as error:
            response = route.refusal(problem_of(error))
            status = response.status
            services.metrics.refused(problem_of(error).code)
            if request.method == "HEAD":
                response.headers["X-Problem"] = problem_of(error).code  # there is no body to say it
            if route.raw:
                response.force_close()  # what is left of the body is not waited for
        finally:
            services.metrics.answered(route.path, route.method, status, time.perf_counter() - started)
        return response

    return handle


def _patience(services: Services, route: Route[Any]) -> float | None:
    """Seconds a request may take; a file on its way out has its own clock."""
    if route.raw:
        return services.settings.upload_seconds
    return None if route.answer.__name__ == "Stream" else services.settings.request_seconds


async def _answer(services: Services, route: Route[Any], request: web.Request) -> web.StreamResponse:
    source = source_of(request, services.settings)
    if not services.rate.allow(source):
        raise TooManyAttempts
    caller = await _caller(services, route, request)
    if route.mutates:
        _same_site(services, request, caller)
    call: Call[Any] = Call(request, services, NoBody(), None, source, caller)
    try:
        if caller is not None and not route.policy.admits(call.actor.roles):
            raise NotPermitted(route.path)
        call.query = _query(route, request)
        call.body = await _body(route, request)
        answer = await _run(route, call)
    except _ON_RECORD as error:
        await _record_denied(call, route, error)
        raise
    except AdmissionRefused as error:
        await _record_refused(call, error)
        raise
    return _respond(services, call, answer)


async def _caller(services: Services, route: Route[Any], request: web.Request) -> Caller | None:
    if route.policy.door is Door.STAFF:
        return await services.staff_door.caller(request.cookies.get(STAFF_COOKIE))
    if route.policy.door is Door.SEAT:
        return await services.link_door.caller(request.cookies.get(DEVICE_COOKIE))
    if route.policy.door is Door.RECORDS:
        if "Authorization" in request.headers:
            return await services.client_door.caller(request.headers["Authorization"])
        return await services.staff_door.caller(request.cookies.get(STAFF_COOKIE))
    if route.policy.door is Door.SCRAPE:
        _may_scrape(services, request)
    return None


def _may_scrape(services: Services, request: web.Request) -> None:
    token = services.settings.metrics_token
    if token is not None:
        if not secret.same(request.headers.get("Authorization", ""), f"Bearer {token}"):
            raise ScrapeRefused
    elif request.remote not in _LOOPBACK or any(name in request.headers for name in _RELAYED):
        raise NotPermitted("metrics")


class ScrapeRefused(AuthError):
    """`/metrics` without its bearer token."""

    code = "token.invalid"


def _same_site(services: Services, request: web.Request, caller: Caller | None) -> None:
    if not own_origin(request, services.settings):
        raise CsrfInvalid("origin")
    if caller is not None and not secret.same(request.headers.get("X-CSRF", ""), caller.csrf):
        raise CsrfInvalid("token")


def _query(route: Route[Any], request: web.Request) -> BaseModel:
    given = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
    if len(given) != len(dict(given)):
        raise RequestError("request.query", "repeated")
    try:
        query: BaseModel = route.query.model_validate(dict(given))
    except ValidationError as error:
        raise RequestError("request.query", _where(error)) from None
    return query


async def _body(route: Route[Any], request: web.Request) -> BaseModel:
    if not route.mutates:
        return NoBody()
    if route.raw:
        return _head(route, request)
    if request.content_type != "application/json":
        raise RequestError("request.media_type")
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestError("request.too_large") from None
    try:
        decoded = json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestError("request.malformed") from None
    if not isinstance(decoded, dict):
        raise RequestError("request.malformed")
    try:
        body: BaseModel = route.body.model_validate_json(raw)
    except ValidationError as error:
        raise RequestError("input.invalid", _where(error)) from None
    return body


def _head(route: Route[Any], request: web.Request) -> BaseModel:
    """Where the body is a file, the rest of what a body would say stands in headers."""
    try:
        head: BaseModel = route.body.model_validate({"op": request.headers.get("X-Operation", "")})
    except ValidationError as error:
        raise RequestError("input.invalid", _where(error)) from None
    return head


def _where(error: ValidationError) -> str:
    """The place of the first fault as a path. Never the value; the name of an unknown member is not echoed."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    known = fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
    return ".".join(str(part)[:40] for part in known) or "body"


async def _run(route: Route[Any], call: Call[Any]) -> BaseModel | web.StreamResponse:
    db = call.services.db
    async with AsyncExitStack() as stack:
        if route.unit is Unit.WRITE:
            call.transaction = await stack.enter_async_context(db.begin())
        elif route.unit is Unit.READ:
            call.transaction = await stack.enter_async_context(db.read())
        check = CHECKS[route.policy.own]
        if call.transaction is not None:
            await check(call, call.transaction)
            call.owned = True
        elif route.parameters:
            async with db.read() as tx:
                await check(call, tx)
                call.owned = True
        if route.unit is Unit.WRITE and route.claims and call.caller is not None:
            await call.tx.operation(call.op, call.actor.id)
        answer = await route.handler(call)
    call.transaction = None
    return answer


async def _record_denied(call: Call[Any], route: Route[Any], error: Exception) -> None:
    """A refused try is evidence of its own; the transaction it happened in rolled back.

    It goes to the consult's trail when the caller may know of the consult, otherwise to their own institution's.
    """
    if call.caller is None:
        return
    if isinstance(call.caller, SeatCaller):
        consult_id: str | None = call.caller.seat.consult_id
    else:
        consult_id = call.request.match_info.get("consult") if call.owned else None
    code = getattr(error, "code", "access.denied")
    async with call.services.db.begin() as tx:
        await record_denied(tx, call.actor, f"{route.method} {route.path}", consult_id, code)


async def _record_refused(call: Call[Any], error: AdmissionRefused) -> None:
    actor: Actor = call.actor
    consult_id = call.request.match_info.get("consult")
    async with call.services.db.begin() as tx:
        if consult_id is not None:
            await record_refusal(tx, actor, consult_id, actor.seat_id, error.reasons)
            return
        await tx.append(
            AuditEvent(
                EventCode.GATE_FAILED,
                actor.institution_id,
                actor.seat_id or actor.id,
                outcome=error.reasons[0] if error.reasons else error.code,
                public={"reasons": list(error.reasons)},
            )
        )


def _respond(services: Services, call: Call[Any], answer: BaseModel | web.StreamResponse) -> web.StreamResponse:
    response = (
        web.Response(body=answer.model_dump_json().encode(), content_type="application/json")
        if isinstance(answer, BaseModel)
        else answer
    )
    for cookie in call.cookies:
        if cookie.value is None:
            response.del_cookie(
                cookie.name, path="/", secure=services.settings.secure, httponly=True, samesite="Strict"
            )
        else:
            response.set_cookie(
                cookie.name,
                cookie.value,
                max_age=cookie.max_age,
                path="/",
                secure=services.settings.secure,
                httponly=True,
                samesite="Strict",
            )
    return response
