"""Sealed files: written once, read back, never overwritten."""

import hashlib
from pathlib import Path

import pytest

from huizhen.store.blobs import LocalBlobs
from huizhen.store.errors import BlobConflict, BlobDamaged, BlobMissing

KEY = "inst/rec/seat/av-0.hzs"
DATA = bytes(range(256)) * 9000  # over two chunks


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


def source(tmp_path: Path, data: bytes = DATA) -> Path:
    path = tmp_path / "source"
    path.write_bytes(data)
    return path


async def test_put_read_stream_list_delete(blobs: LocalBlobs, tmp_path: Path) -> None:
    assert await blobs.put(KEY, source(tmp_path)) == hashlib.sha256(DATA).hexdigest()
    assert await blobs.size(KEY) == len(DATA)
    assert await blobs.read(KEY, 10, 20) == DATA[10:30]
    assert await blobs.read(KEY, len(DATA) - 3, 100) == DATA[-3:]
    assert await blobs.read(KEY, len(DATA) + 5, 100) == b""
    assert b"".join([chunk async for chunk in blobs.stream(KEY)]) == DATA
    assert await blobs.list("inst/rec") == await blobs.list("") == [KEY]
    assert await blobs.list("other") == []
    await blobs.delete(KEY)
    await blobs.delete(KEY)
    assert await blobs.list("") == []
    for missing in (blobs.size(KEY), blobs.read(KEY, 0, 1)):
        with pytest.raises(BlobMissing):
            await missing
    with pytest.raises(BlobMissing):
        _ = [chunk async for chunk in blobs.stream(KEY)]


async def test_the_same_bytes_again_are_fine_others_are_refused(blobs: LocalBlobs, tmp_path: Path) -> None:
    digest = await blobs.put(KEY, source(tmp_path))
    assert await blobs.put(KEY, source(tmp_path)) == digest
    with pytest.raises(BlobConflict):
        await blobs.put(KEY, source(tmp_path, b"other"))
    assert await blobs.size(KEY) == len(DATA)


async def test_what_reads_back_differently_is_reported(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rot(key: str) -> None:
        path = blobs.directory / key
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(blobs, "_make_durable", rot)
    with pytest.raises(BlobDamaged):
        await blobs.put(KEY, source(tmp_path))


@pytest.mark.parametrize(
    "key", ["", "/abs", "a//b", "../up", "a/../b", "a/./b", "a b", "名", ".hidden", "a/" + "b" * 600]
)
async def test_unsafe_keys_are_refused(blobs: LocalBlobs, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="blob key"):
        await blobs.put(key, source(tmp_path))
    with pytest.raises(ValueError, match="blob key"):
        await blobs.delete(key)


async def test_an_empty_file_is_a_file(blobs: LocalBlobs, tmp_path: Path) -> None:
    await blobs.put(KEY, source(tmp_path, b""))
    assert await blobs.size(KEY) == 0 and await blobs.read(KEY, 0, 10) == b""
