"""The verifier finds every kind of tampering, says where, and is silent about an honest database."""

import hashlib
import random
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from archive.records import Disposal, DisposalState, RetainedRecord, RetainedState
from audit.events import EventCode
from audit.verify import Report, verify
from clinic.consult import ChatMessage, Consult, Seat, VisitNote
from clinic.people import Institution
from consent.records import ConsentRecord
from huizhen.store.blobs import LocalBlobs
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from recording.records import Recording, RecordingState, Segment
from tests.store.samples import sample
from tests.store.test_checkpoints import tampering
from tests.store.test_repository import event
from tests.support.clock import FakeClock

DB = "data/huizhen.db"


@dataclass
class World:
    """An honest deployment: two institutions, every kind of evidence, checkpoints, one lawful disposal."""

    place: Path
    vkeys: list[str]
    notes: list[bytes]

    def verify(self) -> Report:
        return verify(self.place / DB, self.place / "blobs", self.vkeys, self.notes)


@pytest.fixture
async def world(sql: SqlDatabase, tmp_path: Path, clock: FakeClock) -> World:
    blobs = LocalBlobs(tmp_path / "blobs")
    signer = Checkpointer(sql)
    for institution in ("i1", "i2"):
        async with sql.begin() as tx:
            await tx.institutions.add(sample(Institution, institution))
            await tx.append(event(EventCode.INSTITUTION_CREATED, institution))
    async with sql.begin() as tx:
        await tx.consults.add(sample(Consult, "c1"))
        await tx.seats.add(sample(Seat, "s1", display_name="王芳"))
        await tx.seats.add(sample(Seat, "s2"))
        await tx.append(event(consult_id="c1", private={"reason": "头痛"}))
    clock.advance(1)
    async with sql.begin() as tx:
        await tx.seats.save(replace(await tx.seats.get("s1"), left_at=tx.now))
        for number in range(3):
            await tx.chat_messages.add(sample(ChatMessage, f"m{number}"))
        await tx.append(event(EventCode.CHAT_SENT, consult_id="c1", private={"by": "王芳"}))
        await tx.consent_records.add(_consent(sql))
        note = sql.sealer.seal("i1", "ab", 1)
        await tx.visit_notes.add(sample(VisitNote, "n1", signature=note))
        await tx.append(event(EventCode.CONSENT_SIGNED, consult_id="c1"))
    await signer.sign("i1")
    await _record(sql, blobs, tmp_path)
    await _dispose(sql, blobs)
    for number in range(6):
        async with sql.begin() as tx:
            await tx.append(event(EventCode.CHART_VIEWED, "i2", public={"n": number}))
    notes = [await signer.sign("i1"), await signer.sign("i2")]
    await sql.close()
    vkeys = (tmp_path / "keys" / "public.vkeys").read_text().splitlines()
    return World(tmp_path, vkeys, [note for note in notes if note])


def _consent(sql: SqlDatabase) -> ConsentRecord:
    evidence = '{"text":"同意"}'
    digest = hashlib.sha256(evidence.encode()).hexdigest()
    seal = sql.sealer.seal("i1", digest, 1)
    made: ConsentRecord = sample(ConsentRecord, "k1", evidence=evidence, digest=digest, seal=seal)
    return made


async def _record(sql: SqlDatabase, blobs: LocalBlobs, tmp_path: Path) -> None:
    for recording in ("r1", "r2"):
        async with sql.begin() as tx:
            await tx.recordings.add(sample(Recording, recording, state=RecordingState.SEALED))
            for number in range(2):
                key, source = f"i1/{recording}/s1/av-{number}.hzs", tmp_path / "segment"
                source.write_bytes(f"{recording}{number}".encode() * 100)
                facts: dict[str, Any] = {"blob_key": key, "recording_id": recording, "size": source.stat().st_size}
                facts["sha256"] = await blobs.put(key, source)
                await tx.segments.add(sample(Segment, f"{recording}-{number}", **facts))
            await tx.append(event(EventCode.RECORDING_SEALED, consult_id="c1", subject_id=recording))


