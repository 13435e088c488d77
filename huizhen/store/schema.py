"""SQLAlchemy tables: one per line of `tables.TABLES`, and those of the audit log itself."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy import Table as SqlTable

from huizhen.store.rows import ColumnCodec, RowCodec, codec_for
from huizhen.store.tables import TABLES, Table

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite's own row number; BIGSERIAL elsewhere

audit_logs = SqlTable(
    "audit_logs",
    metadata,
    Column("origin", String(256), primary_key=True),
    Column("institution_id", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),  # hashes of the complete subtrees, left to right
    Column("last_ms", BigInteger, nullable=False),
    UniqueConstraint("institution_id", "epoch"),
)
audit_leaves = SqlTable(
    "audit_leaves",
    metadata,
    Column("origin", String(256), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", String(32), nullable=False),
    Column("institution_id", String(64), nullable=False),
    Column("consult_id", String(64), nullable=False),  # "" = the institution itself
    Column("number", BigInteger, nullable=False),  # per consult, from 0
    Column("epoch", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("event_id"),
    UniqueConstraint("institution_id", "consult_id", "number"),
)
audit_nodes = SqlTable(
    "audit_nodes",
    metadata,
    Column("origin", String(256), primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
audit_checkpoints = SqlTable(
    "audit_checkpoints",
    metadata,
    Column("origin", String(256), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at", String(32), nullable=False),
)
audit_payloads = SqlTable(
    "audit_payloads",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("institution_id", String(64), nullable=False),
    Column("key_id", String(128), nullable=False),
    Column("data", LargeBinary, nullable=False),  # nonce || AES-256-GCM(salt || canonical JSON), event id as AAD
)
operations = SqlTable(
    "operations",
    metadata,
    Column("actor_id", String(128), primary_key=True),
    Column("operation_id", String(128), primary_key=True),
    Column("used_at", String(32), nullable=False),
)
removals = SqlTable(
    "removals",  # ids whose deletion a trigger lets through; written by Repository.remove only
    metadata,
    Column("table_name", String(64), primary_key=True),
    Column("row_id", String(128), primary_key=True),
)

APPEND_ONLY_LOG = ("audit_leaves", "audit_nodes", "audit_checkpoints", "audit_payloads", "removals")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A domain table with its codec and its SQL."""

    spec: Table
    codec: RowCodec
    sql: SqlTable


def _column(spec: Table, codec: ColumnCodec) -> Column[Any]:
    if codec.kind in ("float", "blob") and spec.evidential:
        raise TypeError(f"{spec.name}.{codec.name}: an evidential row holds no {codec.kind}")
    kinds: dict[str, Any] = {"text": Text(), "integer": BigInteger(), "float": Float(), "blob": LargeBinary()}
    return Column(codec.name, kinds[codec.kind], nullable=codec.nullable)


def _mapped(spec: Table) -> Mapped:
    codec = codec_for(spec.row)
    columns = [_column(spec, column) for column in codec.columns]
    if not any(column.name == "id" for column in columns):
        raise TypeError(f"{spec.row.__name__} has no id")
    tail = [Column("rev", BigInteger, nullable=False)]
    salt: list[Column[Any]] = [Column("salt", LargeBinary, nullable=False)] if spec.evidential else []
    indexes = [Index(f"ix_{spec.name}_{'_'.join(names)}", *names) for names in spec.indexes]
    serial: Column[Any] = Column("pos", _SERIAL, primary_key=True, autoincrement=True)  # insertion order
    table = SqlTable(spec.name, metadata, serial, *columns, *tail, *salt, UniqueConstraint("id"), *indexes)
    return Mapped(spec, codec, table)


MAPPED: dict[str, Mapped] = {spec.name: _mapped(spec) for spec in TABLES}
EVIDENTIAL = tuple(name for name, mapped in MAPPED.items() if mapped.spec.evidential)
APPEND_ONLY_ROWS = tuple(name for name, mapped in MAPPED.items() if mapped.spec.append_only)
