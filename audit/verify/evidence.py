"""Beyond the log: segment files against their rows, seals against the institutions' keys."""

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from audit.verify.notes import Keys, holds
from audit.verify.report import Progress, Report

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
# table, column of the seal, column holding what was sealed (None: its canonical form is the domain's own affair)
_SEALED = (
    ("consent_records", "seal", "evidence"),
    ("disposals", "certificate_seal", "certificate"),
    ("visit_notes", "signature", None),
    ("opinions", "signature", None),
    ("decision_notes", "signature", None),
    ("joint_reports", "signature", None),
    ("report_marks", "signature", None),
    ("countersignatures", "signature", None),
    ("opinion_papers", "seal", None),
    ("sealed_copies", "seal", None),
    ("agreement_seals", "seal", "document"),
)
_STORED = {"opinion_papers": "paper", "sealed_copies": "copy"}  # one encrypted object per row


def check_evidence(
    db: sqlite3.Connection, blobs_dir: Path | None, keys: Keys, report: Report, progress: Progress
) -> None:
    _check_digests(db, report)
    if keys:
        known = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, seal, content in _SEALED:
            if table not in known:
                continue  # a database of before
            _check_seals(db, table, seal=seal, content=content, keys=keys, report=report)
    if blobs_dir is None:
        report.remark("segment files were not read")
    else:
        _check_files(db, blobs_dir, report, progress)
        _check_objects(db, blobs_dir, report)


def _check_digests(db: sqlite3.Connection, report: Report) -> None:
    for row in db.execute("SELECT id, evidence, digest FROM consent_records"):
        if sha256(str(row["evidence"]).encode(errors="surrogateescape")).hexdigest() != row["digest"]:
            report.find("consent.digest", f"consent_records {row['id']}", "digest is not that of the evidence")


def _check_seals(
    db: sqlite3.Connection, table: str, *, seal: str, content: str | None, keys: Keys, report: Report
) -> None:
    columns = f"id, institution_id, {seal} AS seal, {content or 'NULL'} AS content"
    for row in db.execute(f"SELECT {columns} FROM {table} WHERE {seal} <> ''"):  # noqa: S608 - fixed names
        where = f"{table} {row['id']}"
        report.seals += 1
        known = keys.seals(row["institution_id"])
        if not known:
            report.find("seal.key", where, "no verifier key of its institution's seal was given")
            continue
        claims = next((c for name, public in known if (c := _claims(str(row["seal"]), name, public))), None)
        if claims is None:
            report.find("seal.invalid", where, "the seal does not verify with its institution's key")
        elif (
            row["content"] is not None
            and claims.get("digest") != sha256(str(row["content"]).encode(errors="surrogateescape")).hexdigest()
        ):
            report.find("seal.content", where, "the seal is over other content")


def _claims(jws: str, issuer: str, public: bytes) -> dict[str, Any] | None:
    """Claims of a compact EdDSA JWS of this issuer; None when anything is wrong."""
    parts = jws.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = json.loads(_url64(parts[0])), json.loads(_url64(parts[1]))
        signature = _url64(parts[2])
    except (ValueError, binascii.Error):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "EdDSA":
        return None
    if claims.get("iss") != issuer or not holds(public, signature, f"{parts[0]}.{parts[1]}".encode()):
        return None
    return claims


def _url64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _check_files(db: sqlite3.Connection, blobs_dir: Path, report: Report, progress: Progress) -> None:
    gone = {row[0] for row in db.execute("SELECT subject_id FROM retained_records WHERE state = 'disposed'")}
    going = {row[0] for row in db.execute("SELECT subject_id FROM retained_records WHERE state = 'purging'")}
    states = {row["id"]: row["state"] for row in db.execute("SELECT id, state FROM recordings")}
    rows = list(db.execute("SELECT id, recording_id, blob_key, size, sha256 FROM segments ORDER BY pos"))
    for done, row in enumerate(rows, 1):
        where = f"segments {row['id']} ({row['blob_key']})"
        path = _path(blobs_dir, str(row["blob_key"]))
        if path is None:
            report.find("segment.key", where, "its blob key is not a safe path")
        elif row["recording_id"] in gone:
            if path.exists():
                report.find("segment.undead", where, "the recording was destroyed, the file is still there")
        elif path.is_file():
            _check_file(path, row, where, report)
        elif row["recording_id"] not in going:
            if states.get(row["recording_id"]) == "sealed":
                report.find("segment.missing", where, "the file is missing")
            else:
                report.remark(f"{where}: recording not sealed yet, file not in the store")
        if done % 20 == 0 or done == len(rows):
            progress("segments", done, len(rows))


def _check_objects(db: sqlite3.Connection, blobs_dir: Path, report: Report) -> None:
    """Filed papers and sealed copies: each object is what its row says, whatever became of another institution's."""
    disposed = db.execute("SELECT subject_id FROM retained_records WHERE state IN ('disposed', 'purging')")
    gone = {row[0] for row in disposed}
    known = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, what in _STORED.items():
        rows = db.execute(f"SELECT * FROM {table} WHERE blob_sha256 <> ''") if table in known else ()  # noqa: S608
        for row in rows:
            where = f"{table} {row['id']} ({row['blob_key']})"
            path = _path(blobs_dir, str(row["blob_key"]))
            if path is None:
                report.find("object.key", where, "its blob key is not a safe path")
            elif not path.is_file():
                if not gone & {row["id"], row["consult_id"]}:
                    report.find("object.missing", where, f"the {what} is missing")
            elif _digest_of(path) != row["blob_sha256"]:
                report.find("object.changed", where, f"the {what} is not what was stored")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _check_file(path: Path, row: sqlite3.Row, where: str, report: Report) -> None:
    digest, size = sha256(), 0
    try:
        for chunk in _chunks(path):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        report.find("segment.unreadable", where, f"cannot be read: {error.strerror}")
        return
    report.files += 1
    report.file_bytes += size
    if size != row["size"]:
        report.find("segment.truncated", where, f"{size} bytes, {row['size']} were recorded")
    elif digest.hexdigest() != row["sha256"]:
        report.find("segment.changed", where, "its bytes are not those that were recorded")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk


def _path(blobs_dir: Path, key: str) -> Path | None:
    parts = key.split("/")
    return blobs_dir.joinpath(*parts) if all(_PART.match(part) for part in parts) else None
