"""The .hzs container: golden bytes, any damage found, cut files readable up to the last whole frame."""

import errno
import hashlib
import hmac
import io
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from recording.errors import SegmentDamaged
from recording.salvage import salvage
from recording.sealed_file import (
    MAX_PLAIN,
    IndexScanner,
    SealedFile,
    SealedWriter,
    SegmentHeader,
    index_of,
)

KEY = bytes(range(32))
HEADER = SegmentHeader("rec1", "seat1", "av", 3, 1_700_000_000_123, 'audio/webm; codecs="opus"', bytes(16), b"\1\2\3\4")


def sealed(chunks: list[bytes], header: SegmentHeader = HEADER, seal: bool = True) -> bytes:
    raw = io.BytesIO()
    writer = SealedWriter(raw, header, KEY)
    for number, chunk in enumerate(chunks[:-1] if seal else chunks):
        writer.write(chunk, header.started_ms + number * 100, number * 100)
    if seal:
        writer.seal(chunks[-1] if chunks else b"", header.started_ms + 999, 1000)
    assert writer.size == len(raw.getvalue())
    assert writer.sha256 == hashlib.sha256(raw.getvalue()).hexdigest()
    assert writer.plain_sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()
    return raw.getvalue()


def opened(tmp_path: Path, data: bytes, key: bytes = KEY) -> SealedFile:
    path = tmp_path / "x.hzs"
    path.write_bytes(data)
    return SealedFile(path, key)


def test_golden_bytes_of_version_1() -> None:
    """Format vectors (docs/recording-format.md). They may only change with the version number."""
    data = sealed([b"first", b"last"])
    assert HEADER.encode().hex() == (
        "485a531a010000540000000000000000000000000000000001020304000000030000018bcfe5687b"
        "0004726563310005736561743100026176001961756469" "6f2f7765626d3b20636f646563733d226f70757322"
    )  # fmt: skip
    assert hashlib.sha256(data).hexdigest() == "2b1e9c389aefd4cf556e9c49033ec1d92ef3b4bd1566e48385f10ea7d51f406d"


def test_golden_file_opens_by_the_document_alone() -> None:
    """Decrypted with nothing but what docs/recording-format.md says: no code of the package."""
    data = sealed([b"first", b"last"])
    size = int.from_bytes(data[6:8], "big")
    header, salt, prefix, number = data[:size], data[8:24], data[24:28], data[28:32]
    pseudo = hmac.digest(salt, KEY, "sha256")
    info = b"huizhen-hzs-v1\0rec1\0seat1\0av\0" + number
    key = hmac.digest(pseudo, info + b"\1", "sha256")
    at, plain = size, []
    for index in range(2):
        head = data[at : at + 20]
        length, last = int.from_bytes(head[:4], "big"), head[4]
        nonce = prefix + index.to_bytes(8, "big")
        bound = header + index.to_bytes(8, "big") + head
        plain.append(AESGCM(key).decrypt(nonce, data[at + 20 : at + 20 + length], bound))
        assert last == (index == 1)
        at += 20 + length
    assert at == len(data)
    assert plain == [b"first", b"last"]


def test_any_range_reads_back(tmp_path: Path) -> None:
    plain = bytes(n * 7 & 0xFF for n in range(3 * MAX_PLAIN + 11))
    file = opened(tmp_path, sealed([plain[:10], plain[10 : MAX_PLAIN * 2 + 50], plain[MAX_PLAIN * 2 + 50 :]]))
    assert file.index.sealed
    assert file.whole() == plain
    assert file.index.plain_size == len(plain)
    for start, length in (
        (0, 1),
        (9, 2),
        (MAX_PLAIN - 1, MAX_PLAIN + 2),
        (len(plain) - 1, 10),
        (len(plain), 5),
        (5, 0),
    ):
        assert file.read(start, length) == plain[start : start + length]


def test_clocks_can_be_read_without_the_key(tmp_path: Path) -> None:
    index = index_of([sealed([b"a", b"b", b"c"])])
    assert index.clock_ms == HEADER.started_ms + 999
    assert index.span_ms == 1000
    assert index.header == HEADER


def test_cutting_anywhere_keeps_whole_frames_and_is_noticed(tmp_path: Path) -> None:
    data = sealed([b"one" * 5, b"two" * 5, b"three" * 5])
    whole = index_of([data])
    for size in range(whole.frames[0].offset, len(data)):
        file = opened(tmp_path, data[:size])
        kept = [frame for frame in whole.frames if frame.end <= size]
        assert len(file.index.frames) == len(kept)
        assert file.whole(recovered=True) == b"".join([b"one" * 5, b"two" * 5, b"three" * 5][: len(kept)])
        with pytest.raises(SegmentDamaged):
            file.whole()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_one_changed_byte_is_always_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = bytearray(sealed([b"alpha", b"beta", b"gamma"]))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("changed") / "x.hzs"
    path.write_bytes(bytes(good))
    with pytest.raises(SegmentDamaged):
        SealedFile(path, KEY).whole()


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 64))
@settings(max_examples=100, deadline=None)
def test_scanning_in_any_pieces_gives_the_same_index(chunks: list[bytes], step: int) -> None:
    data = sealed([*chunks, b"end"])
    pieces = index_of(data[at : at + step] for at in range(0, len(data), step))
    assert pieces == index_of([data])
    assert pieces.sealed
    assert not pieces.torn


