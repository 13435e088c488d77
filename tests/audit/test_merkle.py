"""RFC 6962 / RFC 9162 against a reference that is written straight from the definition."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle


def reference_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + reference_root(leaves[:split]) + reference_root(leaves[split:])).digest()


class Tree:
    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[merkle.Coordinate, bytes] = {}
        self.peaks: list[bytes] = []
        self.size = 0
        for leaf in leaves:
            added, self.peaks = merkle.append(self.size, self.peaks, merkle.leaf_hash(leaf))
            self.nodes.update(added)
            self.size += 1

    def hashes(self, spans: list[merkle.Span]) -> list[bytes]:
        assert all(at in self.nodes for at in merkle.coordinates(spans))
        return [merkle.span_hash(span, self.nodes) for span in spans]


def leaves_of(count: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(count)]


LIMIT = 70
ROOTS = [reference_root(leaves_of(size)) for size in range(LIMIT)]


@pytest.mark.parametrize("size", range(LIMIT))
def test_root_and_node_count_for_each_small_tree(size: int) -> None:
    tree = Tree(leaves_of(size))
    assert merkle.fold(tree.peaks) == ROOTS[size] == merkle.span_hash((0, size), tree.nodes)
    assert len(tree.nodes) == 2 * size - size.bit_count()


@pytest.mark.parametrize("size", range(1, LIMIT))
def test_each_inclusion_proof_verifies_and_only_for_its_leaf(size: int) -> None:
    leaves = leaves_of(size)
    tree = Tree(leaves)
    for index in range(size):
        path = tree.hashes(merkle.inclusion_ranges(index, size))
        leaf = merkle.leaf_hash(leaves[index])
        assert merkle.verify_inclusion(index, size, leaf, path, ROOTS[size])
        assert not merkle.verify_inclusion(index, size, merkle.leaf_hash(b"other"), path, ROOTS[size])
        assert not merkle.verify_inclusion(index, size, leaf, [*path, leaf], ROOTS[size])
        assert not merkle.verify_inclusion(index, size, leaf, path, ROOTS[size - 1])
        if path:
            assert not merkle.verify_inclusion(index, size, leaf, path[:-1], ROOTS[size])
            assert not merkle.verify_inclusion((index + 1) % size, size, leaf, path, ROOTS[size])


@pytest.mark.parametrize("size", range(1, LIMIT))
def test_each_consistency_proof_verifies_and_no_fork_does(size: int) -> None:
    tree = Tree(leaves_of(size))
    for old in range(size + 1):
        proof = tree.hashes(merkle.consistency_ranges(old, size))
        assert merkle.verify_consistency(old, size, ROOTS[old], ROOTS[size], proof)
        fork = reference_root([*leaves_of(old)[:-1], b"rewritten"]) if old else b"\x00" * 32
        assert not merkle.verify_consistency(old, size, fork, ROOTS[size], proof)
        # nothing is known of a tree that an empty one grew into
        assert merkle.verify_consistency(old, size, ROOTS[old], b"\x00" * 32, proof) is (old == 0)
        assert not merkle.verify_consistency(old, size, ROOTS[old], ROOTS[size], [*proof, b"\x00" * 32])
        if proof:
            assert not merkle.verify_consistency(old, size, ROOTS[old], ROOTS[size], proof[:-1])


@settings(deadline=None)  # builds trees of thousands of leaves
@given(st.integers(1, 5_000), st.randoms(use_true_random=False))
def test_random_larger_trees(size: int, chance: random.Random) -> None:
    leaves = [chance.randbytes(4) for _ in range(size)]
    tree = Tree(leaves)
    root = merkle.fold(tree.peaks)
    index, old = chance.randrange(size), chance.randrange(size + 1)
    path = tree.hashes(merkle.inclusion_ranges(index, size))
    assert merkle.verify_inclusion(index, size, merkle.leaf_hash(leaves[index]), path, root)
    proof = tree.hashes(merkle.consistency_ranges(old, size))
    assert merkle.verify_consistency(old, size, reference_root(leaves[:old]), root, proof)
    if path:
        flipped = bytearray(path[0])
        flipped[chance.randrange(32)] ^= 1 << chance.randrange(8)
        assert not merkle.verify_inclusion(
            index, size, merkle.leaf_hash(leaves[index]), [bytes(flipped), *path[1:]], root
        )


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the tree"):
        merkle.inclusion_ranges(3, 3)
    with pytest.raises(ValueError, match="larger"):
        merkle.consistency_ranges(4, 3)
    with pytest.raises(ValueError, match="aligned"):
        merkle.peaks(1, 4)
    with pytest.raises(ValueError, match="peaks"):
        merkle.append(3, [b"x" * 32], b"y" * 32)
    assert not merkle.verify_inclusion(5, 3, b"", [], b"")
    assert not merkle.verify_consistency(5, 3, b"", b"", [])