async def _dispose(sql: SqlDatabase, blobs: LocalBlobs) -> None:
    """r2 is destroyed lawfully: its files and key are gone, one chat message is removed."""
    certificate = '{"destroyed":["r2"]}'
    seal = sql.sealer.seal("i1", hashlib.sha256(certificate.encode()).hexdigest(), 2)
    for key in await blobs.list("i1/r2"):
        await blobs.delete(key)
    async with sql.begin() as tx:
        await tx.chat_messages.remove("m1")
        await tx.retained_records.add(
            sample(RetainedRecord, "e2", subject_id="r2", state=RetainedState.DISPOSED, disposal_id="d1")
        )
        done = {"state": DisposalState.DONE, "certificate": certificate, "certificate_seal": seal}
        await tx.disposals.add(sample(Disposal, "d1", **done))
        await tx.append(event(EventCode.DISPOSED, subject_id="d1"))


def test_an_honest_database_has_no_findings(world: World) -> None:
    steps: list[tuple[str, int, int]] = []
    report = verify(world.place / DB, world.place / "blobs", world.vkeys, world.notes, lambda *step: steps.append(step))
    assert [str(finding) for finding in report.findings] == [] and report.ok
    assert (report.files, report.seals, report.rows) == (2, 3, 17) and report.leaves == 16
    assert all(log.signed_size == log.size for log in report.logs.values()) and report.remarks == []
    assert ("segments", 4, 4) in steps


def _tables(place: Path) -> list[tuple[str, str, Any, str]]:
    """(table, column, value, id) of each field of each evidential row."""
    raw = sqlite3.connect(place / DB)
    raw.row_factory = sqlite3.Row
    found = []
    for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in raw.execute(f"SELECT * FROM {table}").fetchall():
            if "salt" in row.keys():  # noqa: SIM118 - a Row iterates over values
                found += [(table, name, row[name], row["id"]) for name in row.keys() if name != "pos"]  # noqa: SIM118
    raw.close()
    return found


def test_any_changed_field_of_any_evidential_row_is_found_and_named(world: World) -> None:
    fields = _tables(world.place)
    assert len(fields) > 150
    with tampering(world.place) as raw:
        for table, column, value, row_id in fields:
            other: object = "tampered" if value is None else value + 1 if isinstance(value, int) else None
            if isinstance(value, str):
                other = value + " "
            elif isinstance(value, bytes):
                other = bytes([value[0] ^ 1]) + value[1:]
            raw.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (other, row_id))
            where = f"{table} {other if column == 'id' else row_id}"
            findings = world.verify().findings
            assert any(f.where.startswith(where) and f.code.startswith("row.") for f in findings), (table, column)
            key = other if column == "id" else row_id
            raw.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, key))
    assert world.verify().findings == []


def _on(table: str, change: str, where: str) -> str:
    """UPDATE of a log table of institution i2."""
    return f"UPDATE {table} SET {change} WHERE origin LIKE '%i2/1' AND {where}"


CUT_SEAL = "substr(certificate_seal, 1, length(certificate_seal) - 6) || 'AAAAAA'"
EDIT_LEAF = _on("audit_leaves", "data = CAST(replace(data, '\"n\":3', '\"n\":4') AS BLOB)", "seq = 5")
EXTRA_NODE = (
    "INSERT INTO audit_nodes SELECT origin, 9, idx, hash FROM audit_nodes WHERE origin LIKE '%i2/1' AND level = 3"
)
MOVED_NOTE = "UPDATE audit_checkpoints SET note = replace(note, 'test/audit/i2', 'test/audit/i3')"

