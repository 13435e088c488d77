"""Pages, headers, health, figures, the API's own description, settings and their reference."""

import gzip
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from huizhen import openapi, reasons, tls
from huizhen.api.route import Door
from huizhen.api.shapes.base import Stream
from huizhen.api.table import ROUTES
from huizhen.headers import content_security_policy, policy_for
from huizhen.problems import CODED, STATUS
from huizhen.settings import CONFIG_VARIABLE, Settings, SettingsError, load, reference
from tests.huizhen.world import World, world_at

ROOT = Path(__file__).parents[2]


async def test_every_answer_has_the_security_headers(world: World) -> None:
    browser = await world.browser()
    for path in ("/healthz", "/api/me", "/nothing", "/p", "/console", "/console/consults/x", "/static/x.js", "/readyz"):
        reply = await browser.get(path)
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "camera=(self)" in reply.headers["Permissions-Policy"]
        assert "Strict-Transport-Security" not in reply.headers
        assert "Server" not in reply.headers


async def test_https_sends_hsts_and_secure_cookies(tmp_path: Path) -> None:
    async with world_at(tmp_path / "data", public_url="https://consult.example.cn") as world:
        from clinic.people import Role
        from tests.huizhen.world import PASSWORD

        reply = await (await world.browser()).post(
            "/api/login", login=world.houses["city"].login(Role.NURSE), password=PASSWORD
        )
        assert "Secure" in reply.headers["Set-Cookie"]
        assert reply.headers["Strict-Transport-Security"].startswith("max-age=")


def test_the_policy_names_the_socket_of_plain_hosts_only() -> None:
    assert "connect-src 'self' wss://a.example:8443" in content_security_policy("a.example:8443", secure=True)
    assert "connect-src 'self';" in content_security_policy("evil; script-src *", secure=False)


PATIENT = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self' wss://a.example; media-src 'self' blob:; manifest-src 'self'; worker-src 'none'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-src 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types vue"
)
CONSOLE = PATIENT.replace("worker-src 'none'", "worker-src 'self'") + " workers"
WORKER = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/p", PATIENT),
        ("/api/me", PATIENT),
        ("/consolex", PATIENT),
        ("/static/assets/console-B2.js", PATIENT),
        ("/static/worker.js", PATIENT),
        ("/console", CONSOLE),
        ("/console/consults/x", CONSOLE),
        ("/static/assets/worker-jls-B2.js", WORKER),
        ("/static/assets/pdf.worker.min-B2.mjs", WORKER),
    ],
)
def test_wasm_runs_in_the_consoles_workers_and_nowhere_else(path: str, policy: str) -> None:
    """The whole header of both clients and of a worker: whatever is added is seen here."""
    assert policy_for(path, "a.example", secure=True) == policy


async def test_the_worker_that_decodes_pictures_is_served_with_its_policy(tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "assets" / "worker-jls-B2.js").write_text("1")
    (static / "assets" / "big-B2.js").write_text("2" * 2000)
    (static / "assets" / "big-B2.js.gz").write_bytes(gzip.compress(b"2" * 2000))
    async with world_at(tmp_path / "data", static_dir=static) as world:
        browser = await world.browser()
        reply = await browser.get("/static/assets/worker-jls-B2.js")
        assert reply.headers["Content-Security-Policy"] == WORKER
        packed = await browser.call("GET", "/static/assets/big-B2.js", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Content-Type"].startswith("text/javascript")
        assert packed.headers["Vary"] == "Accept-Encoding"


async def test_pages_and_assets(tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "patient.html").write_text("<!doctype html>patient")
    (static / "console.html").write_text("<!doctype html>console")
    (static / "assets" / "a-1234.js").write_text("1")
    async with world_at(tmp_path / "data", static_dir=static) as world:
        browser = await world.browser()
        assert b"patient" in (await browser.get("/p")).raw
        for path in ("/console", "/console/archive/x", "/"):
            assert b"console" in (await browser.get(path)).raw
        asset = await browser.get("/static/assets/a-1234.js")
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert asset.headers["Content-Type"].startswith("text/javascript")
        assert (await browser.get("/p")).headers["Cache-Control"] == "no-cache"
        (tmp_path / "secret.txt").write_text("no")
        (static / "out").symlink_to(tmp_path / "secret.txt")
        assert (await browser.get("/static/out")).status == 404


async def test_a_missing_client_says_how_to_build_it(tmp_path: Path) -> None:
    async with world_at(tmp_path / "data", static_dir=tmp_path / "none") as world:
        reply = await (await world.browser()).get("/console")
        assert reply.status == 503
        assert b"make run" in reply.raw


async def test_liveness_asks_nobody_and_readiness_names_the_part(world: World) -> None:
    browser = await world.browser()
    assert (await browser.get("/readyz")).body == {"status": "ok", "failing": []}

    async def broken() -> bool:
        raise OSError

    world.parts.services.health.watch("database", broken)
    world.parts.services.health.alarm("audit", "audit.diverged")
    failing = await browser.get("/readyz")
    assert (failing.status, failing.body["failing"]) == (503, ["audit", "database"])
    assert (await browser.get("/healthz")).body == {"status": "ok"}


async def test_metrics_are_for_loopback_or_the_token(tmp_path: Path) -> None:
    async with world_at(tmp_path / "data") as world:
        browser = await world.browser()
        figures = (await browser.get("/metrics")).raw.decode()
        assert "huizhen_rooms 0.0" in figures
        assert (await browser.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})).status == 403
    async with world_at(tmp_path / "other", metrics_token="a-long-enough-token") as world:
        browser = await world.browser()
        assert (await browser.get("/metrics")).status == 401
        assert (await browser.get("/metrics", headers={"Authorization": "Bearer a-long-enough-token"})).status == 200


