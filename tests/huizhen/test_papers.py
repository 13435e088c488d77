"""The parts that make papers: words, press, certificates, adapters. PDFs are checked with poppler."""

import asyncio
import dataclasses
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from consent import desk
from consent.attesting import AuthorityFailed, Claim
from consent.records import ConsentRecord, Purpose, SignerCapacity
from huizhen.demo_data import signature_png
from huizhen.evidence import paper as papers
from huizhen.evidence import press as presses
from huizhen.evidence.authorities import HttpCertificateSigner, HttpTimeStamper
from huizhen.evidence.certificates import CertificateUnusable, DocumentKeys
from huizhen.evidence.pades import Statement, signed
from huizhen.evidence.phrases import words
from huizhen.evidence.press import FontMissing, PaperFailed, Press, PressBusy
from tests.support.authorities import LocalCA, LocalTSA, issue, served
from tests.support.builders import World, signing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def record_of(locale: str = "zh", **changes: Any) -> ConsentRecord:
    world = await World.create()
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, locale)
        made = signing(shown, booked.patient_seat.display_name)
        made = dataclasses.replace(made, **({"signature_image": signature_png()} | changes))
        return await desk.sign(tx, world.sealer, booked.patient_seat.id, made)


def paper_of(record: ConsentRecord, shared: tuple[str, ...] = ()) -> papers.Paper:
    return papers.paper_of(record, json.loads(record.evidence)["parties"], shared)


def text_of(pdf: bytes) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True, timeout=20)
    return done.stdout.decode()


# -- words


def test_both_languages_have_the_same_words() -> None:
    zh, en = words("zh"), words("en")
    assert set(zh) == set(en)
    for name in ("capacities", "methods", "purposes"):
        assert set(zh[name]) == set(en[name])
    assert {each.value for each in Purpose} <= set(zh["purposes"])
    assert {each.value for each in SignerCapacity} <= set(zh["capacities"])


def test_the_verification_code_is_the_digest() -> None:
    assert papers.verification_code("00" * 32) == "0000-0000-0000-0000"
    assert papers.verification_code("ff" * 32) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert papers.verification_code("0" * 19 + "1" + "0" * 44) == "0000-0000-0000-0001"


async def test_unknown_codes_and_languages_are_shown_as_they_are() -> None:
    record = await record_of()
    evidence = json.loads(record.evidence)
    evidence["signer"]["capacity"] = "envoy"
    evidence["signer"] |= {"relation": "母亲", "child_assents": True}
    changed = dataclasses.replace(record, locale="ug", evidence=json.dumps(evidence))
    data = paper_of(changed, ("甲医院", "乙医院")).data
    assert data["lang"] == "zh"
    rows = dict(data["signature"])
    assert rows["签署身份"] == "envoy" and rows["与患者的关系"] == "母亲" and rows["未成年人本人意见"] == "本人同意"
    assert rows["同意提供给"] == "甲医院、乙医院"


async def test_a_typed_signature_says_so() -> None:
    record = await record_of(method="typed", strokes=())
    paper = paper_of(record)
    assert "signature.png" not in paper.files
    assert paper.data["image_note"] == words("zh")["image_typed"]


# -- press


async def test_the_same_record_gives_the_same_bytes_with_everything_in_them() -> None:
    record, press = await record_of("en"), Press()
    first, second = await asyncio.gather(press.set(paper_of(record)), press.set(paper_of(record)))
    assert first == second
    text = text_of(first)
    evidence = json.loads(record.evidence)
    said = " ".join(text.split())
    for section in evidence["shown"]["sections"]:
        assert section["title"] in said
        assert section["body"].split(".")[0].split()[-1] in said
    assert all(question["question"].split()[0] in said for question in evidence["shown"]["questions"])
    assert papers.verification_code(record.digest) in said
    assert record.digest[:8] in said and "2026-03-02 17:00:00 (UTC+08:00, Asia/Shanghai)" in said


def _poppler(tool: str, *given: str, pdf: Path) -> str:
    return subprocess.run([tool, *given, pdf], capture_output=True, check=True, timeout=20).stdout.decode()


async def test_it_claims_to_be_pdf_a_with_embedded_fonts_and_the_evidence(tmp_path: Path) -> None:
    record = await record_of()
    path = tmp_path / "p.pdf"
    path.write_bytes(await Press().set(paper_of(record)))
    fonts = _poppler("pdffonts", pdf=path).splitlines()[2:]
    assert fonts and all("yes yes yes" in line for line in fonts)  # embedded, subset, to Unicode
    assert b"<pdfaid:part>3</pdfaid:part>" in path.read_bytes() and b"<pdfaid:conformance>B</" in path.read_bytes()
    subprocess.run(["pdfdetach", "-saveall", "-o", tmp_path, path], check=True, timeout=20, capture_output=True)
    assert (tmp_path / "consent-evidence.json").read_bytes() == record.evidence.encode()
    pages = _poppler("pdfinfo", pdf=path)
    assert "Title:           线上复诊知情同意书" in pages and "A4" in pages