# statement, expected code, part of where
TAMPERING = [
    ("DELETE FROM seats WHERE id = 's2'", "row.missing", "seats s2"),
    ("DELETE FROM chat_messages WHERE id = 'm0'", "row.missing", "chat_messages m0"),
    (
        "INSERT INTO seats SELECT 99, 'ghost', institution_id, consult_id, role, display_name, home_institution_id,"
        " person_id, state, created_at, created_by, relation, waiting_since, admitted_at, left_at, rev, salt"
        " FROM seats WHERE id = 's2'",
        "row.extra",
        "seats ghost",
    ),
    ("UPDATE chat_messages SET pos = 50 WHERE id = 'm0'", "row.order", "chat_messages m0"),
    (EDIT_LEAF, "leaf.changed", "i2/1 leaf 5"),
    ("DELETE FROM audit_leaves WHERE origin LIKE '%i1/1' AND seq = 3", "leaf.missing", "i1/1 leaf 3"),
    ("UPDATE audit_leaves SET consult_id = 'c9' WHERE consult_id = 'c1' AND number = 1", "leaf.index", "i1/1 leaf"),
    (_on("audit_nodes", "hash = zeroblob(32)", "level = 1 AND idx = 1"), "node.changed", "i2/1 node 1/1"),
    ("DELETE FROM audit_nodes WHERE origin LIKE '%i2/1' AND level = 2", "node.missing", "i2/1 node 2/0"),
    (EXTRA_NODE, "node.extra", "i2/1"),
    ("UPDATE audit_logs SET size = 7 WHERE institution_id = 'i2'", "head.changed", "i2/1"),
    ("UPDATE audit_logs SET size = 70 WHERE institution_id = 'i2'", "log.truncated", "i2/1"),
    ("UPDATE audit_logs SET peaks = zeroblob(32) WHERE institution_id = 'i2'", "head.changed", "i2/1"),
    ("DELETE FROM audit_logs WHERE institution_id = 'i2'", "log.missing", "i2/1"),
    ("UPDATE audit_payloads SET data = CAST(data || x'00' AS BLOB)", "payload.changed", "audit_payloads"),
    ("UPDATE audit_payloads SET key_id = 'payload-c2'", "payload.changed", "audit_payloads"),
    ("DELETE FROM audit_payloads", "payload.missing", "audit_payloads"),
    ("INSERT INTO audit_payloads VALUES ('x', 'i1', 'k', x'00')", "payload.extra", "audit_payloads x"),
    (MOVED_NOTE, "checkpoint.changed", "i2/1"),
    ("UPDATE audit_checkpoints SET note = 'nonsense' WHERE origin LIKE '%i2/1'", "checkpoint.changed", "i2/1"),
    ("INSERT INTO removals VALUES ('segments', 'r1-0')", "removal.unrecorded", "segments r1-0"),
    ("DROP TABLE chat_messages", "row.missing", "chat_messages m0"),
    ("ALTER TABLE seats DROP COLUMN salt", "row.missing", "seats s1"),
]


@pytest.mark.parametrize(("statement", "code", "where"), TAMPERING)
def test_tampering_is_found_and_located(world: World, statement: str, code: str, where: str) -> None:
    with tampering(world.place) as raw:
        raw.execute(statement)
    findings = world.verify().findings
    assert any(f.code == code and where in f.where for f in findings), [str(f) for f in findings]


def test_reordered_leaves_are_found(world: World) -> None:
    with tampering(world.place) as raw:
        for old, new in ((4, -1), (5, 4), (-1, 5)):
            raw.execute("UPDATE audit_leaves SET seq = ? WHERE seq = ? AND origin LIKE '%i2/1'", (new, old))
    assert {"leaf.changed", "leaf.number"} <= {finding.code for finding in world.verify().findings}


def _rehash(raw: sqlite3.Connection, origin: str) -> None:
    """What an administrator who knows the format does: rebuild nodes and head over the leaves that are there."""
    from audit import merkle

    raw.execute("DELETE FROM audit_nodes WHERE origin = ?", (origin,))
    peaks: list[bytes] = []
    leaves = raw.execute("SELECT data FROM audit_leaves WHERE origin = ? ORDER BY seq", (origin,)).fetchall()
    for size, (data,) in enumerate(leaves):
        nodes, peaks = merkle.append(size, peaks, merkle.leaf_hash(data))
        raw.executemany("INSERT INTO audit_nodes VALUES (?, ?, ?, ?)", [(origin, *at, digest) for at, digest in nodes])
    raw.execute("UPDATE audit_logs SET size = ?, peaks = ? WHERE origin = ?", (len(leaves), b"".join(peaks), origin))


def test_a_consistent_rewrite_contradicts_the_signed_checkpoint(world: World) -> None:
    with tampering(world.place) as raw:
        raw.execute(EDIT_LEAF)
        _rehash(raw, "test/audit/i2/1")
    assert {finding.code for finding in world.verify().findings} >= {"log.forked"}


