"""The audit log in SQL: events of a transaction are buffered, then appended under the log head's lock before commit."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from audit import log, merkle
from audit.checkpoint import vkey
from audit.events import EventCode
from audit.leaf import (
    SALT_SIZE,
    LeafContext,
    RowMark,
    canonical,
    check,
    commitment,
    leaf_bytes,
    milliseconds,
    new_event_id,
    payload_key_id,
)
from audit.reader import StoredLeaf
from audit.transaction import AuditEvent
from huizhen.store.direct import Known
from huizhen.store.errors import KeyMissing
from huizhen.store.keys import FileKeyRing
from huizhen.store.one_hop import Answer
from huizhen.store.schema import audit_leaves, audit_logs, audit_nodes, audit_payloads
from huizhen.store.seals import seal_name
from recording.errors import KeyDestroyed

Execute = Callable[..., Awaitable[Any]]
Run = Callable[..., Awaitable[list[Answer]]]  # SqlTransaction.run_all
SKEW_MS = 2_000
_NONCE = 12
_NODES = 300

_HEAD = Known(  # with the last number of the scope at hand: one journey for the usual flush
    select(
        audit_logs.c.origin,
        audit_logs.c.epoch,
        audit_logs.c.size,
        audit_logs.c.peaks,
        audit_logs.c.last_ms,
        select(func.max(audit_leaves.c.number))
        .where(
            audit_leaves.c.institution_id == bindparam("institution"), audit_leaves.c.consult_id == bindparam("consult")
        )
        .scalar_subquery()
        .label("last_number"),
    )
    .where(audit_logs.c.institution_id == bindparam("institution"))
    .order_by(audit_logs.c.epoch.desc())
    .limit(1)
    .with_for_update()
)
_LAST_NUMBER = Known(
    select(func.max(audit_leaves.c.number)).where(
        audit_leaves.c.institution_id == bindparam("institution"), audit_leaves.c.consult_id == bindparam("consult")
    )
)
_GROW = Known(
    update(audit_logs)
    .where(audit_logs.c.origin == bindparam("log_origin"), audit_logs.c.size == bindparam("old_size"))
    .values(size=bindparam("new_size"), peaks=bindparam("new_peaks"), last_ms=bindparam("new_ms"))
)
_ADD_LOG, _ADD_LEAF, _ADD_NODE, _ADD_PAYLOAD = (
    Known(insert(table), tuple(table.c.keys())) for table in (audit_logs, audit_leaves, audit_nodes, audit_payloads)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event waiting to become a leaf."""

    event: AuditEvent
    event_id: str
    rows: tuple[RowMark, ...] = ()
    commitment: str | None = None
    payload_sha256: str | None = None


@dataclass(slots=True)
class Batch:
    """Rows of one flush."""

    payloads: list[dict[str, Any]] = field(default_factory=list)
    grown: list[dict[str, Any]] = field(default_factory=list)  # heads
    leaves: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrailSettings:
    deployment: str
    node: str
    keys: FileKeyRing


