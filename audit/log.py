"""One institution's log as a value: its head, and what an append adds to the store."""

import re
from dataclasses import dataclass, replace

from audit import merkle
from audit.checkpoint import Checkpoint
from audit.errors import LogDiverged

_NAME = re.compile(r"[A-Za-z0-9._:/-]+\Z")
HASH_SIZE = 32


def origin(deployment: str, institution_id: str, epoch: int) -> str:
    """`<deployment>/audit/<institution>/<epoch>` (domain-rules 4.2). Raises ValueError for unsafe names."""
    text = f"{deployment}/audit/{institution_id}/{epoch}"
    if not _NAME.match(text):
        raise ValueError(f"not an origin: {text!r}")
    return text


@dataclass(frozen=True, slots=True)
class Head:
    """Size and peak hashes say everything an append needs: no stored node is read."""

    origin: str
    institution_id: str
    epoch: int
    size: int = 0
    peaks: tuple[bytes, ...] = ()
    last_ms: int = 0  # time of the last leaf, Unix milliseconds

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.size, merkle.fold(self.peaks))

    @classmethod
    def load(
        cls, origin_: str, institution_id: str, epoch: int, *, size: int, packed_peaks: bytes, last_ms: int
    ) -> "Head":
        """From stored columns. Raises LogDiverged when the peaks do not fit the size."""
        if not isinstance(packed_peaks, bytes) or len(packed_peaks) != size.bit_count() * HASH_SIZE:
            raise LogDiverged(f"{origin_}: the peaks do not fit a head of size {size}")
        hashes = tuple(packed_peaks[i : i + HASH_SIZE] for i in range(0, len(packed_peaks), HASH_SIZE))
        return cls(origin_, institution_id, epoch, size, hashes, last_ms)

    @property
    def packed_peaks(self) -> bytes:
        return b"".join(self.peaks)


@dataclass(frozen=True, slots=True)
class Appended:
    """One leaf's place: sequence number (from 0), its hash, the nodes to store, and the head after it."""

    seq: int
    leaf_hash: bytes
    nodes: tuple[tuple[merkle.Coordinate, bytes], ...]
    head: Head


def append(head: Head, leaf: bytes, at_ms: int) -> Appended:
    """Pure: the head is not changed, the caller stores what is returned."""
    digest = merkle.leaf_hash(leaf)
    nodes, peaks = merkle.append(head.size, head.peaks, digest)
    grown = replace(head, size=head.size + 1, peaks=tuple(peaks), last_ms=at_ms)
    return Appended(head.size, digest, tuple(nodes), grown)
