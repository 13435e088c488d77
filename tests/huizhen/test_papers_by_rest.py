"""Papers and receipts over REST on SQLite: what comes, who gets it, and that it verifies without the server."""

import json
import random
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from audit.verify.receipt import ReceiptReport, verify_receipt
from clinic.people import Role
from tests.huizhen.world import PATIENT_NAME, Booked, Browser, Reply, World, drawn, sign, world_at
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


async def _age(world: World, years: int) -> None:
    async with world.db.begin() as tx:
        row = await tx.patients.get(world.houses["city"].patient.id)
        await tx.patients.save(replace(row, birth_date=date(tx.now.year - years, 1, 1)))
        await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, row.institution_id, "system"))


async def _taken(world: World, browser: Browser, record: str, folder: Path) -> tuple[str, ReceiptReport]:
    """Text of the paper, whose signature holds, and what the receipt proves."""
    pdf = (await browser.get(f"/api/seat/consents/{record}/paper")).raw
    said = _signature(pdf, folder)
    assert "Signature is Valid" in said and "Total document signed" in said
    attached = subprocess.run(["pdfdetach", "-list", folder / "paper.pdf"], capture_output=True, check=True, timeout=20)
    assert b"consent-evidence.json" in attached.stdout
    data = await _receipt(world, browser, record)
    chance = random.Random(11)
    for at in (chance.randrange(len(data)) for _ in range(60)):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        assert not verify_receipt(bytes(changed), _keys(world)).ok
    text = _text(pdf, folder)
    return text + text.replace(" ", ""), verify_receipt(data, _keys(world))


@pytest.mark.parametrize("locale", ["zh", "en"])
async def test_a_childs_own_word_has_a_paper_and_a_receipt(world: World, tmp_path: Path, locale: str) -> None:
    await _age(world, 9)
    browser = await world.patient(await world.book())
    shown = (await browser.get(f"/api/seat/consent?locale={locale}")).body
    assert shown["signer"]["child_must_assent"] is True
    signed = await browser.post(
        "/api/seat/consent",
        template_id=shown["template_id"],
        shown_sha256=shown["shown_sha256"],
        locale=locale,
        decisions={question["purpose"]: question["purpose"] == "treat" for question in shown["questions"]},
        again=False,
        typed_name="城妈妈",
        capacity="guardian",
        relation="母亲",
        child_assents=True,
        child_name=PATIENT_NAME,
        signature=drawn(),
        reading={"sections": [], "read_aloud": False, "font_px": 18},
    )
    assert signed.status == 200, signed.body
    record = next(
        each for each in (await browser.get("/api/seat/after")).body["consents"] if each["action"] == "assented"
    )
    text, report = await _taken(world, browser, record["id"], tmp_path)
    assert report.findings == [] and report.facts["action"] == "assented"
    wanted = {
        "zh": ("孩子本人的意见", "城妈妈", "母亲", "9", "本人同意", "监护人的决定", "民法典", "线上复诊知情同意书"),
        "en": ("The child's own word", "Signed by guardian", "assents", "Civil Code", "No, I do not agree"),
    }[locale]
    assert [each for each in (*wanted, PATIENT_NAME) if each not in text] == []


async def test_a_witness_and_an_emergency_have_papers_and_receipts(world: World, tmp_path: Path) -> None:
    booked = await world.book()
    path = f"/api/consults/{booked.consult.id}"
    nurse, approver = await world.staff("city", Role.NURSE), await world.staff("city", Role.APPROVER)
    staff = world.houses["city"].staff
    seen = {"capacity": "proxy", "basis": "authorised", "signer_name": "周受托", "document": "授权委托书 7"}
    body = seen | {"relation": "外甥", "typed_name": staff[Role.NURSE].name}
    witnessed = (await nurse.post(f"{path}/seats/{booked.patient.id}/consent/witness", **body)).body["id"]
    reason = "患者昏迷，须立即会诊"
    approved = (await approver.post(f"{path}/consent/emergency", reason=reason, tried="电话三次未接")).body["id"]
    browser = await world.patient(booked)
    text, report = await _taken(world, browser, witnessed, tmp_path)
    assert report.findings == [] and report.facts["action"] == "witnessed"
    wanted = ("见证记录", "周受托", "受托人", "患者书面授权", "授权委托书 7", "外甥", staff[Role.NURSE].name, "护士")
    assert [each for each in wanted if each not in text] == []
    text, report = await _taken(world, browser, approved, tmp_path)
    assert report.findings == [] and report.facts["permitted"] == "treat"
    said = ("紧急情况下的批准", reason, "电话三次未接", "接受远程诊疗", staff[Role.APPROVER].name, "第一千二百二十条")
    assert [each for each in said if each not in text] == []
    archivist = await world.staff("city", Role.ARCHIVIST)
    listed = (await archivist.get(f"{path}/consents")).body["items"]
    assert {row["id"] for row in listed} == {witnessed, approved}
    assert (await archivist.get(f"{path}/consents/{approved}/paper")).status == 200


async def test_a_correction_has_no_paper(world: World) -> None:
    _, browser, record = await _signed(world)
    nurse = await world.staff("city", Role.NURSE)
    corrected = (await nurse.post(f"/api/consents/{record}/correct", reason="不是这位患者")).body["id"]
    assert (await browser.get(f"/api/seat/consents/{corrected}/paper")).code == "paper.nothing"
    assert (await browser.get(f"/api/seat/consents/{corrected}/receipt")).code == "paper.nothing"


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