def test_a_consistently_cut_tail_contradicts_the_note_kept_outside(world: World) -> None:
    with tampering(world.place) as raw:
        raw.execute("DELETE FROM audit_leaves WHERE origin LIKE '%i2/1' AND seq >= 6")
        raw.execute("DELETE FROM audit_checkpoints WHERE origin LIKE '%i2/1'")
        _rehash(raw, "test/audit/i2/1")
    found = world.verify().findings
    assert [finding.code for finding in found] == ["log.truncated"] and "i2/1 at 8" in found[0].where
    world.notes = []
    assert world.verify().findings == []  # without a note kept elsewhere, nobody can know


def test_a_forged_checkpoint_is_not_believed(world: World) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from audit.checkpoint import Checkpoint, sign

    forged = sign(Checkpoint("test/audit/i2/1", 8, bytes(32)), Ed25519PrivateKey.generate())
    with tampering(world.place) as raw:
        raw.execute("UPDATE audit_checkpoints SET note = ? WHERE origin LIKE '%i2/1'", (forged.decode(),))
    assert [finding.code for finding in world.verify().findings] == ["checkpoint.signature"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (f"UPDATE disposals SET certificate_seal = {CUT_SEAL}", "seal.invalid"),
        ("UPDATE disposals SET certificate = '{}'", "seal.content"),
        ("UPDATE disposals SET certificate_seal = 'x.y.z'", "seal.invalid"),
        ("UPDATE consent_records SET evidence = '{}'", "consent.digest"),
        ("UPDATE visit_notes SET signature = (SELECT seal || 'A' FROM consent_records)", "seal.invalid"),
        ("UPDATE disposals SET institution_id = 'i7'", "seal.key"),
    ],
)
def test_seals_are_checked_beside_the_log(world: World, statement: str, code: str) -> None:
    with tampering(world.place) as raw:
        raw.execute(statement)
    assert code in {finding.code for finding in world.verify().findings}


def test_segment_files_are_compared_with_their_rows(world: World) -> None:
    path = world.place / "blobs/i1/r1/s1/av-0.hzs"
    data = path.read_bytes()
    for changed, code in ((data[:-1] + b"?", "segment.changed"), (data[:-1], "segment.truncated")):
        path.write_bytes(changed)
        found = world.verify().findings
        assert [f.code for f in found] == [code] and "r1-0 (i1/r1/s1/av-0.hzs)" in found[0].where
    path.unlink()
    assert [finding.code for finding in world.verify().findings] == ["segment.missing"]
    path.write_bytes(data)
    undead = world.place / "blobs/i1/r2/s1/av-1.hzs"
    undead.parent.mkdir(parents=True, exist_ok=True)
    undead.write_bytes(b"still here")
    assert [finding.code for finding in world.verify().findings] == ["segment.undead"]


def test_wrong_and_missing_verifier_keys_are_said(world: World) -> None:
    good, world.vkeys = world.vkeys, []
    report = world.verify()
    assert report.findings == [] and any("no verifier keys" in remark for remark in report.remarks)
    world.vkeys = [good[0][:-4] + "AAAA", *good[1:]]
    assert "vkey.malformed" in {finding.code for finding in world.verify().findings}
    world.vkeys = [key for key in good if "/seal/" not in key]
    assert "seal.key" in {finding.code for finding in world.verify().findings}


def test_flipped_bits_in_the_log_are_all_found(world: World) -> None:
    chance = random.Random(11)
    columns = [("audit_leaves", "data"), ("audit_nodes", "hash"), ("audit_payloads", "data"), ("audit_logs", "peaks")]
    with tampering(world.place) as raw:
        for _ in range(120):
            table, column = chance.choice(columns)
            row, value = chance.choice(raw.execute(f"SELECT rowid, {column} FROM {table}").fetchall())
            changed = bytearray(value)
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            raw.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(changed), row))
            assert not world.verify().ok, (table, column)
            raw.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
    assert world.verify().ok


def test_a_file_that_is_no_database_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 500)
    for name in ("x.db", "absent.db"):
        report = verify(tmp_path / name, None, [], [])
        assert [finding.code for finding in report.findings] == ["database.unreadable"]
