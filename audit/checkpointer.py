"""When a checkpoint is due, and the rule that a fork is never signed (domain-rules 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle
from audit.checkpoint import BadNote, Checkpoint, parse, public_bytes, sign, verify
from audit.errors import LogDiverged

CADENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Signed:
    """The last note of a log."""

    size: int
    at: datetime


def due(now: datetime, size: int, last: Signed | None, cadence: timedelta = CADENCE) -> bool:
    """Whether leaves wait that no note covers, and the cadence has passed. The first leaves are signed at once."""
    if size == 0 or (last is not None and size <= last.size):
        return False
    return last is None or now - last.at >= cadence or now < last.at


def needed(last_note: bytes | None, size: int) -> list[merkle.Coordinate]:
    """Stored nodes `extend` needs to check consistency. Raises LogDiverged when the log is shorter than the note."""
    if last_note is None:
        return []
    old = read_note(last_note)
    if old.size > size:
        raise LogDiverged(f"{old.origin}: {size} leaves, but {old.size} were signed")
    spans = [*merkle.consistency_ranges(old.size, size), *([(0, old.size)] if old.size else [])]
    return merkle.coordinates(spans)


def check_extends(last_note: bytes, current: Checkpoint, nodes: Mapping[merkle.Coordinate, bytes]) -> Checkpoint:
    """The old checkpoint, when `current` is an append-only extension of it. Raises LogDiverged.

    `nodes` holds what `needed` named. The old root is recomputed from stored nodes and compared with the signed one,
    then the consistency proof ties it to the current root.
    """
    old = read_note(last_note)
    if old.origin != current.origin:
        raise LogDiverged(f"{current.origin}: the last note is of {old.origin}")
    if old.size > current.size:
        raise LogDiverged(f"{old.origin}: {current.size} leaves, but {old.size} were signed")
    try:
        proof = [merkle.span_hash(span, nodes) for span in merkle.consistency_ranges(old.size, current.size)]
    except KeyError as error:
        raise LogDiverged(f"{old.origin}: stored node {error} is missing") from error
    if not merkle.verify_consistency(old.size, current.size, old.root, current.root, proof):
        raise LogDiverged(f"{old.origin}: not an extension of the note signed at {old.size}")
    return old


def extend(
    key: Ed25519PrivateKey, current: Checkpoint, last_note: bytes | None, nodes: Mapping[merkle.Coordinate, bytes]
) -> bytes:
    """Sign the next note. Raises LogDiverged rather than sign a fork or follow a note that is not our own."""
    if last_note is not None:
        try:
            verify(last_note, {current.origin: public_bytes(key.public_key())})
        except BadNote as error:
            raise LogDiverged(f"the last note is not ours: {error.detail}") from error
        check_extends(last_note, current, nodes)
    return sign(current, key)


def read_note(note: bytes) -> Checkpoint:
    """The checkpoint of our own last note. Raises LogDiverged when it is damaged: nothing is signed without it."""
    try:
        return parse(note)[0]
    except BadNote as error:
        raise LogDiverged(f"last note is damaged: {error.detail}") from error
