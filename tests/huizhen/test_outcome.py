"""The outcome of a panel on the real store: the paper as filed, a copy per institution, each proved on its own."""

import io
import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive import disposal, holds, intake, purge, retention
from archive.policy import EMR, PANEL_COPY
from archive.records import RetainedState
from audit.verify import verify
from audit.verify.copy import verify_copy
from clinic.actor import Actor
from clinic.documents import canonical, digest
from clinic.panels import copying, lateness
from clinic.panels.outcome import CopyState
from clinic.people import Role
from huizhen.evidence.office import Authorities
from huizhen.evidence.press import Press
from huizhen.outcome.office import OutcomeOffice, place_of
from huizhen.store.database import SqlDatabase
from huizhen.store.seals import verifier_keys
from recording.errors import KeyDestroyed, SegmentDamaged
from tests.huizhen.outcome_house import House
from tests.support.authorities import LocalCA
from tests.support.clock import FakeClock
from tests.support.panels import meeting


def run(program: str, *arguments: str | Path) -> str:
    return subprocess.run([program, *arguments], capture_output=True, check=False, timeout=20).stdout.decode()


def changed(package: bytes, name: str, make: Callable[[bytes], bytes | None]) -> bytes:
    """The package with one file made different (None: left out)."""
    source, target = zipfile.ZipFile(io.BytesIO(package)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data: bytes | None = source.read(entry)
            if entry.filename.partition("/")[2] == name:
                data = make(source.read(entry))
            if data is not None:
                archive.writestr(entry.filename, data)
    return target.getvalue()


async def test_a_copy_for_each_institution_under_its_own_key_proved_on_its_own(house: House) -> None:
    """Must-hold 6 of the panels: what happens to one copy leaves the other untouched and verifying."""
    consult = await house.closed()
    before = await house.copies(consult)
    assert {copy.state for copy in before.values()} == {CopyState.DUE}
    assert await house.office.make_due() == 2
    assert await house.office.make_due() == 0
    copies, world = await house.copies(consult), house.world
    assert set(copies) == {world.home.id, world.partner.id}
    packages = {holder: await house.office.read(copy) for holder, copy in copies.items()}
    for holder, package in packages.items():
        report = house.proved(package)
        assert [str(finding) for finding in report.findings] == []
        assert report.facts["opinions"] == "2 signed, 1 dissenting"
        assert report.facts["copy of"] in ("县人民医院", "市中心医院")
        assert copies[holder].package_sha256 == digest(package)
    assert len({copy.key_id for copy in copies.values()}) == 2
    whole = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [str(finding) for finding in whole.findings] == []

    mine, theirs = copies[world.home.id], copies[world.partner.id]
    damaged = bytearray(house.path(mine).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    house.path(mine).write_bytes(bytes(damaged))
    with pytest.raises(SegmentDamaged):
        await house.office.read(mine)
    told = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [(each.code, mine.id in each.where) for each in told.findings] == [("object.changed", True)]
    house.path(mine).unlink()
    told = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [(each.code, mine.id in each.where) for each in told.findings] == [("object.missing", True)]
    assert house.proved(await house.office.read(theirs)).ok


async def test_disposal_of_one_copy_takes_no_other_with_it(house: House) -> None:
    """Each copy has a clock, a hold and an end of its own, in its own institution."""
    consult, world = await house.closed(), house.world
    await house.office.make_due()
    copies = await house.copies(consult)
    world.clock.advance(days=16 * 366)
    async with world.db.begin() as tx:
        records = {row.institution_id: row for row in await tx.retained_records.find(record_class=PANEL_COPY)}
        assert set(records) == {world.home.id, world.partner.id}
        theirs = await retention.due_list(tx, world.partner.id)
        assert [item.record.id for item in theirs] == [records[world.partner.id].id]
        wanted = [
            item.record.id
            for item in await retention.due_list(tx, world.home.id)
            if item.record.record_class == PANEL_COPY
        ]
        proposed = await disposal.propose(tx, Actor.staff(world.archivist), wanted, "保存期满")
    for person in (world.approver, world.approver2):
        async with world.db.begin() as tx:
            await disposal.approve(tx, Actor.staff(person), proposed.id, proposed.list_sha256, world.clock())
    async with world.db.begin() as tx:
        assert not await holds.destroyed(tx, records[world.home.id])
    done = await purge.purge(house.database, house.database.keys, house.blobs, world.sealer, proposed.id)
    assert json.loads(done.certificate or "")["panel"] == [
        {
            "id": copies[world.home.id].id,
            "key": copies[world.home.id].key_id,
            "sha256": copies[world.home.id].blob_sha256,
        }
    ]
    with pytest.raises(KeyDestroyed):
        await house.office.read(copies[world.home.id])
    assert house.proved(await house.office.read(copies[world.partner.id])).ok
    async with world.db.read() as tx:
        states = {row.institution_id: row.state for row in await tx.retained_records.find(record_class=PANEL_COPY)}
        assert await tx.opinions.find(consult_id=consult.id), "the visit record has a clock of its own"
    assert states == {world.home.id: RetainedState.DISPOSED, world.partner.id: RetainedState.ACTIVE}
    whole = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [str(finding) for finding in whole.findings] == []


async def test_the_record_may_go_and_both_copies_stay(house: House) -> None:
    consult, world = await house.closed(), house.world
    await house.office.make_due()
    world.clock.advance(days=16 * 366)
    async with world.db.begin() as tx:
        wanted = [
            item.record.id for item in await retention.due_list(tx, world.home.id) if item.record.record_class == EMR
        ]
        proposed = await disposal.propose(tx, Actor.staff(world.archivist), wanted, "保存期满")
    for person in (world.approver, world.approver2):
        async with world.db.begin() as tx:
            await disposal.approve(tx, Actor.staff(person), proposed.id, proposed.list_sha256, world.clock())
    await purge.purge(house.database, house.database.keys, house.blobs, world.sealer, proposed.id)
    async with world.db.read() as tx:
        for table in ("opinions", "joint_reports", "report_marks", "decision_notes", "referrals", "follow_up_tasks"):
            assert await getattr(tx, table).find(consult_id=consult.id) == [], table
        (paper,) = await tx.opinion_papers.find(consult_id=consult.id)
    with pytest.raises(KeyDestroyed):
        await house.office._tools.vault.read(place_of(paper), paper.pdf_sha256)
    for copy in (await house.copies(consult)).values():
        assert house.proved(await house.office.read(copy)).ok
    whole = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [str(finding) for finding in whole.findings] == []


@pytest.mark.parametrize(("at", "error"), [("put", OSError), ("commit", ValueError)])
async def test_a_crash_between_closing_and_sealing_only_delays_the_copies(
    house: House, at: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one copy, foreseen or not, keeps no other waiting."""
    consult = await house.closed()
    calls = 0

    async def broken(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:  # the paper is filed; the first copy's turn
            raise error("power")
        return await whole(*given, **named)

    target, name = (house.office._tools.vault, "put") if at == "put" else (copying, "sealed")
    whole = getattr(target, name)
    if at == "commit":
        calls = 1
    monkeypatch.setattr(target, name, broken)
    with pytest.raises(error, match="power"):
        await house.office.make_due()
    monkeypatch.undo()
    states = {copy.state for copy in (await house.copies(consult)).values()}
    assert CopyState.DUE in states
    assert await house.office.make_due() == 1, "the other one was made in the same pass"
    for copy in (await house.copies(consult)).values():
        assert house.proved(await house.office.read(copy)).ok
    async with house.database.read() as tx:
        assert len(await tx.opinion_papers.find(consult_id=consult.id)) == 1
        assert len(await tx.retained_records.find(record_class=PANEL_COPY)) == 2


async def test_authorities_are_asked_about_papers_as_they_are_signed(house: House) -> None:
    """Once each while the consult is open, and once more before its paper is filed; the copies hold their words."""
    world = house.world
    ca = LocalCA(now=world.clock())
    office = OutcomeOffice(replace(house.office._tools, authorities=Authorities(certificates=ca)))
    consult = await meeting(world)
    async with world.db.read() as tx:
        (patient,) = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
    await world.sign(patient)
    for expert in world.experts:
        await world.opinion(consult, expert)
    assert [await office.attest_open(), await office.attest_open()] == [2, 0]
    await house.finished(consult)
    assert await office.attest_open() == 0, "closed: the filing asks for the rest"
    assert await office.make_due() == 2
    assert len(ca.asked) == 4, "two opinions, the report, the decision"
    async with world.db.read() as tx:
        kept = await tx.paper_attestations.find(consult_id=consult.id)
    assert len(kept) == 4
    for copy in (await house.copies(consult)).values():
        package = await office.read(copy)
        assert house.proved(package).ok
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            (name,) = [each for each in archive.namelist() if each.endswith("data/attestations.json")]
            assert {row.token for row in kept} <= set(re.findall(r'"token":"([^"]+)"', archive.read(name).decode()))


def _pdf_byte(data: bytes) -> bytes:
    return data[:-9] + b"x" + data[-8:]


def _other_text(data: bytes) -> bytes:
    dossier = json.loads(data)
    dossier["opinions"][0]["document"]["text"] = "改过的意见"
    return canonical(dossier)


def _without_consent(data: bytes) -> bytes:
    return canonical({"consents": json.loads(data)["consents"][1:]})


def _without_event(data: bytes) -> bytes:
    trail = json.loads(data)
    del trail["logs"][0]["events"][3]
    return canonical(trail)


def _without_opinion(data: bytes) -> bytes:
    dossier = json.loads(data)
    del dossier["opinions"][1]
    return canonical(dossier)


def _other_seal(data: bytes) -> bytes:
    outer = json.loads(data)
    outer["seal"] = outer["seal"][:-4] + "AAAA"
    return canonical(outer)


CHANGES: list[tuple[str, Callable[[bytes], bytes | None], set[str]]] = [
    ("data/paper.pdf", _pdf_byte, {"copy.changed", "copy.paper"}),
    ("data/dossier.json", _other_text, {"copy.changed", "copy.paper", "copy.seal"}),
    ("data/dossier.json", _without_opinion, {"copy.changed", "copy.paper"}),
    ("data/consents.json", _without_consent, {"copy.changed", "copy.consent"}),
    ("data/trail.json", _without_event, {"copy.changed", "copy.gap"}),
    ("data/trail.json", lambda _: None, {"copy.missing"}),
    ("copy.json", _other_seal, {"copy.changed", "copy.seal"}),
    ("bagit.txt", lambda _: b"nothing", {"copy.changed", "copy.malformed"}),
    ("copy.json", lambda _: b"{}", {"copy.changed", "copy.malformed"}),
    ("copy.json", lambda data: data + b" ", {"copy.changed", "copy.malformed"}),
]


async def test_whatever_is_changed_in_a_package_is_told(house: House, tmp_path: Path) -> None:
    consult = await house.closed()
    await house.office.make_due()
    package = await house.office.read((await house.copies(consult))[house.world.partner.id])
    for name, make, codes in CHANGES:
        report = house.proved(changed(package, name, make))
        found = {finding.code for finding in report.findings}
        assert codes <= found, (name, [str(finding) for finding in report.findings])
        assert report.facts == {}
    await _none_and_others(house, package, tmp_path)


async def _none_and_others(house: House, package: bytes, tmp_path: Path) -> None:
    assert [each.code for each in verify_copy(package, []).findings] == ["copy.key"]
    other = await SqlDatabase.open(
        f"sqlite:///{house.folder / 'data' / 'huizhen.db'}",
        tmp_path / "other-keys",
        clock=FakeClock(),
        deployment="test",
        node="n2",
    )
    foreign = other.keys.signing_key(house.world.home.id, "checkpoint")
    assert foreign is not None
    strangers = verifier_keys(other.keys, "test", {})
    await other.close()
    assert "copy.checkpoint" in {each.code for each in verify_copy(package, strangers).findings}
    for data in (b"", b"PK\x03\x04nothing", package[: len(package) // 2]):
        assert [each.code for each in house.proved(data).findings] == ["copy.damaged"]
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("a/x", b"")
        archive.writestr("b/x", b"")
    assert [each.code for each in house.proved(twice.getvalue()).findings] == ["copy.malformed"]


async def test_the_paper_is_what_a_hospital_files(house: House) -> None:
    """Must-hold 7: the text comes out, the signature is accepted, and the code leads to nothing personal."""
    house.office = OutcomeOffice(replace(house.office._tools, press=Press()))
    consult = await house.closed()
    await house.office.make_due()
    async with house.database.read() as tx:
        (paper,) = await tx.opinion_papers.find(consult_id=consult.id)
    pdf = await house.office.paper(consult, "zh")
    assert digest(pdf) == paper.pdf_sha256, "as filed, every time"
    path = house.folder / "paper.pdf"
    path.write_bytes(pdf)
    text = run("pdftotext", "-layout", path, "-")
    for wanted in (
        "远程会诊意见书", "县人民医院", "市中心医院", house.world.patient.name, "胸闷三月", "建议冠脉造影", "不同意见",
        "会诊共同意见", "不稳定型心绞痛", "保留意见", "仍建议先行胃镜", "采纳", "转上级医院造影",
        "由邀请方医师结合患者情况作出决定", "上转", "两周后复查肾功能", paper.code, "第1页",
    ):  # fmt: skip
        assert wanted in text or wanted in text.replace(" ", ""), wanted
    assert "Signature is Valid" in run("pdfsig", "-nocert", path)
    run("pdfdetach", "-saveall", "-o", house.folder, path)
    attached = (house.folder / "consult-opinion.json").read_bytes()
    assert digest(attached) == paper.document_sha256
    english = await house.office.paper(consult, "en")
    path.write_bytes(english)
    text = run("pdftotext", "-layout", path, "-")
    assert "Opinion of a remote consultation" in text and paper.code in text
    assert "Signature is Valid" in run("pdfsig", "-nocert", path)


async def test_a_panel_the_patient_stopped_sharing_with_is_filed_as_it_was(house: House) -> None:
    house.office = OutcomeOffice(replace(house.office._tools, press=Press()))
    consult = await house.unshared()
    await house.office.make_due()
    path = house.folder / "paper.pdf"
    for locale, wanted in (("zh", "停止向以下机构共享"), ("en", "stopped sharing with")):
        path.write_bytes(await house.office.paper(consult, locale))
        text = run("pdftotext", "-layout", path, "-")
        assert wanted in text or wanted in text.replace(" ", ""), text
    assert "no opinion had been signed" in " ".join(text.split())
    for copy in (await house.copies(consult)).values():
        assert house.proved(await house.office.read(copy)).findings == []


async def test_a_late_row_is_left_alone_by_a_second_maker(house: House) -> None:
    """Two makers of one copy: the second finds it sealed, and nothing is written twice."""
    consult = await house.closed()
    due = (await house.copies(consult))[house.world.home.id]
    first = await house.office.make(due)
    assert await house.office.make(due) == first
    assert house.proved(await house.office.read(first)).ok
    async with house.database.begin() as tx:
        again = await copying.sealed(tx, replace(due, package_sha256="0" * 64))
        kept = await intake.on_copy_sealed(tx, again)
        assert again == first
        assert kept == await intake.on_copy_sealed(tx, again)
        assert await lateness.chase(tx, house.world.home.id) == 0
