"""Uploaded papers through the real server: what is taken, what is not, and that nothing of it stays."""

import asyncio
import hashlib
import os
import sqlite3
import struct
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clinic.consult import ConsultKind
from clinic.people import Role
from huizhen.evidence_shelf import EvidenceShelf
from huizhen.inspection.clamd import Clamd
from huizhen.store.errors import StoreFull
from tests.huizhen.world import Booked, Browser, Reply, World, ask_experts, operation, sign, world_at
from tests.inspection import corpus

SEAT = "/api/seat/evidence-files"


async def send(
    browser: Browser,
    path: str,
    data: Any,
    media_type: str = "image/jpeg",
    name: str = "a.jpg",
    *,
    method: str = "POST",
    **headers: str,
) -> Reply:
    given = {"Content-Type": media_type, "X-File-Name": name, "X-Operation": operation()} | headers
    return await browser.call(method, path, data=data, headers=given)


async def sent(browser: Browser, path: str, name: str) -> Reply:
    data, media_type, given = corpus.sent(name)
    return await send(
        browser, path, data, media_type or "application/octet-stream", given.encode().decode("ascii", "ignore")
    )


def staff_path(booked: Booked) -> str:
    return f"/api/consults/{booked.consult.id}/evidence-files"


def left_over(world: World) -> list[str]:
    """Files of the data directory that an upload could have left."""
    settings = world.parts.settings
    folders = (settings.uploads_path, settings.blobs_path, settings.spool_path)
    return sorted(str(path) for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file())


async def rows(world: World) -> list[Any]:
    async with world.db.read() as tx:
        return list(await tx.evidence_files.find())


async def test_a_patient_sends_a_photo_and_a_doctor_sees_it(world: World) -> None:
    booked = await world.book()
    patient, doctor = await world.patient(booked), await world.staff("city", Role.ATTENDING)
    data = corpus.jpeg_with_place()
    taken = await send(patient, SEAT, data)
    assert taken.status == 200, taken.body
    assert (taken.body["kind"], taken.body["width"], taken.body["evidence"]) == ("jpeg", 480, None)
    (row,) = await rows(world)
    assert row.received_sha256 == hashlib.sha256(data).hexdigest()
    (stored,) = left_over(world)
    assert b"JFIF" not in Path(stored).read_bytes(), "it lies encrypted"

    listed = (await doctor.get(staff_path(booked))).body
    assert [each["id"] for each in listed["items"]] == [taken.body["id"]]
    assert (listed["open"], listed["limit_mb"]) == (True, 20)
    shown = await doctor.get(listed["items"][0]["url"])
    assert shown.status == 200
    assert hashlib.sha256(shown.raw).hexdigest() == row.sha256
    assert shown.headers["Content-Disposition"].startswith("attachment; ")
    assert shown.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Cache-Control"] == "no-store, private"
    own = await patient.get((await patient.get(SEAT)).body["items"][0]["url"])
    assert own.raw == shown.raw
    codes = [event.code for event in await world.events() if event.subject_id == row.id]
    assert codes == ["visit.evidence_uploaded", "view.evidence", "view.evidence"]


