"""Papers and receipts over REST on SQLite: what comes, who gets it, and that it verifies without the server."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audit.verify.receipt import ReceiptReport, verify_receipt
from clinic.people import Role
from tests.huizhen.world import PATIENT_NAME, Booked, Browser, Reply, World, sign, world_at
from tests.support.authorities import LocalCA, LocalTSA, served


async def _signed(world: World, locale: str = "zh", **decisions: bool) -> tuple[Booked, Browser, str]:
    booked = await world.book()
    browser = await world.patient(booked)
    assert (await sign(browser, PATIENT_NAME, locale, **decisions)).status == 200
    after = (await browser.get("/api/seat/after")).body
    return booked, browser, str(after["consents"][-1]["id"])


def _keys(world: World) -> list[str]:
    return (world.parts.settings.keys_path / "public.vkeys").read_text().splitlines()


def _text(pdf: bytes, folder: Path) -> str:
    path = folder / "paper.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True, timeout=20)
    return done.stdout.decode()


def _signature(pdf: bytes, folder: Path) -> str:
    path = folder / "paper.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, check=False, timeout=20)
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        (
            "zh",
            ("线上复诊知情同意书", "录音录像", "逐项决定", "不同意", "手写签名", "城甲", "核验码", "UTC+08:00"),
        ),
        ("en", ("Consent to an online follow-up visit", "No, I do not agree", "drawn by hand", "city hospital", "L1")),
    ],
)
async def test_the_paper_is_in_the_signed_language_and_signed(
    world: World, tmp_path: Path, locale: str, wanted: tuple[str, ...]
) -> None:
    _, browser, record = await _signed(world, locale, rec_av=False)
    reply = await browser.get(f"/api/seat/consents/{record}/paper")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/pdf"
    assert reply.headers["Content-Disposition"].startswith(f'attachment; filename="consent-{record[:8]}.pdf"')
    assert reply.headers["Cache-Control"] == "no-store, private"
    text = _text(reply.raw, tmp_path)
    assert [each for each in (*wanted, PATIENT_NAME, record) if each not in text] == []
    said = _signature(reply.raw, tmp_path)
    assert "Signature is Valid" in said and "Total document signed" in said and "ETSI.CAdES.detached" in said
    assert "SHA-256" in said
    flipped = bytearray(reply.raw)
    flipped[reply.raw.index(b"/Title") + 10] ^= 1
    assert "Signature is Valid" not in _signature(bytes(flipped), tmp_path)


async def test_the_paper_is_the_same_each_time_up_to_its_signature(world: World) -> None:
    _, browser, record = await _signed(world)
    first, second = [(await browser.get(f"/api/seat/consents/{record}/paper")).raw for _ in range(2)]
    rendered = first.rindex(b"%%EOF", 0, first.rindex(b"%%EOF"))
    assert rendered > 10_000
    assert first[:rendered] == second[:rendered]


async def _receipt(world: World, browser: Browser, record: str) -> bytes:
    reply = await browser.get(f"/api/seat/consents/{record}/receipt")
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Disposition"].startswith("attachment")
    return reply.raw


async def test_a_receipt_verifies_with_the_log_key_alone(world: World) -> None:
    _, browser, record = await _signed(world, rec_av=False)
    data = await _receipt(world, browser, record)
    report = verify_receipt(data, _keys(world))
    assert report.findings == [] and report.ok
    assert report.facts["permitted"] == "treat" and report.facts["refused"] == "rec_av"
    house = world.houses["city"].institution.id
    log_key = [key for key in _keys(world) if f"/audit/{house}/" in key]
    assert verify_receipt(data, log_key).ok
    others = [key for key in _keys(world) if house not in key]
    assert [each.code for each in verify_receipt(data, others).findings] == ["receipt.note"]
    assert [each.code for each in verify_receipt(data, []).findings] == ["receipt.key"]


async def test_one_changed_byte_anywhere_is_refused(world: World) -> None:
    _, browser, record = await _signed(world)
    data, keys = await _receipt(world, browser, record), _keys(world)
    chance = random.Random(7)
    places = {chance.randrange(len(data)) for _ in range(600)} | set(range(40)) | set(range(len(data) - 200, len(data)))
    passed = []
    for at in sorted(places):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        if verify_receipt(bytes(changed), keys).ok:
            passed.append(at)
    assert passed == []
    for shorter in (data[:-1], data[1:], data + b"\n", b" " + data, b"", b"{}", b"[]", b"\xff", data * 2):
        assert not verify_receipt(shorter, keys).ok


async def test_a_withdrawal_has_a_paper_and_a_receipt(world: World, tmp_path: Path) -> None:
    _, browser, record = await _signed(world)
    assert (await browser.post("/api/seat/consent/withdraw", purposes=["rec_av"])).status == 200
    after = (await browser.get("/api/seat/after")).body
    withdrawal = after["consents"][-1]["id"]
    text = _text((await browser.get(f"/api/seat/consents/{withdrawal}/paper")).raw, tmp_path)
    assert "撤回同意" in text and "录音录像" in text and record in text and PATIENT_NAME in text
    report = verify_receipt(await _receipt(world, browser, withdrawal), _keys(world))
    assert report.findings == [] and report.facts["action"] == "withdrawn"


async def test_who_gets_a_paper(world: World) -> None:
    booked, browser, record = await _signed(world)
    other = await world.patient(await world.book())
    assert (await other.get(f"/api/seat/consents/{record}/paper")).code == "not_found"
    assert (await other.get(f"/api/seat/consents/{record}/receipt")).code == "not_found"
    path = f"/api/consults/{booked.consult.id}/consents/{record}/paper"
    for role, status in (
        (Role.ATTENDING, 200),
        (Role.ARCHIVIST, 200),
        (Role.NURSE, 403),
        (Role.ADMIN, 403),
        (Role.AUDITOR, 403),
    ):
        assert (await (await world.staff("city", role)).get(path)).status == status, role
    assert (await (await world.staff("county", Role.ARCHIVIST)).get(path)).status == 404
    elsewhere = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    wrong = await doctor.get(f"/api/consults/{elsewhere.consult.id}/consents/{record}/paper")
    assert wrong.code == "not_found"
    events = [event for event in await world.events() if event.code in ("view.consent", "consent.copy_given")]
    staff = world.houses["city"].staff
    assert [(event.code, event.actor_id, event.subject_id) for event in events] == [
        ("view.consent", staff[Role.ATTENDING].id, record),
        ("view.consent", staff[Role.ARCHIVIST].id, record),
    ]
    await _receipt(world, browser, record)
    given = [event for event in await world.events() if event.code == "consent.copy_given"]
    assert [(event.actor_id, event.public) for event in given] == [(booked.patient.id, {"form": "receipt"})]
    seen = (await browser.get("/api/seat/after")).body["viewers"]
    assert [viewer["what"] for viewer in seen][:2] == ["consent", "consent"]


async def test_outside_authorities_put_their_word_under_it(tmp_path: Path) -> None:
    ca, tsa = LocalCA(), LocalTSA(tmp_path / "tsa")
    (tmp_path / "ca.pem").write_bytes(ca.root_pem)
    async with served(ca.answer) as gateway, served(tsa.answer) as stamps:
        changes: dict[str, Any] = {
            "certificate_url": gateway,
            "certificate_root": tmp_path / "ca.pem",
            "timestamp_url": stamps,
            "timestamp_root": tmp_path / "tsa" / "root.pem",
            "attest_seconds": 3600,
        }
        async with world_at(tmp_path / "data", **changes) as world:
            _, browser, record = await _signed(world)
            office = world.parts.services.papers
            assert await office.attest_open() == 2
            assert await office.attest_open(everything=True) == 0
            data, keys = await _receipt(world, browser, record), _keys(world)
            trusted = {"ca_roots": ca.root_pem, "tsa_roots": tsa.root_pem}
            report = verify_receipt(data, keys, **trusted)
            assert report.findings == [] and report.remarks == []
            assert report.facts["certificate"] == report.facts["timestamp"] == "yes"
            assert len(verify_receipt(data, keys).remarks) == 2
            strangers = {"ca_roots": LocalCA().root_pem, "tsa_roots": LocalTSA(tmp_path / "other").root_pem}
            assert _codes(verify_receipt(data, keys, **strangers)) == ["receipt.certificate", "receipt.timestamp"]
            told = [event for event in await world.events() if event.code == "consent.attested"]
            assert [event.public["kind"] for event in told] == ["certificate", "timestamp"]
            assert ca.asked[0].name == PATIENT_NAME
            report_of_all = await _verified(world)
            assert report_of_all == []


async def _verified(world: World) -> list[Any]:
    from huizhen import verification

    await world.parts.checkpoints.sign(world.houses["city"].institution.id)
    return verification.verify(world.parts.settings).findings


def _codes(report: ReceiptReport) -> list[str]:
    return [each.code for each in report.findings]


async def test_a_consent_stands_when_the_authorities_are_down(tmp_path: Path) -> None:
    async def broken(_request: Any) -> Any:
        from aiohttp import web

        return web.Response(status=500)

    async with served(broken) as url:
        (tmp_path / "root.pem").write_bytes(LocalCA().root_pem)
        changes: dict[str, Any] = {
            "certificate_url": url,
            "certificate_root": tmp_path / "root.pem",
            "timestamp_url": url,
            "timestamp_root": tmp_path / "root.pem",
            "attest_seconds": 3600,
        }
        async with world_at(tmp_path / "data", **changes) as world:
            _, browser, record = await _signed(world)
            report = verify_receipt(await _receipt(world, browser, record), _keys(world))
            assert report.ok and report.facts["certificate"] == "none"


async def test_refusals_are_coded(world: World) -> None:
    _, browser, record = await _signed(world)
    path = world.parts.services.papers.documents.key_path(world.houses["city"].institution.id)
    assert (await browser.get(f"/api/seat/consents/{record}/paper")).status == 200
    assert path.stat().st_mode & 0o777 == 0o600
    world.parts.services.papers.documents._known.clear()
    path.chmod(0o644)
    reply: Reply = await browser.get(f"/api/seat/consents/{record}/paper")
    assert (reply.status, reply.code) == (500, "paper.certificate_unusable")


async def test_the_seal_is_a_standard_jws(world: World) -> None:
    """Any JWS library verifies it with the institution's public key."""
    import base64

    import jwt
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    _, browser, record = await _signed(world)
    content = json.loads(await _receipt(world, browser, record))["receipt"]
    house = world.houses["city"].institution.id
    raw = next(key for key in _keys(world) if f"/seal/{house}+" in key).split("+", 2)[2]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(raw)[1:])
    assert jwt.get_unverified_header(content["seal"])["alg"] == "EdDSA"
    claims = jwt.decode(content["seal"], public, algorithms=["EdDSA"], options={"verify_iat": False})
    assert claims["digest"] == content["digest"]