class TrailWriter:
    """Buffers the events of one transaction; `flush` appends them to their institutions' logs."""

    def __init__(self, run: Run, settings: TrailSettings, now: datetime) -> None:
        self._run = run
        self._settings = settings
        self._now_ms = milliseconds(now)
        self._entries: list[Entry] = []
        self._payloads: list[dict[str, Any]] = []

    async def add(self, event: AuditEvent, rows: Sequence[RowMark]) -> str:
        """Buffer one event; returns its id. Raises InvalidEvent, KeyDestroyed (private part of an erased consult)."""
        check(event)
        event_id = new_event_id(self._now_ms)
        if event.private:
            salt, sealed = await self._seal(event, event_id)
            committed = commitment(salt, canonical(event.private))
            entry = Entry(event, event_id, tuple(rows), committed, sha256(sealed).hexdigest())
        else:
            entry = Entry(event, event_id, tuple(rows))
        self._entries.append(entry)
        return event_id

    async def _seal(self, event: AuditEvent, event_id: str) -> tuple[bytes, bytes]:
        key_id = payload_key_id(event.consult_id)
        keys = self._settings.keys
        try:
            key = await keys.get(event.institution_id, key_id)
        except KeyMissing:
            key = await keys.create(event.institution_id, key_id)
        salt, nonce = os.urandom(SALT_SIZE), os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, salt + canonical(event.private), event_id.encode())
        self._payloads.append(
            {"event_id": event_id, "institution_id": event.institution_id, "key_id": key_id, "data": sealed}
        )
        return salt, sealed

    async def flush(self) -> None:
        """Append everything buffered. The heads' rows stay locked until the transaction ends."""
        entries, self._entries = self._entries, []
        payloads, self._payloads = self._payloads, []
        if not entries:
            return
        batch = Batch(payloads=payloads)
        for institution in sorted({entry.event.institution_id for entry in entries}):  # one order: no deadlock
            own = [entry for entry in entries if entry.event.institution_id == institution]
            before = await self._head(institution, own[0].event.consult_id or "", batch)
            batch.grown.append(_grown(before, await self._extend(before, own, batch)))
        await self._store(batch)

    async def open_epoch(self, institution: str, epoch: int, public: Mapping[str, Any]) -> None:
        """Begin a further log of the institution; `public` (the old note, the reason) goes into its leaf 0."""
        head = self._new_head(institution, epoch)
        batch = Batch()
        opening = self._opening(head, public)
        await self._insert_head(head)
        batch.grown.append(_grown(head, await self._extend(head, [opening], batch, opened=True)))
        await self._store(batch)

    async def _store(self, batch: Batch) -> None:
        """Everything of one flush in one journey."""
        rows = (
            (_GROW, batch.grown),
            (_ADD_PAYLOAD, batch.payloads),
            (_ADD_LEAF, batch.leaves),
            (_ADD_NODE, batch.nodes),
        )
        await self._run(*((known, values) for known, values in rows if values))

    async def _head(self, institution: str, consult: str, batch: Batch) -> log.Head:
        (answer,) = await self._run((_HEAD, {"institution": institution, "consult": consult}))
        if not answer.rows:
            head = self._new_head(institution, 1)
            await self._insert_head(head)
            return head
        origin, epoch, size, peaks, last_ms, last_number = answer.rows[0]
        batch.numbers[(institution, consult)] = 0 if last_number is None else int(last_number) + 1
        return log.Head.load(origin, institution, epoch, size=size, packed_peaks=peaks, last_ms=last_ms)

    def _new_head(self, institution: str, epoch: int) -> log.Head:
        return log.Head(log.origin(self._settings.deployment, institution, epoch), institution, epoch)

    async def _insert_head(self, head: log.Head) -> None:
        values = {"institution_id": head.institution_id, "epoch": head.epoch, "size": 0, "peaks": b"", "last_ms": 0}
        await self._run((_ADD_LOG, {"origin": head.origin, **values}))

    def _opening(self, head: log.Head, public: Mapping[str, Any]) -> Entry:
        institution, keys = head.institution_id, self._settings.keys
        seal = keys.signing_key(institution, "seal").public_key().public_bytes_raw()
        signer = keys.signing_key(institution, "checkpoint").public_key().public_bytes_raw()
        facts = {
            "epoch": head.epoch,
            "checkpoint_vkey": vkey(head.origin, signer),
            "seal_vkey": vkey(seal_name(self._settings.deployment, institution), seal),
            **public,
        }
        event = AuditEvent(EventCode.LOG_OPENED, institution, "system", public=facts)
        return Entry(event, new_event_id(self._now_ms))

    async def _extend(self, head: log.Head, entries: list[Entry], batch: Batch, *, opened: bool = False) -> log.Head:
        if head.size == 0 and not opened:
            entries = [self._opening(head, {}), *entries]
        elif self._now_ms < head.last_ms - SKEW_MS:
            behind = {"behind_ms": head.last_ms - self._now_ms}
            skew = AuditEvent(EventCode.CLOCK_SKEW, head.institution_id, "system", public=behind)
            entries = [Entry(skew, new_event_id(self._now_ms)), *entries]
        for entry in entries:
            head = await self._append(head, entry, batch)
        return head

    async def _append(self, head: log.Head, entry: Entry, batch: Batch) -> log.Head:
        event = entry.event
        number = await self._number(batch, event.institution_id, event.consult_id or "")
        context = LeafContext(
            log=head.origin,
            event_id=entry.event_id,
            at_ms=self._now_ms,
            node=self._settings.node,
            number=number,
            rows=entry.rows,
            commitment=entry.commitment,
            payload_sha256=entry.payload_sha256,
        )
        data = leaf_bytes(event, context)
        appended = log.append(head, data, self._now_ms)
        batch.leaves.append(
            {
                "origin": head.origin,
                "seq": appended.seq,
                "event_id": entry.event_id,
                "institution_id": event.institution_id,
                "consult_id": event.consult_id or "",
                "number": number,
                "epoch": head.epoch,
                "data": data,
            }
        )
        batch.nodes.extend(
            {"origin": head.origin, "level": level, "idx": index, "hash": digest}
            for (level, index), digest in appended.nodes
        )
        return appended.head

    async def _number(self, batch: Batch, institution: str, consult: str) -> int:
        scope = (institution, consult)
        if scope not in batch.numbers:
            (answer,) = await self._run((_LAST_NUMBER, {"institution": institution, "consult": consult}))
            last = answer.rows[0][0]
            batch.numbers[scope] = 0 if last is None else int(last) + 1
        number = batch.numbers[scope]
        batch.numbers[scope] = number + 1
        return number


