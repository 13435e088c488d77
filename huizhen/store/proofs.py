"""audit.proof.Prover on SQL: leaves and stored nodes under a note that the checkpointer signed."""

from collections.abc import Sequence

from sqlalchemy import select

from audit import proof
from audit.checkpoint import parse
from audit.errors import MissingRow
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from huizhen.store.schema import audit_checkpoints, audit_leaves, audit_logs
from huizhen.store.trail import read_nodes
from huizhen.store.transaction import SqlTransaction


class SqlProver:
    """Implements audit.proof.Prover."""

    def __init__(self, database: SqlDatabase, checkpoints: Checkpointer) -> None:
        self._db = database
        self._checkpoints = checkpoints

    async def prove(self, institution_id: str, epoch: int, seqs: Sequence[int]) -> tuple[proof.Inclusion, ...]:
        """Signs first, so that the newest leaves are covered too."""
        await self._checkpoints.sign(institution_id)
        async with self._db.read() as tx:
            origin = await _origin(tx, institution_id, epoch)
            note = await _note(tx, origin)
            wanted = proof.needed(seqs, parse(note)[0].size)
            nodes = await read_nodes(tx.execute, origin, wanted)
            rows = await tx.execute(
                select(audit_leaves.c.seq, audit_leaves.c.data).where(
                    audit_leaves.c.origin == origin, audit_leaves.c.seq.in_(list(seqs))
                )
            )
            leaves = {row.seq: row.data for row in rows}
        return proof.inclusions(leaves, seqs, note, nodes)


async def _origin(tx: SqlTransaction, institution_id: str, epoch: int) -> str:
    logs = audit_logs.c
    query = select(logs.origin).where(logs.institution_id == institution_id, logs.epoch == epoch)
    found = (await tx.execute(query)).scalar()
    if found is None:
        raise MissingRow("audit_logs")
    return str(found)


async def _note(tx: SqlTransaction, origin: str) -> bytes:
    """The newest note of the log; an epoch that ended keeps its last one."""
    table = audit_checkpoints.c
    query = select(table.note).where(table.origin == origin).order_by(table.size.desc()).limit(1)
    found = (await tx.execute(query)).scalar()
    if found is None:
        raise MissingRow("audit_checkpoints")
    return str(found).encode()