@given(st.binary(max_size=400), st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_garbage_raises_only_segment_damaged(noise: bytes, keep: int) -> None:
    for data in (noise, sealed([b"abc"])[:keep] + noise):
        scanner = IndexScanner()
        try:
            scanner.feed(data)
            scanner.finish()
        except SegmentDamaged:
            pass


@pytest.mark.parametrize("change", [{"number": 4}, {"seat_id": "seat2"}, {"track": "screen"}, {"recording_id": "rec2"}])
def test_frames_do_not_move_to_another_place(tmp_path: Path, change: dict[str, object]) -> None:
    data = sealed([b"mine", b"end"])
    other = replace(HEADER, **change)  # type: ignore[arg-type]
    with pytest.raises(SegmentDamaged):
        opened(tmp_path, other.encode() + data[len(HEADER.encode()) :]).whole()


def test_frames_do_not_change_places_and_keys_differ_per_segment(tmp_path: Path) -> None:
    data = sealed([b"aaaa", b"bbbb", b"end"])
    first, second = index_of([data]).frames[:2]
    swapped = (
        data[: first.offset] + data[second.offset : second.end] + data[first.offset : first.end] + data[second.end :]
    )
    with pytest.raises(SegmentDamaged):
        opened(tmp_path, swapped).whole()
    with pytest.raises(SegmentDamaged):
        opened(tmp_path, data, bytes(32)).whole()
    fresh = [SegmentHeader.fresh("r", "s", "av", 0, started_ms=0, mime="m") for _ in range(2)]
    assert sealed([b"same"], fresh[0])[-20:] != sealed([b"same"], fresh[1])[-20:]


def test_dropping_the_last_frame_of_a_sealed_file_is_noticed(tmp_path: Path) -> None:
    data = sealed([b"aaaa", b"end"])
    file = opened(tmp_path, data[: index_of([data]).frames[0].end])
    assert not file.index.sealed
    with pytest.raises(SegmentDamaged):
        file.whole()


def test_a_torn_write_is_taken_back() -> None:
    class Full(io.BytesIO):
        full = False

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            if self.full:
                super().write(data[:3])
                raise OSError(errno.ENOSPC, "full")
            return super().write(data)

    raw = Full()
    writer = SealedWriter(raw, HEADER, KEY)
    writer.write(b"kept", 1, 1)
    raw.full = True
    with pytest.raises(OSError, match="full"):
        writer.write(b"lost", 2, 2)
    assert len(raw.getvalue()) == writer.size
    assert not index_of([raw.getvalue()]).torn
    with pytest.raises(SegmentDamaged):
        writer.write(b"never again under a used nonce", 3, 3)


def test_salvage_does_not_even_look_at_known_files(tmp_path: Path) -> None:
    """They are being archived meanwhile and may vanish between listing and looking."""
    (tmp_path / "gone.av-0.hzs").symlink_to(tmp_path / "nowhere")
    assert salvage(tmp_path, KEY, frozenset({"gone.av-0.hzs"})) == []


def test_salvage_cuts_the_torn_tail_and_drops_empty_files(tmp_path: Path) -> None:
    data = sealed([b"one", b"two", b"three"])
    frames = index_of([data]).frames
    (tmp_path / "a.av-0.hzs").write_bytes(data[: frames[2].offset + 9])
    (tmp_path / "b.av-0.hzs").write_bytes(data[: frames[0].offset])
    (tmp_path / "c.av-0.hzs").write_bytes(data[: frames[2].offset] + b"\0" * 4096)  # a power cut's zeros
    (tmp_path / "d.av-0.hzs").write_bytes(data)
    (tmp_path / "e.av-0.hzs").write_bytes(b"known, not touched")
    reports = {r.file: r for r in salvage(tmp_path, KEY, frozenset({"e.av-0.hzs"}))}
    assert sorted(reports) == ["a.av-0.hzs", "c.av-0.hzs", "d.av-0.hzs"]
    assert not (tmp_path / "b.av-0.hzs").exists()
    assert [reports[f"{name}.av-0.hzs"].sealed for name in "acd"] == [False, False, True]
    for name in "ac":
        left = (tmp_path / f"{name}.av-0.hzs").read_bytes()
        assert left == data[: frames[2].offset], "whole frames stay byte for byte"
        assert reports[f"{name}.av-0.hzs"].sha256 == hashlib.sha256(left).hexdigest()
        assert reports[f"{name}.av-0.hzs"].plain_sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert SealedFile(tmp_path / "a.av-0.hzs", KEY).whole(recovered=True) == b"onetwo"
