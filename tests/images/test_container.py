"""One object per file: every part read alone, nothing of another object, another row or a changed byte."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.images import container
from huizhen.images.container import Contents, Source
from recording.errors import SegmentDamaged
from recording.sealed_file import MAX_PLAIN
from tests.support.builders import FakeBlobs

KEY, OWNER = b"k" * 32, ("i1", "c1")


def stored(folder: Path, metadata: int, previews: list[int], frames: list[int], file: int) -> tuple[FakeBlobs, bytes]:
    """An object whose bytes count up, and its parts as one text."""
    size = metadata + sum(previews) + sum(frames) + file
    text = bytes(number * 7 % 251 for number in range(size))
    path = folder / "object"
    path.unlink(missing_ok=True)
    contents = Contents(metadata, tuple(previews), tuple(frames), file)
    half = size // 2
    parts = [Source(io.BytesIO(text), 0, half), Source(io.BytesIO(text), half, size - half)]
    container.seal(path, KEY, OWNER, contents, parts)
    blobs = FakeBlobs()
    blobs.objects["o"] = path.read_bytes()
    return blobs, text


@settings(max_examples=40, deadline=None)
@given(
    metadata=st.integers(1, 70_000),
    frames=st.lists(st.integers(1, 90_000), min_size=1, max_size=4),
    file=st.integers(0, 70_000),
)
async def test_each_part_is_read_alone(
    tmp_path_factory: pytest.TempPathFactory, metadata: int, frames: list[int], file: int
) -> None:
    folder = tmp_path_factory.mktemp("object")
    blobs, text = stored(folder, metadata, [5] * len(frames), frames, file)
    layout, first = await container.begin(blobs, "o", KEY, OWNER)
    start, size = layout.metadata
    if start + size <= len(first):
        assert first[start : start + size] == text[:metadata]
    assert await container.read(blobs, "o", KEY, layout.head, layout.metadata) == text[:metadata]
    at = metadata
    for number in range(len(frames)):
        assert await container.read(blobs, "o", KEY, layout.head, layout.preview(number)) == text[at : at + 5]
        at += 5
    for number, size in enumerate(frames):
        assert await container.read(blobs, "o", KEY, layout.head, layout.frame(number)) == text[at : at + size]
        at += size
    assert await container.read(blobs, "o", KEY, layout.head, layout.file) == text[at:]
    with pytest.raises(IndexError):
        layout.frame(len(frames))


async def test_an_index_of_thousands_of_frames(tmp_path: Path) -> None:
    blobs, text = stored(tmp_path, 10, [1] * 20_000, [1] * 20_000, 0)
    layout, first = await container.begin(blobs, "o", KEY, OWNER)
    assert layout.start > MAX_PLAIN >= len(first)
    assert await container.read(blobs, "o", KEY, layout.head, layout.frame(19_999)) == text[-1:]


async def test_what_is_not_the_rows_object_is_not_read(tmp_path: Path) -> None:
    blobs, _ = stored(tmp_path, 100, [], [200_000], 0)
    layout, _ = await container.begin(blobs, "o", KEY, OWNER)
    good = blobs.objects["o"]
    for key, owner in ((b"x" * 32, OWNER), (KEY, ("i2", "c1")), (KEY, ("i1", "c2"))):
        with pytest.raises(SegmentDamaged):
            await container.begin(blobs, "o", key, owner)
    for bad in (good[:50], good[:200], b"", good[:150] + b"\0" + good[151:]):
        blobs.objects["o"] = bad
        with pytest.raises(SegmentDamaged):
            await container.begin(blobs, "o", KEY, OWNER)
    blobs.objects["o"] = good[:150_000]
    with pytest.raises(SegmentDamaged):
        await container.read(blobs, "o", KEY, layout.head, layout.frame(0))
    blobs.objects["o"] = good[:70_000]
    with pytest.raises(SegmentDamaged):
        await container.read(blobs, "o", KEY, layout.head, layout.frame(0))


def test_a_source_that_ends_early_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(SegmentDamaged):
        container.seal(tmp_path / "o", KEY, OWNER, Contents(9, (), (1,), 0), [Source(io.BytesIO(b"abc"), 0, 10)])
