"""Reading the trail: leaves in order, with the private part where its key still exists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from audit.errors import AuditError
from audit.leaf import LEAF_VERSION, RowMark


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as the store hands it out. `private` is canonical JSON, None when there is none or its key is gone."""

    epoch: int
    seq: int
    data: bytes
    private: bytes | None


class TrailSource(Protocol):
    """What a transaction offers to the reader (both databases do)."""

    async def trail(
        self, institution_id: str, consult_id: str | None = None, *, after: tuple[int, int] = (0, -1), limit: int = 1000
    ) -> Sequence[StoredLeaf]:
        """Leaves after (epoch, seq) in order, at most `limit`; consult_id None = every leaf of the institution."""
        ...


@dataclass(frozen=True, slots=True)
class ReadEvent:
    epoch: int
    seq: int
    event_id: str
    at: datetime
    node: str
    code: str
    institution_id: str
    consult_id: str | None
    number: int  # per consult, from 0
    actor_id: str
    subject_id: str | None
    outcome: str
    public: Mapping[str, Any]
    private: Mapping[str, Any] | None  # None: nothing private, or erased (see `erased`)
    erased: bool  # it had a private part, and its key is gone
    rows: tuple[RowMark, ...]


async def events(
    source: TrailSource,
    institution_id: str,
    consult_id: str | None = None,
    *,
    after: tuple[int, int] = (0, -1),
    limit: int | None = None,
) -> list[ReadEvent]:
    """The institution's trail, or one consult's, in log order. `after` = (epoch, seq) of the last one already seen."""
    found: list[ReadEvent] = []
    page = 1000
    while limit is None or len(found) < limit:
        wanted = page if limit is None else min(page, limit - len(found))
        leaves = await source.trail(institution_id, consult_id, after=after, limit=wanted)
        found.extend(parse(institution_id, leaf) for leaf in leaves)
        if len(leaves) < wanted:
            break
        after = (leaves[-1].epoch, leaves[-1].seq)
    return found


def parse(institution_id: str, leaf: StoredLeaf) -> ReadEvent:
    """Raises AuditError when the bytes are not a leaf of a known version."""
    try:
        data = json.loads(leaf.data)
        if data["v"] != LEAF_VERSION:
            raise AuditError(f"leaf version {data['v']}")
        return ReadEvent(
            epoch=leaf.epoch,
            seq=leaf.seq,
            event_id=data["id"],
            at=datetime.fromtimestamp(data["t"] / 1000, UTC),
            node=data["node"],
            code=data["k"],
            institution_id=institution_id,
            consult_id=data["con"],
            number=data["n"],
            actor_id=data["act"],
            subject_id=data["sub"],
            outcome=data["o"],
            public=data["pub"],
            private=None if leaf.private is None else json.loads(leaf.private),
            erased=data["c"] is not None and leaf.private is None,
            rows=tuple(RowMark(*mark) for mark in data["rows"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AuditError(f"leaf {leaf.seq} is damaged") from error
