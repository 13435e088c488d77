"""Signs checkpoints, keeps the last note outside the database, and refuses a log that went back in time."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select

from audit import checkpointer, merkle
from audit.checkpoint import parse
from audit.errors import AuditError, LogDiverged
from audit.log import Head
from huizhen.store.database import SqlDatabase
from huizhen.store.dialects import insert_new
from huizhen.store.keys import replace_file
from huizhen.store.rows import utc_text, utc_time
from huizhen.store.schema import audit_checkpoints, audit_leaves, audit_logs
from huizhen.store.seals import export_verifier_keys
from huizhen.store.trail import read_nodes
from huizhen.store.transaction import SqlTransaction

_RECENT = 1_000
_CODE = re.compile(r"[a-z0-9_.]{1,64}\Z")


class Checkpointer:
    """One per process. `run` signs by the cadence; `sign` signs now (consult closed, before an export)."""

    def __init__(self, database: SqlDatabase, cadence: timedelta = checkpointer.CADENCE) -> None:
        self._db = database
        self._cadence = cadence
        self._notes = database.keys.directory / "notes"
        self._signing = asyncio.Lock()

    def note_path(self, institution_id: str, epoch: int) -> Path:
        """Where the last note of a log is kept outside the database."""
        return self._notes / f"{quote(institution_id, safe='')}.{epoch}.note"

    async def sign(self, institution_id: str) -> bytes | None:
        """The note over everything committed so far; None for an institution without a log. Raises LogDiverged."""
        async with self._signing:
            async with self._db.read() as tx:
                head = await _latest_head(tx, institution_id)
                if head is None:
                    return None
                last = self._last_note(head)
                if last is not None and checkpointer.read_note(last).size == head.size:
                    await self._check_head(tx, head, last)
                    return last
                note = await self._next_note(tx, head, last)
            # Outside first: whatever happens to the database from here on, this note exists and is never signed away.
            await asyncio.to_thread(replace_file, self.note_path(institution_id, head.epoch), note)
            async with self._db.begin() as tx:
                values = {
                    "origin": head.origin,
                    "size": head.size,
                    "note": note.decode(),
                    "signed_at": utc_text(tx.now),
                }
                await tx.execute(insert_new(audit_checkpoints, tx.backend), values)
            if last is None:
                await self.export_keys()
            return note

    async def sign_due(self) -> list[str]:
        """Sign every log whose cadence has passed; returns their institutions. Raises LogDiverged."""
        async with self._db.read() as tx:
            now = tx.now
            heads = await _latest_heads(tx)
            last = {head.origin: await _last_signed(tx, head) for head in heads}
        waiting = [h for h in heads if checkpointer.due(now, h.size, last[h.origin], self._cadence)]
        for head in waiting:
            await self.sign(head.institution_id)
        return [head.institution_id for head in waiting]

    async def run(self, failed: Callable[[Exception], None], poll_seconds: float = 5.0) -> None:
        """Sign until cancelled; the caller owns the task. `failed` hears each error (alarm, readiness); it goes on."""
        while True:
            try:
                await self.sign_due()
            except Exception as error:
                failed(error)
            await asyncio.sleep(poll_seconds)

    async def export_keys(self) -> None:
        """Rewrite public.vkeys in the keys directory."""
        async with self._db.read() as tx:
            epochs = {head.institution_id: head.epoch for head in await _latest_heads(tx)}
        await asyncio.to_thread(export_verifier_keys, self._db.keys, self._db.settings.deployment, epochs)

    async def check(self) -> None:
        """At the start of the server: each log against its head, its newest leaves and its last outside note.

        Raises LogDiverged: serving goes on only after the operator restored the right database or opened a new epoch.
        """
        async with self._db.read() as tx:
            heads = {head.institution_id: head for head in await _latest_heads(tx)}
            for (institution_id, epoch), note in self._outside_notes().items():
                head = heads.get(institution_id)
                if head is None or head.epoch < epoch:
                    raise LogDiverged(f"{parse(note)[0].origin}: signed before, but not in this database")
            for head in heads.values():
                await self._check_head(tx, head, self._last_note(head))
                await _check_recent(tx, head)

    async def open_epoch(self, institution_id: str, reason: str) -> Head:
        """After a restore from backup: leave the diverged log as it is and begin the next, whose leaf 0 tells why.

        `reason` is a code ("restored_from_backup"). Leaf 0 holds the note that the old log no longer lives up to.
        """
        if not _CODE.match(reason):
            raise ValueError("reason is a code: lower-case letters, digits, dot, underscore")
        async with self._db.begin() as tx:
            head = await _latest_head(tx, institution_id)
            outside = {epoch: note for (owner, epoch), note in self._outside_notes().items() if owner == institution_id}
            epoch = max([head.epoch if head else 0, *outside]) + 1
            public: dict[str, object] = {"reason": reason}
            if head is not None:
                found = head.checkpoint
                root = base64.b64encode(found.root).decode()
                public |= {"previous": found.origin, "previous_size": found.size, "previous_root": root}
            if outside:
                note = outside[max(outside)]
                public |= {"note_sha256": hashlib.sha256(note).hexdigest(), "note": base64.b64encode(note).decode()}
            await tx.open_epoch(institution_id, epoch, public)
            opened = await _latest_head(tx, institution_id)
        assert opened is not None
        await self.sign(institution_id)
        return opened

    def _last_note(self, head: Head) -> bytes | None:
        path = self.note_path(head.institution_id, head.epoch)
        return path.read_bytes() if path.exists() else None

    def _outside_notes(self) -> dict[tuple[str, int], bytes]:
        """By (institution, epoch); the institution is read from the note's origin, not from the file's name."""
        found: dict[tuple[str, int], bytes] = {}
        for path in sorted(self._notes.glob("*.note")) if self._notes.exists() else []:
            note = path.read_bytes()
            try:
                _, _, rest = parse(note)[0].origin.partition("/audit/")
                institution_id, _, epoch = rest.rpartition("/")
                found[(institution_id, int(epoch))] = note
            except (AuditError, ValueError) as error:
                raise LogDiverged(f"{path.name}: the note kept outside is damaged") from error
        return found

    async def _next_note(self, tx: SqlTransaction, head: Head, last: bytes | None) -> bytes:
        nodes = await read_nodes(tx.execute, head.origin, checkpointer.needed(last, head.size))
        key = self._db.keys.signing_key(head.institution_id, "checkpoint")
        return checkpointer.extend(key, head.checkpoint, last, nodes)

    async def _check_head(self, tx: SqlTransaction, head: Head, last: bytes | None) -> None:
        """Stored peaks equal the head's, and the head extends the last note."""
        stored = await read_nodes(tx.execute, head.origin, merkle.peaks(0, head.size))
        if tuple(stored.get(at) for at in merkle.peaks(0, head.size)) != head.peaks:
            raise LogDiverged(f"{head.origin}: head and stored nodes differ")
        if last is not None:
            nodes = await read_nodes(tx.execute, head.origin, checkpointer.needed(last, head.size))
            checkpointer.check_extends(last, head.checkpoint, nodes)


