"""What needs no door: plain words for codes, health, figures, the API's own description, a network probe."""

import json
import os

from aiohttp import web
from pydantic import RootModel

from huizhen import reasons
from huizhen.api.call import Call
from huizhen.api.route import Door, Own, Policy, Route, Table, Unit, public, seat
from huizhen.api.shapes.base import JsonObject, LocaleQuery, NoBody, Stream
from huizhen.api.shapes.seat import ProbeQuery


class Words(RootModel[dict[str, str]]):
    """{code: plain words}."""


class Document(RootModel[JsonObject]):
    """Any JSON object."""


async def words(call: Call[NoBody]) -> Words:
    return Words(reasons.words(call.query.locale))


async def healthz(call: Call[NoBody]) -> Document:
    """Alive as long as the event loop turns: never asks the database, or a slow disk would kill a healthy server."""
    return Document({"status": "ok"})


async def readyz(call: Call[NoBody]) -> web.Response:
    report = await call.services.health.report()
    body = json.dumps({"status": "ok" if report.ready else "failing", "failing": list(report.failing)})
    return web.Response(status=200 if report.ready else 503, body=body.encode(), content_type="application/json")


async def metrics(call: Call[NoBody]) -> web.Response:
    text = call.services.metrics.render()
    return web.Response(body=text, headers={"Content-Type": call.services.metrics.content_type})


async def openapi_document(call: Call[NoBody]) -> Document:
    from huizhen.openapi import document  # made of the table this route is in

    return Document(document())


async def probe(call: Call[NoBody]) -> web.Response:
    """Random bytes, so that nothing on the way compresses them."""
    return web.Response(body=os.urandom(call.query.size), content_type="application/octet-stream")


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/reasons",
        handler=words,
        policy=public(),
        answer=Words,
        query=LocaleQuery,
        unit=Unit.NONE,
        summary="Plain words for every code",
    ),
    Route(
        method="GET",
        path="/healthz",
        handler=healthz,
        policy=public(),
        answer=Document,
        unit=Unit.NONE,
        summary="Alive",
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=readyz,
        policy=public(),
        answer=Document,
        unit=Unit.NONE,
        summary="Ready, or which part is not",
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        policy=Policy(Door.SCRAPE, Own.NOTHING),
        answer=Stream,
        unit=Unit.NONE,
        summary="Prometheus figures",
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=openapi_document,
        policy=public(),
        answer=Document,
        unit=Unit.NONE,
        summary="This document",
    ),
    Route(
        method="GET",
        path="/api/probe",
        handler=probe,
        policy=seat(),
        answer=Stream,
        query=ProbeQuery,
        unit=Unit.NONE,
        summary="Random bytes to estimate the network",
    ),
)
