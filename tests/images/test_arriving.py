"""Uploads in pieces on disk: what is told as arrived is there after any crash, and nobody else's bytes pass for it."""

import asyncio
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import MissingRow
from huizhen.images import arrivals as module
from huizhen.images.arrivals import Arrivals, Bounds, Checksum
from huizhen.images.arriving import ArrivingFile, Piece, Upload, installation_key
from huizhen.images.errors import Overtaken, TooManyUploads, WrongChecksum, WrongOffset
from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadBusy, UploadEmpty, UploadRefused, UploadTooLarge
from huizhen.store.errors import StoreFull
from tests.support.clock import FakeClock

KEY = bytes(range(32))
BOUNDS = Bounds(each=1_000_000, total=2_000_000, floor=0, age=timedelta(hours=72))


class Protocol:
    """The half of aiohttp's protocol that a stream asks for."""

    _reading_paused = False
    connected = True

    def pause_reading(self) -> None: ...
    def resume_reading(self, resume_parser: bool = True) -> None: ...


def stream(*chunks: bytes, end: bool = True) -> aiohttp.StreamReader:
    made = aiohttp.StreamReader(Protocol(), 1 << 20, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    for chunk in chunks:
        made.feed_data(chunk)
    if end:
        made.feed_eof()
    return made


def shelf(folder: Path, clock: FakeClock | None = None, bounds: Bounds = BOUNDS) -> Arrivals:
    return Arrivals(folder, KEY, bounds, clock or FakeClock())


async def begun(made: Arrivals, *sizes: int, consult: str = "c1") -> Upload:
    return await made.begin("i1", consult, "p1", sizes or (100,))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_gives_back_a_beginning_of_what_was_sent(
    data: st.DataObject, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    sent = data.draw(st.binary(min_size=1, max_size=300))
    upload = Upload("u1", "i1", "c1", "p1", (len(sent),), FakeClock()())
    file = ArrivingFile(folder, KEY, "u1")
    file.create(upload)
    head, at, told = file.path.stat().st_size, 0, 0
    while at < len(sent):
        size = data.draw(st.integers(1, len(sent) - at))
        piece = Piece(file, at)
        piece.write(sent[at : at + size])
        at = told = piece.end()
    assert file.open() == (upload, told)
    whole = file.path.read_bytes()
    cut = data.draw(st.integers(head, len(whole)))
    file.path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=40)))
    again, offset = file.open()
    assert again == upload
    assert offset <= len(sent)
    if offset < len(sent):
        rest = Piece(file, offset)
        rest.write(sent[offset:])
        rest.end()
    with private_file() as target:
        assert file.copy(target) == len(sent)
        target.seek(0)
        assert target.read() == sent


def test_nothing_of_it_lies_on_disk_in_the_clear(tmp_path: Path) -> None:
    file = ArrivingFile(tmp_path, KEY, "u1")
    file.create(Upload("u1", "i1", "c1", "p1", (40,), FakeClock()()))
    piece = Piece(file, 0)
    piece.write(b"OUYANG^HE" * 4)
    piece.end()
    assert b"OUYANG" not in file.path.read_bytes()
    assert b"c1" not in file.path.read_bytes()
    with pytest.raises(ValueError, match="key"):
        ArrivingFile(tmp_path, bytes(32), "u1").open()
    file.path.rename(tmp_path / "u2.tus")
    with pytest.raises(ValueError, match="another"):
        ArrivingFile(tmp_path, KEY, "u2").open()


def test_a_disk_that_lies_is_noticed(tmp_path: Path) -> None:
    file = ArrivingFile(tmp_path, KEY, "u1")
    file.create(Upload("u1", "i1", "c1", "p1", (4,), FakeClock()()))
    piece = Piece(file, 0)
    piece.write(b"abcd")
    piece.end()
    raw = bytearray(file.path.read_bytes())
    raw[-1] ^= 1
    file.path.write_bytes(raw)
    with private_file() as target, pytest.raises(UploadRefused):
        file.copy(target)


def test_the_key_is_made_once(tmp_path: Path) -> None:
    first = installation_key(tmp_path / "keys")
    assert installation_key(tmp_path / "keys") == first
    assert len(first) == 32


async def test_pieces_go_on_where_they_ended_and_after_a_restart(tmp_path: Path) -> None:
    made, sent = shelf(tmp_path), os.urandom(200_000)
    upload = await begun(made, 150_000, 50_000)
    assert made.get("c1", upload.id) == (upload, 0)
    assert await made.append("c1", upload.id, 0, stream(sent[:70_001])) == 70_001
    for wrong in (0, 70_000, 70_002):
        with pytest.raises(WrongOffset):
            await made.append("c1", upload.id, wrong, stream(b"x"))
    again = shelf(tmp_path)
    assert again.load() == 1
    assert again.get("c1", upload.id) == (upload, 70_001)
    assert await again.append("c1", upload.id, 70_001, stream(sent[70_001:])) == 200_000
    with await again.plain(upload) as file:
        file.seek(0)
        assert file.read() == sent
    await again.finish(upload, 200, "{}")
    assert again.get("c1", upload.id)[1] == 200_000
    with pytest.raises(WrongOffset):
        await again.append("c1", upload.id, 200_000, stream(b""))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 1_000, "the bytes went, the answer stays"
    third = shelf(tmp_path)
    third.load()
    kept, _ = third.get("c1", upload.id)
    assert (kept.status, kept.answer, kept.finished) == (200, "{}", True)