async def test_a_picture_that_is_none_is_said_to_be_none() -> None:
    record = await record_of(signature_image=b"\x89PNG\r\n\x1a\n" + b"drawn")
    text = text_of(await Press().set(paper_of(record)))
    assert "签名图像无法绘出" in text


async def test_nothing_in_a_text_is_code() -> None:
    record = await record_of()
    paper = paper_of(record)
    evil = '#panic("x") $ */ \\ #image("/etc/passwd") @ref <label> `raw`'
    data = paper.data | {"lead": evil}
    text = text_of(await Press().set(dataclasses.replace(paper, data=data)))
    assert '#image("/etc/passwd")' in " ".join(text.split())


async def test_a_character_without_a_glyph_refuses_the_paper() -> None:
    record = await record_of()
    paper = paper_of(record)
    with pytest.raises(PaperFailed):
        await Press().set(dataclasses.replace(paper, data=paper.data | {"lead": "\U0002ebf0"}))


async def test_a_press_that_takes_too_long_or_dies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paper = paper_of(await record_of())
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(presses, "_WORKER", worker)
    worker.write_text("import time, sys; sys.stdin.buffer.read(); time.sleep(60)")
    with pytest.raises(PaperFailed, match="time"):
        await Press(seconds=0.3).set(paper)
    worker.write_text("import os; os._exit(9)")
    with pytest.raises(PaperFailed):
        await Press().set(paper)
    worker.write_text("import sys; sys.stdin.buffer.read(); print('not a pdf')")
    with pytest.raises(PaperFailed):
        await Press().set(paper)


async def test_a_crowd_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = paper_of(await record_of())
    monkeypatch.setattr(presses, "_WAITING", 0)
    with pytest.raises(PressBusy):
        await Press().set(paper)