async def test_a_flood_is_refused_with_429(tmp_path: Path) -> None:
    async with world_at(tmp_path / "data", requests_per_minute=10) as world:
        browser = await world.browser()
        answers = [(await browser.get("/healthz")).status for _ in range(30)]
        assert answers.count(200) <= 20
        assert answers[-1] == 429


def test_openapi_has_every_route_and_only_those() -> None:
    made = openapi.document()
    assert made["openapi"] == "3.1.0"
    found = {(method.upper(), path) for path, methods in made["paths"].items() for method in methods}
    assert found == {(route.method, route.path) for route in ROUTES}
    names = [operation["operationId"] for methods in made["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for route in ROUTES:
        operation = made["paths"][route.path][route.method.lower()]
        assert ("requestBody" in operation) == route.mutates
        if route.policy.door in (Door.STAFF, Door.SEAT):
            assert operation["security"]
        if route.answer is not Stream:
            assert "schema" in operation["responses"]["200"]["content"]["application/json"]


def test_openapi_references_resolve() -> None:
    made = openapi.document()
    text = repr(made)
    for name in set(re.findall(r"#/components/schemas/([\w\[\]]+)", text)):
        assert name in made["components"]["schemas"], name


def test_every_route_of_the_protocol_is_served() -> None:
    """docs/protocol.md names calls as `GET /api/x`; each of them is in the table."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = {(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES}
    named = re.findall(r"\b(GET|POST|PUT) (/(?:api|healthz|openapi)[\w/{}.-]*)", text)
    assert len(named) > 30
    for method, path in named:
        assert (method, re.sub(r"\{\w+\}", "{}", path)) in table, (method, path)


def test_every_code_has_words_in_both_languages() -> None:
    codes = set(STATUS)
    waiting: list[Any] = list(CODED)
    while waiting:
        kind = waiting.pop()
        codes.add(kind.code)
        waiting += kind.__subclasses__()
    zh, en = reasons.words("zh"), reasons.words("en")
    assert set(zh) == set(en)
    assert sorted(codes - set(zh)) == []
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in zh.values())
    assert not any(re.search(r"[\u4e00-\u9fff]", text) for text in en.values())


def test_settings_come_from_file_then_environment_then_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "huizhen.toml"
    file.write_text('port = 1111\nnode = "a"\nidle_minutes = 20\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setenv("HUIZHEN_NODE", "b")
    monkeypatch.setenv("HUIZHEN_MEDIA_ANNOUNCE", "192.0.2.1, 192.0.2.2:5000")
    found = load(idle_minutes=25)
    assert (found.port, found.node, found.idle_minutes) == (1111, "b", 25)
    assert found.media_announce == ("192.0.2.1", "192.0.2.2:5000")


@pytest.mark.parametrize(
    ("text", "variable", "said"),
    [
        ("colour = 1\n", None, "colour"),
        ("port = 99999\n", None, "port"),
        ("port = \n", None, "huizhen.toml"),
        ("", "HUIZHEN_COLOUR", "HUIZHEN_COLOUR"),
        ('tls_key = "x"\n', None, "belong together"),
        ('public_url = "https://a/b"\n', None, "public_url"),
    ],
)
def test_faults_in_settings_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variable: str | None, said: str
) -> None:
    file = tmp_path / "huizhen.toml"
    file.write_text(text)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    if variable:
        monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError) as caught:
        load()
    assert any(said in problem for problem in caught.value.problems)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "huizhen.toml"
    file.write_text('metrics_token = "tooshort"\nport = "s3cr3t-canary"\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    with pytest.raises(SettingsError) as caught:
        load()
    assert "tooshort" not in str(caught.value)
    assert "s3cr3t-canary" not in str(caught.value)


def test_the_settings_reference_is_fresh() -> None:
    """Stale? `huizhen config docs > docs/settings.md`"""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{name}`" in reference()


def test_lan_certificate_is_made_once_and_for_this_address(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    certificate, key = tls.ensure_certificate(tmp_path / "tls", "192.0.2.7", now)
    first = certificate.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "192.0.2.7"}
    tls.ensure_certificate(tmp_path / "tls", "192.0.2.7", now)
    assert certificate.read_bytes() == first
    tls.ensure_certificate(tmp_path / "tls", "192.0.2.8", now)
    second = certificate.read_bytes()
    assert second != first
    tls.ensure_certificate(tmp_path / "tls", "192.0.2.8", now + timedelta(days=340))
    assert certificate.read_bytes() != second