async def test_a_line_that_dies_leaves_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shelf(tmp_path)
    upload = await begun(made, 100)
    dying = stream(b"a" * 40, end=False)
    task = asyncio.create_task(made.append("c1", upload.id, 0, dying))
    while dying._buffer:
        await asyncio.sleep(0)
    dying.set_exception(aiohttp.ClientPayloadError())
    with pytest.raises(ConnectionError):
        await task
    assert made.get("c1", upload.id)[1] == 40
    monkeypatch.setattr(module, "_QUIET", 0.0)
    with pytest.raises(ConnectionError):
        await made.append("c1", upload.id, 40, stream(end=False))
    monkeypatch.setattr(Protocol, "connected", False)
    with pytest.raises(ConnectionError):
        await made.append("c1", upload.id, 40, stream(end=False))
    assert made.get("c1", upload.id)[1] == 40


async def test_the_newest_line_takes_over(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    upload = await begun(made, 100)
    hanging = stream(b"a" * 10, end=False)
    old = asyncio.create_task(made.append("c1", upload.id, 0, hanging))
    while not made._known[upload.id].line:
        await asyncio.sleep(0)
    with pytest.raises(UploadBusy):
        async with made.finishing("c1", upload.id):
            pass
    _, offset = await made.reached("c1", upload.id)
    with pytest.raises(Overtaken):
        await old
    assert offset in (0, 10)
    assert await made.append("c1", upload.id, offset, stream(b"b" * (100 - offset))) == 100


async def test_who_waited_for_an_upload_that_was_ended_finds_none(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    upload = await begun(made, 100)
    async with made.finishing("c1", upload.id):
        waiting = asyncio.create_task(made.append("c1", upload.id, 0, stream(b"a")))
        await asyncio.sleep(0)
        made._known.pop(upload.id)
    with pytest.raises(MissingRow):
        await waiting


async def test_a_checksum_speaks_for_the_whole_piece(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    upload = await begun(made, 6)
    good = hashlib.sha256(b"abc").digest()
    with pytest.raises(WrongChecksum):
        await made.append("c1", upload.id, 0, stream(b"abX"), Checksum(hashlib.sha256(), good))
    torn = stream(b"ab", end=False)
    torn.set_exception(ConnectionResetError())
    with pytest.raises(ConnectionError):
        await made.append("c1", upload.id, 0, torn, Checksum(hashlib.sha256(), good))
    assert made.get("c1", upload.id)[1] == 0
    assert await made.append("c1", upload.id, 0, stream(b"abc"), Checksum(hashlib.sha256(), good)) == 3
    again = shelf(tmp_path)
    again.load()
    assert again.get("c1", upload.id)[1] == 3


async def test_bounds_of_size_number_place_and_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    made = shelf(tmp_path, clock)
    for sizes, wrong in (((0,), UploadEmpty), ((5, 0), UploadEmpty), ((1_000_001,), UploadTooLarge)):
        with pytest.raises(wrong):
            await begun(made, *sizes)
    with pytest.raises(UploadEmpty):
        await made.begin("i1", "c1", "p1", ())
    upload = await begun(made, 10)
    with pytest.raises(UploadTooLarge):
        await made.append("c1", upload.id, 0, stream(b"a" * 11))
    with pytest.raises(MissingRow):
        made.get("c2", upload.id)
    await begun(made, 1_000_000, consult="c2")
    with pytest.raises(TooManyUploads):
        await begun(made, 1_000_000, consult="c2")
    monkeypatch.setattr(module, "MOST_OF_CONSULT", 1)
    with pytest.raises(TooManyUploads):
        await begun(made, 10)
    full = shelf(tmp_path / "full", clock, Bounds(100, 100, 1 << 60, timedelta(1)))
    with pytest.raises(StoreFull):
        await begun(full, 10)
    assert await made.expire() == 0
    clock.advance(hours=72)
    with pytest.raises(MissingRow):
        made.get("c1", upload.id)
    assert await made.expire() == 2
    assert list(tmp_path.glob("*.tus")) == []


async def test_an_ended_upload_is_gone_and_a_torn_beginning_is_swept(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    upload = await begun(made)
    await made.remove("c1", upload.id)
    with pytest.raises(MissingRow):
        made.get("c1", upload.id)
    (tmp_path / f"{'a' * 32}.tus").write_bytes(b"\x00\x00\x00\x30torn")
    assert shelf(tmp_path).load() == 0
    assert list(tmp_path.iterdir()) == []


async def test_an_upload_that_could_not_be_begun_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shelf(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(ArrivingFile, "create", full)
    with pytest.raises(OSError, match="full"):
        await begun(made)
    assert made._known == {}
