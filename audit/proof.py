"""Inclusion proofs for people outside: a leaf, its path, and the signed note it leads to (C2SP tlog-proof)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit import merkle
from audit.checkpoint import parse
from audit.errors import MissingRow

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One leaf in the tree a note signs. `path` is nearest the leaf first (RFC 6962 2.1.1)."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    note: bytes

    @property
    def text(self) -> str:
        """`c2sp.org/tlog-proof@v1`: index, hashes, an empty line, the checkpoint."""
        hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.path)
        return f"{_HEADER}\nindex {self.index}\n{hashes}\n{self.note.decode()}"


class Prover(Protocol):
    """Proves leaves of an institution's log against a signed note that covers them; signs one where needed."""

    async def prove(self, institution_id: str, epoch: int, seqs: Sequence[int]) -> Sequence[Inclusion]:
        """In the order asked, all against one note. Raises MissingRow when the log was given up unsigned."""
        ...


def needed(seqs: Sequence[int], size: int) -> list[merkle.Coordinate]:
    """Stored nodes the paths are made of. Raises MissingRow for a leaf the tree does not have."""
    if any(not 0 <= seq < size for seq in seqs):
        raise MissingRow("audit_checkpoints")
    return merkle.coordinates(span for seq in seqs for span in merkle.inclusion_ranges(seq, size))


def inclusions(
    leaves: Mapping[int, bytes], seqs: Sequence[int], note: bytes, nodes: Mapping[merkle.Coordinate, bytes]
) -> tuple[Inclusion, ...]:
    """Raises KeyError when a leaf or node is missing."""
    size = parse(note)[0].size
    return tuple(
        Inclusion(
            seq,
            leaves[seq],
            tuple(merkle.span_hash(span, nodes) for span in merkle.inclusion_ranges(seq, size)),
            note,
        )
        for seq in seqs
    )