def _grown(before: log.Head, after: log.Head) -> dict[str, Any]:
    return {
        "log_origin": before.origin,
        "old_size": before.size,
        "new_size": after.size,
        "new_peaks": after.packed_peaks,
        "new_ms": after.last_ms,
    }


async def read_trail(
    execute: Execute,
    keys: FileKeyRing,
    institution_id: str,
    consult_id: str | None,
    *,
    after: tuple[int, int],
    limit: int,
) -> list[StoredLeaf]:
    """Leaves in log order, private parts decrypted where the key still exists."""
    leaves, payloads = audit_leaves.c, audit_payloads.c
    query = (
        select(leaves.epoch, leaves.seq, leaves.data, leaves.event_id, payloads.key_id, payloads.data.label("sealed"))
        .join_from(audit_leaves, audit_payloads, payloads.event_id == leaves.event_id, isouter=True)
        .where(leaves.institution_id == institution_id)
        .where(or_(leaves.epoch > after[0], and_(leaves.epoch == after[0], leaves.seq > after[1])))
        .order_by(leaves.epoch, leaves.seq)
        .limit(limit)
    )
    if consult_id is not None:
        query = query.where(leaves.consult_id == consult_id)
    rows = (await execute(query)).all()
    return [
        StoredLeaf(row.epoch, row.seq, row.data, _open(keys, institution_id, row.key_id, row.event_id, row.sealed))
        for row in rows
    ]


def _open(
    keys: FileKeyRing, institution_id: str, key_id: str | None, event_id: str, sealed: bytes | None
) -> bytes | None:
    if key_id is None or sealed is None:
        return None
    try:
        key = keys.data_key(institution_id, key_id)
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], event_id.encode())[SALT_SIZE:]
    except (KeyDestroyed, KeyMissing, InvalidTag):
        return None


async def read_nodes(
    execute: Execute, origin: str, wanted: Sequence[merkle.Coordinate]
) -> dict[merkle.Coordinate, bytes]:
    """The stored nodes that exist among `wanted`, some hundreds at a time: SQLite bounds how deep a condition is."""
    nodes, asked = audit_nodes.c, sorted(set(wanted))
    found: dict[merkle.Coordinate, bytes] = {}
    for start in range(0, len(asked), _NODES):
        part = asked[start : start + _NODES]
        places = or_(*(and_(nodes.level == level, nodes.idx == index) for level, index in part))
        rows = await execute(select(nodes.level, nodes.idx, nodes.hash).where(nodes.origin == origin, places))
        found |= {(row.level, row.idx): row.hash for row in rows}
    return found
