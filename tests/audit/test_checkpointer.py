"""The cadence, and that no fork is ever signed."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import log, merkle
from audit.checkpoint import sign, verify
from audit.checkpointer import Signed, due, extend, needed
from audit.errors import LogDiverged

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("size", "last", "expected"),
    [
        (0, None, False),
        (1, None, True),
        (5, Signed(5, NOW - timedelta(days=1)), False),
        (6, Signed(5, NOW - timedelta(seconds=59)), False),
        (6, Signed(5, NOW - timedelta(seconds=60)), True),
        (6, Signed(5, NOW + timedelta(hours=1)), True),  # the clock was turned back: do not wait for it
    ],
)
def test_due(size: int, last: Signed | None, expected: bool) -> None:
    assert due(NOW, size, last) is expected


def grown(leaves: list[bytes]) -> tuple[log.Head, dict[merkle.Coordinate, bytes]]:
    head = log.Head(log.origin("test", "inst", 1), "inst", 1)
    nodes: dict[merkle.Coordinate, bytes] = {}
    for leaf in leaves:
        step = log.append(head, leaf, 0)
        nodes.update(step.nodes)
        head = step.head
    return head, nodes


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 39))
def test_extensions_are_signed_and_every_rewrite_is_refused(old: int, more: int, rewritten: int) -> None:
    leaves = [f"{number}".encode() for number in range(old + more)]
    before, _ = grown(leaves[:old])
    note = sign(before.checkpoint, KEY)
    head, nodes = grown(leaves)
    assert set(needed(note, head.size)) <= set(nodes)
    assert verify(extend(KEY, head.checkpoint, note, nodes), {head.origin: PUBLIC}) == head.checkpoint
    if rewritten < old:
        forged, nodes = grown([*leaves[:rewritten], b"forged", *leaves[rewritten + 1 :]])
        with pytest.raises(LogDiverged):
            extend(KEY, forged.checkpoint, note, nodes)
    if old:
        shorter, nodes = grown(leaves[: old - 1])
        with pytest.raises(LogDiverged):
            needed(note, shorter.size)
        with pytest.raises(LogDiverged):
            extend(KEY, shorter.checkpoint, note, nodes)


def test_a_note_that_is_not_ours_stops_the_signer() -> None:
    head, nodes = grown([b"a", b"b"])
    foreign = sign(head.checkpoint, Ed25519PrivateKey.generate())
    with pytest.raises(LogDiverged):
        extend(KEY, head.checkpoint, foreign, nodes)
    with pytest.raises(LogDiverged):
        extend(KEY, head.checkpoint, b"not a note", nodes)
    with pytest.raises(LogDiverged):
        needed(b"not a note", 2)


def test_missing_stored_nodes_are_a_divergence() -> None:
    before, _ = grown([b"a"])
    head, _ = grown([b"a", b"b", b"c"])
    with pytest.raises(LogDiverged, match="missing"):
        extend(KEY, head.checkpoint, sign(before.checkpoint, KEY), {})


def test_heads_are_loaded_with_fitting_peaks_only() -> None:
    head, _ = grown([b"a", b"b", b"c"])
    loaded = log.Head.load(head.origin, "inst", 1, size=3, packed_peaks=head.packed_peaks, last_ms=0)
    assert loaded.checkpoint == head.checkpoint
    with pytest.raises(LogDiverged):
        log.Head.load(head.origin, "inst", 1, size=4, packed_peaks=head.packed_peaks, last_ms=0)
    with pytest.raises(ValueError, match="origin"):
        log.origin("test", "a b", 1)