async def test_a_doctor_enters_what_a_paper_says_and_it_is_linked(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    taken = (await send(doctor, staff_path(booked), corpus.pdf(), "application/pdf", "a.pdf")).body
    proof = {
        "department": "03.04",
        "visited_on": "2026-02-01",
        "visited_institution": "某医院",
        "diagnosis": "高血压",
        "reference": "MZ9",
        "files": [taken["id"]],
    }
    path = f"/api/consults/{booked.consult.id}/evidence"
    entered = await doctor.post(path, **proof)
    assert entered.status == 200, entered.body
    (row,) = await rows(world)
    assert row.evidence_id == entered.body["evidence"][-1]["id"]
    again = await doctor.post(path, **proof)
    assert again.code == "access.denied", "one paper belongs to one proof"
    other = await doctor.post(path, **(proof | {"files": ["0" * 32]}))
    assert other.code == "not_found"


async def test_bad_files_leave_nothing(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    asked = [name for name, entry in corpus.BAD.items() if isinstance(entry[0], bytes)]  # bombs: tests/inspection
    for name in asked:
        answer = await sent(patient, SEAT, name)
        assert answer.code == corpus.BAD[name][3], name
        assert answer.status == (415 if "type" in answer.code else 422), name
        assert (await rows(world), left_over(world)) == ([], []), name
    assert _keys(world) == 0
    refused = [event.outcome for event in await world.events() if event.code == "visit.evidence_refused"]
    assert sorted(refused) == sorted(corpus.BAD[name][3] for name in asked)
    assert (await send(patient, SEAT, corpus.jpeg())).status == 200
    assert _keys(world) == 1


def _keys(world: World) -> int:
    with closing(sqlite3.connect(world.parts.settings.keys_path / "keys.db")) as keys:
        found: int = keys.execute("SELECT count(*) FROM data_keys WHERE key_id LIKE 'evidence-%'").fetchone()[0]
    return found


async def test_two_hundred_megabytes_are_refused_early(world: World) -> None:
    """Announced: before the first byte. Unannounced: at the limit, the rest unread, the server's memory untouched."""
    patient = await world.patient(await world.book())
    megabyte, pulled = bytes(1 << 20), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(200):
            pulled += 1
            yield megabyte

    before = _resident()
    with suppress(aiohttp.ClientError):
        announced = await send(patient, SEAT, endless(), **{"Content-Length": str(200 << 20)})
        assert (announced.status, announced.code) == (413, "upload.too_large")
    assert pulled < 60, "told before it was all sent"
    pulled = 0
    with suppress(aiohttp.ClientError):
        streamed = await send(patient, SEAT, endless())
        assert (streamed.status, streamed.code) == (413, "upload.too_large")
    assert pulled < 60
    outcomes = [event.outcome for event in await world.events() if event.code == "visit.evidence_refused"]
    assert outcomes == ["upload.too_large"] * 2
    assert (await rows(world), left_over(world)) == ([], [])
    assert _resident() - before < 64 << 10
    assert (await send(patient, SEAT, corpus.jpeg())).status == 200, "and the next one is served as ever"


def _resident() -> int:
    """KiB of this process, which is the server's too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def test_empty_repeated_unsaid_and_foreign(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    assert (await send(patient, SEAT, b"")).code == "upload.empty"
    op = operation()
    assert (await send(patient, SEAT, corpus.jpeg(), **{"X-Operation": op})).status == 200
    assert (await send(patient, SEAT, corpus.jpeg(), **{"X-Operation": op})).code == "operation.repeated"
    assert len(await rows(world)) == len(left_over(world)) == 1
    assert (await send(patient, SEAT, corpus.jpeg(), **{"X-Operation": "short"})).body["field"] == "op"
    assert (await send(patient, SEAT, corpus.jpeg(), **{"X-CSRF": "no"})).code == "csrf.invalid"
    assert (await send(patient, SEAT, b"{}", "application/json")).code == "upload.unknown_type"
    other = await world.patient(await world.book("county"))
    mine = (await patient.get(SEAT)).body["items"][0]
    assert (await other.get(mine["url"])).code == "not_found"
    abroad = await world.staff("county", Role.ATTENDING)
    assert (await abroad.get(f"{staff_path(booked)}/{mine['id']}")).code == "not_found"
    assert (await send(abroad, staff_path(booked), corpus.jpeg())).code == "not_found"
    nurse = await world.staff("city", Role.NURSE)
    assert (await nurse.get(f"{staff_path(booked)}/{mine['id']}")).code == "access.denied", "no seat, no paper"


async def test_another_institution_sees_papers_only_when_the_patient_shares(world: World) -> None:
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    patient, clinic, city = (
        await world.patient(booked),
        await world.staff("county", Role.INVITING),
        world.houses["city"],
    )
    assert (await send(patient, SEAT, corpus.jpeg())).status == 200
    invited = city.staff[Role.EXPERT].id
    await ask_experts(world, booked, clinic, patient, sharing=False, expert_ids=[invited], chair_id=invited)
    expert = await world.staff("city", Role.EXPERT)
    (invitation,) = (await expert.get("/api/invitations")).body["items"]
    await expert.post(f"/api/invitations/{invitation['id']}/answer", accept=True)
    assert (await expert.get(staff_path(booked))).code == "access.denied"
    await sign(patient, again=True)
    papers = await expert.get(staff_path(booked))
    assert papers.status == 200
    assert (await expert.get(papers.body["items"][0]["url"])).status == 200


async def test_no_more_than_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic.evidence_files.MOST_FILES", 1)
    patient = await world.patient(await world.book())
    assert (await send(patient, SEAT, corpus.jpeg())).status == 200
    assert (await send(patient, SEAT, corpus.jpeg())).code == "visit.too_many_files"
    assert (await patient.get(SEAT)).body["open"] is False


async def test_one_at_a_time_per_person(world: World) -> None:
    patient = await world.patient(await world.book())
    go = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        data = corpus.jpeg()
        yield data[:1000]
        await go.wait()
        yield data[1000:]

    first = asyncio.create_task(send(patient, SEAT, slowly()))
    intake = world.parts.services.evidence._intake
    while not intake._sending:
        await asyncio.sleep(0)
    assert (await send(patient, SEAT, corpus.jpeg())).code == "upload.busy"
    go.set()
    assert (await first).status == 200


async def test_a_commit_that_fails_takes_the_object_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = await world.patient(await world.book())

    async def full(*_: Any) -> Any:
        raise StoreFull

    monkeypatch.setattr("clinic.evidence_files.keep", full)
    assert (await send(patient, SEAT, corpus.jpeg())).code == "store.full"
    assert left_over(world) == []


async def test_what_a_crash_left_is_swept(world: World) -> None:
    patient = await world.patient(await world.book())
    assert (await send(patient, SEAT, corpus.jpeg())).status == 200
    (kept,) = left_over(world)
    house = world.houses["city"].institution.id
    orphan = world.parts.settings.blobs_path / house / "evidence" / ("f" * 32) / "paper.hzs"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    (world.parts.settings.uploads_path / "a.part").write_bytes(b"y")
    shelf: EvidenceShelf = world.parts.services.evidence
    assert await shelf.sweep(world.db, [house]) == 1
    assert left_over(world) == [kept]


class FakeClamd:
    """Speaks INSTREAM; finds EICAR's first letters."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\x00"
        data = bytearray()
        while size := struct.unpack(">I", await reader.readexactly(4))[0]:
            data += await reader.readexactly(size)
        found = b"stream: Eicar-Test-Signature FOUND\x00" if b"X5O!P%" in data else b"stream: OK\x00"
        writer.write(self.answer or found)
        await writer.drain()
        writer.close()


async def test_a_scanner_that_is_configured_has_the_last_word(tmp_path: Path) -> None:
    socket = tmp_path / "clamd"
    async with world_at(tmp_path / "data", clamd_socket=socket) as world:
        patient = await world.patient(await world.book())
        assert (await send(patient, SEAT, corpus.jpeg())).code == "upload.scan_unavailable", "fails closed"
        fake = FakeClamd()
        server = await asyncio.start_unix_server(fake, socket)
        assert (await send(patient, SEAT, corpus.jpeg())).status == 200
        assert (await send(patient, SEAT, corpus.comment(b"X5O!P%@AP[4"))).code == "upload.infected"
        fake.answer = b"INSTREAM size limit exceeded. ERROR\x00"
        assert (await send(patient, SEAT, corpus.jpeg())).code == "upload.scan_unavailable"
        server.close()
        assert len(await rows(world)) == len(left_over(world)) == 1
        assert isinstance(world.parts.services.evidence._scanner, Clamd)


async def test_a_sender_that_goes_away_leaves_nothing(world: World) -> None:
    patient = await world.patient(await world.book())

    async def breaks_off() -> AsyncIterator[bytes]:
        yield corpus.jpeg()[:500]
        raise ConnectionResetError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await send(patient, SEAT, breaks_off())
    intake = world.parts.services.evidence._intake
    while intake._sending:
        await asyncio.sleep(0)
    assert (await rows(world), left_over(world)) == ([], [])


def test_no_descriptor_of_an_upload_has_a_name() -> None:
    from huizhen.inspection.chamber import private_file

    with private_file() as file:
        assert os.fstat(file.fileno()).st_nlink == 0
