"""What no page of ours would send: always a coded refusal, never a traceback, never a change."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from clinic.people import Role
from huizhen.api.route import Door, Route
from huizhen.api.table import ROUTES
from tests.huizhen.bodies import sample
from tests.huizhen.test_uploads import send
from tests.huizhen.world import Browser, Reply, World, operation, world_at

_MUTATING = [route for route in ROUTES if route.mutates]
_NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1.5,
    "",
    " ",
    "\u0000",
    "a" * 9_000,
    "\ud800",
    "’ OR 1=1 --",
    "<script>alert(1)</script>",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    [],
    [[[[]]]],
    {},
    {"op": "x"},
]


def _path(route: Route[Any]) -> str:
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", uuid4().hex)
    return path


async def _door(world: World, route: Route[Any]) -> Browser:
    """Somebody whom the route lets in."""
    if route.policy.door is Door.STAFF:
        role = next(role for role in world.houses["city"].staff if route.policy.admits((role,)))
        return await world.staff("city", role)
    if route.policy.door is Door.SEAT:
        return await world.patient(await world.book())
    return await world.browser()


def _refused(reply: Reply, where: str) -> None:
    assert 400 <= reply.status < 500, f"{where}: {reply.status} {reply.raw[:200]!r}"
    assert reply.headers["Content-Type"] == "application/problem+json", where
    assert reply.body["code"], where
    assert "Traceback" not in reply.raw.decode(), where


async def _raw(browser: Browser, route: Route[Any], data: bytes, kind: str = "application/json") -> Reply:
    return await browser.call(route.method, _path(route), None, data=data, headers={"Content-Type": kind})


async def test_malformed_bodies_on_every_route(world: World) -> None:
    for route in _MUTATING:
        browser = await _door(world, route)
        where = f"{route.method} {route.path}"
        for data in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"op":', b"[" * 100_000, b'{"op": NaN}'):
            _refused(await _raw(browser, route, data), f"{where} {data[:10]!r}")
        _refused(await _raw(browser, route, b"op=1", "application/x-www-form-urlencoded"), where)
        _refused(await _raw(browser, route, b'{"op": "0123456789abcdef"}', "text/plain"), where)
        large = b'{"op": "' + b"a" * 262_144 + b'"}'
        big = await _raw(browser, route, large)
        if route.raw:  # the body is a file with a limit of its own; without its head nothing of it is read
            assert (big.status, big.code) == (422, "input.invalid"), where
            _refused(await send(browser, _path(route), large, "application/json"), f"{where} with its head")
        else:
            assert (big.status, big.code) == (413, "request.too_large"), where
        unknown = await browser.call(route.method, _path(route), sample(route) | {"__proto__": {"admin": True}})
        assert unknown.code == "input.invalid", where
        assert "__proto__" not in unknown.raw.decode(), where


async def test_wrong_types_in_every_member_of_every_body(world: World) -> None:
    seed = random.Random(7)
    doors: dict[str, Browser] = {}
    for route in _MUTATING:
        if route.path in ("/api/logout",):
            continue
        key = f"{route.policy.door}{route.policy.actions}"
        if key not in doors:
            doors[key] = await _door(world, route)
        good = sample(route)
        for name in route.body.model_fields:
            for value in seed.sample(_NASTY, 6):
                body = good | {name: value}
                raw = json.dumps(body).encode()
                reply = await _raw(doors[key], route, raw)
                where = f"{route.method} {route.path} {name}={str(value)[:40]}"
                if 200 <= reply.status < 300:
                    route.body.model_validate_json(raw)  # then the value is one that is allowed there
                    if route.path in ("/api/links/redeem", "/api/login"):
                        raise AssertionError(where)
                    continue
                _refused(reply, where)


async def test_wrong_queries(world: World) -> None:
    archivist, doctor = await world.staff("city", Role.ARCHIVIST), await world.staff("city", Role.ATTENDING)
    patient = await world.patient(await world.book())
    for browser, path in (
        (archivist, "/api/archive/recordings?from=never"),
        (archivist, "/api/archive/recordings?from=0001-01-01"),
        (archivist, "/api/archive/due?at=99999-01-01"),
        (archivist, "/api/archive/due?at=2026-01-01&at=2027-01-01"),
        (archivist, f"/api/archive/recordings?q={'x' * 200}"),
        (archivist, "/api/audit?limit=0"),
        (archivist, "/api/audit?limit=1e9"),
        (archivist, "/api/audit?consult_id=../../x"),
        (archivist, "/api/audit?color=red"),
        (doctor, "/api/consults?status=open"),
        (doctor, "/api/consults?to=0"),
        (patient, "/api/probe?size=1000001"),
        (patient, "/api/probe?size=-1"),
        (patient, "/api/seat/consent?locale=zh_CN"),  # not a language tag; which tags there are is the institution's
        (patient, "/api/seat/consent?locale=zh&locale=en"),
    ):
        reply = await browser.get(path)
        assert (reply.status, reply.body.get("code")) == (422, "request.query"), path
    assert len((await patient.get("/api/probe?size=70000")).raw) == 70_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/nothing", 404),
        ("/api/consults/not-an-id", 404),
        ("/api/consults/%2e%2e%2fadmin", 404),
        (f"/api/consults/{'A' * 32}", 404),
        ("/static/../settings.py", 404),
        ("/static/%2e%2e/settings.py", 404),
        ("/static/..%2f..%2fpyproject.toml", 404),
        ("/metrics/x", 404),
    ],
)
async def test_paths_that_are_not_there(world: World, path: str, status: int) -> None:
    reply = await (await world.browser()).get(path)
    assert (reply.status, reply.code) == (status, "not_found")


async def test_methods_that_are_not_there(world: World) -> None:
    browser = await world.browser()
    for method in ("DELETE", "PATCH", "PUT", "OPTIONS", "TRACE"):
        reply = await browser.call(method, "/api/login", None)
        assert (reply.status, reply.code) == (405, "request.method"), method


async def test_raw_garbage_on_the_port_gets_no_traceback(world: World) -> None:
    host, port = world.base.removeprefix("http://").split(":")
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"\x00" * 4_096,
        b"POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        try:
            await writer.drain()
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(65_536), 5)
        except (ConnectionError, TimeoutError):
            answer = b""
        writer.close()
        assert b"Traceback" not in answer, data[:20]
        assert b'File "' not in answer, data[:20]
        assert not answer.startswith(b"HTTP/1.1 5"), (data[:20], answer[:100])
    assert (await (await world.browser()).get("/healthz")).status == 200


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_models_take_any_json_without_surprise(data: st.DataObject) -> None:
    """A body model accepts or raises ValidationError: nothing else, whatever JSON comes."""
    route = data.draw(st.sampled_from(_MUTATING))
    members = data.draw(
        st.fixed_dictionaries({}, optional=dict.fromkeys(route.body.model_fields, _JSON)), label=route.path
    )
    try:
        route.body.model_validate_json(json.dumps({"op": operation()} | members))
    except ValidationError:
        return


def test_hypothesis_against_the_running_server(tmp_path: Path) -> None:
    """Any JSON on any route: 2xx with a valid body, or a coded refusal; the log of the server stays free of errors."""

    async def whole() -> None:
        async with world_at(tmp_path / "data") as world:
            doors = {id(route): await _door(world, route) for route in _MUTATING if route.path != "/api/logout"}
            seed = random.Random(11)
            for _ in range(400):
                route = seed.choice([route for route in _MUTATING if id(route) in doors])
                names = list(route.body.model_fields)
                chosen = {name: seed.choice(_NASTY) for name in seed.sample(names, seed.randint(0, len(names)))}
                raw = json.dumps(sample(route) | chosen).encode()
                reply = await _raw(doors[id(route)], route, raw)
                assert reply.status < 500, (route.path, chosen)
                if reply.status >= 400:
                    assert reply.body["code"], (route.path, chosen)

    asyncio.run(whole())