def _head(row: Any) -> Head:
    place = (row.origin, row.institution_id, row.epoch)
    return Head.load(*place, size=row.size, packed_peaks=row.peaks, last_ms=row.last_ms)


async def _latest_heads(tx: SqlTransaction) -> list[Head]:
    """The newest epoch's head of every institution."""
    rows = (await tx.execute(select(audit_logs).order_by(audit_logs.c.institution_id, audit_logs.c.epoch))).all()
    newest = {row.institution_id: row for row in rows}
    return [_head(r) for r in newest.values()]


async def _latest_head(tx: SqlTransaction, institution_id: str) -> Head | None:
    query = select(audit_logs).where(audit_logs.c.institution_id == institution_id)
    row = (await tx.execute(query.order_by(audit_logs.c.epoch.desc()).limit(1))).first()
    if row is None:
        return None
    return _head(row)


async def _last_signed(tx: SqlTransaction, head: Head) -> checkpointer.Signed | None:
    """The newest checkpoint in the database: one index lookup."""
    table = audit_checkpoints.c
    query = select(table.size, table.signed_at).where(table.origin == head.origin).order_by(table.size.desc()).limit(1)
    row = (await tx.execute(query)).first()
    return None if row is None else checkpointer.Signed(row.size, utc_time(row.signed_at))


async def _check_recent(tx: SqlTransaction, head: Head) -> None:
    """Leaf count, and the newest leaves against their stored hashes."""
    leaves = audit_leaves.c
    count = (await tx.execute(select(func.count()).where(leaves.origin == head.origin))).scalar_one()
    if count != head.size:
        raise LogDiverged(f"{head.origin}: {count} leaves, head says {head.size}")
    newest = select(leaves.seq, leaves.data).where(leaves.origin == head.origin, leaves.seq >= head.size - _RECENT)
    rows = (await tx.execute(newest)).all()
    for start in range(0, len(rows), 200):
        part = rows[start : start + 200]
        nodes = await read_nodes(tx.execute, head.origin, [(0, row.seq) for row in part])
        for row in part:
            if not isinstance(row.data, bytes) or nodes.get((0, row.seq)) != merkle.leaf_hash(row.data):
                raise LogDiverged(f"{head.origin}: leaf {row.seq} is not what was logged")