async def test_a_cancelled_paper_leaves_no_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paper, mark = paper_of(await record_of()), tmp_path / "pid"
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(presses, "_WORKER", worker)
    worker.write_text(f"import os, sys, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    task = asyncio.create_task(Press().set(paper))
    async with asyncio.timeout(20):
        while not mark.exists() or not mark.read_text():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_fonts(tmp_path: Path) -> None:
    packaged = presses.fonts(None, "")
    assert packaged.families == ("Noto Sans SC",) and Path(packaged.folders[0]).is_dir()
    assert presses.fonts(tmp_path, "Mine").families == ("Mine", "Noto Sans SC")
    assert presses.fonts(tmp_path, "").folders[0] == str(tmp_path)
    with pytest.raises(FontMissing):
        presses.fonts(tmp_path / "none", "")


def test_a_missing_font_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pylopdf_fonts_zh_cn", None)
    with pytest.raises(FontMissing):
        presses.fonts(None, "")


# -- certificates and signature


def test_a_self_made_certificate_is_kept_and_renewed(tmp_path: Path) -> None:
    keys = DocumentKeys(tmp_path)
    first = keys.identity("i1", "县人民医院" * 20, NOW)
    assert first.self_made and first.certificate.not_valid_before_utc <= NOW
    assert keys.key_path("i1").stat().st_mode & 0o777 == 0o600
    assert DocumentKeys(tmp_path).identity("i1", "x", NOW).certificate == first.certificate
    later = first.certificate.not_valid_after_utc - timedelta(days=10)
    renewed = keys.identity("i1", "x", later)
    assert renewed.certificate != first.certificate and renewed.key is first.key
    keys.chain_path("i1").unlink()
    again = DocumentKeys(tmp_path).identity("i1", "x", NOW)
    assert again.key.private_numbers() == first.key.private_numbers()


def test_a_ca_takes_over(tmp_path: Path) -> None:
    keys, ca = DocumentKeys(tmp_path), LocalCA()
    with pytest.raises(CertificateUnusable, match="no document key"):
        keys.install("i1", ca.root_pem, NOW)
    request = x509.load_pem_x509_csr(keys.request("i1", "县人民医院", NOW))
    assert request.is_signature_valid
    own = issue("hospital", request.public_key(), ca, start=NOW - timedelta(days=1))
    chain = own.public_bytes(serialization.Encoding.PEM) + ca.root_pem
    installed = keys.install("i1", chain, NOW)
    assert not installed.self_made and len(installed.chain) == 2
    assert DocumentKeys(tmp_path).identity("i1", "x", NOW).certificate == own
    with pytest.raises(CertificateUnusable, match="not valid today"):
        DocumentKeys(tmp_path).identity("i1", "x", NOW + timedelta(days=9999))
    with pytest.raises(CertificateUnusable, match="not valid today"):
        keys.install("i1", chain, NOW - timedelta(days=99))
    with pytest.raises(CertificateUnusable, match="another key"):
        keys.install("i1", ca.root_pem, NOW)
    with pytest.raises(CertificateUnusable, match="not PEM"):
        keys.install("i1", b"nonsense", NOW)


def test_damaged_keys_are_told(tmp_path: Path) -> None:
    keys = DocumentKeys(tmp_path)
    keys.identity("i1", "x", NOW)
    keys.key_path("i1").chmod(0o640)
    with pytest.raises(CertificateUnusable, match="chmod 600"):
        DocumentKeys(tmp_path).identity("i1", "x", NOW)
    keys.key_path("i1").chmod(0o600)
    keys.key_path("i1").write_bytes(b"nonsense")
    with pytest.raises(CertificateUnusable):
        DocumentKeys(tmp_path).identity("i1", "x", NOW)
    other = LocalCA().key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keys.key_path("i1").write_bytes(other)
    with pytest.raises(CertificateUnusable, match="RSA"):
        DocumentKeys(tmp_path).identity("i1", "x", NOW)


async def test_a_signature_over_the_whole_file_with_the_chain_that_openssl_accepts(tmp_path: Path) -> None:
    keys, ca = DocumentKeys(tmp_path / "keys"), LocalCA()
    request = x509.load_pem_x509_csr(keys.request("i1", "县人民医院", NOW))
    own = issue("hospital", request.public_key(), ca, start=NOW - timedelta(days=1))
    identity = keys.install("i1", own.public_bytes(serialization.Encoding.PEM) + ca.root_pem, NOW)
    pdf = await Press().set(paper_of(await record_of()))
    out = await asyncio.to_thread(signed, pdf, identity, Statement("县人民医院", "签章", "0571"), NOW)
    assert out.startswith(pdf + b"\n")
    path = tmp_path / "s.pdf"
    path.write_bytes(out)
    said = _poppler("pdfsig", "-nocert", pdf=path)
    assert "Signature is Valid" in said and "Total document signed" in said and "CN=hospital" in said
    assert "Mar 02 2026" in said or "Mar  2 2026" in said


# -- adapters

CLAIM = Claim("r" * 32, "i1", "ab" * 32, int(NOW.timestamp()), "张建明", "self")


def _text(text: str, status: int = 200) -> Callable[[Any], Awaitable[web.Response]]:
    async def answer(_request: Any) -> web.Response:
        return web.Response(text=text, status=status)

    return answer


async def test_a_ca_is_believed_only_when_it_verifies(tmp_path: Path) -> None:
    ca = LocalCA()
    root = tmp_path / "root.pem"
    root.write_bytes(ca.root_pem)
    async with served(ca.answer) as url:
        attested = await HttpCertificateSigner(url, root, "t" * 16).certify(CLAIM)
        assert attested.authority == "CN=张建明" and ca.asked == [CLAIM]
        for changes in ({"digest": "x"}, {"sub": "x"}, {"iat": CLAIM.at - 1}, {"iat": "x"}, {"iat": CLAIM.at + 9999}):
            ca.changes = changes
            with pytest.raises(AuthorityFailed):
                await HttpCertificateSigner(url, root, None).certify(CLAIM)
        ca.changes = {}
        root.write_bytes(LocalCA("Test CA").root_pem)  # of the same name, another key
        with pytest.raises(AuthorityFailed, match="root"):
            await HttpCertificateSigner(url, root, None).certify(CLAIM)
        root.write_bytes(LocalCA("Other").root_pem)
        with pytest.raises(AuthorityFailed, match="root"):
            await HttpCertificateSigner(url, root, None).certify(CLAIM)
        root.unlink()
        with pytest.raises(AuthorityFailed, match="no root"):
            await HttpCertificateSigner(url, root, None).certify(CLAIM)


async def test_a_chain_through_one_who_may_not_issue_leads_nowhere(tmp_path: Path) -> None:
    false = LocalCA()
    false.root = issue("Test CA", false.key, ca=False)
    root = tmp_path / "root.pem"
    root.write_bytes(false.root_pem)
    async with served(false.answer) as url:
        with pytest.raises(AuthorityFailed, match="root"):
            await HttpCertificateSigner(url, root, None).certify(CLAIM)


@pytest.mark.parametrize(
    "answer", [_text("no", 500), _text("a.b.c"), _text("汉"), _text("x" * 300_000), _text("", 302)]
)
async def test_answers_that_are_none(tmp_path: Path, answer: Callable[[Any], Awaitable[web.Response]]) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(LocalCA().root_pem)
    async with served(answer) as url:
        with pytest.raises(AuthorityFailed):
            await HttpCertificateSigner(url, root, None).certify(CLAIM)
        with pytest.raises(AuthorityFailed):
            await HttpTimeStamper(url, root).stamp(b"message")


async def test_nobody_answers(tmp_path: Path) -> None:
    async with served(_text("")) as url:
        pass
    with pytest.raises(AuthorityFailed):
        await HttpTimeStamper(url, tmp_path / "root.pem").stamp(b"message")


async def test_a_stamp_is_believed_only_when_it_verifies(tmp_path: Path) -> None:
    tsa = LocalTSA(tmp_path / "tsa")
    root = tmp_path / "tsa" / "root.pem"
    async with served(tsa.answer) as url:
        attested = await HttpTimeStamper(url, root).stamp(b"message")
        assert attested.authority == "CN=Test TSA"
        root.write_bytes(LocalCA("Test TSA root").root_pem)
        with pytest.raises(AuthorityFailed):
            await HttpTimeStamper(url, root).stamp(b"message")
