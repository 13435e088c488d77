"""The Merkle tree of RFC 6962: arithmetic only, hashes come from outside.

Only complete subtrees are stored, as `(level, index) -> hash`: level 0 holds leaf hashes, node (L, i) spans leaves
[i * 2**L, (i + 1) * 2**L). A tree of n leaves stores 2n - popcount(n) nodes, and one append adds one leaf plus one node
per trailing one bit of n. Functions that name what they need come in pairs: `*_ranges` says which spans, `coordinates`
which stored nodes, and `span_hash` folds them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

Coordinate = tuple[int, int]  # level, index
Span = tuple[int, int]  # leaves [start, end)

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(start: int, end: int) -> list[Coordinate]:
    """Complete subtrees covering leaves [start, end), left to right. `start` must be aligned as RFC 6962 splits are."""
    found: list[Coordinate] = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start & ((1 << level) - 1):
            raise ValueError("span is not aligned")
        found.append((level, start >> level))
        start += 1 << level
    return found


def append(size: int, peak_hashes: Sequence[bytes], leaf: bytes) -> tuple[list[tuple[Coordinate, bytes]], list[bytes]]:
    """Add one leaf hash to a tree of `size` leaves with these peaks. Returns (nodes to store, the new peaks)."""
    if len(peak_hashes) != size.bit_count():
        raise ValueError("peaks do not fit the size")
    stack = list(peak_hashes)
    level, index, current = 0, size, leaf
    nodes = [((level, index), current)]
    while index & 1:
        current = node_hash(stack.pop(), current)
        level, index = level + 1, index >> 1
        nodes.append(((level, index), current))
    return nodes, [*stack, current]


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over peak hashes: combined right to left. No peaks: the empty tree's hash."""
    if not hashes:
        return EMPTY
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def span_hash(span: Span, nodes: Mapping[Coordinate, bytes]) -> bytes:
    """MTH of the leaves of the span. Raises KeyError when a stored node is missing."""
    return fold([nodes[at] for at in peaks(*span)])


def coordinates(spans: Iterable[Span]) -> list[Coordinate]:
    """Stored nodes needed to hash these spans."""
    return [at for span in spans for at in peaks(*span)]


def _split(size: int) -> int:
    """Largest power of two below size (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Span]:
    """Spans whose hashes are PATH(index, D[size]), nearest the leaf first (RFC 6962 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("leaf is not in the tree")
    path: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_ranges(old: int, size: int) -> list[Span]:
    """Spans whose hashes are PROOF(old, D[size]) (RFC 6962 2.1.2). Empty when old is 0 or equals size."""
    if not 0 <= old <= size:
        raise ValueError("old tree is larger than the new one")
    if old in (0, size):
        return []
    proof: list[Span] = []
    start, end, whole = 0, size, True
    while True:
        if old == end:
            if not whole:
                proof.append((start, end))
            return proof[::-1]
        middle = start + _split(end - start)
        if old <= middle:
            proof.append((middle, end))
            end = middle
        else:
            proof.append((start, middle))
            start, whole = middle, False


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    fn, sn, current = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            current = node_hash(sibling, current)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            current = node_hash(current, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and current == root


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2, and the two trivial cases (empty old tree, equal trees), which take no proof."""
    if not 0 <= old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and first == old_root and second == root
